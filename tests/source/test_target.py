"""The target under the cursor (`|`), in whole and in broken buffers."""

from __future__ import annotations

import pytest

from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.target import find_target, indent_of
from tests.support.cursor import at_cursor


@pytest.mark.parametrize(
    ("marked", "name"),
    [
        ("def f(x):\n    |", "f"),
        ("def f(x):\n|", "f"),
        ("def f(x):\n    '''doc'''\n    |\n", "f"),
        ("def f(x):\n    '''doc'''\n|", "f"),
        ("def f(x): ret|", "f"),
        ("def f(x):\n    return x.|\n\ndef g(): pass\n", "f"),
        ("def f(x):\n    if x:\n        |\n    return 1\n\ndef g(): pass\n", "f"),
        ("def f():\n    y = foo(\n        1, |\n    )\n    return y\n", "f"),
        ("class A:\n    def g(self):\n        retu|\n\n    def h(self):\n        pass\n", "A.g"),
        ("class A:\n    async def g(self):\n        |\n", "A.g"),
        ("def outer():\n    def inner():\n        |\n    return inner\n", "outer.inner"),
        ("def outer():\n    def inner():\n        pass\n    |\n", "outer"),
        ("@cached\ndef f(x):\n    |\n", "f"),
        ("def f(x):\r\n    a = 1\r\n    |\r\n", "f"),
        ("def f(x):\n\tif x:\n\t\t|\n", "f"),
        ("def f(x):\n    s = '\x0c'\n    |\n", "f"),
        ("def f(x):\n    s = '𝄞é'\n    t = '𝄞' + |\n", "f"),
        ("x = 1\n|\n", None),
        ("|", None),
        ("def f():\n    return 1\n\n\n|\ndef g():\n    pass\n", None),
        ("class A:\n    x = 1\n    |\n", None),
        ("def f():\n    x = 1\n\n|", None),
    ],
)
def test_find_target(marked: str, name: str | None) -> None:
    target = find_target(*at_cursor(marked))
    assert (None if target is None else target.qualified_name) == name


@pytest.mark.parametrize(
    ("marked", "is_open"),
    [
        ("def f():\n    |\n", True),
        ("def f():\n    |\n    pass\n", True),
        ("def f():\n    |\n    ...\n\nx = 1\n", True),
        ("def f():\n    |\n    raise NotImplementedError\n", True),
        ("def f():\n    |\n    raise NotImplementedError('later')  # soon\n", True),
        ("def f():\n    |\n    return 1\n", False),
        ("def f():\n    if x:\n        |\n    return 1\n", False),
        ("def f():\n    |\n\n\ndef g():\n    return 1\n", True),
    ],
)
def test_is_open_when_only_a_placeholder_stands_below(marked: str, is_open: bool) -> None:
    target = find_target(*at_cursor(marked))
    assert target is not None
    assert target.is_open is is_open


def test_target_knows_where_it_stands() -> None:
    target = find_target(
        *at_cursor("import x\n\nclass A:\n    def g(self):\n        '''d'''\n        |\n")
    )
    assert target is not None
    assert (target.start_line, target.end_line, target.indent) == (3, 6, 4)
    assert target.docstring == "'''d'''"


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
def test_split_lines(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


@pytest.mark.parametrize(("line", "columns"), [("x", 0), ("    x", 4), ("\tx", 8), ("  \tx", 8)])
def test_indent_of(line: str, columns: int) -> None:
    assert indent_of(line) == columns
