"""The program in a model's answer: what it defines, without the demonstration that models add.

Chat models like to put examples, prints and asserts of their own below a function, which would run,
and fail, when the program is loaded. Pure; executes nothing. Does not judge whether it is right.
"""

from __future__ import annotations

import ast

_DEFINITIONS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
    ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Try,
)  # fmt: skip


def definitions(answer: str) -> str:
    """The top-level statements of an answer that define something, as they are written.

    An answer that does not parse is cut after the last line up to which it does; if there is none, it
    stays as it is.
    """
    lines = answer.splitlines(keepends=True)
    for n in range(len(lines), 0, -1):
        tree = _parsed("".join(lines[:n]))
        if tree is not None and tree.body:
            return "".join(_text(node, lines) for node in tree.body if _defines(node))
    return answer


def _defines(node: ast.stmt) -> bool:
    return isinstance(node, _DEFINITIONS)


def _text(node: ast.stmt, lines: list[str]) -> str:
    """Its lines, decorators included; statements that share a line come with it."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    last = node.end_lineno or node.lineno
    text = "".join(lines[first - 1 : last])
    return text if text.endswith("\n") else f"{text}\n"


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
