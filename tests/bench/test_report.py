"""Reports from files alone: the data behind `--json`, and that the tables print."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.bench.cursors import Position
from egcfg_lsp.bench.infilling import NOT_JUDGED, VARIANTS, Result, Stats
from egcfg_lsp.bench.packages import Function
from egcfg_lsp.bench.rates import Pairs, Rate
from egcfg_lsp.bench.report import report, rows_of
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.bench.sessions import Answered, Session

ABOUT = {"name": "m", "sha256": "0"}
CONFIGURATION = {"dataset": "infilling", "model": ABOUT, "seed": 0, "version": "0.1"}
BASE = Result(
    task_id="Own/0/L0", position=Position.START, variant=VARIANTS["product"],
    model=BenchModel("m", "0"), seed=0, version="0.1", typed="", right="", wanted="x", shown="x",
    replaces=0, code="x\n", tests_shown=True, exact=True, passed=True, general_error="",
    stats=Stats("2026-01-01T00:00:00+00:00", 0.5, 3),
)  # fmt: skip


def results(variant: str, exact: str, passed: str) -> list[Result]:
    """One for each sign: + yes, - no, ? without a verdict, . not judged."""
    verdict = {"+": True, "-": False, "?": None, ".": None}
    return [
        replace(
            BASE,
            task_id=f"Own/{i}/L0",
            variant=VARIANTS[variant],
            exact=is_exact == "+",
            passed=verdict[is_passed],
            general_error=NOT_JUDGED if is_passed == "." else "",
        )
        for i, (is_exact, is_passed) in enumerate(zip(exact, passed, strict=True))
    ]


def test_rows_compare_the_questions_that_both_have_answered() -> None:
    product = results("product", "++-+", "++-?")
    no_tests = results("no-tests", "+---+", "+?-+-")
    first, second = rows_of([*no_tests, *product])
    assert (first.variant, first.exact, first.exact_pairs) == ("product", Rate(3, 4), None)
    assert (first.passed, first.n_inconclusive) == (Rate(2, 4), 1)
    assert (second.exact, second.exact_pairs) == (Rate(2, 5), Pairs(0, 2))
    assert (second.passed, second.passed_pairs) == (Rate(2, 5), Pairs(1, 1))
    assert second.n_inconclusive == 1


def test_nothing_judged_is_no_rate() -> None:
    first, second = rows_of([*results("product", "+-", ".."), *results("no-tests", "--", "..")])
    assert (first.passed, second.passed, second.passed_pairs) == (None, None, None)
    assert second.exact_pairs == Pairs(0, 1)


def test_without_the_control_there_are_no_pairs() -> None:
    (row,) = rows_of(results("no-tests", "+-", "+-"))
    assert row.exact_pairs is row.passed_pairs is None


def printed(folder: Path) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report(folder).table)
    return capture.get()


def test_infilling_report(tmp_path: Path) -> None:
    folder = open_results(tmp_path, CONFIGURATION)
    for result in [
        *results("product", "--------", "-------?"),
        *results("no-tests", "+" * 8, "+" * 8),
        *results("closers-in-suffix", "-" * 8, "-" * 8),
    ]:
        folder.write(f"{result.variant.name}/start", result.task_id, result)
    data = json.loads(json.dumps(report(tmp_path).data))
    assert data["configuration"] == CONFIGURATION
    assert data["control"] == "product"
    product, no_tests, _ = data["rows"]
    interval = pytest.approx([0.0, 0.3244], abs=1e-4)
    assert product["passed"] == {"hits": 0, "n": 8, "rate": 0.0, "interval": interval}
    assert (product["inconclusive"], product["exact_against_control"]) == (1, None)
    assert no_tests["exact_against_control"] == {
        "wins": 8, "losses": 0, "p": 2 / 2**8, "verdict": "better",
    }  # fmt: skip
    text = printed(tmp_path)
    assert "8–0 .008 +" in text
    assert "100 68–100" in text
    assert "the data set's check(candidate)" in text
    assert "…" not in text


def test_typing_report(tmp_path: Path) -> None:
    folder = open_results(tmp_path, {**CONFIGURATION, "dataset": "typing"})
    for package in ("one", "two"):
        function = Function(package, "1.0", "a.py", "f", 2, "def f():", "    a", "\n")
        answers = (Answered("a", (), 1, 0.1), Answered("", ("in-string",), 0, 0.1))
        session = Session(function, BenchModel("m", "0"), 0, "0.1", answers)
        folder.write(f"{package}-1.0", function.task_id, session)
    rows = json.loads(json.dumps(report(tmp_path).data))["rows"]
    assert [row["name"] for row in rows] == ["one 1.0", "two 1.0", "all"]
    assert rows[2]["shown"] == {"hits": 2, "n": 4, "rate": 0.5}
    assert rows[2]["causes"] == {"in-string": 2}
    text = printed(tmp_path)
    assert "saved, of characters" in text
    assert "in-string" in text
    assert "…" not in text


def test_folders_without_results(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no benchmark results"):
        report(tmp_path)
    open_results(tmp_path, {**CONFIGURATION, "dataset": "unheard-of"})
    with pytest.raises(BenchError, match="unheard-of"):
        report(tmp_path)
