"""Rung 2: the draft runs against the oracle tests; what comes out is an outcome and one line.

A ✓ stands only on text that passes as shown, twice and with different seeds, the second time in a
process that has imported the buffer with it; all of whose lines were executed; and without which at
least one of the tests fails.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from typing import NamedTuple

from egcfg_lsp.completion import Outcome, Request, Suggestion
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.telling import one_line
from egcfg_lsp.completion.widening import is_too_narrow, widened
from egcfg_lsp.execution import Ending, How, Job, RunResult, Sandbox, Status
from egcfg_lsp.execution.interpreter import InterpreterError, find_interpreter
from egcfg_lsp.execution.sandbox import allowed_environment
from egcfg_lsp.source.edit import close_open_blocks, splice, without_lines
from egcfg_lsp.source.oracle import OracleTest
from egcfg_lsp.source.reach import dead_lines, hidden_blocks
from egcfg_lsp.source.target import find_target

SECOND_SEED = 1
MAX_HIDDEN = 8
"""Blocks on the line of their head that are tried out; more of them are taken not to have run."""
_UNTRUSTED = "not run: the workspace is not trusted"
UNTRUSTED = f"⊘ {_UNTRUSTED}"
"""The summary of a suggestion whose tests would run if they were allowed to."""


class Verdict(NamedTuple):
    outcome: Outcome
    summary: str
    is_transient: bool = False
    """Whether another run may well say something else: no verdict was reached."""


def reason_not_to_run(request: Request, tests: tuple[OracleTest, ...]) -> str | None:
    """Why no run is even tried, or None."""
    if not tests:
        return "no tests found for this function"
    if request.path is not None and request.path.suffix == ".ipynb":
        return "not run: a notebook is no module that tests can import"
    if not request.settings.trusted:
        return _UNTRUSTED
    return None


async def verify(
    request: Request,
    tests: tuple[OracleTest, ...],
    suggestion: Suggestion,
    sandbox: Sandbox,
    history: TestHistory | None = None,
) -> Verdict:
    """Outcome and summary of a suggestion. Never raises.

    What passes runs once more, in a process that has imported the buffer as shown, with another
    seed; and the buffer without it must fail. What fails where only the function was exchanged runs
    once more in such a process, which is then believed. `history` orders the tests and learns from
    them.
    """
    history = history or TestHistory()
    if (reason := reason_not_to_run(request, tests)) is not None:
        return _inconclusive(reason)
    assert request.path is not None, "tests belong to a file"
    assert request.root is not None, "tests lie below a root"
    target = find_target(request.text, request.offset)
    name = "" if target is None else target.qualified_name
    tests = tuple(dict.fromkeys((*tests, *history.reaching(request.path, name))))
    steady = history.ordered(history.steady(tests))
    if not steady:
        return _inconclusive(f"flaky: {names_of(tests)}")
    try:
        interpreter = find_interpreter(request.root, request.settings.interpreter)
    except InterpreterError as error:
        return _inconclusive(f"not run: {error}")
    candidate = candidate_of(request, suggestion)
    job = Job(
        root=request.root,
        interpreter=interpreter,
        path=request.path,
        text=candidate.text,
        tests=steady,
        first_line=candidate.first_line,
        last_line=candidate.last_line,
        deadline_seconds=history.deadline(steady, request.settings.deadline_seconds),
        environment=allowed_environment(request.settings.environment, os.environ),
        overlays=request.overlays,
    )
    job = _about(job, request, candidate.text)
    dead = await asyncio.to_thread(_dead_lines, job)
    patient = replace(job, deadline_seconds=request.settings.deadline_seconds)

    async def ran(job: Job) -> RunResult:
        result = _with_missed(await sandbox.run(job), dead)
        history.note(job.tests, result)
        return result

    result = await ran(job)
    if result.ending is Ending.TIMEOUT and job != patient:
        result = await ran(patient)
    if result.how is How.SWAPPED and may_be_stale(result):
        result = await ran(replace(patient, fresh=True))
    if is_too_narrow(result):
        patient, result = await widened(patient, result, request, history, ran)
    fresh = replace(patient, fresh=True)
    if not candidate.is_as_shown:
        return judge_unfinished(result)
    if result.status is not Status.PASSED or result.missed_lines:
        return judge(result, RunResult(Status.INCONCLUSIVE))
    if flaky := tuple(test for test in tests if test not in steady):
        return _inconclusive(f"{result.n_passed}/{result.n_tests} pass, flaky: {names_of(flaky)}")
    confirmed = await ran(replace(fresh, seed=SECOND_SEED))
    if confirmed.status is Status.FAILED:
        again = await ran(fresh) if result.how is How.SWAPPED else result
        return _doubt(again, confirmed, patient.tests, history)
    if confirmed.status is not Status.PASSED or confirmed.missed_lines:
        return judge(confirmed, RunResult(Status.INCONCLUSIVE))
    if skipped := await _skipped_blocks(patient if result.how is How.SWAPPED else fresh, sandbox):
        missed = replace(confirmed, missed_lines=skipped)
        return judge(missed, RunResult(Status.INCONCLUSIVE))
    return judge(confirmed, await sandbox.run(_control(patient, request)))


async def _skipped_blocks(job: Job, sandbox: Sandbox) -> tuple[int, ...]:
    """Of the watched lines those with a block behind its head without which the tests pass, too.

    `if x: return y` is one line, which runs whether the block does or not.
    """
    if job.target_lines is None:
        return ()
    blocks = await asyncio.to_thread(hidden_blocks, job.text, *job.target_lines)
    watched = [block for block in blocks if job.first_line <= block.line <= job.last_line]
    skipped = [block.line for block in watched[MAX_HIDDEN:]]
    for block in watched[:MAX_HIDDEN]:
        result = await sandbox.run(replace(job, text=block.text, stop_early=True))
        if result.status is not Status.FAILED and result.ending is not Ending.ERROR:
            skipped.append(block.line)
    return tuple(sorted(skipped))


def may_be_stale(result: RunResult) -> bool:
    """Whether a run that only exchanged the function's code may fail for that reason: what is made
    of a function when its module is imported is as it was, and so is what the tests import."""
    return result.status is Status.FAILED or result.ending is Ending.ERROR


def without_suggestion(request: Request) -> str:
    """The buffer as it is; a block that lacks its body has a `pass`, so that its tests can say more
    of it than that it does not compile."""
    return close_open_blocks(request.text, request.before.count("\n"))


def _control(job: Job, request: Request) -> Job:
    """The job on the buffer without the suggestion, to its first failure."""
    text = without_suggestion(request)
    job = _about(replace(job, text=text, stop_early=True), request, text)
    if job.target_lines is None:
        return job
    # No line is asked about; one of the body tells which function is meant.
    return replace(job, first_line=job.target_lines[1], last_line=job.target_lines[1])


def _dead_lines(job: Job) -> frozenset[int]:
    """Of the watched ones: those on which a statement stands that can never run."""
    if job.target_lines is None:
        return frozenset()
    watched = range(job.first_line, job.last_line + 1)
    return dead_lines(job.text, *job.target_lines) & frozenset(watched)


def _with_missed(result: RunResult, lines: frozenset[int]) -> RunResult:
    if result.status is not Status.PASSED or not lines:
        return result
    return replace(result, missed_lines=tuple(sorted({*result.missed_lines, *lines})))


def _about(job: Job, request: Request, text: str) -> Job:
    """The job with the function around the cursor, as it is in a text."""
    target = find_target(text, request.offset)
    if target is None:
        return replace(job, target="", target_lines=None)
    lines = (target.first_line + 1, target.end_line)
    return replace(job, target=target.qualified_name, target_lines=lines)


def _doubt(
    result: RunResult, other: RunResult, tests: tuple[OracleTest, ...], history: TestHistory
) -> Verdict:
    """Of two runs that came about alike, the second of which fails, with another seed."""
    if result.status is not Status.PASSED:
        return judge(result, RunResult(Status.INCONCLUSIVE))
    flaky = history.note_flaky(tests, result, other)
    named = f": {names_of(flaky)}" if flaky else ""
    return _inconclusive(f"flaky, passed once and failed once{named}")


def names_of(tests: tuple[OracleTest, ...]) -> str:
    """The first ones, for people."""
    more = f" and {len(tests) - 2} more" if len(tests) > 2 else ""
    return ", ".join(test.name for test in tests[:2]) + more


@dataclass(frozen=True)
class Candidate:
    """A suggestion in its buffer, as it is run."""

    text: str
    first_line: int
    last_line: int
    """1-based, inclusive: the suggestion's lines, blank edges left out."""
    is_as_shown: bool
    """Whether it is the very buffer that accepting leads to; else a `pass` was put into an open block."""


