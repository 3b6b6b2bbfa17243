"""Rung 2: the draft runs against the oracle tests; what comes out is an outcome and one line.

A ✓ stands only on text that passes as shown, all of whose lines were executed, and without which at
least one of the tests fails.
"""

from __future__ import annotations

from dataclasses import replace

from egcfg_lsp.completion import Outcome, Request
from egcfg_lsp.execution import Job, RunResult, Sandbox, Status
from egcfg_lsp.execution.interpreter import InterpreterError, find_interpreter
from egcfg_lsp.source.edit import in_line_ends_of, splice
from egcfg_lsp.source.oracle import OracleTest

Verdict = tuple[Outcome, str]


def reason_not_to_run(request: Request, tests: tuple[OracleTest, ...]) -> str | None:
    """Why no run is even tried, or None."""
    if not tests:
        return "no tests found for this function"
    if not request.settings.trusted:
        return "not run: the workspace is not trusted"
    return None


async def verify(
    request: Request, tests: tuple[OracleTest, ...], text: str, sandbox: Sandbox
) -> Verdict:
    """Outcome and summary of a draft's text. Never raises."""
    if (reason := reason_not_to_run(request, tests)) is not None:
        return _inconclusive(reason)
    assert request.path is not None, "tests belong to a file"
    assert request.root is not None, "tests lie below a root"
    try:
        interpreter = find_interpreter(request.root, request.settings.interpreter)
    except InterpreterError as error:
        return _inconclusive(f"not run: {error}")
    first_line, last_line = watched_lines(request, text)
    job = Job(
        root=request.root,
        interpreter=interpreter,
        path=request.path,
        text=splice(request.text, request.offset, text),
        tests=tests,
        first_line=first_line,
        last_line=last_line,
        deadline_seconds=request.settings.deadline_seconds,
    )
    result = await sandbox.run(job)
    if result.status is not Status.PASSED or result.missed_lines:
        return judge(result, RunResult(Status.INCONCLUSIVE))
    return judge(result, await sandbox.run(replace(job, text=request.text)))


def judge(result: RunResult, control: RunResult) -> Verdict:
    """The outcome of a run, given the run of the same tests on the buffer without the suggestion.

    A buffer that does not compile passes no test.
    """
    if result.status is Status.INCONCLUSIVE:
        return _inconclusive(result.reason)
    count = f"{result.n_passed}/{result.n_tests}"
    if result.status is Status.FAILED:
        outcome = Outcome.PARTIAL if result.n_passed else Outcome.FAILS
        return outcome, f"✗ {count} · {result.failure}" if result.failure else f"✗ {count}"
    if result.missed_lines:
        lines = ", ".join(map(str, result.missed_lines[:3]))
        plural = "s" if len(result.missed_lines) > 1 else ""
        return _inconclusive(f"{count} pass, but line{plural} {lines} never ran")
    if control.status is Status.PASSED:
        return _inconclusive(f"{count} pass, with or without it")
    if control.status is Status.INCONCLUSIVE and control.compiles:
        return _inconclusive(f"{count} pass; without it: {control.reason}")
    return Outcome.VERIFIED, f"✓ {count}"


def watched_lines(request: Request, text: str) -> tuple[int, int]:
    """1-based first and last line of the suggested text in the spliced buffer, blank edges left out."""
    leading = text[: len(text) - len(text.lstrip())]
    first = request.before.count("\n") + 1 + leading.count("\n")
    return first, first + in_line_ends_of(request.text, text.strip()).count("\n")


def _inconclusive(reason: str) -> Verdict:
    return Outcome.UNVERIFIED, f"⊘ {reason}"
