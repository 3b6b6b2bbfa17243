"""The ladder: draft, verify, explore, guide. Each rung yields updates; closing the generator stops
what runs.

Rung 0, the cache, is `cache.Completions`. Does not know what a rung costs or gives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import psutil

from egcfg_lsp.completion import Drop, Request, Rung, Suggestion, Update, Written
from egcfg_lsp.completion.branches import n_uncertain
from egcfg_lsp.completion.candidates import Candidates, new_id, suggested
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.context import Contexts
from egcfg_lsp.completion.draft import (
    Circumstances,
    draft_texts,
    place_of,
    question,
    question_in_words,
)
from egcfg_lsp.completion.explore import Asked, Attempt, search, waves
from egcfg_lsp.completion.filters import rejects_trigger
from egcfg_lsp.completion.guide import attempts, signal_of
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.policy import (
    UNCERTAIN_MARGIN,
    Situation,
    is_worth_exploring,
    plan,
    reason_not_to_guide,
    weights_of,
)
from egcfg_lsp.completion.requests import is_without_body, oracle_tests, project_of, trigger
from egcfg_lsp.completion.verdicts import Verdict
from egcfg_lsp.completion.verify import (
    Verifier,
    judged,
    settled,
    tried,
    verifier_of,
)
from egcfg_lsp.execution import Ending, Sandbox
from egcfg_lsp.model import Continuation, LanguageModel, ModelError, Priority
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS, PromptLimits
from egcfg_lsp.source.target import find_target

IDLE_SECONDS = 1.0
"""Without a key, before tests run that are known to be slow: a key would cancel them."""
_DRAFT = "the most probable text"

log = logging.getLogger(__name__)


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
    here = await asyncio.to_thread(circumstances, request, tools)
    climb = _Climb(request, tools, here)
    async with aclosing(climb.known(draft) if draft else climb.drafted()) as updates:
        async for update in updates:
            yield update
    if climb.shown is None and not await asyncio.to_thread(is_without_body, request, here):
        yield climb.update((), done=True)
        return
    verifier = await asyncio.to_thread(
        verifier_of, request, here.tests, tools.sandbox, tools.history
    )
    if isinstance(verifier, Verdict):
        climb.told(verifier)
    else:
        for rung in (climb.verified, climb.explored, climb.guided):
            async with aclosing(rung(verifier)) as updates:
                async for update in updates:
                    yield update
    yield climb.update(climb.best, done=True)


class _Climb:
    """One completion on its way up: a method for each rung, what it has found, how long it took."""

    def __init__(self, request: Request, tools: Tools, here: Circumstances) -> None:
        self.shown: Suggestion | None = None
        self._request, self._tools, self._here = request, tools, here
        self._cause: Cause | None = None
        self._asked: Continuation | None = None
        self._candidates = Candidates(here.head, weights_of(request.settings))
        self._signal = ""
        self._notes: list[str] = []
        self._is_transient = False
        self._written = Written()
        """The draft's tokens, also where nothing of it is shown."""
        self._may_go_on = True
        """Whether another text could do better than the draft."""
        self._started = time.monotonic()
        self._timings: dict[str, float] = {}

    @property
    def best(self) -> tuple[Suggestion, ...]:
        """What there is, best first; where the model had nothing to add, what passes some test."""
        if self._cause is not None:
            return self._candidates.passing()
        return self._candidates.shown() or ((self.shown,) if self.shown is not None else ())

    def told(self, verdict: Verdict) -> None:
        """What is known of the suggestion shown, if there is one."""
        if self.shown is None:
            return
        self.shown = replace(self.shown, outcome=verdict.outcome, summary=verdict.summary)
        self._is_transient = verdict.is_transient

    def update(self, suggestions: tuple[Suggestion, ...], *, done: bool = False) -> Update:
        drop = Drop(self._cause or Cause.NOTHING_TO_ADD)
        return Update(
            suggestions,
            () if suggestions else (drop,),
            dict(self._timings),
            self._candidates.report(),
            self._is_transient,
            done,
            self._signal,
            tuple(self._notes),
        )

    async def known(self, draft: Suggestion) -> AsyncGenerator[Update]:
        """Rung 1, where it has been climbed before."""
        removes = self._here.removes(draft.text)
        self.shown = Suggestion(
            new_id(), draft.text, draft.replaces, removes=removes, written=draft.written
        )
        self._written = draft.written
        self._lap("first_line")
        yield self.update((self.shown,))
        self._lap("draft")

    async def drafted(self) -> AsyncGenerator[Update]:
        """Rung 1: the most probable text, line by line."""
        asked, suggestion_id = await self._question(), new_id()
        model, place = self._tools.model, self._here.place
        async with aclosing(draft_texts(asked, place, model, Priority.KEYSTROKE)) as drafts:
            async for drafted in drafts:
                is_automatic = self._request.is_automatic
                found = suggested(drafted, self._here, suggestion_id, is_automatic=is_automatic)
                self._written = drafted.written
                if isinstance(found, Drop):
                    self._cause, self.shown = found.cause, None
                    continue
                self._lap("first_line")
                is_other, self.shown, self._cause = found != self.shown, found, None
                if is_other:
                    yield self.update((found,))
        self._lap("draft")

    async def verified(self, verifier: Verifier) -> AsyncGenerator[Update]:
        """Rung 2: the draft runs."""
        if self.shown is None:
            return
        tests, history = self._here.tests, self._tools.history
        are_slow = history.are_slow(tests)
        yield self.update((replace(self.shown, summary=_announced(len(tests), are_slow)),))
        if are_slow:
            await asyncio.sleep(IDLE_SECONDS)
        trial = await settled(verifier, await tried(verifier, self.shown))
        self.told(await judged(verifier, trial))
        await asyncio.to_thread(self._candidates.is_new, self.shown.text, _DRAFT, Rung.DRAFT)
        await asyncio.to_thread(self._candidates.add, self.shown, trial, _DRAFT)
        is_endless = trial.result.ending in (Ending.FUEL, Ending.TIMEOUT)
        self._may_go_on = is_worth_exploring(self.shown.outcome, is_endless=is_endless)
        self._lap("run")

    async def explored(self, verifier: Verifier) -> AsyncGenerator[Update]:
        """Rung 3: if the draft fails, others run."""
        if not self._may_go_on:
            return
        effort = plan(await self._situation(verifier), self._request.settings)
        self._note(Rung.EXPLORE, effort.why)
        if effort.is_empty:
            return
        if self.shown is not None:
            yield self.update((self.shown,))
        asked, model = await self._question(), self._tools.model
        written = self._written
        if not written.tokens:
            written = await _written_again(asked, self._here, model)
        in_words = await question_in_words(self._request, self._here, model)
        batches = waves(Asked(asked, in_words), written, self._here, effort)
        async with aclosing(self._searched(batches, Rung.EXPLORE, verifier)) as updates:
            async for update in updates:
                yield update
        self._lap("explore")

    async def guided(self, verifier: Verifier) -> AsyncGenerator[Update]:
        """Rung 4: if all that was tried fails, decoding guided by what was seen of it."""
        ranked, settings = self._candidates.in_order(), self._request.settings
        if not self._may_go_on or not ranked or self._candidates.has_passed:
            return
        if (reason := reason_not_to_guide(await self._situation(verifier), settings)) is not None:
            self._note(Rung.GUIDE, reason)
            return
        signal = await asyncio.to_thread(signal_of, ranked, settings)
        model = self._tools.model
        asked = await question_in_words(self._request, self._here, model)
        told = await question_in_words(self._request, self._here, model, signal.text)
        if asked is None or told is None or not signal.text:
            self._note(Rung.GUIDE, "the model does not chat, or nothing fits into the signal")
            return
        self._signal = signal.text
        batch = attempts(asked, told.prompt, signal, settings)
        async with aclosing(self._searched([batch], Rung.GUIDE, verifier)) as updates:
            async for update in updates:
                yield update
        self._lap("guide")

    async def _searched(
        self, batches: Iterable[list[Attempt]], rung: Rung, verifier: Verifier
    ) -> AsyncGenerator[Update]:
        """An update whenever there is something better to show."""
        model, here = self._tools.model, self._here
        searching = search(batches, rung, here, self._candidates, verifier, model)
        try:
            async with aclosing(searching) as outcomes:
                async for _ in outcomes:
                    best = self.best
                    if best and best[0] != self.shown:
                        self.shown, self._is_transient = best[0], False
                        yield self.update(best)
        except ModelError as error:  # what has been found is still true
            log.warning("the search for other candidates ended: %s", error)
            self._note(rung, f"ended: {error}")

    async def _question(self) -> Continuation:
        if self._asked is None:
            tools = self._tools
            self._asked = await question(self._request, self._here, tools.model, tools.limits)
        return self._asked

    async def _situation(self, verifier: Verifier) -> Situation:
        info, history = await self._tools.model.info(), self._tools.history
        battery = psutil.sensors_battery()
        return Situation(
            to_the_end=self._here.goes_to_the_end,
            tests_are_slow=history.are_slow(verifier.tests),
            is_flaky=any(history.of(test).is_flaky for test in verifier.tests),
            trims=info.trims,
            on_gpu=info.on_gpu,
            on_battery=battery is not None and not battery.power_plugged,
            n_uncertain=n_uncertain(self._written, self._here.place.scope, UNCERTAIN_MARGIN),
        )

    def _note(self, rung: Rung, reason: str) -> None:
        if reason:
            self._notes.append(f"{rung}: {reason}")

    def _lap(self, name: str) -> None:
        self._timings.setdefault(name, round(time.monotonic() - self._started, 3))


async def look_ahead(request: Request, tools: Tools) -> Suggestion | None:
    """A draft for a request that may come, written while nothing else is asked for; never run.

    Raises ModelError.
    """
    here = await asyncio.to_thread(circumstances, request, tools)
    if rejects_trigger(here.place, trigger(request)) is not None:
        return None
    asked = await question(request, here, tools.model, tools.limits)
    shown: Suggestion | None = None
    async with aclosing(draft_texts(asked, here.place, tools.model, Priority.IDLE)) as drafts:
        async for drafted in drafts:
            found = suggested(drafted, here, "", is_automatic=True)
            shown = None if isinstance(found, Drop) else found
    return shown


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


async def _written_again(asked: Continuation, here: Circumstances, model: LanguageModel) -> Written:
    """The draft's tokens, where only its text is known."""
    written = Written()
    async with aclosing(draft_texts(asked, here.place, model, Priority.VERIFICATION)) as drafts:
        async for drafted in drafts:
            written = drafted.written
    return written


def _announced(n_tests: int, are_slow: bool) -> str:
    tests = "test" if n_tests == 1 else "tests"
    return f"{n_tests} slow {tests} to run…" if are_slow else f"running {n_tests} {tests}…"
