"""Putting a suggestion into the buffer, and cutting a model's lines to what belongs there."""

from __future__ import annotations

import warnings

from egcfg_lsp.source.target import Target, indent_of


def splice(text: str, offset: int, insert: str) -> str:
    """The buffer with `insert` (LF line ends) at `offset`, in the buffer's own line ends."""
    return text[:offset] + in_line_ends_of(text, insert) + text[offset:]


def in_line_ends_of(text: str, insert: str) -> str:
    return insert.replace("\n", "\r\n") if "\r\n" in text else insert


def is_executable(text: str) -> bool:
    """Whether the text compiles, by the server's own Python version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<buffer>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def ends_function(line: str, target: Target) -> bool:
    """Whether a generated line stands outside of the target's body: not indented more than it."""
    return bool(line.strip()) and indent_of(line) <= target.indent
