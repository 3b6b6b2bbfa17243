"""Reading and cutting Python source: lines, targets, tests, filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_python
from tree_sitter import Language, Node, Parser


def split_lines(text: str) -> list[str]:
    """The text in lines, each with its line end; joined they are the text."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


_LANGUAGE = Language(tree_sitter_python.language())


def parse(text: str) -> Node:
    """Root node of the text's syntax tree; byte offsets are UTF-8. Never raises on broken code."""
    return Parser(_LANGUAGE).parse(text.encode(errors="surrogatepass")).root_node


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in source order, without recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(current.children))


def text_of(node: Node) -> str:
    return (node.text or b"").decode(errors="surrogatepass")


def name_of(node: Node) -> str:
    """The name of a function or class definition; empty while it has not been typed."""
    name = node.child_by_field_name("name")
    return "" if name is None else text_of(name)


def qualified_name(node: Node) -> str:
    """Dotted name through enclosing functions and classes: `__qualname__` without `<locals>`."""
    names, current = [], node
    while current is not None:
        if current.type in ("function_definition", "class_definition"):
            names.append(name_of(current))
        parent = current.parent
        if parent is None:
            break
        current = parent
    return ".".join(reversed(names))


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


MAX_TESTS = 8


@dataclass(frozen=True)
class OracleTest:
    """One test function, or the doctest of one function."""

    path: Path
    name: str
    """`test_total`, `TestTotal.test_empty`, or for a doctest the target's qualified name."""
    is_doctest: bool
    reason: str
    """Why it was chosen, for people."""
    source: str
    """Its text, for the prompt."""


def find_oracle_tests(
    target: Target, path: Path, root: Path, text: str, read: Callable[[Path], str | None]
) -> tuple[OracleTest, ...]:
    """At most `MAX_TESTS` tests of the target, the most telling first.

    `path` and `text` are the module with the target; `read` gives another file's text, or None
    where there is no such file.
    """
    found: list[OracleTest] = []
    if ">>>" in target.docstring:
        reason = "doctest of the function"
        found.append(OracleTest(path, target.qualified_name, True, reason, ""))
    found += _tests_naming(target, path, text, "in the same file")
    for test_path in oracle_files(path, root):
        if (source := read(test_path)) is not None:
            found += _tests_naming(target, test_path, source, f"names it, in {test_path.name}")
    return tuple(found[:MAX_TESTS])


def oracle_files(path: Path, root: Path) -> list[Path]:
    """Where a module's tests may lie, nearest first: beside it, and in `tests/` of each parent."""
    names = [f"test_{path.stem}.py", f"{path.stem}_test.py"]
    if not path.is_relative_to(root):
        return []
    folders = [path.parent]
    for parent in [path.parent, *path.parent.parents]:
        inner = path.parent.relative_to(parent)
        mirrors = [Path(*inner.parts[i:]) for i in range(len(inner.parts) + 1)]
        folders += [parent / tests / mirror for tests in ("tests", "test") for mirror in mirrors]
        if parent == root:
            break
    return [
        folder / name
        for folder in dict.fromkeys(folders)
        for name in names
        if folder / name != path
    ]


def _tests_naming(target: Target, path: Path, text: str, reason: str) -> Iterator[OracleTest]:
    for function in _test_functions(parse(text)):
        if name_of(function) != target.name and _names(function, target.name):
            name = qualified_name(function)
            yield OracleTest(path, name, False, reason, text_of(function))


def _test_functions(root: Node) -> Iterator[Node]:
    """Functions that pytest would collect: at the top level, or directly in a class."""
    for node in walk(root):
        if node.type == "function_definition" and name_of(node).startswith("test"):
            owner = node.parent
            while owner is not None and owner.type in ("block", "decorated_definition"):
                owner = owner.parent
            if owner is not None and owner.type in ("module", "class_definition"):
                yield node


def _names(function: Node, name: str) -> bool:
    return any(node.type == "identifier" and text_of(node) == name for node in walk(function))


def splice(text: str, offset: int, insert: str) -> str:
    """The buffer with `insert` (LF line ends) at `offset`, in the buffer's own line ends."""
    return text[:offset] + in_line_ends_of(text, insert) + text[offset:]


def in_line_ends_of(text: str, insert: str) -> str:
    return insert.replace("\n", "\r\n") if "\r\n" in text else insert


def ends_function(line: str, target: Target) -> bool:
    """Whether a generated line stands outside of the target's body: not indented more than it."""
    return bool(line.strip()) and indent_of(line) <= target.indent


MIN_VISIBLE = 2
"""Visible characters below which a suggestion is more noise than help."""
_WORD_RIGHT = re.compile(r"\w")


def rejects_cursor(after: str) -> str | None:
    """Why nothing should be asked for at a cursor, or None."""
    return "word characters right of the cursor" if _WORD_RIGHT.match(after) else None


def rejects_text(text: str, after: str) -> str | None:
    """Why a finished draft should not be shown, or None."""
    visible = "".join(text.split())
    if not visible:
        return "the model has nothing to add here"
    rest = after.partition("\n")[0].strip()
    if len(visible) < MIN_VISIBLE and not rest:
        return f"under {MIN_VISIBLE} visible characters"
    below = next((line for line in split_lines(after)[1:] if line.strip()), "")
    if text.strip() == below.strip():
        return "repeats the line below"
    return None


def without_overlap(text: str, after: str) -> str:
    """The text without a tail that already stands right of the cursor on its line."""
    rest = after.partition("\n")[0].rstrip()
    for length in range(min(len(rest), len(text)), 0, -1):
        if text.endswith(rest[:length]) and not rest[length:].strip():
            return text[:-length]
    return text


def is_noise(line: str, earlier: list[str]) -> bool:
    """Whether a generated line shows that the model has left the code: a fence, or a third repeat."""
    stripped = line.strip()
    repeats = [other.strip() for other in earlier[-2:]] == [stripped, stripped]
    return stripped.startswith("```") or (bool(stripped) and repeats)
