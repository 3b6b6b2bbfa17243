"""One project of the pool: its zygote, and the collections that rest on files.

A zygote that is broken, or whose packages have changed, is replaced by the next run that needs one;
a collection that has become stale is made again. Which way a run takes is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from egcfg_lsp.execution import Job, RunResult
from egcfg_lsp.execution.forks import (
    SlowerNeededError,
    Stamps,
    StillCollectingError,
    ZygoteError,
    have_changed,
    outcome,
    stamps_of,
)
from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution.parents import Collection
from egcfg_lsp.execution.sandbox import KernelSandbox, order_of, unsafe_mount
from egcfg_lsp.execution.stub import Stub, stub_of
from egcfg_lsp.execution.zygote import Zygote

MAX_COLLECTIONS, MAX_REMEMBERED = 3, 200
MANY = 3
"""Candidates of which each was blocked in a zygote only: then it is the tests' doing."""
MAX_FAILURES = 5
"""Zygotes of a project that broke one after the other before it is left to cold runs."""
CONFIGURATION = (
    "conftest.py", "pyproject.toml", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml",
    "tox.ini", "setup.cfg", "__init__.py",
)  # fmt: skip
"""Files whose coming and going concerns every collection of a project."""
COLLECTING_SECONDS, COLLECTING_DEADLINES = 5.0, 2
"""For which a job waits for its tests to be collected, at the least, and in its deadlines: known
tests have short ones. Collecting goes on without it."""
FRESH_SECONDS = 1.0
"""Given to a fresh child beyond the deadline and what its imports are known to take."""

Key = tuple[object, ...]


