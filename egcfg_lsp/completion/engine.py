"""The ladder: draft, then verify. Each rung yields updates; closing the generator stops what runs.

Rung 0, the cache, is `cache.Completions`. Does not cover exploring or guiding.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from egcfg_lsp.completion import Drop, Request, Suggestion, Update
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.context import Contexts
from egcfg_lsp.completion.draft import Circumstances, Draft, draft_texts, place_of
from egcfg_lsp.completion.filters import Trigger, drops, rejects_trigger
from egcfg_lsp.completion.fit import fit, misfits
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.project import Project, project_at
from egcfg_lsp.completion.verify import reason_not_to_run, verify
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.model import LanguageModel, Priority
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS, PromptLimits
from egcfg_lsp.source.oracle import OracleTest, find_oracle_tests
from egcfg_lsp.source.target import Target, find_target, surroundings

IDLE_SECONDS = 1.0
"""Without a key, before tests run that are known to be slow: a key would cancel them."""
_ids = itertools.count(1)


@dataclass(frozen=True)
class Tools:
    """What the ladder works with."""

    model: LanguageModel
    sandbox: Sandbox
    contexts: Contexts = field(default_factory=Contexts)
    limits: PromptLimits = DEFAULT_LIMITS
    history: TestHistory = field(default_factory=TestHistory)


async def ladder(
    request: Request, tools: Tools, draft: Suggestion | None = None
) -> AsyncGenerator[Update]:
    """Updates of one completion, the last one `done`; a known `draft` is not written again.

    Raises ModelError.
    """
    started = time.monotonic()
    timings: dict[str, float] = {}

    def lap(name: str) -> None:
        timings.setdefault(name, round(time.monotonic() - started, 3))

    here = await asyncio.to_thread(circumstances, request, tools)
    suggestion_id = f"s{next(_ids)}"
    shown: Suggestion | None = None
    cause: Cause | None = None
    if draft is not None:
        shown = Suggestion(
            suggestion_id,
            draft.text,
            draft.replaces,
            removes=here.removes(draft.text),
        )
        lap("first_line")
        yield Update((shown,), timings=dict(timings))
    else:
        async with aclosing(_drafts(request, tools, here, Priority.KEYSTROKE)) as drafts:
            async for drafted in drafts:
                found = suggested(drafted, here, suggestion_id, is_automatic=request.is_automatic)
                if isinstance(found, Drop):
                    cause, shown = found.cause, None
                    continue
                lap("first_line")
                if found != shown:
                    shown, cause = found, None
                    yield Update((shown,), timings=dict(timings))
    lap("draft")
    if shown is None:
        drop = Drop(cause or Cause.NOTHING_TO_ADD)
        yield Update(drops=(drop,), timings=timings, done=True)
        return
    if reason_not_to_run(request, here.tests) is None:
        are_slow = tools.history.are_slow(here.tests)
        waiting = replace(shown, summary=_announced(len(here.tests), are_slow))
        yield Update((waiting,), timings=dict(timings))
        if are_slow:
            await asyncio.sleep(IDLE_SECONDS)
    verdict = await verify(request, here.tests, shown, tools.sandbox, tools.history)
    lap("run")
    shown = replace(shown, outcome=verdict.outcome, summary=verdict.summary)
    yield Update((shown,), timings=timings, is_transient=verdict.is_transient, done=True)


async def look_ahead(request: Request, tools: Tools) -> Suggestion | None:
    """A draft for a request that may come, written while nothing else is asked for; never run.

    Raises ModelError.
    """
    here = await asyncio.to_thread(circumstances, request, tools)
    if rejects_trigger(here.place, _trigger(request)) is not None:
        return None
    shown: Suggestion | None = None
    async with aclosing(_drafts(request, tools, here, Priority.IDLE)) as drafts:
        async for drafted in drafts:
            found = suggested(drafted, here, "", is_automatic=True)
            shown = None if isinstance(found, Drop) else found
    return shown


def reason_not_to_ask(request: Request) -> Cause | None:
    """Why the model is not asked for this request at all."""
    if not request.settings.enabled:
        return Cause.DISABLED
    project = project_of(request)
    if project is not None and request.path is not None and project.is_excluded(request.path):
        return Cause.EXCLUDED
    return rejects_trigger(place_of(request, None), _trigger(request))


def project_of(request: Request) -> Project | None:
    return None if request.root is None else project_at(request.root, request.settings.exclude)


def tests_version(request: Request) -> Hashable:
    """Changes when a test file of the project appears, goes or is written, and with what is not
    saved in other buffers; belongs into a thread."""
    project = project_of(request)
    if project is None:
        return 0
    project.refresh()
    return project.version(beside=request.path), frozenset(request.overlays.items())


def circumstances(request: Request, tools: Tools) -> Circumstances:
    """Target, tests and context of a request; reads files, so it belongs into a thread."""
    target = find_target(request.text, request.offset)
    if target is not None and not request.applies_edits:
        target = replace(target, placeholder=None)
    place = place_of(request, target)
    _ = place.scope  # scans what stands before the cursor, and is kept
    project = project_of(request)
    if project is None or request.path is None:
        return Circumstances(place, target)
    project.refresh()
    tests = oracle_tests(request, target, project)
    files = tools.contexts.files(request, target, tests, project)
    return Circumstances(place, target, tests, files)


def oracle_tests(
    request: Request, target: Target | None, project: Project
) -> tuple[OracleTest, ...]:
    """The tests of the target, as they are on disk."""
    if target is None or request.path is None or not request.path.is_relative_to(project.root):
        return ()
    return find_oracle_tests(target, request.path, project.root, request.text, project)


def suggested(
    drafted: Draft, here: Circumstances, suggestion_id: str, *, is_automatic: bool
) -> Suggestion | Drop:
    """What a draft comes to at its place."""
    fitted = fit(drafted.text, here.place, one_line=not here.goes_to_the_end)
    cause = drops(fitted.text, here.place, is_automatic=is_automatic) or misfits(fitted, here.place)
    if cause is not None:
        reason = drafted.stopped if not drafted.text and drafted.stopped else cause
        return Drop(reason, fitted.text)
    return Suggestion(
        suggestion_id,
        fitted.text,
        fitted.replaces,
        removes=here.removes(fitted.text),
    )


def _drafts(
    request: Request, tools: Tools, here: Circumstances, priority: Priority
) -> AsyncGenerator[Draft]:
    return draft_texts(request, here, tools.model, limits=tools.limits, priority=priority)


def _announced(n_tests: int, are_slow: bool) -> str:
    tests = "test" if n_tests == 1 else "tests"
    return f"{n_tests} slow {tests} to run…" if are_slow else f"running {n_tests} {tests}…"


def _trigger(request: Request) -> Trigger:
    stands_in = surroundings(request.text, request.offset)
    return Trigger(
        request.is_automatic,
        stands_in,
        just_accepted=request.just_accepted,
        allows_strings=request.settings.in_strings,
    )
