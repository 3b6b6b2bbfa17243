"""A pool between runs: that nothing is there but what it keeps, counted process by process.

It keeps a zygote a project, collections in it, and children that are parked. Looks into the pool,
since what rests there by right cannot be told from what an attack has left in any other way.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from egcfg_lsp.execution.enclosure import RUNNER
from egcfg_lsp.execution.parents import N_PARKED
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.zygote import Zygote

REST_SECONDS = 10.0
"""Within this a pool that nobody uses is at rest, also on a busy machine."""
MAX_TOLD = 5
N_OF_ZYGOTE = 3
"""Bubblewrap's process, the first of the namespace, and the zygote."""


class Resting:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.n_before = n_descriptors()
        self.n_of_zygote = 0

    def zygotes(self) -> Iterator[Zygote]:
        for project in self.pool._projects.values():
            if project._zygote is not None:
                yield project._zygote

    def processes(self) -> set[int]:
        """All that live below the zygotes."""
        found: set[int] = set()
        for zygote in self.zygotes():
            found |= family_of(zygote)
        return found

    def n_descriptors(self) -> int:
        """Of this process, those of the pool not counted."""
        return n_descriptors() - sum(self.descriptors_of(zygote) for zygote in self.zygotes())

    def descriptors_of(self, zygote: Zygote) -> int:
        """Channels; and pipes and the like, which are as many for every zygote."""
        return self.n_of_zygote + n_channels(zygote)

    def calibrate(self) -> None:
        """At rest, when nothing else has been opened since: what one zygote takes."""
        (zygote,) = self.zygotes()
        self.n_of_zygote = n_descriptors() - self.n_before - n_channels(zygote)

    async def rest(self) -> list[str]:
        """Waits until the pool is at rest; what is then more or less than it should keep."""
        end = time.monotonic() + REST_SECONDS
        while True:
            problems = self.problems()
            if not problems or time.monotonic() > end:
                return problems
            await asyncio.sleep(0.05)

    def problems(self) -> list[str]:
        is_busy = any(project._collecting for project in self.pool._projects.values())
        problems = ["the pool still collects"] if is_busy else []
        for zygote in self.zygotes():
            problems += problems_of(zygote)
        return problems

    async def close(self, but: set[int]) -> list[str]:
        """What is left when the pool has been closed, but for some processes."""
        await self.pool.close()
        children = psutil.Process().children(recursive=True)
        left = [one for one in children if is_alive(one) and one.pid not in but]
        problems = [f"the closed pool has left {one}" for one in left]
        if (n_more := n_descriptors() - self.n_before) > 0:
            problems.append(f"the closed pool has left {n_more} descriptors")
        return problems


def problems_of(zygote: Zygote) -> list[str]:
    n_expected, folders = 0, set()
    problems = []
    if not zygote.problem:
        n_expected = N_OF_ZYGOTE + len(zygote.alive)
        known = set()
        for collection in zygote.collections:
            parked = {one.number for one in collection._parked}
            known |= {collection.number, *parked}
            folders |= {one.folder for one in collection._parked}
            if len(parked) != N_PARKED:
                problems.append(f"{len(parked)} are parked")
        if known != zygote.alive:
            problems.append(f"{zygote.alive - known} are used and alive")
    if zygote.n_running:
        problems.append("a run goes on")
    found = {pid: command_of(pid) for pid in family_of(zygote)}
    if len(found) != n_expected:
        problems.append(f"{n_expected} processes should rest, not {found} ({zygote.problem})")
    if not zygote.problem:
        problems += problems_of_tmp(zygote, folders)
    return problems


def problems_of_tmp(zygote: Zygote, folders: set[str]) -> list[str]:
    """Nothing is in the zygote's `/tmp` but the empty folders of what is parked, and what the
    imports of a collection, for which it is still there, have made."""
    first = psutil.Process(zygote.running.process.pid).children()
    if not first:
        return ["the zygote has no first process"]
    root = f"/proc/{first[0].pid}/root"
    # Also those in which something is mounted.
    kept = [*map(Path, (*folders, zygote.running.tmp)), RUNNER]
    allowed = {str(path) for one in kept for path in (one, *one.parents)}
    device = os.lstat(f"{root}/tmp").st_dev
    own = {str(Path(one).parent) for one in folders}
    found: list[str] = []

    def tell(error: OSError) -> None:
        found.append(f"{error}")

    for folder, below, names in os.walk(f"{root}/tmp", onerror=tell):
        here = Path("/", os.path.relpath(folder, root))
        found += [f"{here / name} is left" for name in names if str(here) not in own]
        for name in [*below]:
            path = str(here / name)
            with suppress(FileNotFoundError):
                is_ours = os.lstat(f"{folder}/{name}").st_dev == device
                if is_ours and path not in allowed and str(here) not in own:
                    found.append(f"{path} is left")
                # What is mounted is the project's, or the interpreter's.
                if is_ours and path in allowed:
                    continue
            below.remove(name)
    return found[:MAX_TOLD]


def family_of(zygote: Zygote) -> set[int]:
    with suppress(psutil.Error):
        first = psutil.Process(zygote.running.process.pid)
        return {one.pid for one in (first, *first.children(recursive=True)) if is_alive(one)}
    return set()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def command_of(pid: int) -> str:
    with suppress(psutil.Error):
        return psutil.Process(pid).name()
    return "ended"


def n_channels(zygote: Zygote) -> int:
    return 1 + sum(1 + len(one._parked) for one in zygote.collections)


def n_descriptors() -> int:
    return psutil.Process().num_fds()
