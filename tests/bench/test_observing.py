"""Programs run against the visible tests: which tests, which lines, what is seen; once for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.bench.judge import write_project
from egcfg_lsp.bench.observing import lines_of, observer, oracle_tests_beside, seen_in
from egcfg_lsp.bench.problems import Suite
from egcfg_lsp.execution import Ending, RunResult, Status
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.guidance.executable import executable
from egcfg_lsp.guidance.signal import Tried, trace_signal
from tests.support.scripted import ScriptedSandbox
from tests.trace.traces import record

ASSERTS = Suite("asserts", "assert add(1, 2) == 3\nfor n in range(3):\n    assert add(n, 0) == n")
CHECK = Suite("check", "def check(candidate):\n    assert candidate(1, 2) == 3\n")
HEAD = "def add(a, b):\n"


@pytest.mark.parametrize(
    ("suite", "names", "sources"),
    [
        (ASSERTS, ["test_add_1", "test_add_2"], ["assert add(1, 2) == 3", "test_add_2"]),
        (CHECK, ["test_add"], ["assert add(1, 2) == 3"]),
        (
            Suite(
                "helper", "def test_add_up(x):\n    return x\n\nassert add(1, test_add_up(1)) == 2"
            ),
            ["test_add_1"],
            ["assert add(1, test_add_up(1)) == 2"],
        ),
        (None, [], []),
    ],
)
def test_visible_tests_are_found(
    suite: Suite | None, names: list[str], sources: list[str], tmp_path: Path
) -> None:
    found = oracle_tests_beside(write_project(tmp_path, suite, "add"), "add")
    assert [test.name for test in found] == names
    assert [test.source for test in found] == sources


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def add(a):\n    return a\n", (1, 2)),
        ("import x\n\n@x.y\ndef add(a):\n    return a\n\n\nz = 1\n", (3, 5)),
        ("def other():\n    def add():\n        pass\n", None),
        ("def add():\n    pass\ndef add():\n    return 1\n", (3, 4)),
        ("", None),
    ],
)
def test_lines_of_the_function(text: str, lines: tuple[int, int] | None) -> None:
    assert lines_of(text, "add") == lines


WANTED, LATE = "add(1, 2) → 1, want 3", "no result within 5 s"


@pytest.mark.parametrize(
    ("result", "passed", "note"),
    [
        (RunResult(Status.PASSED, 1, 1), True, ""),
        (RunResult(Status.FAILED, 0, 1, failure=WANTED), False, WANTED),
        (RunResult(Status.INCONCLUSIVE, reason=LATE, ending=Ending.TIMEOUT), None, LATE),
    ],
)
def test_what_a_run_says(result: RunResult, passed: bool | None, note: str, tmp_path: Path) -> None:
    (test,) = oracle_tests_beside(write_project(tmp_path, CHECK, "add"), "add")
    seen = seen_in(result, test)
    assert (seen.passed, seen.note, seen.trace) == (passed, note, None)


def test_a_record_that_is_none_is_no_trace(tmp_path: Path) -> None:
    (test,) = oracle_tests_beside(write_project(tmp_path, CHECK, "add"), "add")
    for trace, is_read in ((record(), True), ({"frames": 1}, False)):
        seen = seen_in(RunResult(Status.FAILED, 0, 1, trace=trace), test)
        assert (seen.trace is not None) is is_read


async def test_programs_that_say_the_same_are_run_once(tmp_path: Path) -> None:
    sandbox = ScriptedSandbox()
    seer = observer(write_project(tmp_path, ASSERTS, "add"), "add", sandbox)
    verdicts = []
    for body in ("    return a + b\n", "    return (a+b)  # so\n", "    return a - b\n"):
        program = executable(HEAD, body)
        assert program is not None
        verdicts.append([one.passed for one in await seer.seen(program)])
    assert verdicts == [[True, True], [True, True], [False, False]]
    assert [len(job.tests) for job in sandbox.jobs] == [1] * 4


async def test_for_real(tmp_path: Path) -> None:
    """A wrong candidate, one that never ends, one that imports a module, one that is unfinished."""
    pool = Pool()
    try:
        seer = observer(write_project(tmp_path, CHECK, "add"), "add", pool)
        tried = []
        for body, is_whole in (
            ("    c = a - b\n    return c\n", True),
            ("    while a:\n        a += 1\n", True),
            ("    import math\n    c = math.fsum([a, b])\n    return c\n", True),
            ("    if a:\n", False),
        ):
            program = executable(HEAD, body)
            assert program is not None
            tried.append(Tried(program.kept, is_whole, await seer.seen(program)))
    finally:
        await pool.close()
    assert [one.seen[0].passed for one in tried] == [False, None, True, False]
    told = trace_signal(tried)
    for line in (
        "assert add(1, 2) == 3: add(1, 2) → -1, want 3",
        "    add(a=1, b=2)\n      c = -1\n      returned -1",
        "      a = 2\n",
        "assert add(1, 2) == 3: passes",
        "      c = 3.0",
        "assert add(1, 2) == 3: runs, nothing returned yet",
    ):
        assert line in told
    assert "did not end" in told
