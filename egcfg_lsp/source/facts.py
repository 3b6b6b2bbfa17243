"""What a Python file says of itself: imports, definitions, and the names that each function mentions.

Read from the syntax tree. Knows no scopes but a function's own names, and no types: `x.push` is a
mention of `.push` whatever `x` is.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from tree_sitter import Node

from egcfg_lsp.source.imports import Import, imports_in
from egcfg_lsp.source.parse import name_of, text_of, walk

Directness = int
ASSERTED, CALLED, NAMED = range(3)
"""How a name is mentioned: called as (part of) what is asserted, called elsewhere, or not called."""
Mentions = Mapping[str, Directness]
"""`f` for a name, `.f` for an attribute of anything, `a.b.f` for attributes of a name; operators as
they are written, `[]` for a subscript. The best directness of each."""


@dataclass(frozen=True, eq=False)
class Function:
    """A function at the top level or in a class, or a statement of the top level with an assert."""

    name: str
    """Qualified; empty for a statement."""
    line: int
    """0-based, of the first decorator."""
    source: str
    """Its text with decorators, dedented."""
    mentions: Mentions
    parameters: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    """Names that are its own: parameters, assigned, or defined in it."""
    docstring: str = ""
    """The literal as it is written."""

    def mentions_name(self, name: str) -> Directness | None:
        """How a key of `mentions` is mentioned, unless its first part is the function's own."""
        return None if name.partition(".")[0] in self.bound else self.mentions.get(name)


@dataclass(frozen=True)
class Class:
    bases: tuple[str, ...]
    """As they are written."""
    methods: frozenset[str]
    mentions: frozenset[str] = frozenset()
    """What the values of its own assignments mention, as in `Mentions`."""


@dataclass(frozen=True)
class Facts:
    imports: tuple[Import, ...] = ()
    functions: tuple[Function, ...] = ()
    asserts: tuple[Function, ...] = ()
    """Statements of the top level, or of an `if __name__ == "__main__"` there, that are an `assert`,
    or a `for` or `with` around one."""
    classes: Mapping[str, Class] = field(default_factory=dict)
    """By qualified name."""
    definitions: frozenset[str] = frozenset()
    """Names that the top level binds by `def`, `class` or assignment."""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What is mentioned in the value of a name that the top level assigns."""

    @cached_property
    def mentions(self) -> frozenset[str]:
        """What its functions, its classes' assignments and those of the top level mention."""
        in_functions = (name for function in self.functions for name in function.mentions)
        in_classes = (known.mentions for known in self.classes.values())
        return frozenset(in_functions).union(*in_classes, *self.values.values())


def facts_of(root: Node, about: str | None = None) -> Facts:
    """The facts of a file; with `about`, only functions and statements in which that word stands."""
    functions, asserts, definitions = [], [], set()
    classes: dict[str, Class] = {}
    values: dict[str, frozenset[str]] = {}
    word = None if about is None else about.encode()
    for kind, node, owners in _top_level(root):
        definition = node.child_by_field_name("definition") or node
        if kind == "assert":
            if word is None or word in (node.text or b""):
                asserts.append(_function(node, ""))
        elif kind == "binding":
            mentioned = _mentioned_in_value(node) if word is None else frozenset()
            if owners and (owner := ".".join(owners)) in classes:
                known = classes[owner]
                classes[owner] = replace(known, mentions=known.mentions | mentioned)
            elif not owners:
                names = _bound_names(node)
                definitions |= names
                values |= dict.fromkeys(names, mentioned) if mentioned else {}
        else:
            name = ".".join((*owners, name_of(definition)))
            definitions |= set() if owners else {name}
            if kind == "class":
                classes[name] = Class(tuple(_bases(definition)), frozenset(_methods(definition)))
            elif word is None or word in (node.text or b""):
                functions.append(_function(node, name))
    return Facts(
        imports_in(root) if word is None else (),
        tuple(functions),
        tuple(asserts),
        classes,
        frozenset(definitions),
        values,
    )


_HOLDERS = {
    "ERROR", "module", "block", "if_statement", "elif_clause", "else_clause", "try_statement",
    "except_clause", "finally_clause", "for_statement", "with_statement", "while_statement",
    "expression_statement",
}  # fmt: skip
_MAIN_GUARD = re.compile(r"__name__\s*==\s*['\"]__main__['\"]|['\"]__main__['\"]\s*==\s*__name__")
_TARGETS = {
    "assignment": "left", "for_statement": "left", "for_in_clause": "left",
    "named_expression": "name", "function_definition": "name", "class_definition": "name",
}  # fmt: skip
"""The field in which a node binds names."""
_OPERATORS = {
    "+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "<<", ">>", "~", "==", "!=", "<", "<=",
    ">", ">=", "+=", "-=", "*=", "/=", "in", "with", "for", "await",
}  # fmt: skip


def _top_level(root: Node) -> Iterator[tuple[str, Node, tuple[str, ...]]]:
    """What stands outside of functions, in source order: kind, node, names of the classes around.

    Kinds are function, class, binding (an assignment) and assert; decorators belong to their node.
    """
    pending: list[tuple[Node, tuple[str, ...]]] = [(root, ())]
    while pending:
        node, owners = pending.pop()
        definition = node.child_by_field_name("definition") or node
        if definition.type == "function_definition":
            yield "function", node, owners
        elif definition.type == "class_definition":
            yield "class", node, owners
            body = definition.child_by_field_name("body")
            if body is not None:
                pending.append((body, (*owners, name_of(definition))))
        elif not owners and _is_main_guard(node):
            block = node.child_by_field_name("consequence")
            inner = block.named_children if block is not None else []
            yield from (("assert", child, owners) for child in inner if _asserts(child))
        elif not owners and _is_at_top(node) and _asserts(node):
            yield "assert", node, owners
        elif node.type == "assignment":
            yield "binding", node, owners
        elif node.type in _HOLDERS:
            pending.extend((child, owners) for child in reversed(node.named_children))


