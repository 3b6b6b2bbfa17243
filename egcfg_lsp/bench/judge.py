"""Whether a program passes a data set's tests: it runs in one sandbox, the tests in another.

The tests call the program over a channel that carries values only, so that nothing the program does
to Python, to `assert` or to its own process reaches the verdict (`execution/runner/judge.py` and
`program.py`). Also writes tests as the files of a project, for the ladder to find. Does not cover
programs that find out what is asked and answer that: visible tests are no secret. Right programs may
fail, or nothing is said of them, where tests need more than values:

- that two values are one object: the same argument twice, an argument that is returned or kept, a
  change within a tuple or an object;
- functions of the tests, lambdas and iterators as arguments;
- values nested more than 50 deep;
- `str()`, operators, comparison, slices or `isinstance` on objects of the program, and objects that
  are false;
- the exact arguments of an exception, or its text if that is long or of several lines.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import re
import socket
import time
import tokenize
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.problems import AssertResult, Judgement, Suite
from egcfg_lsp.execution.enclosure import (
    RUNNER,
    enclosed,
    feed_and_drain,
    kill_group,
    pipe,
    read_into,
)
from egcfg_lsp.execution.facts import folder_with_home
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.runner.judge import ENDED
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.source.lines import split_lines

Judge = Callable[[str, Suite, str], Awaitable[Judgement]]
"""Program, tests and entry point; `judge` is one."""

DEADLINE_SECONDS = 10.0
SETUP_SECONDS = 300.0
"""For the processes to start, and for set-up code that does not need the program."""
POLL_SECONDS = 0.02
MAX_RESULTS = 100
"""Asserts that are kept; the others are only counted."""
RECORD_BYTES = 64 << 20
"""Of the judge's process: most of it two bytes an assert."""
EXIT_SECONDS = 1.0
"""A program that closed its channel has this long to end before it is killed."""
MODULE, TEST_MODULE = "solution.py", "test_solution.py"
_CHECK = re.compile(r"^def check\((\w+)\):", re.MULTILINE)


async def judge(
    code: str, tests: Suite, entry_point: str, *, deadline_seconds: float = DEADLINE_SECONDS
) -> Judgement:
    """The verdict of the tests on a whole program.

    None for tests that do not compile, define the entry point themselves, or whose set-up fails. The
    deadline is that of the program: it begins when the set-up has ended, if that can do without it.
    """
    begun, record, ending = time.monotonic(), bytearray(), None
    try:
        async with _deadline(record, deadline_seconds):
            ending = await _run(code, tests, entry_point, deadline_seconds, record)
        trouble = ""
    except TimeoutError:
        trouble = f"no result within {deadline_seconds if record else SETUP_SECONDS:g} s"
    except (OSError, _NoSandboxError) as error:
        return Judgement(None, reason=f"the sandbox could not be started: {error}")
    judgement = _judgement(_Record.read(bytes(record)), ending, trouble)
    return replace(judgement, seconds=round(time.monotonic() - begun, 3))


def write_project(folder: Path, tests: Suite | None, entry_point: str) -> Path:
    """A project with tests, if any, and an empty module, whose path is returned."""
    (folder / "pyproject.toml").touch()
    if tests is not None:
        source = module_of_tests(tests, entry_point)
        (folder / TEST_MODULE).write_text(source, encoding="utf-8")
    (folder / MODULE).touch()
    return folder / MODULE


def module_of_tests(tests: Suite, entry_point: str) -> str:
    """The tests as somebody would have written them, for pytest.

    One test of a `check(candidate)`, which names the function; else one of each statement that
    asserts something. Raises BenchError for tests that do not parse, or assert nothing.
    """
    try:
        above, functions = [_needed_setup(tests, entry_point)], []
        if len(_CHECK.findall(tests.source)) == 1:
            functions.append(_function_of_check(tests, entry_point))
        else:
            definitions, functions = _functions_of_statements(tests, entry_point)
            above += definitions
    except (tokenize.TokenError, SyntaxError, ValueError) as error:
        raise BenchError(
            f"{tests.name}: the tests of {entry_point} do not parse: {error}"
        ) from error
    if not any("assert" in function for function in functions):
        raise BenchError(f"{tests.name}: the tests of {entry_point} assert nothing")
    parts = ("from solution import *", "\n".join(above).strip(), *functions)
    return "\n\n\n".join(part for part in parts if part) + "\n"


