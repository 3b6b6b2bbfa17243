"""Rung 1: the greedy draft, line by line, cut to what belongs at the cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.filters import is_noise
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.prompt import infill_prompt
from egcfg_lsp.source.edit import ends_function
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
    current = before.rpartition("\n")[2]
    # An indentation token differs with what follows it: the prompt ends before the indentation of
    # a line that has nothing else yet, and the model writes it again.
    typed_indent = current if not current.strip() else ""
    info = await model.info()
    prompt = infill_prompt(
        before.removesuffix(typed_indent),
        after,
        markers=info.markers,
        function_line=target.start_line if target is not None else 0,
        path=request.path,
        tests=_prompt_tests(request, tests),
    )
    draft = ""
    async with aclosing(model.lines(prompt, BODY_TOKENS if to_the_end else LINE_TOKENS)) as lines:
        async for line in lines:
            if not draft and typed_indent == current and not line.text.strip():
                continue  # blank lines above the first one
            whole = line.text if draft else current.removesuffix(typed_indent) + line.text
            if is_noise(line.text, split_lines(draft)):
                return
            if target is not None and ends_function(whole, target):
                return
            if not draft and not line.text.startswith(typed_indent):
                return  # it would go on further left than the cursor stands
            if draft:
                draft += line.text if line.text.strip() else "\n"
            else:
                draft = line.text.removeprefix(typed_indent)
            if draft.strip():
                yield draft.rstrip()
                if not to_the_end:
                    return


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
