"""Rung 2: the draft runs against the oracle tests; what comes out is an outcome and one line.

A ✓ stands only on text that passes as shown, twice and with different seeds, the second time in a
process that has imported the buffer with it; all of whose lines were executed; and without which at
least one of the tests fails.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.verdicts import (
    Verdict,
    inconclusive,
    judge,
    judge_unfinished,
    says_nothing,
)
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


def reason_not_to_run(request: Request, tests: tuple[OracleTest, ...]) -> str | None:
    """Why no run is even tried, or None."""
    if not tests:
        return "no tests found for this function"
    if request.path is not None and request.path.suffix == ".ipynb":
        return "not run: a notebook is no module that tests can import"
    if not request.settings.trusted:
        return _UNTRUSTED
    return None


@dataclass(frozen=True)
class Verifier:
    """What all candidates of a request have in common when they run."""

    request: Request
    sandbox: Sandbox
    history: TestHistory
    tests: tuple[OracleTest, ...]
    """Of the target, those that are known to be flaky included."""
    template: Job
    """A run without a candidate, of the steady tests."""
    controls: dict[frozenset[OracleTest], RunResult] = field(default_factory=dict)
    """What tests say of the buffer without any candidate; asked once."""

    async def ran(self, job: Job, dead: frozenset[int]) -> RunResult:
        result = _with_missed(await self.sandbox.run(job), dead)
        self.history.note(job.tests, result)
        return result


@dataclass(frozen=True)
class Trial:
    """A candidate and what its latest run said."""

    candidate: Candidate
    job: Job
    """With the whole deadline of the settings, whatever the run's was."""
    result: RunResult
    is_brief: bool
    """Whether its deadline was a shorter one."""
    dead: frozenset[int]
    """Its lines on which a statement stands that can never run."""


async def verify(
    request: Request,
    tests: tuple[OracleTest, ...],
    suggestion: Suggestion,
    sandbox: Sandbox,
    history: TestHistory | None = None,
) -> Verdict:
    """Outcome and summary of a suggestion. Never raises.

    `history` orders the tests and learns from them.
    """
    verifier = verifier_of(request, tests, sandbox, history or TestHistory())
    if isinstance(verifier, Verdict):
        return verifier
    return await judged(verifier, await settled(verifier, await tried(verifier, suggestion)))


def verifier_of(
    request: Request, tests: tuple[OracleTest, ...], sandbox: Sandbox, history: TestHistory
) -> Verifier | Verdict:
    """What runs a request's candidates, or why nothing can be run; looks at files."""
    if (reason := reason_not_to_run(request, tests)) is not None:
        return inconclusive(reason)
    assert request.path is not None, "tests belong to a file"
    assert request.root is not None, "tests lie below a root"
    target = find_target(request.text, request.offset)
    name = "" if target is None else target.qualified_name
    tests = tuple(dict.fromkeys((*tests, *history.reaching(request.path, name))))
    steady = history.ordered(history.steady(tests))
    if not steady:
        return inconclusive(f"flaky: {names_of(tests)}")
    try:
        interpreter = find_interpreter(request.root, request.settings.interpreter)
    except InterpreterError as error:
        return inconclusive(f"not run: {error}")
    template = Job(
        root=request.root,
        interpreter=interpreter,
        path=request.path,
        text="",
        tests=steady,
        first_line=1,
        last_line=1,
        deadline_seconds=request.settings.deadline_seconds,
        environment=allowed_environment(request.settings.environment, os.environ),
        overlays=request.overlays,
    )
    return Verifier(request, sandbox, history, tests, template)


async def tried(verifier: Verifier, suggestion: Suggestion) -> Trial:
    """The first run of a candidate, the fastest there is. Never raises.

    Where only the function is exchanged, a failure may be due to that: `settled` looks again.
    """
    history, tests = verifier.history, verifier.template.tests
    template = replace(verifier.template, tests=history.ordered(history.steady(tests) or tests))
    candidate, job, dead = await asyncio.to_thread(_job, verifier.request, template, suggestion)
    brief = replace(job, deadline_seconds=history.deadline(job.tests, job.deadline_seconds))
    return Trial(candidate, job, await verifier.ran(brief, dead), brief != job, dead)


