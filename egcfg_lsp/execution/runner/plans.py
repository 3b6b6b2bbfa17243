"""What a tracer must know of a function before it runs: names that its lines touch, and its loops.

Names come from the bytecode, decoded here since `dis` takes longer than most tests. Loops come from
the source, since the place of their code differs between versions of Python, by its indentation,
since a parser takes longer as well: a continuation line that is indented less than its loop ends it
early. Does not follow names into nested functions, which have code of their own, nor globals.
"""

from __future__ import annotations

import dis
import inspect
import re
import sys
from types import CodeType
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

_LOOP = re.compile(
    r"(?P<indent>\s*)(?P<word>async\s+for\b|for\b|while\b)(?P<endless>(?<=while)[ (]*(True|1)[ )]*:)?"
)
ONE_EXPRESSION = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"}
RETURNS, YIELDS, DELEGATES = (
    frozenset(dis.opmap[name] for name in names if name in dis.opmap)
    for names in (
        ("RETURN_VALUE", "RETURN_CONST"),
        ("YIELD_VALUE", "YIELD_FROM"),
        ("SEND", "YIELD_FROM", "FOR_ITER", "GET_ANEXT", "END_ASYNC_FOR"),
    )
)
"""Instructions that end a call, that suspend it, and to which another iterator's end is no error."""


class Touched(NamedTuple):
    """Names that one line touches, each in one of the three at most."""

    stored: Tuple[str, ...]
    loaded: Tuple[str, ...]
    """Of a line that may change what they stand for: it calls, or sets items or fields."""
    attributes: Tuple[Tuple[str, str], ...]
    """`x.y = …` as a name and an attribute; the name is not in `loaded`."""


class Loop(NamedTuple):
    """A `for` or `while` statement, by 1-based lines; a new iteration begins on `boundary`."""

    line: int
    first: int
    last: int
    boundary: int
    """The line of the statement, or for `while True` the first one of its body."""
    is_for: bool


class Plan(NamedTuple):
    code: CodeType
    """Kept, so that its identity is not given to another one."""
    name: str
    instructions: bytes
    arguments: Tuple[str, ...]
    touched: Dict[int, Touched]
    loops: Dict[int, Loop]
    """By the lines on which they begin, and their boundaries."""
    restarts: Dict[int, Loop]
    """Endless loops whose body begins with another loop, by the line of that loop."""
    is_quiet: bool
    """Lines are counted, values are not looked at: a comprehension, a lambda, a class's body."""
    is_generator: bool


def plan_of(code: CodeType, source: Sequence[str]) -> Plan:
    """`source`: the lines of the module."""
    instructions = code.co_code
    lines = [line for _, line in dis.findlinestarts(code) if line is not None]
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
    has_loop = is_function and _may_loop(instructions)
    loops = loops_in(source, sorted({line for line in lines if line > 0})) if has_loop else []
    return Plan(
        code=code,
        name=getattr(code, "co_qualname", code.co_name).rpartition("<locals>.")[2],
        instructions=instructions,
        arguments=_arguments(code),
        touched=touched_names(code) if is_function else {},
        loops={line: loop for loop in loops for line in {loop.boundary, loop.line}},
        restarts=_restarts(loops),
        is_quiet=code.co_name in ONE_EXPRESSION or not is_function,
        is_generator=bool(code.co_flags & inspect.CO_GENERATOR),
    )


def is_of_target(code: CodeType, target_lines: FrozenSet[int]) -> bool:
    """Whether a function or class has code within the target, besides its own first line."""
    first, last = min(target_lines, default=0), max(target_lines, default=-1)
    begins = code.co_firstlineno
    if code.co_name == "<module>" or begins > last:
        return False
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
    return any(
        line is not None and first <= line <= last and (line != begins or not is_function)
        for _, line in dis.findlinestarts(code)
    )


def touched_names(code: CodeType) -> Dict[int, Touched]:
    """Local and free variables that each line of a code object stores, reads, or sets fields of."""
    fast, deref = _variables(code)
    found: Dict[int, Tuple[Dict[str, None], Dict[str, None], Dict[Tuple[str, str], None]]] = {}
    changing: Set[int] = set()
    for start, end, line in _line_spans(code):
        stored, loaded, attributes = found.setdefault(line, ({}, {}, {}))
        previous = copied = ""
        for operation, argument in _decoded(code.co_code, start, end):
            kind = _KINDS.get(operation)
            if operation in _CHANGES or (operation == _BINARY and argument >= _IN_PLACE):
                changing.add(line)
            if kind is None:
                if operation not in _TRANSPARENT:
                    copied = previous if operation in _COPIES and previous else copied
                    previous = ""
                continue
            if kind is _ATTRIBUTE:
                if previous or copied:
                    attributes[previous or copied, code.co_names[argument]] = None
                previous = copied = ""
                continue
            names = deref if kind.is_cell else fast
            numbers = (argument >> 4, argument & 15) if len(kind.are_stores) == 2 else (argument,)
            for i, number in enumerate(numbers):
                previous = names[number] if number < len(names) else ""
                if previous:
                    (stored if kind.are_stores[i] else loaded)[previous] = None
    return {
        line: Touched(
            tuple(stored),
            tuple(
                name
                for name in loaded
                if line in changing
                and name not in stored
                and all(name != base for base, _ in attributes)
            ),
            tuple(attributes),
        )
        for line, (stored, loaded, attributes) in found.items()
        if stored or attributes or (loaded and line in changing)
    }


