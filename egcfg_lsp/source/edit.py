"""Putting a suggestion into the buffer, and making what is there then compile.

Does not repair anything but blocks that the end of the text, or less indented code, leaves open:
no brackets, no strings.
"""

from __future__ import annotations

import re

from egcfg_lsp.source.lines import indent_unit_of, offset_of_line
from egcfg_lsp.source.statements import (
    LineStart,
    Source,
    enclosing,
    ends_in_colon,
    has_code,
    indent_at,
    next_line,
    read_source,
    statement_above,
    statement_below,
    statement_start,
    white_at,
)

_COMPOUND = re.compile(
    r"\s*(?:if|elif|else|for|while|with|try|except|finally|def|class|async|match|case)\b"
)
_TRY, _MATCH = re.compile(r"\s*try\b"), re.compile(r"\s*match\b")
_HANDLER = re.compile(r"\s*(?:except|finally)\b")
_DECORATOR, _DECORATED = re.compile(r"\s*@"), re.compile(r"\s*(?:@|(?:async|def|class)\b)")


def splice(text: str, offset: int, insert: str, replaces: int = 0) -> str:
    """The buffer with `insert` (LF line ends) at `offset`, in the buffer's own line ends.

    The `replaces` code points right of `offset`, all on its line, go away.
    """
    return text[:offset] + in_line_ends_of(text, insert) + text[offset + replaces :]


def in_line_ends_of(text: str, insert: str) -> str:
    return insert.replace("\n", "\r\n") if "\r\n" in text else insert


def without_lines(text: str, start: int, end: int) -> str:
    """The text without the lines from `start` (0-based) to `end` (exclusive)."""
    return text[: offset_of_line(text, start)] + text[offset_of_line(text, end) :]


def close_open_blocks(text: str, last_line: int) -> str:
    """The text with bodies for the blocks that the 0-based `last_line` leaves without one.

    Below that line a header gets a `pass`, a `try` a `finally`, a `match` a case, and a decorator a
    function, unless the code that follows gives it; all else is kept as it is. Doing it again
    changes nothing.
    """
    source = read_source(text)
    line = offset_of_line(text, last_line)
    last = statement_start(source, line)
    if not has_code(text, last):
        above = statement_above(source, line)
        if above is None:
            return text
        last = above
    end = _end_of_statement(source, max(line, last), last)
    below = statement_below(source, next_line(text, end))
    closing = "".join(f"\n{closing}" for closing in _closing_lines(source, last, end, below))
    return text[:end] + in_line_ends_of(text, closing) + text[end:]


def _end_of_statement(source: Source, line: LineStart, statement: LineStart) -> int:
    """Behind the last character of the last line, from `line` on, that the statement goes on to."""
    text = source.text
    while (below := next_line(text, line)) < len(text):
        is_joined = text.endswith(("\\\n", "\\\r\n"), line, below)
        if not is_joined and statement_start(source, below) != statement:
            break
        line = below
    stop = text.find("\n", line)
    stop = len(text) if stop < 0 else stop
    return stop - text.endswith("\r", line, stop)


def _closing_lines(source: Source, last: LineStart, end: int, below: LineStart) -> list[str]:
    """What must stand between the statement that begins at `last` and the one at `below`."""
    text = source.text
    width_below = indent_at(text, below) if below < len(text) else -1
    around = [last, *enclosing(source, last, indent_at(text, last))]
    white, lines = white_at(text, last), []
    is_header = _COMPOUND.match(text, last) and ends_in_colon(source, last, end)
    if is_header and width_below <= indent_at(text, last):
        body = "case _: pass" if _MATCH.match(text, last) else "pass"
        lines.append(white + _indent_unit(text, around) + body)
    is_decorated = width_below == indent_at(text, last) and _DECORATED.match(text, below)
    if _DECORATOR.match(text, last) and not is_decorated:
        lines.append(f"{white}def _(): pass")
    for line in around:
        width = indent_at(text, line)
        is_handled = width_below == width and _HANDLER.match(text, below)
        if _TRY.match(text, line) and width_below <= width and not is_handled:
            lines.append(f"{white_at(text, line)}finally: pass")
    return lines


def _indent_unit(text: str, around: list[LineStart]) -> str:
    """By how much a block is indented here: as the statement is in its own, else as the first is."""
    whites = [white_at(text, line) for line in around[:2]]
    if len(whites) == 2 and whites[0].startswith(whites[1]):
        return whites[0].removeprefix(whites[1])
    return indent_unit_of(text)
