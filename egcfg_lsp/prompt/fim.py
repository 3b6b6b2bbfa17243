"""The prompt that asks for the text at the cursor, in the form that the model was trained for.

A prompt is a sequence of text and *markers*; the model's vocabulary turns markers into control
tokens and text into text tokens only: a file that contains `<|fim_middle|>` injects nothing.
Does not know which token text a family has for a marker (`families`), or its chat template (`chat`).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from egcfg_lsp.prompt.families import FAMILIES, Family, Layout, OtherFiles
from egcfg_lsp.prompt.parts import Control, Marker, Prompt, PromptForm, PromptPart
from egcfg_lsp.source.lines import split_lines

CHAT_FENCE = "```"
"""Encloses code in a chat prompt; in the answer a line that begins with it ends the code."""
CHARACTERS_A_TOKEN = 3
"""A cautious estimate for code: budgets are in characters, since only the worker has a tokenizer."""


@dataclass(frozen=True)
class PromptLimits:
    """How much of what stands in a prompt; 0 leaves a part out."""

    prefix_lines: int = 96
    """Lines of the file before the anchor: at least these, where there are as many."""
    suffix_lines: int = 32
    side_characters: int = 6000
    """Cap on prefix, on middle and on suffix each, for files with very long lines."""
    import_characters: int = 800
    """Of the file's imports that stand above the window."""
    test_characters: int = 2000
    file_characters: int = 2000
    """Of signatures and other files' chunks."""
    anchor_step: int = 32
    anchor_lines: int = 4
    """Behind the middle marker stand at least `anchor_lines` and under `anchor_lines + anchor_step`
    lines, fewer only at the function's start; the step keeps everything before them still.
    With a step of 0 only the beginning of the cursor's line does."""
    closers_in_suffix: bool = False
    """Whether brackets and quotes right of the cursor stay in the suffix. They come and go with the
    keys, and each time all behind them is read again; the model closes what it has opened anyway."""

    def within(self, n_tokens: int) -> PromptLimits:
        """The same proportions for a context in which a prompt may have `n_tokens`."""
        characters = (
            3 * self.side_characters
            + self.import_characters
            + self.test_characters
            + self.file_characters
        )
        share = min(1.0, n_tokens * CHARACTERS_A_TOKEN / characters)
        return replace(
            self,
            side_characters=int(self.side_characters * share),
            import_characters=int(self.import_characters * share),
            test_characters=int(self.test_characters * share),
            file_characters=int(self.file_characters * share),
        )


DEFAULT_LIMITS = PromptLimits()
File = tuple[str, str]
"""Name and source of a file, or of a piece of one."""

_MISSING = "# …the missing code…\n"
_DEFINITION = re.compile(r"[ \t]*(@|(async[ \t]+)?def\b|class\b)")
_CLOSERS = re.compile(r"""[)\]}'"]+[)\]}'":,\s]*""")
_PIECE = re.compile(r"[a-z]{1,4}|[A-Z]{1,2}|\s(?=[0-9])|\s{2,}|\S")
_IMPORT = re.compile(r"(from|import)\b")
_EDGE_SHARE = 4
"""About one definition in so many can be a window's edge, chosen by its text: lines typed above
shift no edge, and neighbouring functions share theirs."""


@dataclass(frozen=True)
class _Texts:
    """What a prompt is made from."""

    files: tuple[File, ...]
    """Put before the one at hand."""
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
    tests: Sequence[File] = (),
    files: Sequence[File] = (),
    limits: PromptLimits = DEFAULT_LIMITS,
) -> Prompt:
    """The prompt that asks for the text between `before` and `after` (LF line ends).

    `function_line` is the 0-based line in `before` where the target starts (0 without a target):
    the lines typed since an anchor in the function stand last, as the beginning of what is asked
    for. `files` and then `tests` stand first, the most telling of each first dropped last. Without
    fill-in-the-middle markers the prompt is a chat whose answer has begun with those lines, in a
    code fence; without a chat template, a plain continuation of `before`.
    """
    lines = split_lines(before)
    anchor = anchor_line(function_line, before.count("\n"), limits)
    edge = window_edge(lines, anchor, limits.prefix_lines)
    imports = _imports_above(lines, edge, limits.import_characters)
    room = limits.side_characters
    texts = _Texts(
        files=(
            *_within_budget(files, limits.file_characters),
            *_within_budget(tests, limits.test_characters),
        ),
        name=path.name if path is not None else "",
        prefix=imports + _last("".join(lines[edge:anchor]), room),
        middle=_last("".join(lines[anchor:]), room),
        suffix="".join(split_lines(_suffix(after, limits))[: limits.suffix_lines])[:room],
    )
    family = FAMILIES.get(form.family)
    if family is not None and form.markers >= family.fim_markers:
        return Prompt(_fim_parts(texts, family, form))
    if form.chat is not None:
        return Prompt(_chat_parts(texts, *form.chat))
    return Prompt((_commented(texts) + texts.prefix + texts.middle,))


def estimated_tokens(prompt: Prompt) -> int:
    """A cautious count: pieces of words, a token a digit and sign, one a byte of other scripts."""
    n_tokens = 0
    for part in prompt.parts:
        text = "" if isinstance(part, Marker) else part.text if isinstance(part, Control) else part
        n_other = len(text.encode(errors="surrogatepass")) - len(text)
        n_tokens += 1 + len(_PIECE.findall(text)) + n_other
    return n_tokens


def anchor_line(function_line: int, cursor_line: int, limits: PromptLimits = DEFAULT_LIMITS) -> int:
    """First line that stands after the middle marker: still over `anchor_step` lines of typing."""
    if not limits.anchor_step:
        return cursor_line
    typed = max(0, cursor_line - function_line)
    n_steps = (typed - limits.anchor_lines) // limits.anchor_step
    return function_line + max(0, n_steps * limits.anchor_step)


def window_edge(lines: Sequence[str], anchor: int, n_lines: int) -> int:
    """The line where the prefix starts: at least `n_lines` before the anchor, or the file's start.

    It is a definition that is chosen by its own text; without one in reach, the line itself.
    """
    nearest = anchor - n_lines
    furthest = nearest - n_lines
    for row in range(nearest, max(furthest, 0), -1):
        if _DEFINITION.match(lines[row]) and zlib.crc32(lines[row].encode()) % _EDGE_SHARE == 0:
            return row
    return max(0, nearest) if furthest > 0 else 0


def _imports_above(lines: Sequence[str], edge: int, n_characters: int) -> str:
    """The file's top-level imports above the window, one line each, as many as there is room for."""
    kept = ""
    for line in lines[:edge]:
        if _IMPORT.match(line) and len(kept) + len(line) <= n_characters:
            kept += line
    return kept and kept + "\n"


def _suffix(after: str, limits: PromptLimits) -> str:
    if limits.closers_in_suffix:
        return after
    rest, _, _ = after.partition("\n")
    return after[len(rest) :] if _CLOSERS.fullmatch(rest) else after


def _last(text: str, n_characters: int) -> str:
    return text[-n_characters:] if n_characters else ""


def _within_budget(files: Sequence[File], budget: int) -> tuple[File, ...]:
    kept = []
    for name, source in files:
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
