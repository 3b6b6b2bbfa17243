"""Putting a suggestion into the buffer."""

from __future__ import annotations


def splice(text: str, offset: int, insert: str) -> str:
    """The buffer with `insert` (LF line ends) at `offset`, in the buffer's own line ends."""
    return text[:offset] + in_line_ends_of(text, insert) + text[offset:]


def in_line_ends_of(text: str, insert: str) -> str:
    return insert.replace("\n", "\r\n") if "\r\n" in text else insert
