"""Partial continuations as programs that compile, and when two of them are the same.

Blocks are closed and lines that do not compile are dropped from the end; nothing else is repaired.
Compiled by the Python that runs this; the project's own may still refuse it. Executes nothing.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

from egcfg_lsp.source.edit import close_open_blocks
from egcfg_lsp.source.lines import split_lines


@dataclass(frozen=True)
class Executable:
    text: str
    """The whole program; blocks that were open have a `pass`."""
    kept: str
    """The lines of the continuation that are in it, as they were written."""

    @property
    def key(self) -> str:
        """Equal for equal programs."""
        return normalised(self.text)


def executable(before: str, continuation: str, max_lines: int | None = None) -> Executable | None:
    """The program that begins with `before`, whole lines, and goes on with a continuation.

    Of that at most `max_lines` lines that are not blank, and of those as many as compile once
    open blocks are closed. None if no line of code is left.
    """
    lines = first_lines(continuation, max_lines)
    while lines:
        kept = "".join(lines)
        text = close_open_blocks(before + kept, _last_line(before + kept))
        if compiles(text):
            return Executable(text, kept) if any(map(_has_code, lines)) else None
        lines.pop()
        while lines and not lines[-1].strip():
            lines.pop()
    return None


def first_lines(text: str, max_lines: int | None) -> list[str]:
    """Lines up to the last of so many that are not blank, with their line ends."""
    found: list[str] = []
    n_left = max_lines
    for line in split_lines(text):
        if n_left == 0:
            break
        found.append(line)
        if n_left is not None and line.strip():
            n_left -= 1
    return found


def compiles(text: str) -> bool:
    return _compiled(text, 0) is not None


def normalised(source: str) -> str:
    """The source as Python would write it, without comments; what does not parse stays as it is."""
    tree = _compiled(source, ast.PyCF_ONLY_AST)
    return ast.unparse(tree) if isinstance(tree, ast.Module) else source


def _compiled(source: str, flags: int) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is compiled: invalid escapes, `is 1`
            return compile(source, "<candidate>", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _last_line(text: str) -> int:
    """0-based; of a text that ends with a line end, the line above it."""
    return text.removesuffix("\n").count("\n")


def _has_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
