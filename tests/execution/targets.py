"""Where functions stand in a text, for jobs."""

from __future__ import annotations

import ast


def lines_of(text: str, row: int) -> tuple[int, int] | None:
    """1-based first and last line of the innermost function around a line, with its decorators."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= row <= (node.end_lineno or 0)
    ]
    if not around:
        return None
    node = max(around, key=lambda one: one.lineno)
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return first, node.end_lineno or 0
