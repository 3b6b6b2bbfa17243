"""Rung 1: the greedy draft, line by line, up to what stands below or what shows that it left the code.

Does not make the text fit its place, or judge it: that is `fit` and `filters`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from egcfg_lsp.completion import Request, Written
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.filters import Place, stops
from egcfg_lsp.model import (
    Continuation,
    Finished,
    LanguageModel,
    Line,
    ModelInfo,
    Priority,
    Stop,
    Token,
)
from egcfg_lsp.prompt import Control, Prompt, infill_prompt
from egcfg_lsp.prompt.fim import (
    CHAT_FENCE,
    File,
    PromptLimits,
    estimated_tokens,
)
from egcfg_lsp.prompt.program import rest_prompt
from egcfg_lsp.source.edit import without_lines
from egcfg_lsp.source.lines import indent_unit_of, split_lines
from egcfg_lsp.source.oracle import OracleTest
from egcfg_lsp.source.target import Target

LINE_TOKENS, BODY_TOKENS = 48, 256
"""Token budgets of a single line and of a function's rest."""
WORDS_LINES_ABOVE = 40
WORDS_CHARACTERS, WORDS_TEST_CHARACTERS = 3000, 1500
"""Of the code and the tests in a question in words, and the lines above the function in it."""
_SHARES = (1.0, 0.6, 0.35, 0.2)
"""Of the context that a prompt is made for, tried in turn: numbers and other scripts take more."""


@dataclass(frozen=True)
class Draft:
    """The text so far, from the first line that is not blank."""

    text: str
    written: Written
    """The model's whole answer so far, what is not part of the text included."""
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
    def head(self) -> str:
        """The function from the line of its `def` up to the cursor; without one, the cursor's line."""
        if self.target is None:
            return self.place.line_before
        return "".join(split_lines(self.place.before)[self.target.start_line :])

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


class Answer:
    """One continuation at a place as it arrives, cut where it leaves the code."""

    def __init__(self, place: Place) -> None:
        self.draft: Draft | None = None
        """The latest one; None before the first line that is not blank, or the end."""
        self.is_over = False
        """Whether nothing that follows is part of it."""
        self._place = place
        self._text, self._has_skipped = "", False
        self._raw: list[str] = []
        self._tokens: list[Token] = []

    @property
    def written(self) -> Written:
        return Written("".join(self._raw), tuple(self._tokens))

    def finish(self, finished: Finished) -> None:
        """Nothing follows."""
        self._tokens += finished.tokens
        self.is_over = True
        text = "" if self.draft is None else self.draft.text
        self.draft = Draft(text, self.written)

    def push(self, line: Line) -> bool:
        """Whether the draft is another one by a line."""
        self._raw.append(line.text)
        self._tokens += line.tokens
        place, text = self._place, line.text
        if not self._text and not place.line_before.strip():
            if not text.strip():  # blank lines above the first one
                self._has_skipped = True
                return False
            if self._has_skipped and not text.startswith(place.line_before):
                return self._stop(Cause.DEDENT)
            text = text.removeprefix(place.line_before) if self._has_skipped else text
        if (cause := stops(text, split_lines(self._text), place)) is not None:
            return self._stop(cause)
        self._text += text if text.strip() or not self._text else "\n"
        if not self._text.strip():
            return False
        self.draft = Draft(self._text.rstrip("\n"), self.written)
        return True

    def _stop(self, cause: Cause) -> bool:
        self.is_over = True
        self.draft = Draft(self._text.rstrip(), self.written, cause)
        return True


async def question(
    request: Request, here: Circumstances, model: LanguageModel, limits: PromptLimits
) -> Continuation:
    """What the model is asked for at a place: the most probable text. Raises ModelError.

    It goes on to the end of the function where nothing stands below the cursor, else it is one line.
    """
    target, to_the_end = here.target, here.goes_to_the_end
    info = await model.info()
    prompt = await asyncio.to_thread(fitting_prompt, request, here, info, limits)
    stop = Stop(
        max_tokens=BODY_TOKENS if to_the_end else LINE_TOKENS,
        at_line_end=not to_the_end,
        min_indent=target.indent + 1 if target is not None else None,
        suffix_line=next(iter(here.place.lines_below(1)), ""),
        strings=(CHAT_FENCE,) if any(isinstance(part, Control) for part in prompt.parts) else (),
    )
    return Continuation(prompt, stop)


async def question_in_words(
    request: Request, here: Circumstances, model: LanguageModel, signal: str = ""
) -> Continuation | None:
    """The same asked for in a chat, which gives other texts: the function's rest, in the words of its
    docstring. None where the model does not chat, its context is too small, or only a line is
    wanted. Raises ModelError.

    `signal`: what is told of candidates that failed.
    """
    info, target = await model.info(), here.target
    if info.form.chat is None or target is None or not here.goes_to_the_end:
        return None
    lines = split_lines(here.place.before)
    above = max(target.first_line - WORDS_LINES_ABOVE, 0)
    before = "".join(lines[above:])[-WORDS_CHARACTERS:]
    tests = "\n\n".join(text for _, text in _prompt_tests(request, here.tests))
    stop = Stop(BODY_TOKENS, min_indent=target.indent + 1, strings=(CHAT_FENCE,))
    prompt = rest_prompt(before, tests[:WORDS_TEST_CHARACTERS], info.form, signal)
    fits = estimated_tokens(prompt) <= info.n_context - BODY_TOKENS
    return Continuation(prompt, stop) if fits else None


async def draft_texts(
    asked: Continuation, place: Place, model: LanguageModel, priority: Priority
) -> AsyncGenerator[Draft]:
    """The draft after each complete line, and once more when it has ended. Raises ModelError."""
    answer = Answer(place)
    async with aclosing(model.generate([asked], priority)) as events:
        async for event in events:
            if isinstance(event, Finished):
                answer.finish(event)
            if isinstance(event, Finished) or (isinstance(event, Line) and answer.push(event)):
                if answer.draft is not None:
                    yield answer.draft
                if isinstance(event, Line) and answer.is_over:
                    return  # the model goes on beyond what is wanted


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
