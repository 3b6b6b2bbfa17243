"""Names and loops of functions, compared with what `dis` and a plain trace say."""

from __future__ import annotations

import ast
import contextlib
import dis
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egcfg_lsp.execution.runner.calls import N_PATHS
from egcfg_lsp.execution.runner.plans import Loop, Touched, loops_in, touched_names
from tests.execution.runner.traced import run

LIBRARY = (
    "argparse",
    "ast",
    "asyncio.base_events",
    "dataclasses",
    "json.decoder",
    "typing",
    "zipfile",
)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from codes_in(constant)


def library_codes() -> Iterator[CodeType]:
    for name in LIBRARY:
        module = __import__(name, fromlist=["_"])
        source = Path(module.__file__ or "").read_text()
        yield from codes_in(compile(source, name, "exec"))


def names_of(instruction: dis.Instruction) -> set[str]:
    value = instruction.argval
    return {value} if isinstance(value, str) else set(value)


def test_names_are_those_that_dis_tells() -> None:
    n_lines = 0
    for code in library_codes():
        if not code.co_flags & 1:
            continue
        touched = touched_names(code)
        stored: dict[int, set[str]] = {}
        loaded: dict[int, set[str]] = {}
        line = 0
        for instruction in dis.get_instructions(code):
            line = instruction.starts_line if instruction.starts_line is not None else line
            name = instruction.opname
            if "_FAST" not in name and "_DEREF" not in name:
                continue
            if "DELETE" in name or "AND_CLEAR" in name:
                continue
            words = [word for word in name.split("_") if word in ("LOAD", "STORE")]
            if len(words) == 1:
                (stored if words[0] == "STORE" else loaded).setdefault(line, set()).update(
                    names_of(instruction)
                )
        for line in stored.keys() | loaded.keys():
            n_lines += 1
            found = touched.get(line, Touched((), (), ()))
            bases = {base for base, _ in found.attributes}
            assert stored.get(line, set()) <= set(found.stored), (code, line)
            seen = set(found.stored) | set(found.loaded) | bases
            assert set(found.loaded) <= loaded.get(line, set())
            assert not found.loaded or loaded.get(line, set()) <= seen
            assert not set(found.stored) & set(found.loaded)
    assert n_lines > 1000


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ("x.y = 1", [("x", "y")]),
        ("x.y += z.w", [("x", "y")]),
        ("x.y = x.z = 1", [("x", "y"), ("x", "z")]),
        ("x.y, x.z = 1, 2", [("x", "y"), ("x", "z")]),
        ("x.y.z = 1", []),
        ("x[0].y = 1", []),
        ("x().y = 1", []),
        ("g.y = 1", []),
    ],
)
def test_fields_that_a_line_sets(line: str, attributes: list[tuple[str, str]]) -> None:
    (code,) = codes_in(compile(f"def f(x, z):\n    {line}\n", "m", "exec"))
    found = touched_names(code).get(2)
    assert list(found.attributes if found else ()) == attributes
    assert not found or "x" not in found.loaded or not attributes


@pytest.mark.parametrize(
    ("line", "is_changing"),
    [
        ("x.append(1)", True),
        ("x[0] = 1", True),
        ("x[0] += 1", True),
        ("x[1:] = y", True),
        ("del x[0]", True),
        ("del x.y", True),
        ("x.y.z = 1", True),
        ("y += x", True),
        ("with x: pass", True),
        ("yield x", True),
        ("await x", True),
        ("if x.y and x[0] == y: return x", False),
        ("z = x + y", False),
    ],
)
def test_lines_that_may_change_what_a_name_stands_for(line: str, is_changing: bool) -> None:
    kind = "async def" if "await" in line else "def"
    (code,) = codes_in(compile(f"{kind} f(x, y):\n    {line}\n", "m", "exec"))
    found = touched_names(code).get(2, Touched((), (), ()))
    assert ("x" in found.loaded) is is_changing


LOOPS = (ast.For, ast.While, ast.AsyncFor)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def own_loops(node: ast.AST) -> Iterator[ast.For | ast.While | ast.AsyncFor]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, LOOPS):
            yield inner
        if not isinstance(inner, SCOPES):
            yield from own_loops(inner)


def test_loops_of_the_library_are_those_of_its_trees() -> None:
    """Lines without code at the end of a body are not seen, and need not be."""
    n_loops = 0
    for name in LIBRARY:
        source = Path(__import__(name, fromlist=["_"]).__file__ or "").read_text()
        codes = {
            (code.co_name, code.co_firstlineno): code
            for code in codes_in(compile(source, name, "exec"))
        }
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            code = codes[node.name, first]
            lines = sorted({line for _, line in dis.findlinestarts(code) if line})
            found = {loop.line: loop for loop in loops_in(source.split("\n"), lines)}
            wanted = {loop.lineno: loop for loop in own_loops(node)}
            assert wanted.keys() <= found.keys()
            for line, loop in wanted.items():
                last = max(one for one in lines if one <= (loop.body[-1].end_lineno or 0))
                assert found[line].last == last, (name, line)
                assert found[line].is_for == (not isinstance(loop, ast.While))
                is_endless = isinstance(loop, ast.While) and isinstance(loop.test, ast.Constant)
                assert (found[line].boundary != line) == is_endless
            n_loops += len(wanted)
    assert n_loops > 100


