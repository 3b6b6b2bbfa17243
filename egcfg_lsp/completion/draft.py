"""Rung 1: the greedy draft, line by line, cut to what belongs at the cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.filters import is_noise
from egcfg_lsp.model import Continuation, LanguageModel, Line, Priority, Stop
from egcfg_lsp.prompt import infill_prompt
from egcfg_lsp.prompt.fim import CHAT_FENCE
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.oracle import OracleTest
from egcfg_lsp.source.target import Target

LINE_TOKENS, BODY_TOKENS = 48, 256
"""Token budgets of a single line and of a function's rest."""


async def draft_texts(
    request: Request, target: Target | None, tests: tuple[OracleTest, ...], model: LanguageModel
) -> AsyncGenerator[str]:
    """The draft after each complete line, from the first one that is not blank.

    It goes on to the end of the function where nothing stands below the cursor, else it is one line.
    Raises ModelError.
    """
    before, after = request.before.replace("\r\n", "\n"), request.after.replace("\r\n", "\n")
    rest_of_line = after.partition("\n")[0]
    to_the_end = target is not None and target.is_open and not rest_of_line.strip()
    if to_the_end and target is not None:
        after = _after_placeholder(after, target)
    info = await model.info()
    prompt = infill_prompt(
        before,
        after,
        form=info.form,
        function_line=target.start_line if target is not None else 0,
        path=request.path,
        tests=_prompt_tests(request, tests),
    )
    stop = Stop(
        max_tokens=BODY_TOKENS if to_the_end else LINE_TOKENS,
        at_line_end=not to_the_end,
        min_indent=target.indent + 1 if target is not None else None,
        suffix_line=_first_line_below(after),
        strings=(CHAT_FENCE,) if info.form.chat is not None else (),
    )
    current = before.rpartition("\n")[2]
    draft, has_skipped = "", False
    async with aclosing(model.generate([Continuation(prompt, stop)], Priority.KEYSTROKE)) as events:
        async for event in events:
            if not isinstance(event, Line):
                continue
            text = event.text
            if is_noise(text, split_lines(draft)):
                return
            if not draft and not current.strip():
                if not text.strip():  # blank lines above the first one
                    has_skipped = True
                    continue
                if has_skipped and not text.startswith(current):
                    return  # it would go on further left than the cursor stands
                text = text.removeprefix(current) if has_skipped else text
            draft += text if text.strip() or not draft else "\n"
            if draft.strip():
                yield draft.rstrip()


def _first_line_below(after: str) -> str:
    """The first line below the cursor's with text on it."""
    return next((line for line in after.split("\n")[1:] if line.strip()), "")


def _after_placeholder(after: str, target: Target) -> str:
    """The suffix without the placeholder body that stands below the cursor in the target."""
    rest, _, below = after.partition("\n")
    n_lines = len(split_lines(target.below))
    return rest + "\n" + "".join(split_lines(below)[n_lines:])


def _prompt_tests(request: Request, tests: tuple[OracleTest, ...]) -> tuple[tuple[str, str], ...]:
    """The tests' text by file, except where the file's own text is in the prompt already."""
    files: dict[str, list[str]] = {}
    for test in tests:
        if test.path != request.path and not test.is_doctest:
            files.setdefault(test.path.name, []).append(test.source)
    return tuple((name, "\n\n".join(sources)) for name, sources in files.items())
