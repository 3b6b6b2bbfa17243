"""Where statements begin, in a buffer that may be broken anywhere.

A syntax tree is of no use there: behind an unclosed bracket tree-sitter takes the next `def` for a
part of the call. Here brackets count only if they are closed before the next line that begins with
a keyword which no expression has; quotes end with their line; a triple quote that never ends does
so where the next function begins; indentation says the rest. Nothing is read but what the
question needs: triple quotes in the whole text, brackets near the line.

Does not know which statements are valid.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from egcfg_lsp.source.lines import indent_of

LineStart = int
"""Offset (code points) of a line's first character."""

_WHITE = re.compile(r"[ \t\f]*")
_BLANK = re.compile(r"[ \t\f]*\r?(?:\n|\Z)")
_CODE = re.compile(r"[ \t\f]*(?![ \t\f\r\n#]|\Z)")
_STATEMENT_KEYWORD = re.compile(
    r"[ \t\f]*(?:def|class|return|while|with|try|except|finally|raise|import|pass|assert|del|global"
    r"|nonlocal|break|continue|elif|async[ \t]+(?:def|with))\b"
)
"""Begins a line only where a statement begins, whatever brackets seem to be open."""
_HEADER = re.compile(r"[ \t\f]*(?:async[ \t]+)?(def|class)[ \t]+(\w+)")
_ESCAPED = r"\\(?:\r\n|.)"
_QUOTED = r"""\#[^\n]*|\"{3}|'{3}|"(?:%s|[^"\\\n])*+"%s|'(?:%s|[^'\\\n])*+'%s"""
_LEXEME = re.compile(_QUOTED % (_ESCAPED, "?", _ESCAPED, "?") + r"|[()\[\]{}:]", re.DOTALL)
_CLOSED = re.compile(_QUOTED % (_ESCAPED, "", _ESCAPED, "") + f"|{_ESCAPED}", re.DOTALL)
"""Leaves a quote alone that its line does not close: an apostrophe, where prose is read as code.

Behind such a quote escaped ones open nothing, else each of them would be followed to the line's end."""
_TRIPLE_QUOTES = ('"""', "'''")
_BRACKET_LINES = 250
_CLOSERS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Source:
    """A text and its strings in triple quotes."""

    text: str
    strings: tuple[tuple[int, int], ...]
    """Offsets from the first of the opening quotes to behind the closing ones, in order.

    One that never ends reaches to the next function, or to one behind the text's end."""


@dataclass(frozen=True)
class Header:
    """`def` or `class`, with a name."""

    start: LineStart
    is_function: bool
    name: str


def read_source(text: str) -> Source:
    return Source(text, tuple(_triple_quoted(text)))


def line_start(text: str, offset: int) -> LineStart:
    return text.rfind("\n", 0, offset) + 1


def unbroken_start(text: str, offset: int) -> LineStart:
    """The first of the lines that backslashes at their ends join with the offset's line."""
    start = line_start(text, offset)
    while text.endswith(("\\\n", "\\\r\n"), 0, start):
        start = line_start(text, start - 1)
    return start


def next_line(text: str, offset: int) -> LineStart:
    """Where the line below begins; the text's length if there is none."""
    return text.find("\n", offset) + 1 or len(text)


def indent_at(text: str, start: LineStart) -> int:
    """Columns of the line's leading white space."""
    return indent_of(white_at(text, start))


def white_at(text: str, start: LineStart) -> str:
    """The line's leading white space."""
    return text[start : _WHITE.match(text, start).end()]  # type: ignore[union-attr]


def is_blank(text: str, start: LineStart) -> bool:
    return _BLANK.match(text, start) is not None


def has_code(text: str, start: LineStart) -> bool:
    """Whether more than white space and a comment stands on the line."""
    return _CODE.match(text, start) is not None


def header_at(text: str, start: LineStart) -> Header | None:
    if (found := _HEADER.match(text, start)) is None:
        return None
    return Header(start, found[1] == "def", found[2])


def string_around(source: Source, offset: int) -> tuple[int, int] | None:
    """The triple-quoted string that begins before the offset and ends behind it."""
    index = bisect_left(source.strings, (offset, 0)) - 1
    if index >= 0 and source.strings[index][0] < offset < source.strings[index][1]:
        return source.strings[index]
    return None


