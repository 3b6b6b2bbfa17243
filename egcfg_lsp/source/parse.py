"""The tree-sitter parser for Python, and the few tree walks that the other modules share."""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter_python
from tree_sitter import Language, Node, Parser

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
