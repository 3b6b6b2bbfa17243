"""A tree kept up to date by edits is the tree of the text."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from egcfg_lsp.source.parse import common_prefix, common_suffix, parse, reparse, walk

assert textwrap.__file__ is not None
MODULE = Path(textwrap.__file__).read_text(encoding="utf-8")
TEXTS = (
    MODULE,
    MODULE.replace("\n", "\r\n"),
    "def f(é):\n\tif '𝄞':\n\t\treturn é[1:2]  # 𝄞\n\n\nclass A:\n    x = 'é', \"𝄞\"\n",
    "",
)
PIECES = (
    "x",
    " ",
    "\n",
    "    ",
    "\t",
    "\r\n",
    "(",
    ")",
    "é",
    "𝄞",
    "'",
    '"""',
    "\ud800",
    "\0",
    "# ",
)
LINES = ("x = 1\n", "    return 1\n", "\tpass\r\n", "def g():\n    pass\n", "if é:\n    '𝄞'\n")
Edit = tuple[float, int, str]
"""Where (as a part of the text), how many code points go, and what comes instead."""
EDITS = st.tuples(
    st.floats(0, 1), st.sampled_from((0, 0, 1, 3, 40)), st.sampled_from(PIECES + LINES + ("",))
)


def dump(root: Node) -> list[tuple[object, ...]]:
    return [
        (n.type, n.start_byte, n.end_byte, n.start_point, n.end_point, n.is_missing)
        for n in walk(root)
    ]


def edited(text: str, edit: Edit) -> str:
    part, n_removed, added = edit
    offset = int(part * len(text))
    return text[:offset] + added + text[offset + n_removed :]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.lists(EDITS, min_size=1, max_size=8))
def test_tree_after_edits_is_that_of_the_text(whole: str, edits: list[Edit]) -> None:
    text, syntax = whole, reparse(None, whole)
    for edit in edits:
        text = edited(text, edit)
        syntax = reparse(syntax, text)
        fresh = parse(text)
        assert syntax.text == text
        assert syntax.root.end_byte == fresh.end_byte
        assert syntax.root.has_error == fresh.has_error
        if not fresh.has_error:
            assert dump(syntax.root) == dump(fresh)
    assert dump(reparse(syntax, whole).root) == dump(parse(whole))


def test_older_syntax_is_left_alone() -> None:
    old = reparse(None, "def f():\n    x\n")
    before = dump(old.root)
    new = reparse(old, "def f():\n    return x\n\ny = 1\n")
    assert dump(old.root) == before
    assert not old.root.has_changes
    assert dump(new.root) == dump(parse(new.text))
    assert reparse(new, new.text) is new


@pytest.mark.parametrize(
    "text", ["\ud800", "x = '\udfff'\n", "\0", "def f(:\n", "\x0c", "'''", "\\"]
)
def test_odd_texts_parse(text: str) -> None:
    assert reparse(reparse(None, "x = 1\n"), text).root.end_byte == parse(text).end_byte


@given(st.text("a𝄞", max_size=9), st.text("a𝄞", max_size=9), st.text("a𝄞", max_size=9))
def test_common_prefix_and_suffix(common: str, a: str, b: str) -> None:
    first, second = common + a, common + b
    differing = (i for i, (x, y) in enumerate(zip(first, second, strict=False)) if x != y)
    n_common = next(differing, min(len(first), len(second)))
    assert common_prefix(first, second) == n_common
    assert common_suffix(first[::-1], second[::-1]) == n_common