def statement_start(source: Source, start: LineStart) -> LineStart:
    """The first line of the statement that the line continues, the line itself if it begins one."""
    text = source.text
    while start > 0:
        if (string := string_around(source, start)) is not None:
            start = line_start(text, string[0])
        elif (unbroken := unbroken_start(text, start)) < start:
            start = unbroken
        elif (bracket := _bracket_around(source, start)) is not None:
            start = line_start(text, bracket)
        else:
            break
    return start


def enclosing(source: Source, start: LineStart, indent: int) -> Iterator[LineStart]:
    """Statements above the line, each the nearest with fewer columns than the one before.

    The first has fewer than `indent`.
    """
    text, too_far = source.text, " " * indent
    while indent > 0 and start > 0:
        start = line_start(text, start - 1)
        if text.startswith(too_far, start):
            continue
        if (string := string_around(source, start)) is not None:
            start = line_start(text, string[0])
        if not has_code(text, start) or indent_at(text, start) >= indent:
            continue
        start = statement_start(source, start)
        width = indent_at(text, start)
        if width < indent and not _begins_with_closer(text, start):
            indent, too_far = width, " " * width
            yield start


def statement_below(source: Source, start: LineStart, indent: int | None = None) -> LineStart:
    """The first statement at or below the line, with at most `indent` columns; else the end."""
    text, too_far = source.text, None if indent is None else " " * (indent + 1)
    while start < len(text):
        if too_far is not None and text.startswith(too_far, start):
            start = next_line(text, start)
        elif (string := string_around(source, start)) is not None:
            start = next_line(text, string[1])
        elif (
            has_code(text, start)
            and (indent is None or indent_at(text, start) <= indent)
            and not _begins_with_closer(text, start)
            and statement_start(source, start) == start
        ):
            return start
        else:
            start = next_line(text, start)
    return start


def statement_above(source: Source, start: LineStart) -> LineStart | None:
    """The statement before the one that begins at the line."""
    while start > 0:
        start = line_start(source.text, start - 1)
        if has_code(source.text, start):
            return statement_start(source, start)
    return None


def header_end(source: Source, start: LineStart) -> int | None:
    """Behind the colon of the `def` or `class` that begins at the line; None while it has none."""
    open_brackets: list[int] = []
    for begin, end in lexemes(source, start, _keyword_below(source, start)):
        if source.text[begin] == ":" and not open_brackets:
            return end
        _close(source.text, begin, open_brackets)
    return None


def ends_in_colon(source: Source, start: LineStart, end: int) -> bool:
    """Whether the last colon outside of brackets between the offsets is followed by no code."""
    open_brackets: list[int] = []
    behind_colon = None
    for begin, after in lexemes(source, start, end):
        if source.text[begin] == ":" and not open_brackets:
            behind_colon = after
        _close(source.text, begin, open_brackets)
    return behind_colon is not None and not has_code(source.text, behind_colon)


