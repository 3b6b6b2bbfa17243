"""Lines as editors count them: by LF and CRLF. `str.splitlines` also breaks at form feeds and U+2028."""

from __future__ import annotations


def split_lines(text: str) -> list[str]:
    """The text in lines, each with its line end; joined they are the text."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def position_at(text: str, offset: int) -> tuple[int, int]:
    """0-based row and column (code points) of an offset; rows as `split_lines` counts them."""
    return text.count("\n", 0, offset), offset - (text.rfind("\n", 0, offset) + 1)


def indent_of(line: str) -> int:
    """Columns of leading white space, tabs to multiples of 8 as in Python's own tokenizer."""
    white = line[: len(line) - len(line.lstrip(" \t\f"))]
    return len(white.replace("\f", "").expandtabs(8))


def offset_of_line(text: str, row: int) -> int:
    """Where a 0-based line begins (code points); the text's length if there are fewer lines."""
    offset = 0
    for _ in range(row):
        offset = text.find("\n", offset) + 1
        if offset == 0:
            return len(text)
    return offset
