"""Lines, their indentation, and which of them open a block; hostile ones are read as fast as others."""

from __future__ import annotations

import pytest

from egcfg_lsp.completion.filters import Place
from egcfg_lsp.completion.fit import fit
from egcfg_lsp.source.edit import close_open_blocks
from egcfg_lsp.source.lines import (
    indent_of,
    indent_unit_of,
    offset_of_line,
    opens_block,
    split_lines,
)
from egcfg_lsp.source.target import find_target, surroundings


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a\n"]),
        ("a\r\nb\n\n", ["a\r\n", "b\n", "\n"]),
        ("a\x0cb\u2028c\x85\n", ["a\x0cb\u2028c\x85\n"]),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines
    starts = [len("".join(lines[:row])) for row in range(len(lines) + 2)]
    assert [offset_of_line(text, row) for row in range(len(lines) + 2)] == starts


@pytest.mark.parametrize(
    ("line", "columns"),
    [("x", 0), ("    x", 4), ("\tx", 8), ("  \tx", 8), ("\x0c  x", 2), ("   ", 3), ("  \r\n", 2)],
)
def test_indent_of(line: str, columns: int) -> None:
    assert indent_of(line) == columns


@pytest.mark.parametrize(
    ("line", "opens"),
    [
        ("", False),
        (":", True),
        ("if x:", True),
        ("if x:  \t\r\n", True),
        ("else:  # so: it is\n", True),
        ("else:# so", True),
        ("if x: y", False),
        ("x = {1: 2}  # two", False),
        ("x  # two", False),
        ("# two:", True),
        (": : :x", False),
        (": : :", True),
    ],
)
def test_opens_block(line: str, opens: bool) -> None:
    assert opens_block(line) == opens


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "    "),
        ("x = 1\n", "    "),
        ("def f():", "    "),
        ("def f():\n", "    "),
        ("def f():\nx\n", "    "),
        ("def f():\n  return 1\n", "  "),
        ("def f():\r\n  return 1\r\n", "  "),
        ("def f():\n\treturn 1\n", "\t"),
        ("class A:\n \tx = 1\n", "\t"),
        ("def f():  # so\n\n   return 1\n", "   "),
        ("def f():\n# so\n      # and so\n  return 1\n", "  "),
        ("x = (\n  1)\ndef f():\n    return 1\n", "    "),
        ("x = {\n'a':\n  1}\nasync def f():\n     return 1\n", "     "),
        ("def f(\n        a,\n):\n  return 1\n", "  "),
        ("def f(\n        a,\n) -> int:\n  return 1\n", "  "),
        ("if x: y\n      # so\nif z:\n  y\n", "  "),
        ("    def f():\n      return 1\n", "  "),
        ("    def f():\n\treturn 1\n", "    "),
        ("format(\n  a):\n", "    "),
        ("iffy:\n  x\nwith a:\n   b\n", "   "),
    ],
)
def test_indent_unit(text: str, unit: str) -> None:
    assert indent_unit_of(text) == unit


N = 200_000
HOSTILE = (
    ":#" * N,
    ": " * N + "x",
    ":" + " " * N + "x",
    ":" * N + "x",
    " " * N,
    "\n" * N,
    "#\n" * N,
    "if x:\n" * N,
    "if x:\n#\n \n" * (N // 10),
    "if " + ":#" * N + "\n",
    "x" + ":#" * N + "\n \n",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lines_are_read_in_one_go(text: str) -> None:
    """Squared, so many characters would take minutes."""
    opens_block(text)
    indent_unit_of(text)
    indent_unit_of("if " + text + "\n")


QUOTED = ('"' + '\\"' * N, "'" + "\\\r" * N, "'" + "\\\\" * N)


@pytest.mark.parametrize(
    "line",
    [*(text for text in HOSTILE if "\n" not in text), *QUOTED],
    ids=lambda line: ascii(line[:5]),
)
def test_hostile_lines_beside_the_cursor(line: str) -> None:
    before = f"def f():\n    if {line}"
    for text in (before + "\n", before + '"""\n'):
        find_target(text, len(text))
        surroundings(text, len(before))
    close_open_blocks("try:" + line + "\n    x", 1)
    fit("x\n  y", Place(before + "\n    ", ""), one_line=False)


def test_many_joined_lines() -> None:
    text = "try:\n" + "    x = 1 + \\\n" * 10_000 + "    1\ny"
    assert close_open_blocks(text, 1) == text.removesuffix("y") + "finally: pass\ny"