@dataclass
class PooledProject:
    """One root, one interpreter, one environment, one hash seed."""

    cold: KernelSandbox
    root: Path
    interpreter: Interpreter
    environment: Mapping[str, str]
    hash_seed: int = 0
    n_runs: int = 0
    """Under way."""
    need_cold: OrderedDict[Key, int] = field(default_factory=OrderedDict)
    """Tests that only a cold run did not block, and how often in a row."""
    collect_seconds: float = 0.0
    is_closed: bool = False
    _zygote: Zygote | None = None
    _kept: OrderedDict[Key, _Kept] = field(default_factory=OrderedDict)
    _collecting: dict[Key, asyncio.Task[_Kept]] = field(default_factory=dict)
    _starting: asyncio.Task[Zygote] | None = None
    _may_show: set[Path] = field(default_factory=set)
    _n_failures: int = 0
    _problem: str = ""

    def may_show(self, job: Job) -> bool:
        """Whether the file is one of the project's; the folders are those of the zygote's start."""
        if job.path not in self._may_show and unsafe_mount(job) is None:
            self._may_show.add(job.path)
        return job.path in self._may_show

    async def run_swapped(self, job: Job) -> RunResult:
        """Raises SlowerNeededError, ZygoteError, OSError."""
        if job.target_lines is None:
            raise SlowerNeededError("the function's lines are not known")
        stub = stub_of(job.text, *job.target_lines)
        if stub is None:
            raise SlowerNeededError("the function cannot be taken out of its module")
        order = order_of(job)
        collecting = {**order, "text": stub.text, "lines": [stub.first_line, stub.last_line]}
        kept = await self._collected(_key(job, stub), collecting, job)
        if kept.collection is None:
            raise SlowerNeededError(kept.slow)
        order["function"] = stub.function
        result = await kept.collection.run_swapped(order, job.deadline_seconds)
        self._n_failures = 0
        return result

    async def run_fresh(self, job: Job, *, has_waited: bool = False) -> RunResult:
        """A job that has waited for its imports already gets no more time for them. Raises
        SlowerNeededError, ZygoteError, OSError."""
        zygote = await self._living()
        importing = 0.0 if has_waited else 2 * self.collect_seconds
        seconds = job.deadline_seconds + importing + FRESH_SECONDS
        started = time.monotonic()
        result = await zygote.run_fresh({**order_of(job), "text": job.text}, seconds)
        self.collect_seconds = self.collect_seconds or time.monotonic() - started
        self._n_failures = 0
        return result

    def needs_cold(self, tests: Key) -> bool:
        return self.need_cold.get(tests, 0) >= MANY

    def remember_cold(self, tests: Key) -> None:
        self.need_cold[tests] = self.need_cold.get(tests, 0) + 1
        if len(self.need_cold) > MAX_REMEMBERED:
            self.need_cold.popitem(last=False)

    def refresh(self, changed: frozenset[Path]) -> None:
        is_for_all = any(
            path.name in CONFIGURATION and path.is_relative_to(self.root) for path in changed
        )
        self._problem, self._n_failures = "", 0
        for key, kept in [*self._kept.items()]:
            if is_for_all or kept.rests_on(changed):
                self.need_cold.clear()
                self._drop(key)
                if self._zygote is not None and key not in self._collecting:
                    self._collect(key, kept.order, [*kept.stamps])

    def start_ahead(self) -> None:
        """Have a zygote before it is asked for."""
        if self._starting is None and not self.is_closed:
            self._start()

    async def close(self) -> None:
        """When it returns no process is left; what still waits for one gets a ZygoteError."""
        self.is_closed = True
        tasks: list[asyncio.Task[_Kept] | asyncio.Task[Zygote]] = [*self._collecting.values()]
        tasks += [] if self._starting is None else [self._starting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kept.clear()
        if self._zygote is not None:
            await self._zygote.close()
            self._zygote = None

    async def _collected(self, key: Key, order: Mapping[str, object], job: Job) -> _Kept:
        """Raises SlowerNeededError, ZygoteError, OSError."""
        kept = self._kept.get(key)
        if kept is not None and kept.is_stale():
            self._drop(key)
            kept = None
        if kept is None:
            task = self._collecting.get(key)
            if task is None:
                task = self._collect(key, order, [test.path for test in job.tests])
            try:
                seconds = max(COLLECTING_SECONDS, COLLECTING_DEADLINES * job.deadline_seconds)
                async with asyncio.timeout(seconds):
                    # A job that is cancelled leaves the collection for the next one.
                    kept = await outcome(task)
            except TimeoutError:
                raise StillCollectingError("the tests are still being collected") from None
        if key in self._kept:
            self._kept.move_to_end(key)
        return kept

    def _collect(
        self, key: Key, order: Mapping[str, object], paths: list[Path]
    ) -> asyncio.Task[_Kept]:
        task = asyncio.create_task(self._collection(key, order, paths))
        self._collecting[key] = task
        task.add_done_callback(lambda _: self._collecting.pop(key, None))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _collection(self, key: Key, order: Mapping[str, object], paths: list[Path]) -> _Kept:
        """Raises ZygoteError, OSError."""
        zygote = await self._living()
        started = time.monotonic()
        before = time.time_ns()
        collection: Collection | None = None
        is_broken = True
        try:
            collection = await zygote.collect(order)
        except SlowerNeededError as error:
            slow = str(error)
        else:
            slow, is_broken = collection.slow, collection.is_broken
            paths = [*paths, *collection.files]
            self.collect_seconds = time.monotonic() - started
        served = {order["path"], *_texts(order)}
        files = stamps_of((path for path in paths if str(path) not in served), before)
        stamps = {**files, **zygote.packages}
        kept = _Kept(None if slow else collection, slow, order, stamps, is_broken)
        self._kept[key] = kept
        while len(self._kept) > MAX_COLLECTIONS:
            self._drop(next(iter(self._kept)))
        return kept

    def _drop(self, key: Key) -> None:
        collection = self._kept.pop(key).collection
        if collection is not None and not collection.zygote.problem:
            collection.zygote.in_background(collection.close())

    async def _living(self) -> Zygote:
        """Raises ZygoteError, OSError."""
        if self.is_closed:
            raise ZygoteError("closed")
        zygote = self._zygote
        if zygote is not None and not zygote.problem and not have_changed(zygote.packages):
            return zygote
        if self._starting is None or self._starting.done():
            return await outcome(self._start())
        return await outcome(self._starting)

    def _start(self) -> asyncio.Task[Zygote]:
        task = self._starting = asyncio.create_task(self._renewed())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _renewed(self) -> Zygote:
        """Raises ZygoteError, OSError."""
        former, self._zygote = self._zygote, None
        if former is not None:
            if former.problem:
                self._count_failure(former.problem)
            await former.close()
        if self._problem:
            raise ZygoteError(self._problem)
        self._zygote = await self._started()
        return self._zygote

    async def _started(self) -> Zygote:
        """Raises ZygoteError, OSError."""
        try:
            surroundings = await self.cold.surroundings()
            return await Zygote.started(
                surroundings, self.interpreter, self.root, self.environment, self.hash_seed
            )
        except (ZygoteError, OSError) as error:
            self._count_failure(str(error))
            raise

    def _count_failure(self, problem: str) -> None:
        self._n_failures += 1
        if self._n_failures >= MAX_FAILURES:
            self._problem = f"no zygote for this project: {problem}"


@dataclass
class _Kept:
    """A collection, or why there is none; and what it rests on."""

    collection: Collection | None
    slow: str
    order: Mapping[str, object]
    stamps: Stamps
    is_broken: bool
    """Whether something could not be collected, which any file may mend that comes."""

    def is_stale(self) -> bool:
        broken = self.collection is not None and bool(self.collection.zygote.problem)
        return broken or have_changed(self.stamps)

    def rests_on(self, changed: frozenset[Path]) -> bool:
        others = changed - {Path(str(self.order["path"]))}
        return bool(changed & self.stamps.keys() or (self.is_broken and others))


def _key(job: Job, stub: Stub) -> Key:
    """What a collection depends on, files on disk not counted."""
    files = frozenset((test.path, test.kind) for test in job.tests)
    words = frozenset(test.name for test in job.tests if test.kind == "asserts")
    return (job.path, stub.text, stub.first_line, stub.last_line, files, words, *_overlays(job))


def _overlays(job: Job) -> Iterable[tuple[Path, str]]:
    return sorted(job.overlays.items())


def _texts(order: Mapping[str, object]) -> Iterable[str]:
    overlays = order["overlays"]
    return overlays if isinstance(overlays, dict) else ()
