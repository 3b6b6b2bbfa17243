"""Rung 0: completions that are known, under way, or computed ahead of the user.

One completion is under way at a time: a request that it cannot answer stops it. Knows no editor;
what fits a request is `reuse`'s matter.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from egcfg_lsp.completion import Drop, Request, Suggestion, Update
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.engine import Tools, ladder, look_ahead
from egcfg_lsp.completion.filters import popup_contradicts
from egcfg_lsp.completion.requests import reason_not_to_ask, tests_version
from egcfg_lsp.completion.reuse import Window, after_accepting, may_fit, remaining, window_of
from egcfg_lsp.model import ModelError

CAPACITY = 250
"""Completions kept, and drafts kept; least recently used go first."""
MAX_CHARACTERS = 8_000_000
"""Of the buffers that the kept completions were asked for."""
WAIT_SECONDS = 0.2
"""How long a request waits for one under way that may turn out to answer it."""

log = logging.getLogger(__name__)


@dataclass
class Completion:
    """One climb of the ladder: its request, the latest update, and who is waiting for it."""

    request: Request
    version: object
    """Of the tests that may judge it."""
    update: Update = field(default_factory=Update)
    error: str = ""
    """Why the model could not answer; such a completion is not kept."""
    answerable: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first line, or when it is known that none comes."""
    is_stopped: bool = False
    task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Nobody waits for more of it; the task may not even have begun."""
        if self.task is not None:
            self.task.cancel()
        self.is_stopped = not self.update.done
        self.answerable.set()

    def remainder(self, request: Request) -> Update | None:
        """What is left of this completion for a later request; None if it does not fit."""
        ours = self.request
        if (ours.path, ours.settings) != (request.path, request.settings):
            return None
        if (ours.text, ours.offset) == (request.text, request.offset):
            tries_again = not request.is_automatic and (
                self.update.is_transient or (ours.is_automatic and not self.update.suggestions)
            )
            return None if tries_again and self.update.done else self.update
        rest = [remaining(ours, suggestion, request) for suggestion in self.update.suggestions]
        left = tuple(suggestion for suggestion in rest if suggestion is not None)
        return replace(self.update, suggestions=left) if left else None

    def may_answer(self, request: Request) -> bool:
        """Whether it answers a request, or may do so once it has text."""
        if self.remainder(request) is not None:
            return True
        return not self.answerable.is_set() and may_fit(self.request, request)


def agreeing(update: Update, request: Request) -> Update:
    """The update without suggestions that contradict what is selected in the popup."""
    if request.selected is None:
        return update
    start, selected = request.selected
    typed = request.text[start : request.offset]
    clashing = [s for s in update.suggestions if popup_contradicts(selected, typed + s.text)]
    return replace(
        update,
        suggestions=tuple(s for s in update.suggestions if s not in clashing),
        drops=(*update.drops, *(Drop(Cause.POPUP_CONTRADICTS, s.text) for s in clashing)),
    )


class Completions:
    """Answers requests from what is known, from the completion under way, or by a new one."""

    def __init__(self, tools: Tools, on_update: Callable[[Completion], None]) -> None:
        self._tools, self._on_update = tools, on_update
        self._known: OrderedDict[int, Completion] = OrderedDict()
        self._drafts: OrderedDict[Window, Suggestion] = OrderedDict()
        self._current: Completion | None = None
        self._ahead: asyncio.Task[None] | None = None

    async def first(self, request: Request, *, wait_seconds: float = 0.0) -> Update:
        """The update to answer with: at once from the cache, else when the first line is there.

        The model is asked after `wait_seconds` only. Raises ModelError. When cancelled, the
        completion goes on until `stop_unless_fits`.
        """
        version = await asyncio.to_thread(tests_version, request)
        completion = self._find(request, version) or await self._awaited(request, version)
        if completion is None:
            cause = await asyncio.to_thread(reason_not_to_ask, request)
            if cause is not None:
                return Update(drops=(Drop(cause),), done=True)
            await asyncio.sleep(wait_seconds)
            completion = self._start(request, version)
        await completion.answerable.wait()
        if completion.is_stopped:
            return Update(drops=(Drop(Cause.SUPERSEDED),), done=True)
        if completion.error:
            raise ModelError(completion.error)
        update = completion.remainder(request) or Update(done=True)
        return agreeing(update, request)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self.is_busy and self._current is not None and self._current.task is not None:
            await asyncio.wait([self._current.task])

    @property
    def is_busy(self) -> bool:
        return self._current is not None and not self._current.update.done

    def suggestion(self, suggestion_id: str) -> tuple[Request, Suggestion] | None:
        """A suggestion that is still known, as it was made."""
        for completion in reversed(self._known.values()):
            for suggestion in completion.update.suggestions:
                if suggestion.id == suggestion_id:
                    return completion.request, suggestion
        return None

    def stop_unless_fits(self, request: Request | None) -> None:
        """Stop the completion under way unless it may answer `request`; None stops it in any case."""
        current = self._current
        if current is not None:
            if request is not None and current.may_answer(request):
                return
            current.stop()
            self._known.pop(id(current), None)
            self._current = None
        if request is None:
            self._stop_looking_ahead()

    async def close(self) -> None:
        """Stop what is under way and wait until it has stopped."""
        tasks = [self._ahead, self._current.task if self._current is not None else None]
        self.stop_unless_fits(None)
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)

    def _find(self, request: Request, version: object) -> Completion | None:
        """The newest completion that fits; one made further right only if there is no other."""
        fitting = [
            (completion.request.offset > request.offset, key, completion)
            for key, completion in reversed(self._known.items())
            if completion.version == version and completion.remainder(request) is not None
        ]
        if not fitting:
            return None
        _, key, completion = min(fitting, key=lambda fit: fit[0])
        self._known.move_to_end(key)
        return completion

    async def _awaited(self, request: Request, version: object) -> Completion | None:
        """The completion under way, if it soon turns out to answer the request."""
        current = self._current
        if current is None or not current.may_answer(request):
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await current.answerable.wait()
        return self._find(request, version)

    def _start(self, request: Request, version: object) -> Completion:
        self.stop_unless_fits(None)
        completion = self._current = Completion(request, version)
        self._known[id(completion)] = completion
        self._forget_oldest()
        completion.task = asyncio.create_task(self._climb(completion))
        return completion

    def _forget_oldest(self) -> None:
        n_characters = sum(len(known.request.text) for known in self._known.values())
        while len(self._known) > 1 and (
            len(self._known) > CAPACITY or n_characters > MAX_CHARACTERS
        ):
            _, oldest = self._known.popitem(last=False)
            n_characters -= len(oldest.request.text)

    async def _climb(self, completion: Completion) -> None:
        request = completion.request
        draft = self._draft_for(request)
        try:
            async with aclosing(ladder(request, self._tools, draft)) as updates:
                async for update in updates:
                    completion.update = update
                    if update.suggestions or update.done:
                        completion.answerable.set()
                    self._on_update(completion)
        except ModelError as error:
            completion.error = str(error)
        except Exception as error:
            log.exception("a completion failed")
            completion.error = f"internal error: {error!r}"
        finally:
            completion.answerable.set()
            if not completion.update.done:
                self._known.pop(id(completion), None)
            if self._current is completion:
                self._current = None
        for suggestion in completion.update.suggestions[:1]:
            self._keep_draft(request, suggestion)
            self._look_ahead(request, suggestion)

    def _draft_for(self, request: Request) -> Suggestion | None:
        window = window_of(request)
        if window in self._drafts:
            self._drafts.move_to_end(window)
        return self._drafts.get(window)

    def _keep_draft(self, request: Request, suggestion: Suggestion) -> None:
        self._drafts[window_of(request)] = suggestion
        self._drafts.move_to_end(window_of(request))
        while len(self._drafts) > CAPACITY:
            self._drafts.popitem(last=False)

    def _look_ahead(self, request: Request, suggestion: Suggestion) -> None:
        """Draft what follows when this suggestion is accepted, while nothing else is asked for."""
        then = after_accepting(request, suggestion) if request.settings.speculate else None
        if then is not None and self._current is None and window_of(then) not in self._drafts:
            self._ahead = asyncio.create_task(self._draft_ahead(then))

    async def _draft_ahead(self, request: Request) -> None:
        try:
            suggestion = await look_ahead(request, self._tools)
        except ModelError as error:
            log.info("nothing computed ahead: %s", error)
        else:
            if suggestion is not None:
                self._keep_draft(request, suggestion)

    def _stop_looking_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
