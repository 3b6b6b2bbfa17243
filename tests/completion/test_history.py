"""What is learnt of tests from runs, and what follows for the next ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.completion import history as history_module
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.execution import How, RunResult, Status, TestResult
from egcfg_lsp.source.oracle import OracleKind, OracleTest

FILE = Path("/p/tests/test_calc.py")


def function(name: str, path: Path = FILE) -> OracleTest:
    return OracleTest(path, name, OracleKind.FUNCTION, "", "")


def ran(*results: tuple[str, str, float]) -> RunResult:
    return RunResult(Status.FAILED, tests=tuple(TestResult(*one) for one in results))


ONE, TWO, THREE = function("test_one"), function("TestX.test_two"), function("test_three")
TESTS = (ONE, TWO, THREE)


def test_what_failed_last_comes_first_then_the_fastest() -> None:
    history = TestHistory()
    assert history.ordered(TESTS) == TESTS
    history.note(
        TESTS,
        ran(
            ("tests/test_calc.py::test_one[1]", "passed", 0.02),
            ("tests/test_calc.py::test_one[2]", "passed", 0.02),
            ("tests/test_calc.py::TestX::test_two", "passed", 0.01),
            ("tests/test_calc.py::test_three", "failed", 0.5),
        ),
    )
    assert history.ordered(TESTS) == (THREE, TWO, ONE)
    assert history.of(ONE).seconds == pytest.approx(0.04)
    history.note([THREE], ran(("tests/test_calc.py::test_three", "passed", 0.001)))
    assert history.ordered(TESTS) == (THREE, TWO, ONE)
    assert not history.of(THREE).has_failed


@pytest.mark.parametrize(
    ("seconds", "deadline"),
    [
        ((), 10.0),
        ((0.001,), 10.0),
        ((0.001, 0.001, 0.001), 0.15),
        ((0.02, 0.001, 0.001), 0.22),
        ((0.06, 0.001, 0.001), 10.0),
    ],
)
def test_deadline_follows_what_tests_take_where_they_pass(
    seconds: tuple[float, ...], deadline: float
) -> None:
    history = TestHistory()
    for test, each in zip(TESTS, seconds, strict=False):
        name = f"tests/test_calc.py::{test.name.replace('.', '::')}"
        result = ran((name, "passed", each))
        history.note([test], result)
        history.note([test], replace(result, how=How.SWAPPED))
    assert history.are_slow(TESTS) is (0.06 in seconds)
    assert history.deadline(TESTS, 10.0) == pytest.approx(deadline)
    assert history.deadline(TESTS, 0.1) == pytest.approx(min(0.1, deadline))


def test_test_with_two_verdicts_on_one_text_is_flaky() -> None:
    history = TestHistory()
    passes = ran(("tests/test_calc.py::test_one", "passed", 0.1))
    fails = ran(("tests/test_calc.py::test_one", "failed", 0.1))
    assert history.note_flaky(TESTS, passes, passes) == ()
    assert history.note_flaky(TESTS, passes, fails) == (ONE,)
    assert history.steady(TESTS) == (TWO, THREE)
    history.forget([])
    assert history.steady(TESTS) == (TWO, THREE)
    history.forget([Path("/p/conftest.py")])
    assert history.steady(TESTS) == TESTS


def test_names_of_other_files_and_kinds_are_not_mixed_up() -> None:
    history = TestHistory()
    other = function("test_one", Path("/p/other/test_calc.py"))
    doctest = OracleTest(Path("/p/calc.py"), "add", OracleKind.DOCTEST, "", "")
    asserts = OracleTest(Path("/p/calc.py"), "add", OracleKind.ASSERTS, "", "")
    history.note(
        [ONE, other, doctest, asserts],
        ran(
            ("tests/test_calc.py::test_one", "failed", 0.1),
            ("calc.py::calc.add", "passed", 0.1),
            ("calc.py::assert 1 at line 3", "passed", 0.2),
        ),
    )
    assert history.of(ONE).has_failed
    assert not history.of(other).has_failed
    assert history.of(doctest).seconds == 0.1
    assert history.of(asserts).seconds == 0.2


def test_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MAX_TESTS", 2)
    history = TestHistory()
    for test in TESTS:
        name = f"tests/test_calc.py::{test.name.replace('.', '::')}"
        history.note([test], ran((name, "failed", 0.1)))
    assert [history.of(test).has_failed for test in TESTS] == [False, True, True]
