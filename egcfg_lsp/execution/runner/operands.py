"""What a failed assertion compared: both sides, the operator, and the call whose result was wrong.

Nothing is evaluated again: values come from pytest's explanation, from the frames of unittest, from
names where the assertion stands, and from what the target returned. None where these do not tell.
"""

from __future__ import annotations

import ast
import dis
import linecache
import re
from types import CodeType, FrameType, TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .failures import by_name
from .layouts import entry_of_module, fields_of, name_of
from .values import MAX_CHARACTERS, args_of, render

MAX_CALL, MAX_MESSAGE = 80, 10_000
_OPERATORS: Dict[type, str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_OF_UNITTEST = {
    "assertEqual": "==", "assertNotEqual": "!=", "assertAlmostEqual": "≈", "assertLess": "<",
    "assertLessEqual": "<=", "assertGreater": ">", "assertGreaterEqual": ">=", "assertIs": "is",
    "assertIsNot": "is not", "assertIn": "in", "assertNotIn": "not in", "assertCountEqual": "==",
    "assertNotAlmostEqual": "≉", "assertListEqual": "==", "assertTupleEqual": "==",
    "assertDictEqual": "==", "assertSetEqual": "==", "assertMultiLineEqual": "==",
    "assertSequenceEqual": "==",
}  # fmt: skip
_WORDS = re.compile(r" (==|!=|<=|>=|<|>|is not|is|not in|in) ")

Operands = Dict[str, str]
"""`left`, `op`, `right`, and `call`, which may be empty."""


def operands_of(
    error: BaseException, traceback: Optional[TracebackType], returned: Mapping[str, str]
) -> Optional[Operands]:
    """`returned`: what functions of the module returned last, by name, rendered."""
    try:
        return (
            _of_doctest(error)
            or _of_unittest(traceback)
            or _of_message(error)
            or _of_source(error, traceback, returned)
        )
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, MemoryError):
        return None


def _made(left: str, op: str, right: str, call: str = "") -> Operands:
    return {
        "left": _clipped(left, MAX_CHARACTERS),
        "op": op,
        "right": _clipped(right, MAX_CHARACTERS),
        "call": _clipped(call, MAX_CALL),
    }


def _clipped(text: str, n: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= n else text[: n - 1] + "…"


def _of_doctest(error: BaseException) -> Optional[Operands]:
    failure: Any = error
    if name_of(type(error)) == "MultipleDoctestFailures":  # of pytest
        failures = dict(fields_of(error)).get("failures")
        failure = failures[0] if type(failures) is list and failures else None
    if failure is None or type(failure) is not entry_of_module("doctest", "DocTestFailure"):
        return None
    example = failure.example
    got = failure.got.strip().rpartition("\n")[2]
    return _made(got or "nothing", "==", example.want.strip() or "nothing", example.source.strip())


def _of_unittest(traceback: Optional[TracebackType]) -> Optional[Operands]:
    """The arguments of the `TestCase` method that the test called."""
    while traceback is not None:
        frame = traceback.tb_frame
        code = frame.f_code
        op = _OF_UNITTEST.get(code.co_name)
        if op is not None and frame.f_globals.get("__name__") == "unittest.case":
            local = frame.f_locals
            left, right = (render(local[name]) for name in code.co_varnames[1:3])
            return _made(left, op, right)
        traceback = traceback.tb_next
    return None


def _of_message(error: BaseException) -> Optional[Operands]:
    """pytest's `assert 4 == 3` and ` +  where 4 = add(1, 2)`."""
    arguments = args_of(error) if isinstance(error, AssertionError) else ()
    if not arguments or type(arguments[0]) is not str:
        return None
    lines = arguments[0][:MAX_MESSAGE].split("\n")
    at = next((i for i, line in enumerate(lines) if line.startswith("assert ")), None)
    if at is None:
        return None
    sides = _split(lines[at][len("assert ") :])
    if sides is None:
        return None
    left, op, right = sides
    calls: List[str] = []
    for line in lines[at + 1 :]:
        shown, where, call = line.strip().lstrip("+ ").partition("where %s = " % left)
        if where and not shown and call.endswith(")"):
            calls.append(by_name(call))
    return _made(left, op, right, calls[0] if calls else "")


def _split(text: str) -> Optional[Tuple[str, str, str]]:
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = _WORDS.split(text)
        return (found[0], found[1], found[2]) if len(found) == 3 else None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        return None
    left = ast.get_source_segment(text, tree.left) or ""
    right = ast.get_source_segment(text, tree.comparators[0]) or ""
    return left, _OPERATORS[type(tree.ops[0])], right


def _of_source(
    error: BaseException, traceback: Optional[TracebackType], returned: Mapping[str, str]
) -> Optional[Operands]:
    """Of a bare `assert`: names, constants, and calls of what the trace saw returning."""
    if traceback is None or type(error) is not AssertionError:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame, line = traceback.tb_frame, traceback.tb_lineno
    test = _test_of_assert(frame.f_code, line)
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left = _value_of(test.left, frame, returned)
    right = _value_of(test.comparators[0], frame, returned)
    if left is None or right is None:
        return None
    calls = [side for side in (test.left, test.comparators[0]) if isinstance(side, ast.Call)]
    call = ast.unparse(calls[0]) if calls else ""
    return _made(left, _OPERATORS[type(test.ops[0])], right, call)


def _test_of_assert(code: CodeType, line: int) -> Optional[ast.expr]:
    source = [text.rstrip("\n") for text in linecache.getlines(code.co_filename)]
    is_module = code.co_name == "<module>"
    lines = [line, *(number for _, number in dis.findlinestarts(code) if number is not None)]
    tree, shift = _parsed(source, 1 if is_module else code.co_firstlineno, max(lines))
    for end in range(1, 20) if tree is None else ():
        # The last statement goes on below its last line with code.
        tree, shift = _parsed(source, 1 if is_module else code.co_firstlineno, max(lines) + end)
        if tree is not None:
            break
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Assert):
            last = getattr(node, "end_lineno", None) or node.lineno
            if node.lineno <= line - shift <= last:
                return node.test
    return None


def _parsed(source: Sequence[str], first: int, last: int) -> Tuple[Optional[ast.AST], int]:
    """The tree of some whole statements of a module, and what to add to its line numbers."""
    segment = source[first - 1 : last]
    if not segment:
        return None, 0
    # Under an `if` an indented function needs no dedenting, which strings could prevent.
    is_indented = segment[0][:1] in (" ", "\t")
    text = "\n".join(["if 1:", *segment] if is_indented else segment)
    try:
        return ast.parse(text), first - 1 - is_indented
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, 0


def _value_of(node: ast.expr, frame: FrameType, returned: Mapping[str, str]) -> Optional[str]:
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals):
            if type(names) is dict and node.id in names:
                return render(names[node.id])
        return None
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        return returned.get(name)
    try:
        return render(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
