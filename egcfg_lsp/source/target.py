"""The target: the function around the cursor, in a buffer that may be broken mid-edit; and what the
cursor stands in.

Found by where statements begin and how far they are indented (`statements`), so the answer holds
still while a line is half typed. Does not cover notebooks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from tree_sitter import Node

from egcfg_lsp.source.lines import indent_of, opens_block, split_lines
from egcfg_lsp.source.parse import parse, text_of
from egcfg_lsp.source.statements import (
    Header,
    LineStart,
    Source,
    enclosing,
    has_code,
    header_at,
    header_end,
    indent_at,
    is_blank,
    lexemes,
    line_start,
    next_line,
    read_source,
    statement_above,
    statement_below,
    statement_start,
    string_around,
    unbroken_start,
    white_at,
)

_PLACEHOLDER = re.compile(r"(?:\s*#.*\n)*\s*(?:pass\b|\.\.\.|raise\s+NotImplementedError\b)")
_BEFORE_DOCSTRING = re.compile(r"(?:\s*#.*\n)*\s*([rRuU]?)(?=['\"])")
_CLOSED_STRING = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\])*\1""", re.DOTALL)
_FORMATS = re.compile(r"(?<!\w)(?:[rR]?[fFtT]|[fFtT][rR])\Z")


@dataclass(frozen=True)
class Target:
    """A function or method; lines are 0-based, ends are exclusive."""

    qualified_name: str
    """Dotted name through enclosing functions and classes: `__qualname__` without `<locals>`."""
    name: str
    first_line: int
    """Its first decorator's line, else that of `def`."""
    start_line: int
    """The line of `def`, decorators not counted."""
    end_line: int
    """Behind its last line, blank lines and less indented comments not counted, and behind the
    cursor's."""
    indent: int
    """Columns of white space before `def`, a tab counting to the next multiple of 8."""
    docstring: str
    """The literal as it is written, with its quotes; empty without one."""
    below: str
    """What stands in the function after the cursor's line."""
    placeholder: tuple[int, int] | None
    """Lines of the placeholder (`pass`, `...`, `raise NotImplementedError`) that is all the code
    below the cursor's line; None where nothing or real code stands there."""

    @property
    def is_open(self) -> bool:
        """Nothing but a placeholder or comments stands below: a suggestion may go on to the end."""
        lines = split_lines(self.below)
        first_line = self.end_line - len(lines)
        start, end = self.placeholder or (first_line, first_line)
        kept = lines[: start - first_line] + lines[end - first_line :]
        return not any(has_code(line, 0) for line in kept)


class Surroundings(StrEnum):
    """What the cursor stands in. A replacement field of an f-string is code."""

    CODE = "code"
    STRING = "string"
    DOCSTRING = "docstring"
    COMMENT = "comment"


def find_target(text: str, offset: int) -> Target | None:
    """The innermost function that contains `offset` (code points), or None outside of all.

    A function contains its header, not its decorators. On a blank line the cursor's column decides;
    on one without indentation, directly below indented code or above it, that code's does.
    """
    source = read_source(text)
    cursor_line = line_start(text, offset)
    headers = _headers_around(source, cursor_line, offset)
    innermost = next((i for i, header in enumerate(headers) if header.is_function), None)
    if innermost is None:
        return None
    function, around = headers[innermost], headers[innermost:]
    below = next_line(text, cursor_line)
    end = _end(source, function, below)
    start_row = text.count("\n", 0, function.start)
    row_below = start_row + text.count("\n", function.start, cursor_line) + 1
    return Target(
        qualified_name=".".join(header.name for header in reversed(around)),
        name=function.name,
        first_line=start_row - text.count("\n", _first_decorator(source, function), function.start),
        start_line=start_row,
        end_line=row_below + _n_lines(text, below, end),
        indent=indent_at(text, function.start),
        docstring=_docstring(source, function),
        below=text[below:end],
        placeholder=_placeholder(source, below, end, row_below),
    )


def surroundings(text: str, offset: int) -> Surroundings:
    """What the cursor stands in, as the text before it says; an open quote ends with its line."""
    source = read_source(text)
    start = unbroken_start(text, offset)
    if (string := string_around(source, offset)) is None:
        if (above := string_around(source, start)) is not None:
            start = above[1]
        string = next((span for span in lexemes(source, start, offset) if span[1] == offset), None)
    if string is None:
        return Surroundings.CODE
    begin, end = string[0], min(string[1], offset)
    if text[begin] == "#":
        return Surroundings.COMMENT
    if text[begin] not in "\"'" or _CLOSED_STRING.fullmatch(text, begin, end):
        return Surroundings.CODE
    if _is_in_field(text, begin, offset):
        return Surroundings.CODE
    return Surroundings.DOCSTRING if _is_docstring(source, begin) else Surroundings.STRING


