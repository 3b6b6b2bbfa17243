"""Putting a suggestion into the buffer, and cutting a model's lines to what belongs there."""

from __future__ import annotations

from egcfg_lsp.source.target import Target, indent_of


def splice(text: str, offset: int, insert: str) -> str:
    """The buffer with `insert` (LF line ends) at `offset`, in the buffer's own line ends."""
    return text[:offset] + in_line_ends_of(text, insert) + text[offset:]


def in_line_ends_of(text: str, insert: str) -> str:
    return insert.replace("\n", "\r\n") if "\r\n" in text else insert


def ends_function(line: str, target: Target) -> bool:
    """Whether a generated line stands outside of the target's body: not indented more than it."""
    return bool(line.strip()) and indent_of(line) <= target.indent
