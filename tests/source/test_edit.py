from __future__ import annotations

from egcfg_lsp.source.edit import splice


def test_splice_keeps_the_line_ends_of_the_buffer() -> None:
    text = "def f():\r\n    \r\nx = 1\r\n"
    assert splice(text, 14, "y = 1\n    z = 2") == (
        "def f():\r\n    y = 1\r\n    z = 2\r\nx = 1\r\n"
    )
    assert splice("ab", 1, "X\nY") == "aX\nYb"