def _is_at_top(node: Node) -> bool:
    return node.parent is not None and node.parent.type in ("module", "ERROR")


def _is_main_guard(node: Node) -> bool:
    condition = node.child_by_field_name("condition") if node.type == "if_statement" else None
    return condition is not None and _MAIN_GUARD.fullmatch(text_of(condition)) is not None


def _asserts(node: Node) -> bool:
    if node.type in ("for_statement", "with_statement"):
        return b"assert" in (node.text or b"") and any(
            inner.type == "assert_statement" for inner in walk(node)
        )
    return node.type == "assert_statement"


def _function(node: Node, name: str) -> Function:
    definition = node.child_by_field_name("definition") or node
    parameters = definition.child_by_field_name("parameters")
    own = _bound_names(parameters) if parameters is not None else set()
    mentions, bound = _mentions(node, definition)
    text = text_of(node)
    white = "\t" if "\n\t" in text else " "
    source = textwrap.dedent(white * node.start_point.column + text)
    docstring = _docstring(definition)
    return Function(name, node.start_point.row, source, mentions, frozenset(own), bound, docstring)


def _docstring(definition: Node) -> str:
    body = definition.child_by_field_name("body")
    first = next((n for n in body.named_children if n.type != "comment"), None) if body else None
    literal = first.named_children[:1] if first and first.type == "expression_statement" else []
    return text_of(literal[0]) if literal and literal[0].type == "string" else ""


def _mentions(root: Node, definition: Node) -> tuple[dict[str, Directness], frozenset[str]]:
    """What a function mentions, and the names that it binds."""
    found: dict[str, Directness] = {}
    bound: set[str] = set()
    pending = [(root, False, False)]
    while pending:
        node, is_asserted, is_called = pending.pop()
        directness = NAMED if not is_called else ASSERTED if is_asserted else CALLED
        children = node.children
        if node.type in _TARGETS and node.id != definition.id:
            target = node.child_by_field_name(_TARGETS[node.type])
            bound |= _bound_names(target) if target is not None else set()
        match node.type:
            case "identifier":
                _keep(found, text_of(node), directness)
            case "attribute":
                attribute = node.child_by_field_name("attribute")
                name = text_of(attribute) if attribute is not None else ""
                _keep(found, f".{name}", directness)
                if chain := _chain(node):
                    _keep(found, chain, directness)
                children = [node.children[0]]
            case "call":
                function = node.child_by_field_name("function")
                is_asserted |= function is not None and _is_assertion(function)
                pending += [(child, is_asserted, child == function) for child in children]
                children = []
            case "subscript":
                _keep(found, "[]", directness)
            case "assert_statement":
                is_asserted = True
            case "with_statement":
                clause = next((c for c in node.children if c.type == "with_clause"), None)
                is_asserted |= clause is not None and b"raises" in (clause.text or b"").lower()
            case "as_pattern_target" | "parameters" | "lambda_parameters":
                bound |= _bound_names(node)
            case "keyword_argument":
                children = [c for c in node.children[1:] if c.is_named]
            case "function_definition" | "class_definition":
                own_name = node.child_by_field_name("name")
                children = [child for child in children if child != own_name]
            case "import_statement" | "import_from_statement":
                children = []
            case operator if operator in _OPERATORS:
                _keep(found, operator, directness)
        pending += [(child, is_asserted, False) for child in children]
    return found, frozenset(bound)


def _mentioned_in_value(assignment: Node) -> frozenset[str]:
    value = assignment.child_by_field_name("right")
    return frozenset() if value is None else frozenset(_mentions(value, value)[0])


def _keep(found: dict[str, Directness], name: str, directness: Directness) -> None:
    found[name] = min(directness, found.get(name, NAMED))


def _chain(attribute: Node) -> str | None:
    """`a.b.c` as text if it starts with a name, else None."""
    names, node = [], attribute
    while node.type == "attribute":
        name, below = node.child_by_field_name("attribute"), node.child_by_field_name("object")
        if name is None or below is None:
            return None
        names.append(text_of(name))
        node = below
    return ".".join([text_of(node), *reversed(names)]) if node.type == "identifier" else None


def _is_assertion(function: Node) -> bool:
    """`self.assertEqual`, `assert_allclose`, `pytest.raises` and the like."""
    last = text_of(function).rpartition(".")[2].lower()
    return last.startswith("assert") or last == "raises"


def _bound_names(node: Node) -> set[str]:
    """Names bound by a target, a list of parameters, or an assignment (`a = b = …`)."""
    if node.type == "assignment":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        inner = _bound_names(right) if right is not None and right.type == "assignment" else set()
        return inner | (_bound_names(left) if left is not None else set())
    if node.type in ("default_parameter", "typed_default_parameter"):
        name = node.child_by_field_name("name")
        return _bound_names(name) if name is not None else set()
    if node.type == "identifier":
        return {text_of(node)}
    if node.type in ("attribute", "subscript", "type"):
        return set()
    return {name for child in node.named_children for name in _bound_names(child)}


def _bases(definition: Node) -> Iterator[str]:
    superclasses = definition.child_by_field_name("superclasses")
    for base in superclasses.named_children if superclasses is not None else ():
        if base.type in ("identifier", "attribute"):
            yield text_of(base)


def _methods(definition: Node) -> Iterator[str]:
    body = definition.child_by_field_name("body")
    for member in body.named_children if body is not None else []:
        if member.type in ("function_definition", "decorated_definition"):
            yield name_of(member.child_by_field_name("definition") or member)