def name_of_test(entry_point: str) -> str:
    """The name of the test that a `check(candidate)` becomes; others have a number behind it."""
    return f"test_{entry_point}"


def _function_of_check(tests: Suite, entry_point: str) -> str:
    source = _CHECK.sub(f"def {name_of_test(entry_point)}():", tests.source).strip() + "\n"
    parameter = _CHECK.findall(tests.source)[0]
    return _renamed(source, parameter, entry_point).rstrip()


def _functions_of_statements(tests: Suite, entry_point: str) -> tuple[list[str], list[str]]:
    """What stands above the tests, and the tests."""
    above: list[str] = []
    functions: list[str] = []
    for statement in ast.parse(tests.source).body:
        is_definition = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        if is_definition or not any(isinstance(node, ast.Assert) for node in ast.walk(statement)):
            above.append(ast.unparse(statement))
            continue
        lines = "".join(f"    {line}\n" for line in _text(statement, tests.source).split("\n"))
        head = f"def {name_of_test(entry_point)}_{len(functions) + 1}():\n"
        functions.append((head + lines).rstrip())
    return above, functions


def _needed_setup(tests: Suite, entry_point: str) -> str:
    """The statements of the set-up that the tests depend on.

    Set-up code may be the reference program: its entry point must neither take the place of the
    one under test, nor be shown to a model.
    """
    statements = [
        statement
        for statement in ast.parse(tests.setup).body
        if entry_point not in _names(statement, ast.Store)
    ]
    needed = _names(ast.parse(tests.source), ast.Load) - {entry_point}
    kept: list[ast.stmt] = []
    while more := [s for s in statements if s not in kept and _concerns(s, needed)]:
        kept += more
        needed |= {name for s in more for name in _names(s, ast.Load)}
    return "\n".join(ast.unparse(statement) for statement in statements if statement in kept)


def _concerns(statement: ast.stmt, names: set[str]) -> bool:
    """Whether it binds one of the names, or does something with it (`root.left = Node(2)`)."""
    is_definition = isinstance(
        statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    )
    own = _names(statement, ast.Store)
    if not is_definition and not own:
        own = _names(statement, ast.Load)
    return bool(own & names)


