"""The tree-sitter parser for Python, incremental, and the few tree walks that others share.

Does not find anything in broken code: behind an error a tree says little (`statements` does).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_python
from tree_sitter import Language, Node, Parser, Tree

_LANGUAGE = Language(tree_sitter_python.language())


@dataclass(frozen=True)
class Syntax:
    """A text and its syntax tree; rows are those of LF, columns and offsets bytes of UTF-8."""

    text: str
    tree: Tree

    @property
    def root(self) -> Node:
        return self.tree.root_node


def parse(text: str) -> Node:
    """Root node of the text's syntax tree; byte offsets are UTF-8. Never raises on broken code."""
    return reparse(None, text).root


def reparse(old: Syntax | None, text: str) -> Syntax:
    """The syntax of the text, made from an older one where little has changed. Never raises.

    Where the text has errors, the tree may differ from one made from nothing, and then only in how
    it recovers from them.
    """
    if old is None:
        return Syntax(text, Parser(_LANGUAGE).parse(_encoded(text)))
    if old.text == text:
        return old
    n_before = common_prefix(old.text, text)
    n_after = common_suffix(old.text[n_before:], text[n_before:])
    before = _encoded(text[:n_before])
    removed = _encoded(old.text[n_before : len(old.text) - n_after])
    added = _encoded(text[n_before : len(text) - n_after])
    row, column = before.count(b"\n"), len(before) - (before.rfind(b"\n") + 1)
    tree = old.tree.copy()
    tree.edit(
        start_byte=len(before),
        old_end_byte=len(before) + len(removed),
        new_end_byte=len(before) + len(added),
        start_point=(row, column),
        old_end_point=_point_behind(row, column, removed),
        new_end_point=_point_behind(row, column, added),
    )
    return Syntax(text, Parser(_LANGUAGE).parse(_encoded(text), tree))


def common_prefix(a: str, b: str) -> int:
    """Length of the longest text that both begin with."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(a: str, b: str) -> int:
    """Length of the longest text that both end with."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low


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


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _point_behind(row: int, column: int, added: bytes) -> tuple[int, int]:
    """The point at which bytes end that begin at another one."""
    last = added.rfind(b"\n")
    return row + added.count(b"\n"), len(added) - (last + 1) + (column if last < 0 else 0)
