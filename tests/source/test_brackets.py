"""What is open in Python text, whole or broken off."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.source.brackets import NOTHING_OPEN, Scope, by_line, scan, scope_at


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("", Scope()),
        ("f(a)[b]", Scope()),
        ("f(a, [b", Scope("([")),
        ("{(", Scope("{(")),
        ("a)", Scope(unmatched=")")),
        ("(a])", Scope(unmatched="]")),
        ("x = '(", Scope(quote="'")),
        ("x = '(\n", Scope()),
        ("x = '(\\\n", Scope(quote="'")),
        ("x = 'it\\'s (' + (", Scope("(")),
        ('x = "(\'" + (', Scope("(")),
        ("x = '", Scope(quote="'")),
        ("x = '\\", Scope(quote="'")),
        ("x = ''", Scope()),
        ("x = '''", Scope(quote="'''")),
        ("x = '''a'b''(\n\n", Scope(quote="'''")),
        ("x = '''a\\'''(", Scope(quote="'''")),
        ("'''a''''b(", Scope(quote="'")),
        ('"""a""" (', Scope("(")),
        ("# it's (", Scope(in_comment=True)),
        ("# it's (\n[", Scope("[")),
        ("f(  # (\n", Scope("(")),
        ("x = '# ('", Scope()),
        ("x = 1 + \\\n", Scope(continues=True)),
        ("x = 1 + \\\n    ", Scope(continues=True)),
        ("x = 1 + \\\n    y", Scope()),
        ("x = 1 + \\\n\n", Scope()),
        ("# \\\n", Scope()),
        ("total(\nreturn x", Scope()),
        ("total(\n    for x in y\n    if x", Scope("(")),
        ("total(\n    pass_through", Scope("(")),
        ("'''\nreturn (\n", Scope(quote="'''")),
        ("größe(«[", Scope("([")),
    ],
)
def test_scan(text: str, scope: Scope) -> None:
    assert scan(text) == scope


@pytest.mark.parametrize("path", sorted(Path(textwrap.__file__).parent.glob("*.py"))[::8])
def test_nothing_is_open_at_the_end_of_real_code(path: Path) -> None:
    text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n")
    assert scan(text) == NOTHING_OPEN


@pytest.mark.parametrize(
    ("before", "scope"),
    [
        ("x = f(", Scope("(")),
        ("x = f(\n\ndef g():\n    return [", Scope("[")),
        ("x = '''\n\nclass A:\n    y = {", Scope("{")),
        ("x = f(\n    y = [", Scope("([")),
        ("'''The module.\n\nclass of its own\n", Scope(quote="'''")),
        ("def f():\n    '''d", Scope(quote="'''")),
        ("x)", Scope()),
    ],
)
def test_scope_at(before: str, scope: Scope) -> None:
    assert scope_at(before) == scope


@given(st.text("a()[]{}'#\\\n \t"))
def test_line_by_line_is_all_at_once(text: str) -> None:
    lines = list(by_line(text, NOTHING_OPEN))
    assert "\n".join(line for _, line, _ in lines) == text
    assert lines[-1][2] == scan(text)


@pytest.mark.parametrize(
    ("text", "is_open"), [("(", True), ("'''", True), ("\\\n", True), ("'", False), ("", False)]
)
def test_whether_indentation_means_nothing(text: str, is_open: bool) -> None:
    assert scan(text).is_open is is_open
