"""Statements of which the lines that ran say nothing: the compiler leaves no code for what stands
behind a `return`, and what stands on the line of its `if` has no line of its own.

Read as the server's own Python does; a newer or broken syntax has none. Knows nothing of what does
not run for other reasons, which only a run tells.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from egcfg_lsp.source.lines import split_lines

_WITHOUT_CODE = (ast.Global, ast.Nonlocal, ast.Pass)


RAISE = "raise NotImplementedError"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Hidden(NamedTuple):
    """A block on the line of its head, 1-based; and the text in which it raises instead."""

    line: int
    text: str


def dead_lines(text: str, first_line: int, last_line: int) -> frozenset[int]:
    """First lines of the statements without code in a function, which has these lines (1-based)."""
    tree = _function(text, first_line, last_line)
    if tree is None:
        return frozenset()
    code = compile(tree, "", "exec", dont_inherit=True)
    living = {line for inner in _codes(code) for _, line in dis.findlinestarts(inner)}
    dead = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and living.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    ]
    dead += [node for block in _blocks(tree) for node in _behind_its_end(block)]
    return frozenset(node.lineno - 2 + first_line for node in dead if _has_code(node))


def is_bare(text: str, first_line: int, last_line: int) -> bool:
    """Whether a function, which has these lines (1-based), does nothing yet: `pass`, `...`, a docstring."""
    tree = _function(text, first_line, last_line)
    functions = [] if tree is None else [n for n in ast.walk(tree) if isinstance(n, _FUNCTIONS)]
    return bool(functions) and all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and _is_constant(node.value))
        for node in functions[0].body
    )


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def hidden_blocks(text: str, first_line: int, last_line: int) -> list[Hidden]:
    """Of a function, which has these lines (1-based), those that run only sometimes."""
    tree = _function(text, first_line, last_line)
    if tree is None:
        return []
    kinds = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
    inner = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)][1:]
    found = []
    for node in [*inner, *(node for node in ast.walk(tree) if isinstance(node, kinds))]:
        block = node.body
        if block[0].lineno == _last_line_of_head(node):
            found.append(_raising(text, block, first_line - 2))
    return found


def _last_line_of_head(node: ast.AST) -> int:
    """Of what stands before the colon, as far as it has a place; else the line on which it begins."""
    if isinstance(node, ast.match_case):
        return (node.guard or node.pattern).end_lineno or 0
    if isinstance(node, _FUNCTIONS):
        heads: list[ast.expr | ast.arg] = [*ast.walk(node.args)]  # type: ignore[list-item]
        ends = [getattr(one, "end_lineno", 0) or 0 for one in (*heads, node.returns) if one]
        return max([node.lineno, *ends])
    head = getattr(node, "test", None) or getattr(node, "iter", None) or getattr(node, "type", None)
    lines = (getattr(head, "end_lineno", None), getattr(node, "lineno", None))
    return next((line for line in lines if isinstance(line, int)), 0)


def _raising(text: str, block: list[ast.stmt], above: int) -> Hidden:
    """`above`: what is added to a line of the tree for its line in the text."""
    lines = split_lines(text)
    first, last = block[0].lineno + above, (block[-1].end_lineno or 0) + above
    head = lines[first - 1].encode()[: block[0].col_offset].decode()
    tail = lines[last - 1].encode()[block[-1].end_col_offset :].decode()
    lines[first - 1 : last] = [f"{head}{RAISE}{tail}" + "\n" * (last - first)]
    return Hidden(first, "".join(lines))


def _function(text: str, first_line: int, last_line: int) -> ast.Module | None:
    """The lines as a module, in which they stand one lower than their own count."""
    function = "".join(split_lines(text)[first_line - 1 : last_line])
    opener = "if 1:\n" if function[:1] in (" ", "\t") else "\n"
    try:
        tree = ast.parse(opener + function)
        compile(tree, "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _behind_its_end(block: list[ast.stmt]) -> list[ast.stmt]:
    """What stands in a block behind a statement that leaves it."""
    ends = [i for i, node in enumerate(block) if isinstance(node, _ENDS)]
    return block[ends[0] + 1 :] if ends else []


def _has_code(node: ast.stmt) -> bool:
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_annotation = isinstance(node, ast.AnnAssign) and node.value is None
    return not (isinstance(node, _WITHOUT_CODE) or is_constant or is_annotation)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
