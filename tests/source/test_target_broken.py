"""The target in real modules, broken as typing breaks them: the whole text says which it is."""

from __future__ import annotations

import ast
import bisect
import csv
import fnmatch
import heapq
import io
import random
import statistics
import textwrap
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from egcfg_lsp.source.target import find_target

MODULES = (bisect, csv, fnmatch, heapq, statistics, textwrap)
N_PLACES = 25
"""Cursors in each module, each with every breakage."""
RATE = 0.99
OPENINGS = ("foo(", "[", "{", '"', "'", "foo(a, [", 'f"{x', "x = foo(bar(1), ", "if x and (")
HALF_TYPED = ("def half(a, b", "def half(a,\n         b=(1,", 'def half():\n    return f("')
OPEN_DOCSTRING = 'def half():\n    """Half of it.\n\n    More'

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """A line of code in the body of a function; offsets are code points."""

    name: str
    start: int
    """Of its first character that is not white."""
    end: int
    """Of its line end."""
    function: int
    """Of the first line of its function, decorators included."""
    top: int
    """Of the first line of the statement at module level that it is in."""


@dataclass(frozen=True)
class Broken:
    breakage: str
    text: str
    offset: int
    name: str


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_line_of_whole_modules(module: ModuleType) -> None:
    text = source_of(module)
    starts = line_starts(text)
    for name, function, rows in functions(ast.parse(text)):
        for row in rows:
            if text[starts[row]] == "\n":  # the column decides there
                continue
            target = find_target(text, starts[row])
            assert target is not None
            assert (target.qualified_name, target.start_line) == (name, function.lineno - 1)
            assert target.first_line == first_line(function)
            assert function.end_lineno is not None
            past = text[starts[function.end_lineno] : starts[target.end_line]].split("\n")
            assert target.end_line >= function.end_lineno
            assert all(not line.strip() or line.lstrip().startswith("#") for line in past)
            assert bool(target.docstring) == bool(ast.get_docstring(function))


def test_broken_modules() -> None:
    n_cases, n_right, wrong = Counter[str](), Counter[str](), {}
    for module in MODULES:
        for case in broken(source_of(module), random.Random(module.__name__)):
            target = find_target(case.text, case.offset)
            n_cases[case.breakage] += 1
            if target is not None and target.qualified_name == case.name:
                n_right[case.breakage] += 1
            else:
                wrong[case.breakage] = (module.__name__, case.name, target)
    assert len(n_cases) == 10
    rates = {breakage: n_right[breakage] / n for breakage, n in n_cases.items()}
    assert min(rates.values()) >= RATE, (rates, wrong)


def broken(text: str, rng: random.Random) -> Iterator[Broken]:
    closers = closing_brackets(text)
    for place in rng.choices(places(text), k=N_PLACES):
        cursor = rng.randint(place.start, place.end)
        yield from broken_at(text, place, cursor, rng)
        yield from broken_above(text, place, cursor, closers, rng)


def broken_at(text: str, place: Place, cursor: int, rng: random.Random) -> Iterator[Broken]:
    opening, rest = rng.choice(OPENINGS), text[place.end :]
    yield Broken("rest of the line gone", text[:cursor] + rest, cursor, place.name)
    opened = text[:cursor] + opening
    yield Broken("opened at the end", opened + rest, len(opened), place.name)
    yield Broken("opened in the middle", opened + text[cursor:], len(opened), place.name)
    only = text[: place.start] + opening
    yield Broken("opened on its own", only + rest, len(only), place.name)


def broken_above(
    text: str, place: Place, cursor: int, closers: list[int], rng: random.Random
) -> Iterator[Broken]:
    def without(closer: int, breakage: str) -> Broken:
        return Broken(breakage, text[:closer] + text[closer + 1 :], cursor - 1, place.name)

    def with_text(at: int, added: str, breakage: str) -> Broken:
        whole = text[:at] + added + text[at:]
        return Broken(breakage, whole, cursor + len(added), place.name)

    if before := [closer for closer in closers if closer < place.function]:
        yield without(rng.choice(before), "bracket gone in a function above")
    if before := [closer for closer in closers if place.function < closer < place.start]:
        yield without(before[-1], "bracket gone in the function")
    ends = [offset for offset in range(place.function) if text[offset] == "\n"]
    yield with_text(rng.choice(ends or [0]), " x = 'it", "quote opened above")
    yield with_text(place.top, rng.choice(HALF_TYPED) + "\n\n\n", "half a function above")
    yield with_text(place.top, OPEN_DOCSTRING + "\n\n\n", "open docstring above")
    if place.function != place.top:
        white = " " * (len(text[place.function :]) - len(text[place.function :].lstrip()))
        half = textwrap.indent(rng.choice((*HALF_TYPED, OPEN_DOCSTRING)), white)
        yield with_text(place.function, half + "\n\n", "half a method above")


@cache
def source_of(module: ModuleType) -> str:
    assert module.__file__ is not None
    return Path(module.__file__).read_text(encoding="utf-8")


def places(text: str) -> list[Place]:
    tree, starts, lines = ast.parse(text), line_starts(text), text.split("\n")
    tops = [first_line(statement) for statement in tree.body]
    found = []
    for name, function, rows in functions(tree):
        for row in rows:
            if row < function.body[0].lineno - 1 or not (code := lines[row].strip()):
                continue
            start, top = starts[row] + lines[row].index(code), tops[bisect.bisect(tops, row) - 1]
            first = starts[first_line(function)]
            found.append(Place(name, start, start + len(code), first, starts[top]))
    return found


def functions(tree: ast.AST, around: str = "") -> Iterator[tuple[str, FunctionNode, list[int]]]:
    """Qualified name of each function, and the lines that are in it and in no function within."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, FunctionNode | ast.ClassDef):
            yield from functions(node, around)
            continue
        name = f"{around}{node.name}"
        inner = list(functions(node, f"{name}."))
        yield from inner
        if not isinstance(node, ast.ClassDef):
            assert node.end_lineno is not None
            taken = {row for _, _, rows in inner for row in rows}
            yield name, node, sorted(set(range(node.lineno - 1, node.end_lineno)) - taken)


def first_line(statement: ast.stmt) -> int:
    """0-based, decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)]) - 1


def line_starts(text: str) -> list[int]:
    return [0, *(offset + 1 for offset, character in enumerate(text) if character == "\n")]


def closing_brackets(text: str) -> list[int]:
    starts = line_starts(text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        starts[token.start[0] - 1] + token.start[1]
        for token in tokens
        if token.type == tokenize.OP and token.string in ")]}"
    ]
