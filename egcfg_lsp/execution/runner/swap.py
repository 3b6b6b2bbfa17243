"""Exchanging a function's code in a process that has imported its module.

The function keeps its identity, its defaults, its decorators and its place in every registry: all
live functions of that code get another one. For a nested function this is the outermost one around
it, or the method. Not covered, and told instead: functions whose free variables are not those of
the new code, and code that something has compiled away.
"""

from __future__ import annotations
import __future__

import ast
import gc
import io
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union, overload

from .paths import is_file

_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_CODES: Dict[type, str] = {
    GeneratorType: "gi_code", CoroutineType: "cr_code", AsyncGeneratorType: "ag_code",
}  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAX_MOVED = 400
"""Functions whose lines are moved; a module with more of them would take too long."""


class SwapError(Exception):
    """The code cannot be exchanged; the message says why."""


class Place:
    """Where the target stands in the module's text as it was imported.

    `first` and `last` are the target's lines there, 1-based and inclusive.
    """

    def __init__(self, path: str, text: str, first: int, last: int) -> None:
        """Raises SwapError, SyntaxError."""
        self.path = path
        self.lines = split_lines(text)
        self.first, self.last = first, last
        around = enclosing(ast.parse(text), first, last)
        functions = [i for i, node in enumerate(around) if isinstance(node, _FUNCTIONS)]
        if not functions:
            raise SwapError("no function is found in its place")
        self.outer: Any = around[functions[0]]
        self.around: List[ast.AST] = around[: functions[0]]
        self.outer_first = first_line(self.outer)
        nested: List[Any] = [around[i] for i in functions[1:]]
        self.nested = {(first_line(node), node.name) for node in nested}
        """The functions from the outermost one, without it, to the target."""
        tops = [first_line(node) for node in around[: functions[0] + 1]]
        self.n_above = min(tops) - 1
        """Lines that the compiler need not see."""
        self.functions: List[FunctionType] = []
        self.below: List[FunctionType] = []
        """The module's other functions behind the target: their lines move with its length."""
        self.n_moved = 0
        self.flags = 0

    def stub(self) -> Lines:
        """The module as it was imported."""
        return Lines(self, "".join(self.lines[self.first - 1 : self.last]))

    def find(self) -> None:
        """The live functions. Raises SwapError if the code stands in none, or in something that
        would keep it: a function made by a call of it, a generator that has begun."""
        is_ours: Dict[str, bool] = {}
        for thing in gc.get_objects():
            kind = type(thing)
            if kind is FunctionType:
                code = thing.__code__
            elif kind in _CODES:
                code = getattr(thing, _CODES[kind])
            else:
                continue
            if code.co_filename not in is_ours:
                is_ours[code.co_filename] = is_file(code.co_filename, self.path)
            if not is_ours[code.co_filename]:
                continue
            place = (code.co_firstlineno, code.co_name)
            is_outer = place == (self.outer_first, self.outer.name)
            if place in self.nested or (is_outer and kind is not FunctionType):
                raise SwapError("importing the tests has called what the function is made by")
            if kind is not FunctionType:
                continue
            if code.co_firstlineno > self.last:
                self.below.append(thing)
            elif is_outer:
                self.functions.append(thing)
        if not self.functions:
            raise SwapError("no live function has its code")
        self.flags = self.functions[0].__code__.co_flags & _FUTURE

    def compile(self, lines: Lines) -> CodeType:
        """A module of nothing but the outermost function and the classes around it, each line in
        its place. Raises SyntaxError, ValueError and what else `compile` raises."""
        self.n_moved = lines.n_more
        above = ["\n"] * (self.outer_first - 1)
        for node in self.around:
            for i, line in header(node, self.lines):
                above[i] = line
        function = lines[self.outer_first - 1 : self.outer.end_lineno + lines.n_more]
        source = "".join([*above[self.n_above :], *function])
        filename = self.functions[0].__code__.co_filename if self.functions else self.path
        try:
            module = compile(source, filename, "exec", flags=self.flags, dont_inherit=True)
        except SyntaxError as error:
            error.lineno = error.lineno and error.lineno + self.n_above
            raise
        return moved(module, self.n_above)

    def exchange(self, module: CodeType) -> None:
        """Give the live functions the code of a compiled module. Raises SwapError."""
        if self.n_moved and len(self.below) > MAX_MOVED:
            raise SwapError("the lines of %d functions would have to be moved" % len(self.below))
        code = code_at(module, self.outer.name, self.outer_first)
        for function in self.functions:
            if code.co_freevars != function.__code__.co_freevars:
                raise SwapError("its free variables are others")
            function.__code__ = code
        if self.n_moved:
            for function in self.below:
                function.__code__ = moved(function.__code__, self.n_moved)


