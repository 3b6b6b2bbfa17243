"""Rung 1: the greedy draft, line by line, up to what stands below or what shows that it left the code.

Does not make the text fit its place, or judge it: that is `fit` and `filters`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.filters import Place, stops
from egcfg_lsp.model import Continuation, LanguageModel, Line, ModelInfo, Priority, Stop
from egcfg_lsp.prompt import Control, Prompt, infill_prompt
from egcfg_lsp.prompt.fim import (
    CHAT_FENCE,
    DEFAULT_LIMITS,
    File,
    PromptLimits,
    estimated_tokens,
)
from egcfg_lsp.source.edit import without_lines
from egcfg_lsp.source.lines import indent_unit_of, split_lines
from egcfg_lsp.source.oracle import OracleTest
from egcfg_lsp.source.target import Target

LINE_TOKENS, BODY_TOKENS = 48, 256
"""Token budgets of a single line and of a function's rest."""
_SHARES = (1.0, 0.6, 0.35, 0.2)
"""Of the context that a prompt is made for, tried in turn: numbers and other scripts take more."""


@dataclass(frozen=True)
class Draft:
    """The text so far, from the first line that is not blank."""

    text: str
    stopped: Cause | None = None
    """Why the model's next line is not part of it; then nothing follows."""


@dataclass(frozen=True)
class Circumstances:
    """What is known of a request before the model is asked."""

    place: Place
    target: Target | None
    tests: tuple[OracleTest, ...] = ()
    files: tuple[File, ...] = ()
    """Pieces of other files for the prompt."""

    @property
    def goes_to_the_end(self) -> bool:
        """Whether a draft may go on to the end of the function, instead of the line's."""
        is_open = self.target is not None and self.target.is_open
        return is_open and not self.place.line_after.strip()

    def removes(self, text: str) -> tuple[int, int] | None:
        """Lines that accepting the text removes, as they stand behind it."""
        if not self.goes_to_the_end or self.target is None or self.target.placeholder is None:
            return None
        n_more = text.count("\n")
        start, end = self.target.placeholder
        return start + n_more, end + n_more


async def draft_texts(
    request: Request,
    here: Circumstances,
    model: LanguageModel,
    *,
    limits: PromptLimits = DEFAULT_LIMITS,
    priority: Priority = Priority.KEYSTROKE,
) -> AsyncGenerator[Draft]:
    """The draft after each complete line. Raises ModelError.

    It goes on to the end of the function where nothing stands below the cursor, else it is one line.
    """
    place, target, to_the_end = here.place, here.target, here.goes_to_the_end
    info = await model.info()
    prompt = await asyncio.to_thread(fitting_prompt, request, here, info, limits)
    stop = Stop(
        max_tokens=BODY_TOKENS if to_the_end else LINE_TOKENS,
        at_line_end=not to_the_end,
        min_indent=target.indent + 1 if target is not None else None,
        suffix_line=next(iter(place.lines_below(1)), ""),
        strings=(CHAT_FENCE,) if any(isinstance(part, Control) for part in prompt.parts) else (),
    )
    draft, has_skipped = "", False
    async with aclosing(model.generate([Continuation(prompt, stop)], priority)) as events:
        async for event in events:
            if not isinstance(event, Line):
                continue
            text = event.text
            if not draft and not place.line_before.strip():
                if not text.strip():  # blank lines above the first one
                    has_skipped = True
                    continue
                if has_skipped and not text.startswith(place.line_before):
                    yield Draft("", Cause.DEDENT)
                    return
                text = text.removeprefix(place.line_before) if has_skipped else text
            if (cause := stops(text, split_lines(draft), place)) is not None:
                yield Draft(draft.rstrip(), cause)
                return
            draft += text if text.strip() or not draft else "\n"
            if draft.strip():
                yield Draft(draft.rstrip("\n"))


def fitting_prompt(
    request: Request, here: Circumstances, info: ModelInfo, limits: PromptLimits
) -> Prompt:
    """The prompt for a place, cut down until it fits the model's context as far as can be estimated."""
    room = info.n_context - BODY_TOKENS
    for share in _SHARES:
        prompt = infill_prompt(
            here.place.before,
            here.place.after,
            form=info.form,
            function_line=here.target.start_line if here.target is not None else 0,
            path=request.path,
            tests=_prompt_tests(request, here.tests),
            files=here.files,
            limits=limits.within(int(room * share)),
        )
        if estimated_tokens(prompt) <= room:
            break
    return prompt


def place_of(request: Request, target: Target | None) -> Place:
    """The text around the cursor as the model and the filters see it, with LF line ends.

    Without the placeholder body that a draft to the function's end takes the place of.
    """
    before, after = request.before, request.after
    if (
        target is not None
        and target.placeholder is not None
        and not after.partition("\n")[0].strip()
    ):
        cursor_row = request.text.count("\n", 0, request.offset)
        start, end = (row - cursor_row for row in target.placeholder)
        after = without_lines(after, start, end)
    if "\r" in request.text:
        before, after = before.replace("\r\n", "\n"), after.replace("\r\n", "\n")
    return Place(before, after, indent_unit_of(before + after[:4000]))


def _prompt_tests(request: Request, tests: Sequence[OracleTest]) -> tuple[File, ...]:
    """The tests' text by file, except where the file's own text is in the prompt already."""
    files: dict[str, list[str]] = {}
    for test in tests:
        if test.path != request.path and test.source:
            files.setdefault(test.path.name, []).append(test.source)
    return tuple((name, "\n\n".join(sources)) for name, sources in files.items())