def candidate_of(request: Request, suggestion: Suggestion) -> Candidate:
    """The buffer with a suggestion: without the placeholder that it takes away, with blocks closed."""
    text = splice(request.text, request.offset, suggestion.text, suggestion.replaces)
    if suggestion.removes is not None:
        text = without_lines(text, *suggestion.removes)
    first, last = watched_lines(request, suggestion.text)
    closed = close_open_blocks(text, last - 1)
    return Candidate(closed, first, last, closed == text)


def judge_unfinished(result: RunResult) -> Verdict:
    """The outcome of a suggestion whose last block has no body yet: no test can pass it as shown."""
    if result.status is Status.INCONCLUSIVE:
        return _without_verdict(result)
    if result.missed_lines or (result.status is Status.FAILED and result.raised):
        return _inconclusive("unfinished: its block has no body yet")
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
        return _inconclusive(f"{count} pass, but line{plural} {lines} never ran")
    if not control.compiles or control.ending in _ENDLESS:
        return Verdict(Outcome.VERIFIED, one_line(result))
    if control.status is Status.INCONCLUSIVE:
        return _inconclusive(f"{count} pass; without it: {control.reason}", is_transient=True)
    if not _fails_what_passed(control, result):
        return _inconclusive(f"{count} pass, with or without it")
    return Verdict(Outcome.VERIFIED, one_line(result))


_ENDLESS = (Ending.FUEL, Ending.TIMEOUT)


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


def watched_lines(request: Request, text: str) -> tuple[int, int]:
    """1-based first and last line of the suggested text in the spliced buffer, blank edges left out."""
    leading = text[: len(text) - len(text.lstrip())]
    first = request.before.count("\n") + 1 + leading.count("\n")
    return first, first + text.strip().count("\n")


def _without_verdict(result: RunResult) -> Verdict:
    return Verdict(Outcome.UNVERIFIED, one_line(result), result.compiles)


def _inconclusive(reason: str, *, is_transient: bool = False) -> Verdict:
    return Verdict(Outcome.UNVERIFIED, f"⊘ {reason}", is_transient)
