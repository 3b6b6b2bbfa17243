"""Splicing a suggestion, and closing what it leaves open."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import random
import textwrap
import tokenize
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from egcfg_lsp.source.edit import close_open_blocks, splice, without_lines
from tests.support.cursor import at_cursor


def test_splice_keeps_the_line_ends_of_the_buffer() -> None:
    text = "def f():\r\n    \r\nx = 1\r\n"
    assert splice(text, 14, "y = 1\n    z = 2") == (
        "def f():\r\n    y = 1\r\n    z = 2\r\nx = 1\r\n"
    )
    assert splice("ab", 1, "X\nY") == "aX\nYb"


@pytest.mark.parametrize(
    ("marked", "insert", "replaces", "after"),
    [
        ("foo(|)\n", "a)", 1, "foo(a)\n"),
        ("foo(|))\n", "a)", 1, "foo(a))\n"),
        ("x = '|𝄞'", "é", 1, "x = 'é'"),
        ("a|b\nc", "", 1, "a\nc"),
    ],
)
def test_splice_replaces(marked: str, insert: str, replaces: int, after: str) -> None:
    text, offset = at_cursor(marked)
    assert splice(text, offset, insert, replaces) == after


@pytest.mark.parametrize(
    ("start", "end", "after"),
    [(0, 1, "b\n\nc"), (1, 3, "a\r\nc"), (1, 1, "a\r\nb\n\nc"), (2, 9, "a\r\nb\n"), (0, 4, "")],
)
def test_without_lines(start: int, end: int, after: str) -> None:
    assert without_lines("a\r\nb\n\nc", start, end) == after


def check(marked: str, after: str) -> None:
    """`|` is in the last line of the suggestion."""
    text, offset = at_cursor(marked)
    last_line = text.count("\n", 0, offset)
    closed = close_open_blocks(text, last_line)
    assert closed == after
    assert close_open_blocks(closed, last_line) == closed


@pytest.mark.parametrize(
    "marked",
    [
        "|",
        "x = 1|",
        "def f():\n    if x:|\n        return 1\n",
        "if x:\n    y|\nelse:\n    z\n",
        "try:\n    x|\nexcept A:\n    y\n",
        "try:\n    x\nexcept A:\n    y|\n",
        "try:\n    x|\n    y\n",
        "try: x|\nfinally: y\n",
        "@a\n@b|\n# note\ndef f(): pass\n",
        "@a|\n\nasync def f(): pass\n",
        "@a|\nclass A: pass\n",
        "if x: y|\n",
        "if x: y = {1: lambda: 2}|\nz\n",
        "x = [1:|\n",
        "x = {'a':|\n     1}\n",
        "if (x\n    and y):|\n  z\n",
        "x: int|\ny = 1\n",
        "match = 1|\n",
        "match x:\n    case 1: pass|\n",
        "s = '''\nif x:|\n'''\n",
        "foo(|\n",
        "trying = 1|\n",
    ],
)
def test_what_needs_nothing_is_left_alone(marked: str) -> None:
    check(marked, at_cursor(marked)[0])


@pytest.mark.parametrize(
    ("marked", "after"),
    [
        ("if x:|", "if x:\n    pass"),
        ("if x:|\n", "if x:\n    pass\n"),
        ("if x:\n\n|", "if x:\n\n\n    pass"),
        ("if x:  # note|\ny\n", "if x:  # note\n    pass\ny\n"),
        ("if x:\n    # note|\ny\n", "if x:\n    # note\n    pass\ny\n"),
        ("if x:|\n    # note\ny\n", "if x:\n    pass\n    # note\ny\n"),
        ("if x:|\n\n\ny\n", "if x:\n    pass\n\n\ny\n"),
        ("if x:|\r\ny\r\n", "if x:\r\n    pass\r\ny\r\n"),
        ("def f():\n\tif x:|\n\ny\n", "def f():\n\tif x:\n\t\tpass\n\ny\n"),
        ("if a:\n  b\nif x:|\ny\n", "if a:\n  b\nif x:\n  pass\ny\n"),
        ("if a:\n\tb\nif x:|\n", "if a:\n\tb\nif x:\n\tpass\n"),
        ("if y := x:|\n", "if y := x:\n    pass\n"),
        ("if x[1:2]:|\n", "if x[1:2]:\n    pass\n"),
        ("with (\n  a as b,\n):|\nx\n", "with (\n  a as b,\n):\n    pass\nx\n"),
        ("if x and \\\n  y:|\nz\n", "if x and \\\n  y:\n    pass\nz\n"),
        ("if x and (|\n  y):\nz\n", "if x and (\n  y):\n    pass\nz\n"),
        ("if x:|\nelse:\n    y\n", "if x:\n    pass\nelse:\n    y\n"),
        ("if x:\n    y\nelse:|\nz\n", "if x:\n    y\nelse:\n    pass\nz\n"),
        ("async def f():|\n", "async def f():\n    pass\n"),
        ("class A:\n    def f(self):|\n", "class A:\n    def f(self):\n        pass\n"),
        ("match x:|\n", "match x:\n    case _: pass\n"),
        ("match x:\n  case 1:|\n", "match x:\n  case 1:\n    pass\n"),
        ("try:|\nx\n", "try:\n    pass\nfinally: pass\nx\n"),
        ("try: x|\n", "try: x\nfinally: pass\n"),
        ("try:\n    x|\ny\n", "try:\n    x\nfinally: pass\ny\n"),
        ("try:\n    x\nexcept A:|\ny\n", "try:\n    x\nexcept A:\n    pass\ny\n"),
        ("try:|\nexcept A:\n    y\n", "try:\n    pass\nexcept A:\n    y\n"),
        (
            "try:\n  for x in y:\n    try:\n      z|\n",
            "try:\n  for x in y:\n    try:\n      z\n    finally: pass\nfinally: pass\n",
        ),
        (
            "try:\n    try:\n        x|\nexcept A:\n    y\n",
            "try:\n    try:\n        x\n    finally: pass\nexcept A:\n    y\n",
        ),
        ("@a\n@b(1,\n   2)|\nx\n", "@a\n@b(1,\n   2)\ndef _(): pass\nx\n"),
        ("class A:\n    @a|\n\nx\n", "class A:\n    @a\n    def _(): pass\n\nx\n"),
        (
            "class A:\n    @a|\n\ndef f(): x\n",
            "class A:\n    @a\n    def _(): pass\n\ndef f(): x\n",
        ),
    ],
)
def test_open_blocks_are_closed(marked: str, after: str) -> None:
    check(marked, after)
    compile(after, "closed.py", "exec")


@pytest.mark.parametrize("module", [contextlib, csv, textwrap], ids=lambda module: module.__name__)
def test_cut_between_statements_compiles(module: ModuleType) -> None:
    assert module.__file__ is not None
    text = Path(module.__file__).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    ends = [token.start[0] for token in tokens if token.type == tokenize.NEWLINE]
    for end in random.Random(0).choices(ends, k=40):
        kept = "".join(lines[:end])
        after = "".join(lines[end_of_statement(text, end) :])
        for below in ("", after, after.replace("\n", "\r\n")):
            closed = close_open_blocks(kept + below, end - 1)
            assert closed.startswith(kept.removesuffix("\n"))
            assert closed.endswith(below)
            assert close_open_blocks(closed, end - 1) == closed
            with warnings.catch_warnings(action="ignore"):
                compile(closed, "cut.py", "exec")


def end_of_statement(text: str, row: int) -> int:
    """Behind the last line of the statement at module level that a 1-based line is in."""
    last_lines = (statement.end_lineno or 0 for statement in ast.parse(text).body)
    return next(last for last in last_lines if last >= row)
