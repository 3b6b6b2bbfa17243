"""A module's text with a stub in the place of a function's body; pure.

What stays is all that counts when the module is imported: decorators, parameters, annotations, the
docstring, and whether it is a generator or uses its class. Other than by that, two candidates for
one function have the same stub.
Reads Python as the server's own does: a newer syntax in the function's head gives none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from egcfg_lsp.source.lines import split_lines

RAISE = "raise NotImplementedError"
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True)
class Stub:
    text: str
    first_line: int
    last_line: int
    """1-based, inclusive: the function in `text`."""
    function: str
    """The lines that it stands for."""


def stub_of(text: str, first_line: int, last_line: int) -> Stub | None:
    """None if the lines (1-based, inclusive) are not a function that can be parsed by itself."""
    start = _end_of_line(text, first_line - 1)
    end = _end_of_line(text, last_line - first_line + 1, start)
    function = text[start:end]
    node = _parsed(function)
    if node is None:
        return None
    own = split_lines(function)
    first = node.body[0]
    has_docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    last = first if has_docstring else None
    row, column = (
        (first.end_lineno, first.end_col_offset) if last else (first.lineno, first.col_offset)
    )
    assert row is not None
    assert column is not None
    row -= _N_BEFORE
    head = "".join(own[: row - 1]) + own[row - 1].encode()[:column].decode()
    if last is not None:
        head += "\n" + _indent(own, node)
    # Most functions have neither word in them, and need not be walked through.
    yields = "yield" in function and _yields(node)
    cell = _class_cell(node) if "super" in function or "__class__" in function else ""
    body = RAISE + ("; yield" if yields else "") + cell
    stubbed = f"{head}{body}\n"
    n_lines = stubbed.count("\n")
    return Stub(text[:start] + stubbed + text[end:], first_line, first_line + n_lines - 1, function)


_N_BEFORE = 1
"""Lines that are put before an indented function to parse it."""


def _end_of_line(text: str, line: int, start: int = 0) -> int:
    """The offset behind a line, 1-based and counted from `start`, which begins one.

    By halving, since to count lines is faster than to find each of them.
    """
    low, high = start, len(text)
    while high - low > _FEW and line:
        middle = (low + high) // 2
        n_lines = text.count("\n", low, middle)
        if n_lines < line:
            low, line = middle, line - n_lines
        else:
            high = middle
    for _ in range(line):
        low = text.find("\n", low) + 1
        if low == 0:
            return len(text)
    return low


_FEW = 1000
"""Characters in which each line end is looked for."""


def _parsed(function: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    opener = "if 1:\n" if function[:1] in (" ", "\t") else "\n"
    try:
        statements = ast.parse(opener + function).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if statements and isinstance(statements[0], ast.If) and opener != "\n":
        statements = statements[0].body
    if len(statements) != 1 or not isinstance(
        statements[0], ast.FunctionDef | ast.AsyncFunctionDef
    ):
        return None
    return statements[0]


def _indent(own: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Of the body; a docstring on the line of `def` has none, nor then may anything follow it."""
    docstring = own[node.body[0].lineno - _N_BEFORE - 1]
    if node.body[0].lineno == node.lineno:
        return " " * 4
    return docstring[: len(docstring) - len(docstring.lstrip())]


def _class_cell(node: ast.AST) -> str:
    """What uses its class, by `super()` for example, has a cell for it in its code."""
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return "; __class__" if names & {"super", "__class__"} else ""


def _yields(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in _own_nodes(node))


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for inner in ast.iter_child_nodes(node):
        yield inner
        if not isinstance(inner, _SCOPES):
            yield from _own_nodes(inner)
