"""What a row of the hostile suite is, and the verdict on how its run ended.

A case is source that attacks from inside the candidate, and what must come of it. What must hold for
every case (never passed, host untouched, ended in time, nothing left) is the driver's to check.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from egcfg_lsp.execution import Ending, RunResult, Status

PRELUDE = Path(__file__).with_name("prelude.txt").read_text(encoding="utf-8")
HANG_SECONDS = 2.0
"""Deadline of cases that do not end by themselves."""
LONG_SECONDS = 30.0
"""Deadline of the others: they end long before, also on a busy machine."""
GRACE_SECONDS = 10.0
"""A run returns this long after its deadline at the latest; a hang check, not a measurement."""
ADD_TEST = "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"


class Expect(StrEnum):
    """How a run must end. All but the last three exclude `passed`."""

    HELD = "held"
    """Everything was tried, nothing succeeded, and the candidate said so itself."""
    HELD_OR_ENDED = "held or ended"
    """As before, or it was ended for what it took."""
    DEADLINE = "deadline"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    NOT_PASSED = "not passed"
    PASSED = "passed"
    """An honest candidate."""
    WORKS = "works"
    """A legitimate test: passes, or is inconclusive with a reason; never failed."""
    FORGEABLE = "forgeable"
    """A verdict that cannot be guaranteed where candidate and test share a process; the benchmark's
    judge, which gets these cases too, must not pass them."""


@dataclass(frozen=True)
class Case:
    name: str
    source: str
    """The module under test, behind the prelude."""
    expect: Expect
    deadline_seconds: float
    test: str = ADD_TEST
    """The test file; its one test is `test_add`."""
    is_heavy: bool = False
    """Whether an honest run right afterwards shows that it still can be run."""

    def text(self, world: dict[str, object]) -> str:
        return f"{PRELUDE}\nW = {world!r}\n\n{self.source}"


def case(
    name: str,
    body: str,
    expect: Expect = Expect.HELD,
    *,
    at_import: bool = False,
    test: str = ADD_TEST,
    is_heavy: bool = False,
    never_ends: bool = False,
) -> Case:
    """An attack in the body of the tested function, or at the module's import.

    `never_ends`: it goes on until it is stopped, be it by the deadline or a limit before that.
    """
    body = textwrap.dedent(body).strip("\n")
    if expect in (Expect.HELD, Expect.HELD_OR_ENDED):
        body += "\nheld()"
    if at_import:
        source = f"{body}\n\n\ndef add(a, b):\n    return -1\n"
    else:
        source = "def add(a, b):\n" + textwrap.indent(body, "    ") + "\n"
    never_ends = never_ends or expect is Expect.DEADLINE
    deadline = HANG_SECONDS if never_ends else LONG_SECONDS
    return Case(name, source, expect, deadline, test, is_heavy)


def problems_of(case: Case, result: RunResult) -> list[str]:
    """What is wrong with how a run ended, for people."""
    told = told_by(result)
    problems = []
    if "ESCAPED" in told:
        problems.append(f"escaped: {told}")
    elif not _MET[case.expect](result):
        problems.append(f"expected {case.expect.value}, got {result.status.value}: {told!r}")
    if len(told) > 600 or not told.isprintable():
        problems.append(f"what is shown to people is not one short printable line: {told[:200]!r}")
    return problems


def told_by(result: RunResult) -> str:
    return " ".join(part for part in (result.failure, result.reason) if part)


def _met_deadline(result: RunResult) -> bool:
    """Or by the lines that it executed, whichever comes first."""
    is_late = "no result within" in result.reason or result.ending is Ending.FUEL
    return result.status is Status.INCONCLUSIVE and is_late


_MET: dict[Expect, Callable[[RunResult], bool]] = {
    Expect.HELD: lambda r: r.status is not Status.PASSED and "HELD" in told_by(r),
    Expect.HELD_OR_ENDED: lambda r: (
        "HELD" in told_by(r) if r.status is Status.FAILED else r.status is Status.INCONCLUSIVE
    ),
    Expect.DEADLINE: _met_deadline,
    Expect.INCONCLUSIVE: lambda r: r.status is Status.INCONCLUSIVE,
    Expect.FAILED: lambda r: r.status is Status.FAILED,
    Expect.NOT_PASSED: lambda r: r.status is not Status.PASSED,
    Expect.PASSED: lambda r: r.status is Status.PASSED,
    Expect.WORKS: lambda r: (
        r.status is Status.PASSED or (r.status is Status.INCONCLUSIVE and bool(r.reason))
    ),
    Expect.FORGEABLE: lambda r: True,
}
