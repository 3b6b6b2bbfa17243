"""Fill-in-the-middle prompts.

A prompt is a sequence of text and *markers*; the model's vocabulary turns markers into control
tokens and text into text tokens only: a file that contains `<|fim_middle|>` injects nothing.
Does not cover chat prompts or model families without fill-in-the-middle beyond plain continuation.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from egcfg_lsp.source.lines import split_lines

PREFIX_LINES, SUFFIX_LINES = 96, 32
"""Lines of the file before the cursor (at most, plus one window step) and after it."""
WINDOW_STEP = 32
"""The window's upper edge moves in steps of this many lines, so that a keystroke re-reads little."""
MAX_CHARACTERS = 6000
"""Cap on either side of the cursor, for files with very long lines."""
TEST_CHARACTERS = 2000
"""Cap on the text of the tests put before the file."""
ANCHOR_STEP, ANCHOR_LINES = 8, 4
"""After the middle marker stand at least `ANCHOR_LINES` and under `ANCHOR_LINES + ANCHOR_STEP`
lines, fewer only at the function's start; the step keeps everything before them still."""


class Marker(StrEnum):
    """Control tokens by role; the vocabulary knows their ids."""

    FIM_PREFIX = "fim_prefix"
    FIM_SUFFIX = "fim_suffix"
    FIM_MIDDLE = "fim_middle"
    FILE_SEPARATOR = "file_separator"


PromptPart = Marker | str
FIM_MARKERS = frozenset({Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE})


@dataclass(frozen=True)
class Prompt:
    parts: tuple[PromptPart, ...]


def infill_prompt(
    before: str,
    after: str,
    *,
    markers: Set[Marker],
    function_line: int,
    path: PurePath | None = None,
    tests: tuple[tuple[str, str], ...] = (),
) -> Prompt:
    """The prompt that asks for the text between `before` and `after` (LF line ends).

    `function_line` is the 0-based line in `before` where the target starts (0 without a target):
    the lines typed since an anchor in the function stand *after* the middle marker, as the
    beginning of the middle. `tests` are (file name, source) pairs. Without fill-in-the-middle
    markers the prompt is a plain continuation of `before`.
    """
    lines = split_lines(before)
    cursor_line = before.count("\n")
    anchor = anchor_line(function_line, cursor_line)
    window = max(0, (cursor_line - PREFIX_LINES) // WINDOW_STEP * WINDOW_STEP)
    prefix = "".join(lines[window:anchor])[-MAX_CHARACTERS:]
    middle = "".join(lines[anchor:])[-MAX_CHARACTERS:]
    suffix = "".join(split_lines(after)[:SUFFIX_LINES])[:MAX_CHARACTERS]
    context: list[PromptPart] = []
    if Marker.FILE_SEPARATOR in markers:
        budget = TEST_CHARACTERS
        for name, source in tests:
            if len(source) <= budget:
                context += [Marker.FILE_SEPARATOR, f"{name}\n{source}\n"]
                budget -= len(source)
        if context and path is not None:
            context += [Marker.FILE_SEPARATOR, f"{path.name}\n"]
    if not markers >= FIM_MARKERS:
        return Prompt((*context, prefix + middle))
    return Prompt(
        (*context, Marker.FIM_PREFIX, prefix, Marker.FIM_SUFFIX, suffix, Marker.FIM_MIDDLE, middle)
    )


def anchor_line(function_line: int, cursor_line: int) -> int:
    """First line that stands after the middle marker: still over `ANCHOR_STEP` lines of typing."""
    typed = max(0, cursor_line - function_line)
    return function_line + max(0, (typed - ANCHOR_LINES) // ANCHOR_STEP * ANCHOR_STEP)
