"""What each visible test makes of a program: verdict and trace, for a signal.

The tests are those of the project that `judge.write_project` has written, one run each, since a run
leaves the trace of one test. Programs that say the same are run once. Does not judge: code that means
to forge its verdict can, here.
"""

from __future__ import annotations

import ast
import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from egcfg_lsp.bench.judge import TEST_MODULE, name_of_test
from egcfg_lsp.execution import Job, RunResult, Sandbox, Status
from egcfg_lsp.execution.interpreter import Interpreter, find_interpreter
from egcfg_lsp.guidance.executable import Executable
from egcfg_lsp.guidance.signal import Seen
from egcfg_lsp.source.oracle import OracleKind, OracleTest
from egcfg_lsp.trace import parse

DEADLINE_SECONDS = 5.0
"""Of a run; its trace up to then still counts."""
SIDE_BY_SIDE = max(1, (os.cpu_count() or 1) // 2)
_VERDICTS = {Status.PASSED: True, Status.FAILED: False, Status.INCONCLUSIVE: None}


@dataclass
class Observer:
    """The visible tests of one problem, and what they have said so far."""

    path: Path
    """The empty module beside which the tests lie."""
    entry_point: str
    sandbox: Sandbox
    tests: tuple[OracleTest, ...]
    interpreter: Interpreter
    _seen: dict[str, tuple[Seen, ...]] = field(default_factory=dict)
    """By what a program says."""

    async def seen(self, program: Executable) -> tuple[Seen, ...]:
        """What each test made of it, in the order of the tests. Never raises."""
        key = program.key
        if key not in self._seen:
            turns = asyncio.Semaphore(SIDE_BY_SIDE)
            results = [self._ran(program.text, test, turns) for test in self.tests]
            self._seen[key] = tuple(await asyncio.gather(*results))
        return self._seen[key]

    async def _ran(self, text: str, test: OracleTest, turns: asyncio.Semaphore) -> Seen:
        lines = lines_of(text, self.entry_point)
        first, last = lines or (1, text.count("\n") + 1)
        job = Job(
            root=self.path.parent,
            interpreter=self.interpreter,
            path=self.path,
            text=text,
            tests=(test,),
            first_line=first,
            last_line=last,
            deadline_seconds=DEADLINE_SECONDS,
            target=self.entry_point if lines else "",
            target_lines=lines,
        )
        async with turns:
            return seen_in(await self.sandbox.run(job), test)


def observer(path: Path, entry_point: str, sandbox: Sandbox) -> Observer:
    """For the project of a module that `write_project` has written; without tests it sees nothing."""
    tests = oracle_tests_beside(path, entry_point)
    return Observer(path, entry_point, sandbox, tests, find_interpreter(path.parent, None))


def oracle_tests_beside(path: Path, entry_point: str) -> tuple[OracleTest, ...]:
    """The visible tests, each with its text, in their order."""
    file = path.parent / TEST_MODULE
    if not file.exists():
        return ()
    return tuple(
        OracleTest(file, function.name, OracleKind.FUNCTION, "visible", _text(function))
        for function in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(function, ast.FunctionDef) and _is_test(function.name, entry_point)
    )


def lines_of(text: str, entry_point: str) -> tuple[int, int] | None:
    """First and last line (1-based, decorators included) of the last top-level function so named."""
    found = None
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == entry_point:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found = first, node.end_lineno or node.lineno
    return found


def seen_in(result: RunResult, test: OracleTest) -> Seen:
    note = result.failure or result.reason
    return Seen(test.source, _VERDICTS[result.status], parse(result.trace), note)


def _is_test(name: str, entry_point: str) -> bool:
    """`test_add` of a check, `test_add_2` of a statement; a program's own function may be so named."""
    stem, _, number = name.rpartition("_")
    return name == name_of_test(entry_point) or (
        stem == name_of_test(entry_point) and number.isdecimal()
    )


def _text(test: ast.FunctionDef) -> str:
    """The assertion, where that is all there is; else the test's name."""
    is_plain = len(test.body) == 1 and isinstance(test.body[0], ast.Assert)
    return ast.unparse(test.body[0]) if is_plain else test.name