def _names(tree: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Names that are bound (`Store`) or read (`Load`)."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        elif context is ast.Store and isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif context is ast.Store and isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
    return found


def _text(statement: ast.stmt, source: str) -> str:
    """As it is written if that is one line, which may be indented whatever is in it."""
    text = ast.get_source_segment(source, statement)
    return text if text and "\n" not in text else ast.unparse(statement)


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


@asynccontextmanager
async def _deadline(record: bytearray, seconds: float) -> AsyncIterator[None]:
    """`SETUP_SECONDS` until the record begins, then `seconds`. Raises TimeoutError."""

    async def begin() -> None:
        while not record:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(POLL_SECONDS)
        if not timeout.expired():
            timeout.reschedule(asyncio.get_running_loop().time() + seconds)

    async with asyncio.timeout(SETUP_SECONDS) as timeout:
        beginning = asyncio.create_task(begin())
        try:
            yield
        finally:
            beginning.cancel()


class _NoSandboxError(Exception):
    pass


@dataclass(frozen=True)
class _Ending:
    """How the two processes ended."""

    status: int
    """Exit status of the judge's."""
    errors: bytes
    """Of its stderr, the end."""
    program_status: int | None
    """None: it had to be killed."""
    program_errors: bytes
    """What came before its text was executed."""


async def _run(
    code: str, tests: Suite, entry_point: str, seconds: float, record: bytearray
) -> _Ending:
    """Both processes, from their start to their end; the judge's record grows as it is written."""
    sandbox = _sandbox()
    if not (state := await sandbox.state()).works:
        raise _NoSandboxError(state.detail)
    surroundings = await sandbox.surroundings()
    interpreter = find_interpreter(RUNNER, None, {})
    if folder := folder_with_home(interpreter.folders):
        raise _NoSandboxError(f"{folder}, which Python needs, holds the whole home folder")
    start = partial(enclosed, surroundings, interpreter)
    judge_socket, program_socket = socket.socketpair()
    read_end, write_end = pipe()
    with judge_socket, program_socket, read_end, write_end:
        async with (
            start(
                "judge",
                judge_socket.fileno(),
                write_end.fileno(),
                deadline_seconds=SETUP_SECONDS + seconds,
            ) as judge_enclosed,
            start("program", program_socket.fileno(), deadline_seconds=seconds) as program_enclosed,
            asyncio.TaskGroup() as group,
        ):
            order = {
                "channel_fd": judge_socket.fileno(),
                "result_fd": write_end.fileno(),
                "setup": tests.setup,
                "source": tests.source,
                "entry_point": entry_point,
                "max_results": MAX_RESULTS,
            }
            program_order = {
                "channel_fd": program_socket.fileno(),
                "code": code,
                "folder": program_enclosed.tmp,
            }
            judging, program = judge_enclosed.process, program_enclosed.process
            for end in (judge_socket, program_socket, write_end):
                end.close()
            draining = group.create_task(feed_and_drain(program, _json(program_order)))
            _, errors = await asyncio.gather(
                read_into(record, read_end, RECORD_BYTES),
                feed_and_drain(judging, _json(order)),
            )
            status = await judging.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(EXIT_SECONDS):
                    await program.wait()
            program_status = program.returncode
            if program_status is None:
                kill_group(program)
    return _Ending(status, errors, program_status, draining.result())


@cache
def _sandbox() -> KernelSandbox:
    return KernelSandbox()


def _json(order: dict[str, Any]) -> bytes:
    return json.dumps(order).encode()


@dataclass(frozen=True)
class _Record:
    """What the judge's process wrote."""

    results: tuple[AssertResult, ...]
    n_passed: int
    n_tests: int
    has_started: bool
    """Whether the program's process came up."""
    last: dict[str, Any] | None
    """None: it did not come to its end."""

    @staticmethod
    def read(record: bytes) -> _Record:
        """Of whole lines; what a killed process has left half is not there."""
        lines = record.split(b"\n")[:-1]
        told = [json.loads(line) for line in lines if line not in (b"+", b"-")]
        results = tuple(AssertResult(**one) for one in told if "result" in one)
        n_passed = sum(one.result for one in results) + lines.count(b"+")
        n_tests = len(results) + lines.count(b"+") + lines.count(b"-")
        has_started = {"started": True} in told
        last = next((one["end"] for one in told if "end" in one), None)
        return _Record(results, n_passed, n_tests, has_started, last)


def _judgement(record: _Record, ending: _Ending | None, trouble: str) -> Judgement:
    """`trouble`: why there is no ending."""
    if ending is None:
        if not record.has_started:
            return _told(record, None, f"the sandbox gave {trouble}")
        return _told(record, False, f"{trouble}, {record.n_passed} asserts had passed")
    last = record.last
    if last is None or ending.status != 0:
        reason = f"the judge ended without a verdict (exit status {ending.status})"
        return _told(record, None, f"{reason} {_last_line(ending.errors)}".strip())
    if "broken_tests" in last:
        return _told(record, None, f"the tests cannot be executed: {last['broken_tests']}")
    if "no_program" in last:
        why = _last_line(ending.program_errors)
        return _told(record, None, f"the program's sandbox did not start: {why}")
    has_passed = 0 < record.n_tests == record.n_passed
    if has_passed and not last["ended"] and not last["unable"]:
        return _told(record, True, "")
    if last["blocked"]:
        return _told(record, None, f"the sandbox blocked it ({last['blocked']})")
    if last["unable"]:
        return _told(record, None, last["unable"])
    reason = last["first_error"] or last["ended"] or "no assert was executed"
    return _with_exit_status(_told(record, False, reason), ending.program_status)


def _told(record: _Record, passed: bool | None, reason: str) -> Judgement:
    return Judgement(passed, record.results, record.n_passed, record.n_tests, reason)


def _with_exit_status(judgement: Judgement, status: int | None) -> Judgement:
    """The judge's process saw a closed channel only."""
    full = f"{ENDED} (exit status {status})" if status is not None else "the program fell silent"
    return replace(
        judgement,
        results=tuple(
            replace(one, error=full) if one.error == ENDED else one for one in judgement.results
        ),
        reason=full if judgement.reason == ENDED else judgement.reason,
    )


def _last_line(errors: bytes) -> str:
    return errors.decode(errors="replace").strip().rpartition("\n")[2]
