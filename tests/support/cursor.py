"""Snippets with the cursor marked by `|`."""

from __future__ import annotations


def at_cursor(marked: str, mark: str = "|") -> tuple[str, int]:
    """The text without its one mark, and the mark's offset."""
    assert marked.count(mark) == 1, f"one {mark!r} in {marked!r}"
    return marked.replace(mark, ""), marked.index(mark)
