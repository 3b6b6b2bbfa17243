"""The ladder: draft, then verify. Each rung yields updates; closing the generator stops what runs.

Rung 0, the cache, is `cache.Completions`. Does not cover exploring or guiding.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from egcfg_lsp.completion import Drop, Request, Suggestion, Update
from egcfg_lsp.completion.draft import draft_texts
from egcfg_lsp.completion.filters import rejects_cursor, rejects_text, without_overlap
from egcfg_lsp.completion.verify import reason_not_to_run, verify
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.source.oracle import OracleTest, find_oracle_tests, oracle_files
from egcfg_lsp.source.target import Target, find_target

MAX_TEST_FILE_BYTES = 1 << 20
_ids = itertools.count(1)


async def ladder(
    request: Request, model: LanguageModel, sandbox: Sandbox
) -> AsyncGenerator[Update]:
    """Updates of one completion, the last one `done`. Raises ModelError."""
    started = time.monotonic()
    timings: dict[str, float] = {}

    def lap(name: str) -> None:
        timings.setdefault(name, round(time.monotonic() - started, 3))

    if (reason := rejects_cursor(request.after)) is not None:
        yield Update(drops=(Drop("", reason),), done=True)
        return
    target = find_target(request.text, request.offset)
    tests = oracle_tests(request, target)
    suggestion = Suggestion(f"s{next(_ids)}", "")
    async with aclosing(draft_texts(request, target, tests, model)) as texts:
        async for text in texts:
            lap("first_line")
            suggestion = Suggestion(suggestion.id, without_overlap(text, request.after))
            if rejects_text(suggestion.text, request.after) is None:
                yield Update((suggestion,), timings=dict(timings))
    lap("draft")
    if (reason := rejects_text(suggestion.text, request.after)) is not None:
        yield Update(drops=(Drop(suggestion.text, reason),), timings=timings, done=True)
        return
    if reason_not_to_run(request, tests) is None:
        waiting = f"running {len(tests)} test{'s' if len(tests) > 1 else ''}…"
        suggestion = Suggestion(suggestion.id, suggestion.text, summary=waiting)
        yield Update((suggestion,), timings=dict(timings))
    outcome, summary = await verify(request, tests, suggestion.text, sandbox)
    lap("run")
    suggestion = Suggestion(suggestion.id, suggestion.text, outcome, summary)
    yield Update((suggestion,), timings=timings, done=True)


def oracle_tests(request: Request, target: Target | None) -> tuple[OracleTest, ...]:
    """The tests of the target, as they are on disk."""
    if target is None or request.path is None or request.root is None:
        return ()
    if not request.path.is_relative_to(request.root):
        return ()
    return find_oracle_tests(target, request.path, request.root, request.text, read_source)


def tests_version(request: Request) -> tuple[tuple[str, int], ...]:
    """Changes when a test file of the module appears, goes or is written."""
    if request.path is None or request.root is None:
        return ()
    files = (path for path in oracle_files(request.path, request.root) if path.is_file())
    return tuple((str(path), path.stat().st_mtime_ns) for path in files)


def read_source(path: Path) -> str | None:
    """The text of a source file; None if it is absent, too large or not UTF-8."""
    try:
        if path.stat().st_size > MAX_TEST_FILE_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
