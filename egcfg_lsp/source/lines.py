"""Lines as editors count them: by LF and CRLF. `str.splitlines` also breaks at form feeds and U+2028."""

from __future__ import annotations

import re

_COLON = re.compile(r":\s*+(?:#|\Z)")
_BLOCK = re.compile(r"^([ \t]*+)(?:(?:if|for|while|with|try|def|class|async)\b|\))", re.MULTILINE)
"""Begins the last line of a header, or all of it."""
_CODE_BELOW = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?\r?\n)*+([ \t]*+)[^\s#]")


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


def opens_block(line: str) -> bool:
    """Whether the line ends in a colon, a comment and its line end not counted."""
    return _COLON.search(line) is not None


def indent_unit_of(text: str) -> str:
    """One level of indentation in this text, a tab or spaces, by its first block; else four spaces."""
    for header in _BLOCK.finditer(text):
        end = text.find("\n", header.start())
        if end < 0:
            break
        below = _CODE_BELOW.match(text, end + 1)
        if below is None or not opens_block(text[header.start() : end]):
            continue
        outer, inner = header[1], below[1]
        if inner != outer and inner.startswith(outer):
            unit = inner.removeprefix(outer)
            return "\t" if "\t" in unit else unit
    return "    "


def offset_of_line(text: str, row: int) -> int:
    """Where a 0-based line begins (code points); the text's length if there are fewer lines."""
    offset = 0
    for _ in range(row):
        offset = text.find("\n", offset) + 1
        if offset == 0:
            return len(text)
    return offset
