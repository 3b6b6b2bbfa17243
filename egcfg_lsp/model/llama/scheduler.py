"""Which job a worker goes on with: the most urgent one, of equally urgent ones the oldest.

A more urgent request interrupts the decode of a less urgent job, which goes on later. Knows nothing
of models: what is scheduled is a `Job`, made by the function that the worker gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from egcfg_lsp.model import Finished, Line, ModelError, Usage
from egcfg_lsp.model.llama.engine import Job
from egcfg_lsp.model.llama.messages import WorkRequest


class Flag(Protocol):
    """Interrupts a decode while it is set."""

    def set(self) -> None: ...

    def clear(self) -> None: ...


@dataclass
class _Entry:
    request: WorkRequest
    job: Job | None = None
    """None until its first step."""
    is_cancelled: bool = False


class Scheduler:
    """Requests come in on one thread (`add`, `cancel`), and are carried out on another (`steps`)."""

    def __init__(self, make_job: Callable[[WorkRequest], Job], abort: Flag) -> None:
        self._make_job, self._abort = make_job, abort
        self._entries: dict[int, _Entry] = {}
        self._current: _Entry | None = None
        self._changed = threading.Condition()

    def add(self, request: WorkRequest) -> None:
        with self._changed:
            self._entries[request.request] = _Entry(request)
            current = self._current
            if current is not None and request.priority < current.request.priority:
                self._abort.set()
            self._changed.notify()

    def cancel(self, request: int) -> None:
        """End a request at its next decode step; one that is not there has ended already."""
        with self._changed:
            if (entry := self._entries.get(request)) is not None:
                entry.is_cancelled = True
                if entry is self._current:
                    self._abort.set()

    def steps(self) -> Iterator[tuple[WorkRequest, Job | None, list[Line | Finished], str]]:
        """For each step its request, its job, its events, and the error that ended the job.

        A step that ends its request has a job that is done, or an error. Never ends; waits while
        there is nothing to do.
        """
        while True:
            entry = self._next()
            events: list[Line | Finished] = []
            error = ""
            try:
                if entry.job is None:
                    entry.job = self._make_job(entry.request)
                if not entry.job.is_done:
                    events = entry.job.step()
            except ModelError as problem:
                error = str(problem)
            if error or (entry.job is not None and entry.job.is_done):
                self._remove(entry)
            yield entry.request, entry.job, events, error

    def _next(self) -> _Entry:
        """The entry to go on with; waits for one."""
        with self._changed:
            while True:
                for entry in [e for e in self._entries.values() if e.is_cancelled]:
                    self._remove(entry)
                if self._entries:
                    break
                self._changed.wait()
            entry = min(
                self._entries.values(), key=lambda e: (e.request.priority, e.request.request)
            )
            paused, self._current = self._current, entry
            self._abort.clear()
        if paused is not None and paused is not entry and paused.job is not None:
            paused.job.pause()
        return entry

    def _remove(self, entry: _Entry) -> None:
        with self._changed:
            self._entries.pop(entry.request.request, None)
            if entry is self._current:
                self._current = None
        if entry.job is not None:
            entry.job.pause()


def usage_of(job: Job | None) -> Usage:
    return Usage() if job is None else job.usage
