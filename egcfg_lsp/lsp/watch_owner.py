"""The owner of what is watched in a session: one watch a project, ended with the session.

A project that cannot be watched is looked at again at every request, as without a watch; why is in
`reasons` and in the log. Must be used from the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from egcfg_lsp.completion.project import Project, project_at
from egcfg_lsp.watch import Batches, Changes, FolderWatch

MAX_PROJECTS = 8
"""Under watch at a time; the least recently used goes first."""
RETRY_SECONDS = 60.0
"""Until a project that could not be watched is tried again."""

log = logging.getLogger(__name__)


@runtime_checkable
class Refreshable(Protocol):
    """A sandbox that keeps something of the project's files between runs."""

    async def refresh(self, paths: Iterable[Path]) -> None:
        """These files have changed."""
        ...

    async def close(self) -> None:
        """When it returns no process is left."""
        ...


Key = tuple[Path, tuple[str, ...]]
"""Of a project: its root and the user's exclusions."""


class WatchOwner:
    """`on_changes` gets what has changed in a project, gathered: a checkout is one call."""

    def __init__(self, on_changes: Callable[[Project, Changes], None]) -> None:
        self._on_changes = on_changes
        self._followed: OrderedDict[Key, _Followed] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.reasons: dict[Path, str] = {}
        """Why a root is not watched."""

    def follow(self, root: Path, exclude: tuple[str, ...] = ()) -> None:
        """Have a project watched from now on, in the background."""
        key = (root, exclude)
        known = self._followed.get(key)
        if known is not None and not known.is_to_be_tried_again():
            self._followed.move_to_end(key)
            return
        loop = asyncio.get_running_loop()
        followed = self._followed[key] = _Followed(key)
        followed.batches = Batches(loop, lambda changes: self._hand_on(followed, changes))
        followed.on_end = lambda reason: loop.call_soon_threadsafe(self._ended, followed, reason)
        followed.begun = self._start(asyncio.to_thread(followed.begin))
        while len(self._followed) > MAX_PROJECTS:
            _, oldest = self._followed.popitem(last=False)
            self._start(oldest.end())

    def touched(self, path: Path) -> None:
        """The client has written a file: known before the system tells it."""
        for (root, _), followed in self._followed.items():
            if path.is_relative_to(root):
                followed.changed(str(path), is_folder=False, is_listing=True)

    async def close(self) -> None:
        """Every watch has ended, and its thread."""
        followed = list(self._followed.values())
        self._followed.clear()
        ends = (one.end() for one in followed)
        await asyncio.gather(*ends, *self._tasks, return_exceptions=True)

    def _hand_on(self, followed: _Followed, changes: Changes) -> None:
        if followed.project is not None:
            self._on_changes(followed.project, changes)

    def _ended(self, followed: _Followed, reason: str) -> None:
        root, _ = followed.key
        if self.reasons.get(root) != reason:
            self.reasons[root] = reason
            log.warning("%s is not watched: %s", root.name, reason)
        followed.ended_at = time.monotonic()
        self._start(followed.end())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


@dataclass(eq=False)
class _Followed:
    """One project and its watch; a `watch.Listener`."""

    key: Key
    project: Project | None = None
    watch: FolderWatch | None = None
    batches: Batches = field(init=False)
    on_end: Callable[[str], object] = field(init=False)
    begun: asyncio.Task[None] = field(init=False)
    ended_at: float | None = None

    def begin(self) -> None:
        """Belongs into a thread."""
        self.project = project_at(*self.key)
        try:
            self.watch = FolderWatch(self.key[0], self)
        except OSError as error:
            self._failed(error)
        else:
            self.project.follow(self.watch, self._failed)

    async def end(self) -> None:
        """The project looks at everything itself again; the watch's thread has ended."""
        self.batches.close()
        await asyncio.wait([self.begun])
        project, watch = self.project, self.watch
        if project is not None and watch is not None:
            await asyncio.to_thread(project.unfollow, watch)
            await asyncio.to_thread(watch.close)

    def is_to_be_tried_again(self) -> bool:
        ended_at = self.ended_at
        return ended_at is not None and time.monotonic() - ended_at > RETRY_SECONDS

    def changed(self, path: str, *, is_folder: bool, is_listing: bool) -> None:
        project = self.project
        if project is not None and project.changed(
            path, is_folder=is_folder, is_listing=is_listing
        ):
            self.batches.add(path)

    def lost_track(self) -> None:
        if self.project is not None:
            self.project.lost_track()
            self.batches.add(None)

    def _failed(self, error: OSError) -> None:
        self.on_end(error.strerror or str(error))
