"""Folders under watch: what happens in them is told as it happens, and in batches to an event loop.

One inotify instance and one thread a `FolderWatch`, however many folders; what lies below a folder is
not seen unless it is watched, too, so that ignored trees cost nothing. Knows neither projects nor
editors. Linux on local file systems only: elsewhere `FolderWatch` raises OSError.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

if TYPE_CHECKING or sys.platform == "linux":
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchDescriptor,
    )

    _LISTING = (
        InotifyConstants.IN_CREATE
        | InotifyConstants.IN_DELETE
        | InotifyConstants.IN_MOVED_FROM
        | InotifyConstants.IN_MOVED_TO
    )
    _MASK = Mask(
        _LISTING
        | InotifyConstants.IN_MODIFY
        | InotifyConstants.IN_ATTRIB
        | InotifyConstants.IN_DELETE_SELF
        | InotifyConstants.IN_MOVE_SELF
        | InotifyConstants.IN_ONLYDIR
        | InotifyConstants.IN_EXCL_UNLINK
    )

QUIET_SECONDS = 0.1
"""Without a change, until a batch is handed on."""
BATCH_SECONDS = 5.0
"""At most, from a batch's first change until it is handed on."""
MAX_PATHS = 20_000
"""Of a batch; what is over is told as `Changes.is_partial`."""
REMOTE = ("nfs", "cifs", "smb", "9p", "fuse", "vboxsf", "drvfs", "virtiofs", "ceph", "afs", "glusterfs",
          "lustre", "prl_fs", "fakeowner", "grpcfuse", "vmhgfs")  # fmt: skip
