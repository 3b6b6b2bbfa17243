"""Small pure functions that keep a draft's text fit for its place; each names its reason.

Covers the few that the first line needs; does not cover ranking, or filters across several drafts.
"""

from __future__ import annotations

import re

from egcfg_lsp.source.lines import split_lines

MIN_VISIBLE = 2
"""Visible characters below which a suggestion is more noise than help."""
_WORD_RIGHT = re.compile(r"\w")


def rejects_cursor(after: str) -> str | None:
    """Why nothing should be asked for at a cursor, or None."""
    return "word characters right of the cursor" if _WORD_RIGHT.match(after) else None


def rejects_text(text: str, after: str) -> str | None:
    """Why a finished draft should not be shown, or None."""
    visible = "".join(text.split())
    if not visible:
        return "the model has nothing to add here"
    rest = after.partition("\n")[0].strip()
    if len(visible) < MIN_VISIBLE and not rest:
        return f"under {MIN_VISIBLE} visible characters"
    below = next((line for line in split_lines(after)[1:] if line.strip()), "")
    if text.strip() == below.strip():
        return "repeats the line below"
    return None


def without_overlap(text: str, after: str) -> str:
    """The text without a tail that already stands right of the cursor on its line."""
    rest = after.partition("\n")[0].rstrip()
    for length in range(min(len(rest), len(text)), 0, -1):
        if text.endswith(rest[:length]) and not rest[length:].strip():
            return text[:-length]
    return text


def is_noise(line: str, earlier: list[str]) -> bool:
    """Whether a generated line shows that the model has left the code: a fence, or a third repeat."""
    stripped = line.strip()
    repeats = [other.strip() for other in earlier[-2:]] == [stripped, stripped]
    return stripped.startswith("```") or (bool(stripped) and repeats)
