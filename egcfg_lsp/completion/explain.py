"""*Explain trace*: a function is run against its tests once, to be read about.

As the buffer has it, with a suggestion in it, or with another text for the whole function. Reports
what was seen and judges nothing: whether a suggestion is verified is `verify`'s matter.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.completion.requests import oracle_tests, project_of
from egcfg_lsp.completion.telling import one_line
from egcfg_lsp.completion.verify import candidate_of, reason_not_to_run
from egcfg_lsp.execution import Job, RunResult, Sandbox
from egcfg_lsp.execution.interpreter import InterpreterError, find_interpreter
from egcfg_lsp.execution.sandbox import allowed_environment
from egcfg_lsp.source.edit import in_line_ends_of
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.oracle import OracleKind, OracleTest
from egcfg_lsp.source.target import Target, find_target
from egcfg_lsp.trace import Trace, parse
from egcfg_lsp.trace.markdown import code, explain

NO_TRACE = "Nothing of the run was recorded."


class ExplainError(Exception):
    """There is nothing to explain; the message is for people."""


@dataclass(frozen=True)
class Subject:
    """A module with the function to be run in it."""

    text: str
    name: str
    """Qualified."""
    first_line: int
    last_line: int
    """1-based, inclusive: the function, with its decorators."""
    first_watched: int
    """1-based, behind its decorators."""


@dataclass(frozen=True)
class Explanation:
    subject: Subject
    path: Path
    tests: tuple[OracleTest, ...]
    """That were to run."""
    result: RunResult
    trace: Trace | None
    """Of one of the tests; None where nothing was recorded."""

    @property
    def summary(self) -> str:
        """What the tests said, one line."""
        return one_line(self.result)

    @property
    def markdown(self) -> str:
        """A page for people. Nothing in it is read as a link or a picture."""
        if self.trace is not None:
            output = self.result.output
            return explain(self.trace, self.subject.text, summary=self.summary, output=output)
        return f"# Trace of {code(self.subject.name)}\n\n{code(self.summary)}\n\n{NO_TRACE}\n"


async def explain_run(
    request: Request, subject: Subject, sandbox: Sandbox, test_id: str = ""
) -> Explanation:
    """Run the tests of a function, or one of them. Raises ExplainError."""
    tests = await asyncio.to_thread(_tests, request, subject, test_id)
    if (reason := reason_not_to_run(request, tests)) is not None:
        raise ExplainError(reason)
    assert request.path is not None, "tests belong to a file"
    assert request.root is not None, "tests lie below a root"
    try:
        interpreter = find_interpreter(request.root, request.settings.interpreter)
    except InterpreterError as error:
        raise ExplainError(f"not run: {error}") from None
    job = Job(
        root=request.root,
        interpreter=interpreter,
        path=request.path,
        text=subject.text,
        tests=tests,
        first_line=subject.first_watched,
        last_line=subject.last_line,
        deadline_seconds=request.settings.deadline_seconds,
        environment=allowed_environment(request.settings.environment, os.environ),
        target=subject.name,
        target_lines=(subject.first_line, subject.last_line),
        overlays=request.overlays,
    )
    result = await sandbox.run(job)
    return Explanation(subject, request.path, tests, result, parse(result.trace))


def as_it_is(request: Request) -> Subject:
    """The function around the cursor. Raises ExplainError."""
    return _subject(request.text, _target(request.text, request.offset))


def with_suggestion(request: Request, suggestion: Suggestion) -> Subject:
    """The function with a suggestion accepted in it, as it is run. Raises ExplainError."""
    text = candidate_of(request, suggestion).text
    return _subject(text, _target(text, request.offset))


def with_function(request: Request, function: str) -> Subject:
    """The function's whole text replaced, decorators included. Raises ExplainError."""
    target = _target(request.text, request.offset)
    lines = split_lines(request.text)
    function = in_line_ends_of(request.text, function.replace("\r\n", "\n").rstrip("\n") + "\n")
    above, below = lines[: target.first_line], lines[target.end_line :]
    text = "".join([*above, function, *below])
    ours = split_lines(function)
    last = target.first_line + len(ours)
    is_def = (line.lstrip().startswith(("def ", "async def ")) for line in ours)
    start = next((i for i, found in enumerate(is_def) if found), None)
    if start is None:
        raise ExplainError("the text is no function: it has no `def`")
    first = target.first_line + 1
    return Subject(text, target.qualified_name, first, last, first + start)


def ids_of(tests: tuple[OracleTest, ...], root: Path) -> tuple[str, ...]:
    """Names of tests like pytest's, by which one is chosen."""
    return tuple(
        f"{test.path.relative_to(root).as_posix()}::{test.name.replace('.', '::')}"
        for test in tests
    )


def _target(text: str, offset: int) -> Target:
    target = find_target(text, offset)
    if target is None:
        raise ExplainError("there is no function here")
    return target


def _subject(text: str, target: Target) -> Subject:
    first, last = target.first_line + 1, target.end_line
    return Subject(text, target.qualified_name, first, last, target.start_line + 1)


def _tests(request: Request, subject: Subject, test_id: str) -> tuple[OracleTest, ...]:
    """Of the function as the buffer has it: a candidate may be broken."""
    project = project_of(request)
    target = find_target(request.text, request.offset)
    if project is None or target is None:
        return ()
    project.refresh()
    tests = oracle_tests(request, target, project)
    if not test_id:
        return tests
    ids = ids_of(tests, project.root)
    chosen = [t for t, known in zip(tests, ids, strict=True) if _is_named(known, test_id)]
    if chosen:
        return tuple(chosen)
    file, separator, name = test_id.partition("::")
    path = project.root / file
    if separator and path in project.files():
        name = name.partition("[")[0].replace("::", ".")
        return (OracleTest(path, name, OracleKind.FUNCTION, "named by the user", ""),)
    listed = ", ".join(ids) or "it has none"
    raise ExplainError(f"{subject.name} has no test {test_id}; there are: {listed}")


def _is_named(known: str, test_id: str) -> bool:
    """By its whole name, by the test's own, or by one with parameters behind it."""
    plain = test_id.partition("[")[0]
    return known in (plain, test_id) or known.partition("::")[2] == plain.replace(".", "::")