def loops_in(source: Sequence[str], lines: Sequence[int]) -> List[Loop]:
    """The loops of a function, outer ones first; `lines` are those with code of it, in order."""
    loops = []
    for i, line in enumerate(lines):
        text = source[line - 1] if line <= len(source) else ""
        header = _LOOP.match(text)
        if header is None:
            continue
        indent = header.end("indent")
        body = _body(source, lines[i:], indent)
        boundary = body[0] if header["endless"] and body else line
        is_for = header["word"] != "while"
        loops.append(Loop(line, line, body[-1] if body else line, boundary, is_for))
    return loops


def _body(source: Sequence[str], lines: Sequence[int], indent: int) -> List[int]:
    """Lines that are indented more than the first one; `else` has no code, but ends them."""
    body: List[int] = []
    for i, line in enumerate(lines[1:]):
        between = source[lines[i] : line]
        text = between[-1] if len(between) == line - lines[i] else ""
        if len(text) - len(text.lstrip()) <= indent:
            break
        if any(one.startswith("else", indent) and not one[:indent].strip() for one in between):
            break
        body.append(line)
    return body


class _Kind(NamedTuple):
    are_stores: Tuple[bool, ...]
    """For each variable of the instruction."""
    is_cell: bool = False


_ATTRIBUTE = _Kind(())


def _kind(name: str) -> Optional[_Kind]:
    """What an instruction does with variables, by its name; two at once since Python 3.12."""
    if name == "STORE_ATTR":
        return _ATTRIBUTE
    if name.endswith("_DEREF") and name.startswith(("LOAD", "STORE")):
        return _Kind((name[0] == "S",), is_cell=True)
    if "_FAST" not in name or name.startswith(("DELETE", "INSTRUMENTED")):
        return None
    if "STORE_FAST_MAYBE_NULL" in name or "AND_CLEAR" in name:
        return None
    return _Kind(tuple(word == "STORE" for word in name.split("_") if word in ("LOAD", "STORE")))


_KINDS: Dict[int, _Kind] = {
    number: kind for name, number in dis.opmap.items() for kind in [_kind(name)] if kind is not None
}
_CHANGES = frozenset(
    number
    for name, number in dis.opmap.items()
    if name.startswith(("CALL", "INPLACE", "STORE_S", "DELETE_S", "DELETE_A", "YIELD", "SEND"))
    or name in ("STORE_ATTR", "BEFORE_WITH", "SETUP_WITH", "LOAD_SPECIAL")
)
"""Instructions that can change an object that a name stands for; reading a field is taken not to."""
_BINARY, _IN_PLACE = dis.opmap.get("BINARY_OP", -1), 13
_EXTENDED = dis.opmap["EXTENDED_ARG"]
_TRANSPARENT = {_EXTENDED, dis.opmap.get("CACHE", _EXTENDED)}
_COPIES = {dis.opmap[name] for name in ("COPY", "DUP_TOP") if name in dis.opmap}
"""`x.y += 1` duplicates `x` before it reads the field."""
_BACKWARD = frozenset(
    number
    for name, number in dis.opmap.items()
    if "BACKWARD" in name
    or (sys.version_info < (3, 11) and name.startswith(("JUMP_A", "POP_JUMP")))
)


def _may_loop(instructions: bytes) -> bool:
    return not _BACKWARD.isdisjoint(instructions[::2])


def _decoded(instructions: bytes, start: int, end: int) -> "List[Tuple[int, int]]":
    decoded = []
    extended = 0
    for i in range(start, end, 2):
        operation = instructions[i]
        argument = instructions[i + 1] | extended
        extended = argument << 8 if operation == _EXTENDED else 0
        decoded.append((operation, argument))
    return decoded


def _line_spans(code: CodeType) -> List[Tuple[int, int, int]]:
    starts = list(dis.findlinestarts(code))
    ends = [offset for offset, _ in starts[1:]] + [len(code.co_code)]
    spans = [(start, ends[i], line) for i, (start, line) in enumerate(starts)]
    return [span for span in spans if span[2] is not None]


def _variables(code: CodeType) -> Tuple[Sequence[str], Sequence[str]]:
    """The names that arguments of `…_FAST` and of `…_DEREF` number."""
    if sys.version_info < (3, 11):
        return code.co_varnames, code.co_cellvars + code.co_freevars
    cells = tuple(name for name in code.co_cellvars if name not in code.co_varnames)
    names = code.co_varnames + cells + code.co_freevars
    return names, names


def _arguments(code: CodeType) -> Tuple[str, ...]:
    n_arguments = code.co_argcount + code.co_kwonlyargcount
    n_arguments += bool(code.co_flags & inspect.CO_VARARGS)
    n_arguments += bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[:n_arguments]


def _restarts(loops: Sequence[Loop]) -> Dict[int, Loop]:
    lines: Set[int] = {loop.line for loop in loops}
    return {
        loop.boundary: loop
        for loop in loops
        if loop.boundary != loop.line and loop.boundary in lines
    }
