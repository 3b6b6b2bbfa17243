"""The data set's `check(candidate)` on a program, as a pytest run in the sandbox.

A pass is what the runner saw as one: a program that leaves the process, by `sys.exit` or `os._exit`,
gives none. Does not cover code that means to forge the run's record.
"""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.datasets import Problem
from egcfg_lsp.execution import Job, Sandbox, Status
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.oracle import OracleKind, OracleTest

DEADLINE_SECONDS = 10.0
MODULE, TEST_MODULE = "solution.py", "test_solution.py"
_CHECK = re.compile(r"^def check\(candidate\):", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    passed: bool | None
    """None: nothing can be said."""
    reason: str = ""
    """Why it did not pass, one line."""


def write_project(problem: Problem, folder: Path) -> Path:
    """A project with the problem's tests and an empty module, whose path is returned."""
    (folder / "pyproject.toml").touch()
    (folder / TEST_MODULE).write_text(module_of_tests(problem), encoding="utf-8")
    (folder / MODULE).touch()
    return folder / MODULE


def module_of_tests(problem: Problem) -> str:
    """The problem's tests as somebody would have written them: one test, which names the function.

    Raises BenchError if there is no `check(candidate)`.
    """
    if len(_CHECK.findall(problem.test)) != 1:
        raise BenchError(f"{problem.task_id}: its tests are not one check(candidate)")
    test = _CHECK.sub(f"def {name_of_test(problem)}():", problem.test)
    try:
        named = _renamed(test.strip() + "\n", "candidate", problem.entry_point)
    except (tokenize.TokenError, SyntaxError) as error:
        raise BenchError(f"{problem.task_id}: its tests do not parse: {error}") from error
    return f"from solution import *\n\n\n{named}"


def name_of_test(problem: Problem) -> str:
    """The name of the one test."""
    return f"test_{problem.entry_point}"


async def judge(problem: Problem, code: str, project: Path, sandbox: Sandbox) -> Verdict:
    """The verdict of the problem's tests on a whole program, in a folder of `write_project`."""
    test = OracleTest(project / TEST_MODULE, name_of_test(problem), OracleKind.FUNCTION, "", "")
    job = Job(
        root=project,
        interpreter=find_interpreter(project, None, {}),
        path=project / MODULE,
        text=code,
        tests=(test,),
        first_line=1,
        last_line=0,
        deadline_seconds=DEADLINE_SECONDS,
    )
    result = await sandbox.run(job)
    if result.status is Status.PASSED:
        return Verdict(True)
    if result.status is Status.FAILED:
        return Verdict(False, result.failure)
    return Verdict(None if result.compiles else False, result.reason)


def _renamed(source: str, old: str, new: str) -> str:
    """The source with a name replaced where it is one: not in strings or comments."""
    lines = split_lines(source)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string == old:
            row, column = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:column] + new + line[column + len(old) :]
    return "".join(lines)