def lexemes(source: Source, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Spans of comments, strings, brackets and colons from `start`, which is in code.

    A string in triple quotes is one span; the last span may reach beyond `stop`.
    """
    text = source.text
    while (found := _LEXEME.search(text, start, stop)) is not None:
        begin, start = found.span()
        if start - begin == 3 and found[0] in _TRIPLE_QUOTES:
            start = (string_around(source, begin + 1) or (begin, start))[1]
        yield begin, start


def _begins_with_closer(text: str, start: LineStart) -> bool:
    return text.startswith(tuple(_CLOSERS), start + len(white_at(text, start)))


def _bracket_around(source: Source, start: LineStart) -> int | None:
    """The outermost bracket that is open at the line and closed on or below it.

    Brackets reach no further than lines that begin with a statement's keyword, and are looked for
    in `_BRACKET_LINES` on either side.
    """
    text = source.text
    if _STATEMENT_KEYWORD.match(text, start):
        return None
    open_brackets: list[int] = []
    for begin, _ in lexemes(source, _keyword_above(source, start), start):
        _close(text, begin, open_brackets)
    outermost = None
    if open_brackets:
        for begin, _ in lexemes(source, start, _keyword_below(source, start)):
            closed = _close(text, begin, open_brackets)
            if closed is not None and closed < start:
                outermost = closed
            if not open_brackets or open_brackets[0] >= start:
                break
    return outermost


def _close(text: str, offset: int, open_brackets: list[int]) -> int | None:
    """Opens or closes the bracket at the offset, if there is one; the opener of the one closed.

    A closing bracket closes those inside too that were never closed; one that fits none is ignored.
    """
    bracket = text[offset]
    if bracket in "([{":
        open_brackets.append(offset)
    elif bracket in _CLOSERS:
        for index in reversed(range(len(open_brackets))):
            opener = open_brackets[index]
            if text[opener] == _CLOSERS[bracket]:
                del open_brackets[index:]
                return opener
    return None


def _keyword_above(source: Source, start: LineStart) -> LineStart:
    """The nearest line above that begins with a statement's keyword; else as far as is looked."""
    for _ in range(_BRACKET_LINES):
        if start == 0:
            break
        start = line_start(source.text, start - 1)
        if (string := string_around(source, start)) is not None:
            start = line_start(source.text, string[0])
        if _STATEMENT_KEYWORD.match(source.text, start):
            break
    return start


def _keyword_below(source: Source, start: LineStart) -> LineStart:
    """The nearest line below that begins with a statement's keyword; else as far as is looked."""
    for _ in range(_BRACKET_LINES):
        start = next_line(source.text, start)
        if _STATEMENT_KEYWORD.match(source.text, start) and string_around(source, start) is None:
            break
    return start


def _triple_quoted(text: str) -> Iterator[tuple[int, int]]:
    """Strings in triple quotes. If the last one never ends, one of them was left open above."""
    spans = tuple(_spans(text, 0))
    cut = _end_of_open_string(text, spans) if spans and spans[-1][1] > len(text) else None
    if cut is None:
        yield from spans
    else:
        yield from ((start, min(end, cut)) for start, end in spans if start < cut)
        yield from _spans(text, cut)


def _end_of_open_string(text: str, spans: tuple[tuple[int, int], ...]) -> LineStart | None:
    """The function or class before which a string was left open; None if there is none below it.

    Below it code and strings have changed places: what is sought is the place that leaves the
    fewest headers in strings.
    """
    source, headers = Source(text, spans), _header_lines(text)
    in_string = [string_around(source, header) is not None for header in headers]
    n_in_strings = in_string.count(False)
    best, cut = in_string.count(True), None
    for header, is_in_string in zip(headers, in_string, strict=True):
        if is_in_string and n_in_strings < best:
            best, cut = n_in_strings, header
        n_in_strings += 1 if is_in_string else -1
    while cut and text.startswith(
        "@", (above := line_start(text, cut - 1)) + len(white_at(text, above))
    ):
        cut = above
    return cut


def _header_lines(text: str) -> list[LineStart]:
    """Lines that look like headers, in strings or not."""
    lines: set[LineStart] = set()
    for keyword in ("def ", "class "):
        found = text.find(keyword)
        while found >= 0:
            header = _HEADER.match(text, start := line_start(text, found))
            if header is not None and text.startswith(("(", ":", "["), header.end()):
                lines.add(start)
            found = text.find(keyword, found + 1)
    return sorted(lines)


def _spans(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Strings in triple quotes as they stand, from `start`, which is in code."""
    double, single = text.find('"""', start), text.find("'''", start)
    while double >= 0 or single >= 0:
        nearest = single if double < 0 or 0 <= single < double else double
        line = max(start, unbroken_start(text, nearest))
        begin, start = _string_or_comment(text, line, nearest)
        if text.startswith(_TRIPLE_QUOTES, begin):
            start = _end_of_string(text, begin)
            yield begin, start
        if 0 <= double < start:
            double = text.find('"""', start)
        if 0 <= single < start:
            single = text.find("'''", start)


def _string_or_comment(text: str, start: int, quotes: int) -> tuple[int, int]:
    """What the first triple quotes behind `start` are in, if not in code; else they themselves."""
    before = text[start:quotes]
    if "'" in before or '"' in before or "#" in before:
        for lexeme in _CLOSED.finditer(text, start):
            if lexeme.end() > quotes:
                return lexeme.span()
    return quotes, quotes + 3


def _end_of_string(text: str, start: int) -> int:
    """Behind the closing quotes of a string in triple quotes; see `Source`."""
    quote, content = text[start : start + 3], start + 3
    while (found := text.find(quote, content)) >= 0:
        before = text[content:found]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return found + 3
        content = found + 1
    return len(text) + 1
