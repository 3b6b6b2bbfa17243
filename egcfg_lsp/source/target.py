"""The target: the function around the cursor, in a buffer that may be broken mid-edit.

The cursor's line is replaced by a probe statement before parsing, so that a half-typed line or an
empty body does not hide the function. Does not cover notebooks, or edits inside brackets that span
lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node

from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.parse import name_of, parse, qualified_name

_PROBE = "pass"
_PLACEHOLDER = re.compile(r"\s*(pass|\.\.\.|raise NotImplementedError(\(.*\))?)\s*(#.*)?")
_HEADER = re.compile(r"\s*(async\s+def|def|class|@)\b|\s*@")


@dataclass(frozen=True)
class Target:
    """A function or method; lines are 0-based, the end is exclusive."""

    qualified_name: str
    name: str
    start_line: int
    """The line of `def`, decorators not counted."""
    end_line: int
    indent: int
    """Columns of white space before `def`, a tab counting to the next multiple of 8."""
    docstring: str
    below: str
    """What stands in the function after the cursor's line."""

    @property
    def is_open(self) -> bool:
        """Nothing but a placeholder stands below the cursor: a suggestion may go on to the end."""
        lines = [line for line in split_lines(self.below) if line.strip()]
        return all(_PLACEHOLDER.fullmatch(line.strip()) for line in lines)


def find_target(text: str, offset: int) -> Target | None:
    """The innermost function that contains `offset` (code points), or None outside of all.

    On a blank line the cursor's column decides; on one without indentation, directly below indented
    code or above it, that code's indentation does.
    """
    lines = split_lines(text)
    row, column = position_at(text, offset)
    line = lines[row] if row < len(lines) else ""
    if _HEADER.match(line):
        probe_indent, source = None, text
    else:
        probe_indent = _probe_indent(lines, row, column)
        probed = [*lines[:row], f"{probe_indent}{_PROBE}\n", *lines[row + 1 :]]
        source = "".join(probed)
    point_column = len((probe_indent or line[:column]).encode())
    function = _innermost(parse(source), row, point_column)
    if function is None:
        return None
    start, end = function.start_point.row, _end_line(function)
    return Target(
        qualified_name=qualified_name(function),
        name=name_of(function),
        start_line=start,
        end_line=end,
        indent=indent_of(lines[start]),
        docstring=_docstring(function),
        below="".join(lines[row + 1 : end]),
    )


def position_at(text: str, offset: int) -> tuple[int, int]:
    """0-based row and column (code points) of an offset; rows as `split_lines` counts them."""
    before = text[:offset]
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)


def indent_of(line: str) -> int:
    """Columns of leading white space, tabs to multiples of 8 as in Python's own tokenizer."""
    expanded = line.replace("\f", "").expandtabs(8)
    return len(expanded) - len(expanded.lstrip(" "))


def _probe_indent(lines: list[str], row: int, column: int) -> str:
    line = lines[row] if row < len(lines) else ""
    if line.strip():
        return _leading_white(line)
    if column > 0:
        return line[:column]
    above = lines[row - 1] if row > 0 else ""
    below = next((other for other in lines[row + 1 :] if other.strip()), "")
    if above.strip():
        white = _leading_white(above)
        if above.rstrip().endswith(":"):
            return white + "    "
        if white:
            return white
    return _leading_white(below)


def _leading_white(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t\f"))]


def _innermost(root: Node, row: int, column: int) -> Node | None:
    """The innermost function whose span holds the point, its end included."""
    node, found = root, None
    while True:
        inside = [child for child in node.children if _contains(child, row, column)]
        if not inside:
            return found
        node = inside[-1]
        if node.type == "function_definition":
            found = node


def _contains(node: Node, row: int, column: int) -> bool:
    start, end = node.start_point, node.end_point
    return (start.row, start.column) <= (row, column) <= (end.row, end.column)


def _end_line(function: Node) -> int:
    end = function.end_point
    return end.row + (1 if end.column > 0 else 0)


def _docstring(function: Node) -> str:
    body = function.child_by_field_name("body")
    first = body.named_children[0] if body is not None and body.named_children else None
    if first is None or first.type != "expression_statement" or not first.named_children:
        return ""
    string = first.named_children[0]
    return (string.text or b"").decode() if string.type == "string" else ""