def _job(
    request: Request, template: Job, suggestion: Suggestion
) -> tuple[Candidate, Job, frozenset[int]]:
    """A candidate, its run, and its dead lines; reads the whole buffer, so it belongs into a thread."""
    candidate = candidate_of(request, suggestion)
    job = replace(
        template,
        text=candidate.text,
        first_line=candidate.first_line,
        last_line=candidate.last_line,
    )
    job = _about(job, request, candidate.text)
    return candidate, job, _dead_lines(job)


async def settled(verifier: Verifier, trial: Trial) -> Trial:
    """The trial as it may be believed: what ran out of a short deadline has had the whole one, what
    failed where only the function was exchanged has failed in a process that imported the buffer,
    and what too few tests reach has met more of them. Never raises.
    """
    job, result = trial.job, trial.result

    async def ran(job: Job) -> RunResult:
        return await verifier.ran(job, trial.dead)

    if result.ending is Ending.TIMEOUT and trial.is_brief:
        result = await ran(job)
    if result.how is How.SWAPPED and may_be_stale(result):
        result = await ran(replace(job, fresh=True))
    if is_too_narrow(result):
        job, result = await widened(job, result, verifier.request, verifier.history, ran)
    return replace(trial, job=job, result=result)


async def judged(verifier: Verifier, trial: Trial) -> Verdict:
    """The verdict on a trial that is settled. Never raises.

    What passes runs once more, in a process that has imported the buffer as shown, with another
    seed; and the buffer without it must fail.
    """
    job, result, history = trial.job, trial.result, verifier.history
    fresh = replace(job, fresh=True)
    if not trial.candidate.is_as_shown:
        return judge_unfinished(result)
    if result.status is not Status.PASSED or result.missed_lines:
        return judge(result, RunResult(Status.INCONCLUSIVE))
    if flaky := tuple(test for test in verifier.tests if history.of(test).is_flaky):
        return inconclusive(f"{result.n_passed}/{result.n_tests} pass, flaky: {names_of(flaky)}")
    confirmed = await verifier.ran(replace(fresh, seed=SECOND_SEED), trial.dead)
    if confirmed.status is Status.FAILED:
        swapped = result.how is How.SWAPPED
        again = await verifier.ran(fresh, trial.dead) if swapped else result
        return _doubt(again, confirmed, job.tests, history)
    if confirmed.status is not Status.PASSED or confirmed.missed_lines:
        return judge(confirmed, RunResult(Status.INCONCLUSIVE))
    likewise = job if result.how is How.SWAPPED else fresh
    if skipped := await _skipped_blocks(likewise, verifier.sandbox):
        missed = replace(confirmed, missed_lines=skipped)
        return judge(missed, RunResult(Status.INCONCLUSIVE))
    return judge(confirmed, await _control(verifier, job))


async def _control(verifier: Verifier, job: Job) -> RunResult:
    """What a candidate's tests say of the buffer without it; what came to nothing is asked again."""
    tests = frozenset(job.tests)
    known = verifier.controls.get(tests)
    if known is None or says_nothing(known):
        control = await asyncio.to_thread(_without, job, verifier.request)
        known = await verifier.sandbox.run(control)
        verifier.controls[tests] = known
    return known


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


def _without(job: Job, request: Request) -> Job:
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
    return inconclusive(f"flaky, passed once and failed once{named}")


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


def watched_lines(request: Request, text: str) -> tuple[int, int]:
    """1-based first and last line of the suggested text in the spliced buffer, blank edges left out."""
    leading = text[: len(text) - len(text.lstrip())]
    first = request.before.count("\n") + 1 + leading.count("\n")
    return first, first + text.strip().count("\n")
