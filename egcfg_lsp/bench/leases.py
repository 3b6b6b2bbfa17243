"""Who works on what: leases in a folder that several processes and machines share.

A lease is a file, `{name}.{generation}.json`, created exclusively; its holder writes the file's time
anew while it lives. A lease has expired when its process is gone, as far as that can be seen from
here, or when its file was not written for `ttl_seconds` of our own clock: clocks of two machines are
never compared, and on Linux none is read that can be set. It is taken over by creating the next
generation, which only one can.

A holder that slept through its lease may still finish its work: who writes results must let the
first one stay.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

TTL_SECONDS = 60.0
_SAME_START = 1.0
"""Starts that differ by no more, ticks or seconds, are one process'."""


@dataclass(frozen=True)
class Holder:
    """A process, and the place where its number means it."""

    machine: str
    """Name, boot and process namespace."""
    pid: int
    start: float
    """Of the process, since numbers are used again; see `_start_of`."""


class Leases:
    """The leases of one process. Raises OSError where the folder cannot be written."""

    def __init__(
        self,
        folder: Path,
        *,
        ttl_seconds: float = TTL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        holder: Holder | None = None,
    ) -> None:
        self._folder, self._ttl_seconds, self._clock = folder, ttl_seconds, clock
        self._holder = holder or this_process()
        self._held: dict[str, Path] = {}
        self._seen: dict[Path, tuple[int, float]] = {}
        """Of others' leases the file's time in ns, and when it was first seen."""
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> bool:
        """Whether the lease is ours from now on; a caller then looks whether the work is done."""
        generations = self._generations(name)
        if generations and not self._has_expired(generations[-1]):
            return False
        last = _generation(generations[-1]) if generations else 0
        path = self._path(name, last + 1)
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        self._held[name] = path
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({**vars(self._holder), "name": name}, stream)
        for expired in generations:
            expired.unlink(missing_ok=True)
        return True

    def release(self, name: str) -> None:
        """Only after what it was for is written: then others see that, or the lease."""
        self._held.pop(name).unlink(missing_ok=True)

    def renew(self) -> None:
        """Show that the holder of all leases lives."""
        for path in self._held.values():
            with suppress(FileNotFoundError):
                os.utime(path)

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Renews while it is entered; releases at its end what is still held."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._ttl_seconds / 6)
                with suppress(OSError):  # the next write of a result tells it
                    self.renew()

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            for name in list(self._held):
                self.release(name)

    def _generations(self, name: str) -> list[Path]:
        """The files of a lease, the newest last."""
        prefix = f"{quote(name, safe='')}."
        found = (p for p in self._folder.iterdir() if p.name.startswith(prefix))
        return sorted((p for p in found if _is_of(p, prefix)), key=_generation)

    def _path(self, name: str, generation: int) -> Path:
        return self._folder / f"{quote(name, safe='')}.{generation}.json"

    def _has_expired(self, path: Path) -> bool:
        try:
            written = path.stat().st_mtime_ns
            holder = _read_holder(path)
        except FileNotFoundError:
            return False  # released just now: the next look finds no lease, or the work done
        if holder is not None and holder.machine == self._holder.machine and _is_gone(holder):
            return True
        seen = self._seen.get(path)
        if seen is None or seen[0] != written:
            self._seen[path] = (written, self._clock())
            return False
        return self._clock() - seen[1] > self._ttl_seconds


def this_process() -> Holder:
    pid = os.getpid()
    return Holder(_this_machine(), pid, _start_of(pid))


def _this_machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _read_holder(path: Path) -> Holder | None:
    """None while it is being written."""
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        return Holder(str(value["machine"]), int(value["pid"]), float(value["start"]))
    except (ValueError, TypeError, KeyError):
        return None


def _is_gone(holder: Holder) -> bool:
    try:
        is_zombie = psutil.Process(holder.pid).status() == psutil.STATUS_ZOMBIE
        return is_zombie or abs(_start_of(holder.pid) - holder.start) > _SAME_START
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _start_of(pid: int) -> float:
    """When a process started: clock ticks since the boot on Linux, else seconds since the epoch.

    The latter seem to change when the clock is set. Raises psutil.Error.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return psutil.Process(pid).create_time()
    behind_name = stat.rpartition(b")")[2].split()  # the name may hold anything; proc(5)
    return float(behind_name[19])


def _generation(path: Path) -> int:
    return int(path.name.removesuffix(".json").rpartition(".")[2])


def _is_of(path: Path, prefix: str) -> bool:
    rest = path.name[len(prefix) :]
    return rest.endswith(".json") and rest.removesuffix(".json").isdecimal()
