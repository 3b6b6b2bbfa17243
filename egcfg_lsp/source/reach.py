"""Statements that can never run: the compiler leaves no code for what stands behind a `return`.

Read as the server's own Python does; a newer or broken syntax has none. Knows nothing of what does
not run for other reasons, which only a run tells.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from types import CodeType

from egcfg_lsp.source.lines import split_lines

_WITHOUT_CODE = (ast.Global, ast.Nonlocal, ast.Pass)


def dead_lines(text: str, first_line: int, last_line: int) -> frozenset[int]:
    """First lines of the statements without code in a function, which has these lines (1-based)."""
    function = "".join(split_lines(text)[first_line - 1 : last_line])
    opener = "if 1:\n" if function[:1] in (" ", "\t") else "\n"
    try:
        tree = ast.parse(opener + function)
        code = compile(tree, "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    living = {line for inner in _codes(code) for _, line in dis.findlinestarts(inner)}
    return frozenset(
        node.lineno - 2 + first_line
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and _has_code(node)
        and living.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    )


def _has_code(node: ast.stmt) -> bool:
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_annotation = isinstance(node, ast.AnnAssign) and node.value is None
    return not (isinstance(node, _WITHOUT_CODE) or is_constant or is_annotation)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
