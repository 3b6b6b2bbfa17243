"""The prompt that asks for the text at the cursor, in the form that the model was trained for.

A prompt is a sequence of text and *markers*; the model's vocabulary turns markers into control
tokens and text into text tokens only: a file that contains `<|fim_middle|>` injects nothing.
Does not know which token text a family has for a marker (`families`), or its chat template (`chat`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from egcfg_lsp.prompt.families import FAMILIES, Family, Layout, OtherFiles
from egcfg_lsp.prompt.parts import Control, Marker, Prompt, PromptForm, PromptPart
from egcfg_lsp.source.lines import split_lines

PREFIX_LINES, SUFFIX_LINES = 96, 32
"""Lines of the file before the anchor (at most, plus one window step) and after the cursor."""
WINDOW_STEP = 32
"""The window's upper edge moves in steps of this many lines: typing in one place leaves it still."""
MAX_CHARACTERS = 6000
"""Cap on either side of the cursor, for files with very long lines."""
TEST_CHARACTERS = 2000
"""Cap on the text of the tests put before the file."""
ANCHOR_STEP, ANCHOR_LINES = 32, 4
"""After the middle marker stand at least `ANCHOR_LINES` and under `ANCHOR_LINES + ANCHOR_STEP`
lines, fewer only at the function's start; the step keeps everything before them still."""


CHAT_FENCE = "```"
"""Encloses code in a chat prompt; in the answer a line that begins with it ends the code."""
_MISSING = "# …the missing code…\n"


@dataclass(frozen=True)
class _Texts:
    """What a prompt is made from."""

    files: tuple[tuple[str, str], ...]
    """Name and source of each file put before the one at hand."""
    name: str
    """The name of the file at hand; may be empty."""
    prefix: str
    """Up to the anchor."""
    middle: str
    """From the anchor to the cursor."""
    suffix: str


def infill_prompt(
    before: str,
    after: str,
    *,
    form: PromptForm,
    function_line: int,
    path: PurePath | None = None,
    tests: tuple[tuple[str, str], ...] = (),
) -> Prompt:
    """The prompt that asks for the text between `before` and `after` (LF line ends).

    `function_line` is the 0-based line in `before` where the target starts (0 without a target):
    the lines typed since an anchor in the function stand last, as the beginning of what is asked
    for. `tests` are (file name, source) pairs. Without fill-in-the-middle markers the prompt is a
    chat whose answer has begun with those lines, in a code fence; without a chat template, a plain
    continuation of `before`.
    """
    lines = split_lines(before)
    cursor_line = before.count("\n")
    anchor = anchor_line(function_line, cursor_line)
    window = max(0, (anchor - PREFIX_LINES) // WINDOW_STEP * WINDOW_STEP)
    texts = _Texts(
        files=_within_budget(tests),
        name=path.name if path is not None else "",
        prefix="".join(lines[window:anchor])[-MAX_CHARACTERS:],
        middle="".join(lines[anchor:])[-MAX_CHARACTERS:],
        suffix="".join(split_lines(after)[:SUFFIX_LINES])[:MAX_CHARACTERS],
    )
    family = FAMILIES.get(form.family)
    if family is not None and form.markers >= family.fim_markers:
        return Prompt(_fim_parts(texts, family, form))
    if form.chat is not None:
        return Prompt(_chat_parts(texts, *form.chat))
    return Prompt((_commented(texts) + texts.prefix + texts.middle,))


def anchor_line(function_line: int, cursor_line: int) -> int:
    """First line that stands after the middle marker: still over `ANCHOR_STEP` lines of typing."""
    typed = max(0, cursor_line - function_line)
    return function_line + max(0, (typed - ANCHOR_LINES) // ANCHOR_STEP * ANCHOR_STEP)


def _within_budget(tests: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    budget, kept = TEST_CHARACTERS, []
    for name, source in tests:
        if len(source) <= budget:
            kept.append((name, source))
            budget -= len(source)
    return tuple(kept)


def _fim_parts(texts: _Texts, family: Family, form: PromptForm) -> tuple[PromptPart, ...]:
    context, head = _other_files(texts, family, form)
    prefix = head + texts.prefix
    if family.layout is Layout.SUFFIX_PREFIX:
        suffix_first = (Marker.FIM_SUFFIX, texts.suffix, Marker.FIM_PREFIX, prefix + texts.middle)
        return (*context, *suffix_first)
    ends = (Marker.FIM_PREFIX, prefix, Marker.FIM_SUFFIX, texts.suffix)
    return (*context, *ends, Marker.FIM_MIDDLE, texts.middle)


def _other_files(texts: _Texts, family: Family, form: PromptForm) -> tuple[list[PromptPart], str]:
    """What stands before the prompt's first marker, and what begins the prefix."""
    if family.other_files is OtherFiles.COMMENTED:
        return [], _commented(texts)
    if not texts.files or Marker.FILE_SEPARATOR not in form.markers:
        return [], ""
    separator = Marker.FILE_SEPARATOR
    if family.other_files is OtherFiles.TERMINATED:
        return [part for _, source in texts.files for part in (f"{source}\n", separator)], ""
    parts: list[PromptPart] = []
    for name, source in texts.files:
        parts += [separator, f"{name}\n{source}\n"]
    at_hand = f"{texts.name}\n" if texts.name else ""
    if family.other_files is OtherFiles.IN_PREFIX:
        return [*parts, separator], at_hand
    return ([*parts, separator, at_hand] if at_hand else parts), ""


def _commented(texts: _Texts) -> str:
    if not texts.files:
        return ""
    files = "".join(f"#{name}\n{source}\n\n" for name, source in texts.files)
    return files + (f"#{texts.name}\n" if texts.name else "")


def _chat_parts(texts: _Texts, control_before: str, control_after: str) -> tuple[PromptPart, ...]:
    """The question holds still while lines are typed; the answer has begun with those lines."""
    files = "".join(
        f"{name}:\n{CHAT_FENCE}python\n{source}\n{CHAT_FENCE}\n\n" for name, source in texts.files
    )
    question = (
        f"{files}{texts.name or 'A Python file'}:\n"
        f"{CHAT_FENCE}python\n{texts.prefix}{_MISSING}{texts.suffix}\n{CHAT_FENCE}\n\n"
        f"Write the code that belongs in place of the line `{_MISSING.strip()}`. "
        "Answer with one block of that code alone, without the lines above and below it."
    )
    answer = f"{CHAT_FENCE}python\n{texts.middle}"
    return (Control(control_before), question, Control(control_after), answer)
