from __future__ import annotations

import pytest

from egcfg_lsp.source.edit import ends_function, splice
from egcfg_lsp.source.target import find_target


def test_splice_keeps_the_line_ends_of_the_buffer() -> None:
    text = "def f():\r\n    \r\nx = 1\r\n"
    assert splice(text, 14, "y = 1\n    z = 2") == (
        "def f():\r\n    y = 1\r\n    z = 2\r\nx = 1\r\n"
    )
    assert splice("ab", 1, "X\nY") == "aX\nYb"


@pytest.mark.parametrize(
    ("line", "ends"),
    [("        x = 1\n", False), ("    def h(self):\n", True), ("\n", False), ("x = 1\n", True)],
)
def test_ends_function(line: str, ends: bool) -> None:
    target = find_target("class A:\n    def g(self):\n        \n", 32)
    assert target is not None
    assert ends_function(line, target) is ends
