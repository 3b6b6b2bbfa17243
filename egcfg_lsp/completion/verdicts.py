"""What runs say of a suggestion: an outcome and one line. Pure; nothing is run here.

Which runs it takes is `verify`'s matter.
"""

from __future__ import annotations

from typing import NamedTuple

from egcfg_lsp.completion import Outcome
from egcfg_lsp.completion.telling import one_line
from egcfg_lsp.execution import Ending, RunResult, Status


class Verdict(NamedTuple):
    outcome: Outcome
    summary: str
    is_transient: bool = False
    """Whether another run may well say something else: no verdict was reached."""


def judge_unfinished(result: RunResult) -> Verdict:
    """The outcome of a suggestion whose last block has no body yet: no test can pass it as shown."""
    if result.status is Status.INCONCLUSIVE:
        return _without_verdict(result)
    if result.missed_lines or (result.status is Status.FAILED and result.raised):
        return inconclusive("unfinished: its block has no body yet")
    return Verdict(Outcome.RUNS, "→ runs; its block has no body yet")


def judge(result: RunResult, control: RunResult) -> Verdict:
    """The outcome of a run, given the run of the same tests on the buffer without the suggestion.

    A buffer that does not compile passes no test, nor does one that makes them go on for ever.
    """
    if result.status is Status.INCONCLUSIVE:
        return _without_verdict(result)
    if result.status is Status.FAILED:
        outcome = Outcome.PARTIAL if result.n_passed else Outcome.FAILS
        return Verdict(outcome, one_line(result))
    count = f"{result.n_passed}/{result.n_tests}"
    if result.missed_lines:
        lines = ", ".join(map(str, result.missed_lines[:3]))
        plural = "s" if len(result.missed_lines) > 1 else ""
        return inconclusive(f"{count} pass, but line{plural} {lines} never ran")
    if says_nothing(control):
        return inconclusive(f"{count} pass; without it: {control.reason}", is_transient=True)
    if not _is_failure(control) and not _fails_what_passed(control, result):
        return inconclusive(f"{count} pass, with or without it")
    return Verdict(Outcome.VERIFIED, one_line(result))


def says_nothing(control: RunResult) -> bool:
    """Whether a run of the buffer without a suggestion tells neither that it fails nor that it passes."""
    return control.status is Status.INCONCLUSIVE and not _is_failure(control)


def _is_failure(control: RunResult) -> bool:
    """Whether what ran fails as a whole: it does not compile, or goes on for ever."""
    return not control.compiles or control.ending in (Ending.FUEL, Ending.TIMEOUT)


def _fails_what_passed(control: RunResult, result: RunResult) -> bool:
    """Whether a test fails without the suggestion that is not one of those which say nothing with it.

    What cannot be collected is one test, whatever its parameters.
    """
    if control.status is not Status.FAILED:
        return False
    passed = {one.name for one in result.tests if one.outcome == "passed"}
    silent = {one.name for one in result.tests if one.outcome != "passed"}
    silent |= {_plain(name) for name in silent} - {_plain(name) for name in passed}
    failed = {one.name for one in control.tests if one.outcome == "failed"}
    # A list of tests that is too long for a record is left out of it.
    return not control.tests or bool(failed - silent)


def _plain(name: str) -> str:
    """Of a test, without its parameters."""
    return name.partition("[")[0]


def _without_verdict(result: RunResult) -> Verdict:
    return Verdict(Outcome.UNVERIFIED, one_line(result), result.compiles)


def inconclusive(reason: str, *, is_transient: bool = False) -> Verdict:
    return Verdict(Outcome.UNVERIFIED, f"⊘ {reason}", is_transient)
