"""Rung 0: completions that are known or under way, found again while the user types through them.

One completion is under way at a time: a request that does not continue its text stops it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from egcfg_lsp.completion import Request, Update
from egcfg_lsp.completion.engine import ladder, tests_version
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.model import LanguageModel, ModelError

CAPACITY = 250
"""Completions kept, least recently used go first."""
MAX_CHARACTERS = 8_000_000
"""Of the buffers that the kept completions were asked for."""

log = logging.getLogger(__name__)


@dataclass
class Completion:
    """One climb of the ladder: its request, the latest update, and who is waiting for it."""

    request: Request
    tests: tuple[tuple[str, int], ...]
    update: Update = field(default_factory=Update)
    error: str = ""
    """Why the model could not answer; such a completion is not kept."""
    answerable: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first line, or when it is known that none comes."""
    task: asyncio.Task[None] | None = None

    def remainder(self, request: Request) -> Update | None:
        """What is left of this completion for a later request; None if it does not fit.

        It fits if the user typed nothing, or a part of what is suggested.
        """
        ours = self.request
        if (ours.path, ours.after, ours.settings) != (
            request.path,
            request.after,
            request.settings,
        ):
            return None
        if not request.before.startswith(ours.before):
            return None
        typed = request.before[len(ours.before) :].replace("\r\n", "\n")
        if not typed:
            return self.update
        left = tuple(
            replace(suggestion, text=suggestion.text[len(typed) :])
            for suggestion in self.update.suggestions
            if suggestion.text.startswith(typed) and suggestion.text != typed
        )
        return replace(self.update, suggestions=left) if left else None


class Completions:
    """Answers requests from what is known, from the completion under way, or by a new one."""

    def __init__(
        self,
        model: LanguageModel,
        sandbox: Sandbox,
        on_update: Callable[[Completion], None],
    ) -> None:
        self._model, self._sandbox, self._on_update = model, sandbox, on_update
        self._known: OrderedDict[int, Completion] = OrderedDict()
        self._current: Completion | None = None

    async def first(self, request: Request) -> Update:
        """The update to answer with: at once from the cache, else when the first line is there.

        Raises ModelError. When cancelled, the completion goes on until `stop_unless_fits`.
        """
        tests = tests_version(request)
        completion = self._find(request, tests) or self._start(request, tests)
        await completion.answerable.wait()
        if completion.error:
            raise ModelError(completion.error)
        return completion.remainder(request) or Update(done=True)

    def stop_unless_fits(self, request: Request | None) -> None:
        """Stop the completion under way unless it answers `request`; None stops it in any case."""
        current = self._current
        if current is not None and current.task is not None:
            if request is not None and current.remainder(request) is not None:
                return
            current.task.cancel()
            self._current = None

    async def close(self) -> None:
        """Stop what is under way and wait until it has stopped."""
        task = self._current.task if self._current is not None else None
        self.stop_unless_fits(None)
        if task is not None:
            with suppress(asyncio.CancelledError):
                await task

    def _find(self, request: Request, tests: tuple[tuple[str, int], ...]) -> Completion | None:
        for key, completion in reversed(self._known.items()):
            if completion.tests == tests and completion.remainder(request) is not None:
                self._known.move_to_end(key)
                return completion
        return None

    def _start(self, request: Request, tests: tuple[tuple[str, int], ...]) -> Completion:
        self.stop_unless_fits(None)
        completion = self._current = Completion(request, tests)
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
        try:
            async with aclosing(ladder(completion.request, self._model, self._sandbox)) as updates:
                async for update in updates:
                    completion.update = update
                    if update.suggestions or update.done:
                        completion.answerable.set()
                    self._on_update(completion)
        except ModelError as error:
            completion.error = str(error)
        except asyncio.CancelledError:
            completion.error = "superseded"
            raise
        except Exception as error:
            log.exception("a completion failed")
            completion.error = f"internal error: {error!r}"
        finally:
            completion.answerable.set()
            if not completion.update.done:
                self._known.pop(id(completion), None)
            if self._current is completion:
                self._current = None