def _headers_around(source: Source, cursor_line: LineStart, offset: int) -> list[Header]:
    """Functions and classes around the cursor, the innermost first."""
    text = source.text
    start = statement_start(source, cursor_line)
    if start == cursor_line and not has_code(text, start):
        lines = enclosing(source, start, _cursor_indent(source, cursor_line, offset))
    else:
        lines = chain([start], enclosing(source, start, indent_at(text, start)))
    return [header for line in lines if (header := header_at(text, line)) is not None]


def _cursor_indent(source: Source, start: LineStart, offset: int) -> int:
    """The columns at which a statement would be typed on a line without code."""
    text = source.text
    white = text[start:offset] if is_blank(text, start) else white_at(text, start)
    if white or start == 0:
        return indent_of(white)
    above = line_start(text, start - 1)
    indent = indent_at(text, statement_start(source, above))
    if opens_block(text[above:start]):
        return indent + 1
    if not is_blank(text, above) and indent:
        return indent
    below = next_line(text, start)
    while below < len(text) and is_blank(text, below):
        below = next_line(text, below)
    return indent_at(text, below)


def _end(source: Source, function: Header, below: LineStart) -> LineStart:
    text, indent = source.text, indent_at(source.text, function.start)
    end = statement_below(source, below, indent)
    while end > below:
        last = line_start(text, end - 1)
        if has_code(text, last) or (indent_at(text, last) > indent and not is_blank(text, last)):
            break
        end = last
    return end


def _n_lines(text: str, start: LineStart, end: int) -> int:
    is_cut = start < end and text[end - 1] != "\n"
    return text.count("\n", start, end) + is_cut


def _first_decorator(source: Source, function: Header) -> LineStart:
    text, first = source.text, function.start
    at = white_at(text, first) + "@"
    while (above := statement_above(source, first)) is not None and text.startswith(at, above):
        first = above
    return first


def _docstring(source: Source, function: Header) -> str:
    text, end = source.text, header_end(source, function.start)
    if end is None or (before := _BEFORE_DOCSTRING.match(text, end)) is None:
        return ""
    start, quote = before.start(1), before.end()
    line = line_start(text, start)
    if line > end and indent_at(text, line) <= indent_at(text, function.start):
        return ""
    _, end = next(lexemes(source, quote, len(text)))
    is_alone = not has_code(text, end) or text.startswith(";", end)
    return text[start:end] if is_alone else ""


def _placeholder(
    source: Source, below: LineStart, end: LineStart, row_below: int
) -> tuple[int, int] | None:
    """Lines of the placeholders that are all the code in the lines from `below` to `end`."""
    text = source.text
    if (string := string_around(source, below)) is not None:
        after_string = next_line(text, string[1])
        row_below += text.count("\n", below, after_string)
        below = after_string
    if _PLACEHOLDER.match(text, below, end) is None:
        return None
    root = parse("if 1:\n" + text[below:end])
    code = _code_in(root)
    parts = _code_in(code[0]) if len(code) == 1 else []
    if root.has_error or len(parts) != 2:
        return None
    body = _code_in(parts[1])
    if not body or not all(map(_is_placeholder, body)):
        return None
    return row_below + body[0].start_point.row - 1, row_below + body[-1].end_point.row


def _code_in(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _is_placeholder(node: Node) -> bool:
    if node.type == "expression_statement":
        return text_of(node) == "..."
    if node.type == "raise_statement":
        (raised,) = node.named_children if node.named_child_count == 1 else (node,)
        called = raised.child_by_field_name("function") if raised.type == "call" else raised
        return called is not None and text_of(called) == "NotImplementedError"
    return node.type == "pass_statement"


def _is_docstring(source: Source, quote: int) -> bool:
    text, start = source.text, line_start(source.text, quote)
    if text[start:quote].strip(" \t\frRuU") or statement_start(source, start) != start:
        return False
    above = statement_above(source, start)
    if above is None:
        return indent_at(text, start) == 0
    return header_at(text, above) is not None and indent_at(text, above) < indent_at(text, start)


def _is_in_field(text: str, quote: int, offset: int) -> bool:
    """Whether the offset is in a replacement field of the string, if that is formatted at all."""
    if _FORMATS.search(text, max(0, quote - 3), quote) is None:
        return False
    depth = 0
    for brace in re.findall(r"\{\{|\}\}|[{}]", text[quote:offset]):
        if len(brace) == 1 or depth:
            depth = max(0, depth + (brace[0] == "{") * len(brace) - (brace[0] == "}") * len(brace))
    return depth > 0
