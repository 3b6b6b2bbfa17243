"""Signatures of functions and classes: what a model has to know of a name without its body.

Pure. Does not resolve names: which file defines a name is `imports`' matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from tree_sitter import Node

from egcfg_lsp.source.parse import name_of, text_of, walk

MAX_MEMBERS = 12
"""Of a class: fields and methods shown."""
_DEFINITIONS = ("function_definition", "class_definition")


def signatures(root: Node, names: Iterable[str]) -> str:
    """The top-level definitions of `names` in a module as stubs, in the module's order.

    A function is its header and the first line of its docstring, a class its header, docstring line,
    fields and public methods, an assignment to a name with a short value the assignment itself.
    """
    wanted = set(names)
    stubs = [
        decorators + stub
        for node in root.children
        for definition in [_undecorated(node)]
        if _defined_name(definition) in wanted and (stub := _stub(definition))
        for decorators in [_class_decorators(node)]
    ]
    return "\n".join(stubs)


def identifiers(node: Node) -> set[str]:
    """Every name that occurs in a piece of source, attributes included."""
    return {text_of(inner) for inner in walk(node) if inner.type == "identifier"}


def _undecorated(node: Node) -> Node:
    if node.type == "decorated_definition":
        return node.child_by_field_name("definition") or node
    return node


def _class_decorators(node: Node) -> str:
    """`@dataclass` and its like say how an instance is made."""
    if node.type != "decorated_definition" or _undecorated(node).type != "class_definition":
        return ""
    return "".join(f"{text_of(d)}\n" for d in node.children if d.type == "decorator")


def _defined_name(node: Node) -> str:
    if node.type in _DEFINITIONS:
        return name_of(node)
    left = _assignment_target(node)
    return "" if left is None else text_of(left)


def _assignment_target(node: Node) -> Node | None:
    if node.type != "expression_statement" or not node.named_children:
        return None
    assignment = node.named_children[0]
    left = assignment.child_by_field_name("left") if assignment.type == "assignment" else None
    return left if left is not None and left.type == "identifier" else None


def _stub(node: Node) -> str:
    if node.type == "function_definition":
        return _function_stub(node, "")
    if node.type == "class_definition":
        return _class_stub(node)
    text = text_of(node)
    return text if "\n" not in text and len(text) <= 100 else ""


def _function_stub(node: Node, indent: str) -> str:
    summary = _docstring_line(node)
    header = indent + _header(node)
    return f'{header}\n{indent}    """{summary}"""' if summary else f"{header} ..."


def _class_stub(node: Node) -> str:
    lines = [_header(node)]
    if summary := _docstring_line(node):
        lines.append(f'    """{summary}"""')
    body = node.child_by_field_name("body")
    members = (_undecorated(child) for child in body.named_children) if body is not None else ()
    shown = [stub for member in members if (stub := _member_stub(member))]
    lines += shown[:MAX_MEMBERS]
    return "\n".join(lines) if len(lines) > 1 else f"{lines[0]} ..."


def _member_stub(node: Node) -> str:
    if node.type == "function_definition":
        name = name_of(node)
        if name.startswith("_") and name not in ("__init__", "__call__"):
            return ""
        return f"    {_header(node)} ..."
    if _assignment_target(node) is not None:
        text = text_of(node)
        return f"    {text}" if "\n" not in text and len(text) <= 100 else ""
    return ""


def _header(node: Node) -> str:
    """`def f(a: int) -> str:` on one line, up to and with the colon."""
    body = node.child_by_field_name("body")
    end = node.end_byte if body is None else body.start_byte
    raw = (node.text or b"")[: end - node.start_byte].decode(errors="surrogatepass")
    kept = (
        line.split("#")[0] if "#" in line and '"' not in line else line for line in raw.split("\n")
    )
    text = " ".join(" ".join(kept).split()).replace("( ", "(").replace(", )", ")")
    return text if text.endswith(":") else f"{text}:"


def _docstring_line(node: Node) -> str:
    """The first line of a docstring with text on it, without quotes."""
    body = node.child_by_field_name("body")
    first = body.named_children[0] if body is not None and body.named_children else None
    if first is None or first.type != "expression_statement" or not first.named_children:
        return ""
    string = first.named_children[0]
    if string.type != "string":
        return ""
    content = "".join(text_of(c) for c in string.children if c.type == "string_content")
    line = next((line.strip() for line in content.split("\n") if line.strip()), "")
    return line.rstrip("\\").replace('"""', "'''")