@pytest.mark.parametrize(
    ("source", "loops"),
    [
        ("while 1:\n    x = 1", [Loop(1, 1, 2, 2, is_for=False)]),
        ("while (True):\n    x = 1", [Loop(1, 1, 2, 2, is_for=False)]),
        ("while Trues:\n    x = 1", [Loop(1, 1, 2, 1, is_for=False)]),
        ("while 1 < x:\n    x = 1", [Loop(1, 1, 2, 1, is_for=False)]),
        ("while(x):\n  x = 1\n\ny = 2", [Loop(1, 1, 2, 1, is_for=False)]),
        ("\tasync for x in y:\n\t\tx\n\tx", [Loop(1, 1, 2, 1, is_for=True)]),
        ("for x in y: x", [Loop(1, 1, 1, 1, is_for=True)]),
        ("forward = 1\nwhiles = 1", []),
        ("", []),
    ],
)
def test_loops_by_their_indentation(source: str, loops: list[Loop]) -> None:
    lines = [i + 1 for i, line in enumerate(source.split("\n")) if line]
    assert loops_in(source.split("\n"), lines) == loops
    assert loops_in([], lines) == []


class Program:
    """A function of loops, branches and exceptions, whose conditions come from a list."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.n = 0

    def block(self, depth: int, in_loop: bool) -> list[str]:
        statements: list[str] = []
        for _ in range(self.draw(st.integers(1, 3))):
            statements += self.statement(depth, in_loop)
        return statements

    def statement(self, depth: int, in_loop: bool) -> list[str]:
        self.n += 1
        kinds = ["x += 1", f"y{self.n} = x"]
        if in_loop:
            kinds += ["if next(flip): break", "if next(flip): continue"]
        if depth and self.n < 25:
            kinds += ["for", "while", "endless", "if", "try", "finally", "for else"]
        kind = self.draw(st.sampled_from(kinds))
        indented = [textwrap.indent(line, "    ") for line in self._body(kind, depth, in_loop)]
        match kind:
            case "for":
                return [f"for i{self.n} in range(next(count)):", *indented]
            case "for else":
                return [f"for i{self.n} in range(next(count)):", *indented, "else:", "    x += 2"]
            case "while":
                return ["while next(flip):", *indented]
            case "endless":
                return ["while True:", *indented, "    if next(flip): break"]
            case "if":
                return ["if next(flip):", *indented, "else:", "    x += 3"]
            case "try":
                guard = "    if next(flip): raise ValueError(x)"
                return ["try:", guard, *indented, "except ValueError:", "    x += 4"]
            case "finally":
                return ["try:", *indented, "finally:", "    x += 5"]
            case _:
                return [kind]

    def _body(self, kind: str, depth: int, in_loop: bool) -> list[str]:
        if kind in ("for", "while", "for else", "endless"):
            return self.block(depth - 1, in_loop=True)
        return self.block(depth - 1, in_loop) if kind in ("if", "try", "finally") else []


@st.composite
def programs(draw: Any) -> str:
    body = Program(draw).block(3, in_loop=False)
    return (
        "def f(flip, count):\n    x = 0\n"
        + textwrap.indent("\n".join(body), "    ")
        + "\n    return x\n"
    )


def plain_lines(source: str, call: Any) -> list[int]:
    names: dict[str, Any] = {}
    exec(compile(source, "plain", "exec"), names)
    lines: list[int] = []

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != "plain":
            return None
        if event == "line":
            lines.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(names)
    finally:
        sys.settrace(before)
    return lines


def recorded_lines(steps: list[Any]) -> Iterator[int]:
    for step in steps:
        if isinstance(step, list):
            yield step[0]
        else:
            for _, inner in step["iterations"]:
                yield from recorded_lines(inner)


def loops_of(steps: list[Any]) -> Iterator[dict[str, Any]]:
    for step in steps:
        if isinstance(step, dict):
            yield step
            for _, inner in step["iterations"]:
                yield from loops_of(inner)


def is_subsequence(short: list[int], long: list[int]) -> bool:
    rest = iter(long)
    return all(line in rest for line in short)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    source=programs(),
    flips=st.lists(st.booleans(), min_size=1, max_size=12).filter(lambda bits: not all(bits)),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=5),
)
def test_folding_leaves_out_but_never_invents(
    tmp_path_factory: pytest.TempPathFactory, source: str, flips: list[bool], counts: list[int]
) -> None:
    def call(names: dict[str, Any]) -> Any:
        n = 0

        def flip() -> Iterator[bool]:
            nonlocal n
            while n < 3000:
                n += 1
                yield flips[n % len(flips)] if n < 300 else n % 2 == 0

        numbers = iter(counts * 200)
        return names["f"](flip(), numbers)

    def guarded(names: dict[str, Any]) -> None:
        with contextlib.suppress(StopIteration, RuntimeError):
            call(names)

    plain = plain_lines(source, guarded)
    traced = run(tmp_path_factory.mktemp("programs", numbered=True), source, guarded)
    raw = traced.raw
    steps = raw["frames"][0]["steps"]
    lines = list(recorded_lines(steps))
    assert raw["n_lines"] == len(plain)
    assert set(raw["hit"]) == set(plain)
    assert is_subsequence(lines, plain)
    if "skipped" not in json.dumps(steps):
        found = list(loops_of(steps))
        if all(len(loop["iterations"]) < N_PATHS for loop in found):
            assert set(plain) == set(lines) | {loop["loop"] for loop in found}
        if all(loop["n"] == len(loop["iterations"]) for loop in found):
            headers = {loop["loop"] for loop in found}
            assert [n for n in lines if n not in headers] == [n for n in plain if n not in headers]
