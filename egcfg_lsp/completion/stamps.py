"""What is known of files without reading them: their stamps, and one number for a set of files.

Asked of the file system at every question, or, while somebody tells what has changed, only of those
files. Does not find files; a write that leaves time and size as they were is not seen.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

Stamp = tuple[int, int]
"""Time of the last change (nanoseconds) and size (bytes)."""


def stamp_of(path: str | Path) -> Stamp | None:
    """None where there is no such file, or it cannot be looked at."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- half the time of Path.stat, and called by thousands
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def place_of_folder(path: str | Path) -> tuple[int, int] | None:
    """Which folder a path names now: device and inode; None for none."""
    with suppress(OSError, ValueError):
        status = os.stat(path)  # noqa: PTH116
        return status.st_dev, status.st_ino
    return None


class Stamps:
    """The stamps of a set of files. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: frozenset[str] = frozenset()
        self._changed: set[str] = set()
        self._is_told = False
        self._known: dict[str, Stamp | None] = {}
        """Empty unless somebody tells what has changed."""
        self._sum = 0

    def set_paths(self, paths: Iterable[str]) -> None:
        """From now on the set is this one."""
        paths = frozenset(paths)
        with self._lock:
            gone, self._paths = self._paths - paths, paths
            for path in gone:
                self._forget(path)

    def be_told(self, is_told: bool) -> None:
        """Whether `changed` is called for everything that happens to a file from now on."""
        with self._lock:
            self._is_told = is_told
            self._known.clear()
            self._changed.clear()
            self._sum = 0

    def changed(self, paths: Iterable[str]) -> None:
        """Something has happened to these files; those of others are left out."""
        with self._lock:
            self._changed.update(path for path in paths if path in self._paths)

    def changed_all(self) -> None:
        """Anything may have happened to any of them."""
        with self._lock:
            self._changed |= self._paths

    def of(self, path: str) -> Stamp | None:
        """The stamp of one file of the set, or of any other."""
        with self._lock:
            if self._is_told and path in self._paths:
                self._bring_up_to_date((path,))
                return self._known[path]
        return stamp_of(path)

    def version(self, beside: str | None = None) -> int:
        """Changes with the set and with every file of it but `beside`.

        The same number however it was found. Unless told what changes: one `stat` a file.
        """
        with self._lock:
            paths, is_told = self._paths, self._is_told
            if is_told:
                self._bring_up_to_date(paths if len(self._known) < len(paths) else self._changed)
                without = _part(beside, self._known[beside]) if beside in self._known else 0
                return self._sum ^ without ^ hash(paths)
        found = 0
        for path in paths:
            if path != beside:
                found ^= _part(path, stamp_of(path))
        return found ^ hash(paths)

    def _bring_up_to_date(self, paths: Iterable[str]) -> None:
        """Look at those that are not known, or have changed."""
        for path in tuple(paths):
            if path in self._changed or path not in self._known:
                # First: what happens after this look is told again.
                self._changed.discard(path)
                self._forget(path)
                stamp = self._known[path] = stamp_of(path)
                self._sum ^= _part(path, stamp)

    def _forget(self, path: str) -> None:
        if path in self._known:
            self._sum ^= _part(path, self._known.pop(path))
        self._changed.discard(path)


def _part(path: str | None, stamp: Stamp | None) -> int:
    return hash((path, stamp))