"""Beginnings of file systems' names whose changes on other machines nobody here is told of."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changes:
    """What happened to files and folders, in no order."""

    paths: frozenset[Path] = frozenset()
    is_partial: bool = False
    """Something was missed: anything may have changed."""


class Listener(Protocol):
    """Is told from the watching thread, and must return at once."""

    def changed(self, path: str, *, is_folder: bool, is_listing: bool) -> object:
        """Something has happened to what a folder holds; `is_listing`: it has come or gone."""
        ...

    def lost_track(self) -> None:
        """Something was missed."""
        ...


class FolderWatch:
    """A set of folders, by their paths. `watch` may be called from any thread, `close` from any but ours."""

    def __init__(self, root: Path, listener: Listener) -> None:
        """Raises OSError where nothing can be watched; its text says why."""
        if sys.platform != "linux":
            raise OSError(errno.ENOTSUP, "files are watched on Linux only")
        if name := remote_file_system(root):
            raise OSError(errno.ENOTSUP, f"changes on {name} are not told")
        self._root, self._listener = str(root), listener
        self._lock = threading.Lock()
        self._ids = count()
        self._watched: dict[str, _Folder] = {}
        self._inotify = InotifyFD()
        self._inotify.name = "egcfg-watch"
        self._inotify.start()

    def watch(self, folders: Collection[str]) -> frozenset[str]:
        """Watch these folders and no others; those that were not watched before are returned.

        A folder that is gone or cannot be read is left out. Raises OSError when the root is gone, the
        system's limits are reached, or the watch is closed.
        """
        with self._lock:
            if not self.is_alive:
                raise OSError(errno.EBADF, "the watch has ended")
            wanted = set(folders)
            added = frozenset(path for path in folders if self._add(path))
            self._drop([path for path in self._watched if path not in wanted])
            return added

    @property
    def is_alive(self) -> bool:
        """Whether anything is still told."""
        return self._inotify.is_alive() and self._inotify.should_keep_running()

    def close(self) -> None:
        """Nothing more is told, and the thread has ended."""
        with self._lock:
            self._watched.clear()
        self._inotify.stop()
        self._inotify.join()

    def _add(self, path: str) -> bool:
        if path in self._watched:
            return False
        folder = _Folder(self, path, CallbackId(next(self._ids)))
        # The root may be reached by a link; below it, one that took a folder's place leads out.
        mask = _MASK if path == self._root else Mask(_MASK | InotifyConstants.IN_DONT_FOLLOW)
        try:
            wd = self._inotify.add_callback(os.fsencode(path), mask, folder, folder.id)
        except OSError as error:
            if path != self._root and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            raise
        if wd == -1:  # may not be read, which watchdog does not call an error
            self._inotify.remove_callbacks([(wd, folder.id)])
            return False
        folder.wd = wd
        self._watched[path] = folder
        return True

    def _drop(self, paths: Collection[str]) -> None:
        folders = [self._watched.pop(path) for path in paths]
        self._inotify.remove_callbacks([(folder.wd, folder.id) for folder in folders])

    def _gone(self, folder: _Folder, *, with_all_below: bool = False) -> None:
        """What a path names now is not what was watched there."""
        with self._lock:
            if self._watched.get(folder.path) is not folder:
                return
            below = folder.path + os.sep
            gone = [p for p in self._watched if p == folder.path or p.startswith(below)]
            self._drop(gone if with_all_below else [folder.path])
        self._listener.changed(folder.path, is_folder=True, is_listing=True)

    def _overflowed(self, folder: _Folder) -> None:
        """Among the lost may be that a folder is gone: watch all anew. Told once a folder."""
        with self._lock:
            if self._watched.get(folder.path) is not folder:
                return
            self._drop(list(self._watched))
        self._listener.lost_track()


def remote_file_system(root: Path) -> str | None:
    """The name of a file system at, or below, a folder whose changes may be made on other machines."""
    real = os.path.realpath(root)
    for place, kind in _mounts_around(real):
        if kind.lower().startswith(REMOTE):
            return kind if place == real else f"{kind} ({place})"
    return None


class Batches:
    """Gathers changes from any thread, and hands them on together in an event loop.

    `on_batch` is called `quiet_seconds` after the last change, or `batch_seconds` after the first.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_batch: Callable[[Changes], None],
        quiet_seconds: float = QUIET_SECONDS,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        self._loop, self._on_batch = loop, on_batch
        self._quiet_seconds, self._batch_seconds = quiet_seconds, batch_seconds
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._is_partial = self._is_woken = self._is_closed = False
        self._last = self._first = 0.0

    def add(self, path: str | None) -> None:
        """A path that has changed; None: something was missed. From any thread, returns at once."""
        with self._lock:
            if path is None or len(self._paths) >= MAX_PATHS:
                self._is_partial = True
            else:
                self._paths.add(path)
            self._last = self._loop.time()
            if self._is_woken or self._is_closed:
                return
            self._is_woken, self._first = True, self._last
        with suppress(RuntimeError):  # the loop may have ended
            self._loop.call_soon_threadsafe(self._wait)

    def close(self) -> None:
        """Nothing more is handed on. Called in the event loop."""
        with self._lock:
            self._is_closed = True

    def _wait(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            due = min(self._last + self._quiet_seconds, self._first + self._batch_seconds)
            if due > self._loop.time():
                self._loop.call_at(due, self._wait)
                return
            changes = Changes(frozenset(map(Path, self._paths)), self._is_partial)
            self._paths = set()
            self._is_partial = self._is_woken = False
        self._on_batch(changes)


class _Folder:
    """What watchdog calls back for one folder."""

    wd: WatchDescriptor

    def __init__(self, owner: FolderWatch, path: str, id_: CallbackId) -> None:
        self.path, self.id = path, id_
        self._owner = owner

    def on_event(self, event: InotifyEvent) -> None:
        if event.is_move_self:
            self._owner._gone(self, with_all_below=True)
        elif event.name:
            self._owner._listener.changed(
                f"{self.path}{os.sep}{os.fsdecode(event.name)}",
                is_folder=event.is_directory,
                is_listing=bool(event.mask & _LISTING),
            )

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002
        self._owner._gone(self)

    def on_queue_overflow(self) -> None:
        self._owner._overflowed(self)


def _mounts_around(real: str) -> Iterator[tuple[str, str]]:
    """Place and kind of the file systems that a folder lies in and that lie below it."""
    mounts = {mount.mountpoint: mount.fstype for mount in psutil.disk_partitions(all=True)}
    above = [p for p in mounts if real == p or real.startswith(p.rstrip(os.sep) + os.sep)]
    if above:
        yield real, mounts[max(above, key=len)]
    yield from (
        (p, kind) for p, kind in mounts.items() if p.startswith(real.rstrip(os.sep) + os.sep)
    )