class Lines(Sequence[str]):
    """A module's lines with other ones for the target; none is touched before it is asked for."""

    def __init__(self, place: Place, function: str) -> None:
        self._module, self._function = place.lines, split_lines(function)
        self._above = place.first - 1
        self._until = self._above + len(self._function)
        self.n_more = self._until - place.last
        """How much lower everything below the target stands."""

    def __len__(self) -> int:
        return len(self._module) + self.n_more

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> List[str]: ...
    def __getitem__(self, i: Union[int, slice]) -> Union[str, List[str]]:
        if isinstance(i, slice):
            return [self[at] for at in range(*i.indices(len(self)))]
        if i < 0:
            i += len(self)
        if i < 0:
            raise IndexError(i)
        if i < self._above:
            return self._module[i]
        return self._function[i - self._above] if i < self._until else self._module[i - self.n_more]


def moved(code: CodeType, n_lines: int) -> CodeType:
    """The same code, lower down in its file."""
    constants = tuple(
        moved(one, n_lines) if isinstance(one, CodeType) else one for one in code.co_consts
    )
    return code.replace(co_firstlineno=code.co_firstlineno + n_lines, co_consts=constants)


def enclosing(tree: ast.AST, first: int, last: int) -> List[ast.AST]:
    """The statements around some lines, from the outermost to that which is just these lines."""
    found: List[ast.AST] = []
    pending = list(ast.iter_child_nodes(tree))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.stmt):
            if first_line(node) > first or (node.end_lineno or 0) < last:
                continue
            found.append(node)
            pending = []
        pending += ast.iter_child_nodes(node)
    return found


def split_lines(text: str) -> List[str]:
    """With their ends; a form feed, unlike for `str.splitlines`, ends none."""
    return io.StringIO(text, newline="\n").readlines()


def first_line(node: Any) -> int:
    """With its decorators."""
    lines: List[int] = [one.lineno for one in getattr(node, "decorator_list", ())]
    return min([int(node.lineno), *lines])


def header(node: Any, lines: Sequence[str]) -> List[Tuple[int, str]]:
    """0-based lines of a block's head, that of a class as it is, others as what is always entered."""
    if not isinstance(node, ast.ClassDef):
        line = lines[node.lineno - 1]
        return [(node.lineno - 1, line[: len(line) - len(line.lstrip())] + "if 1:\n")]
    places = range(node.lineno - 1, first_line(node.body[0]) - 1)
    return [(i, lines[i]) for i in places]


def code_at(module: CodeType, name: str, line: int) -> CodeType:
    """Raises SwapError."""
    pending: List[Any] = [module]
    while pending:
        code = pending.pop()
        if code.co_name == name and code.co_firstlineno == line and code is not module:
            found: CodeType = code
            return found
        pending += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    raise SwapError("the new text has no such function in its place")


def located(path: str, text: str, lines: Optional[Sequence[int]]) -> Place:
    """Raises SwapError, SyntaxError."""
    if lines is None:
        raise SwapError("its lines are not known")
    return Place(path, text, lines[0], lines[1])
