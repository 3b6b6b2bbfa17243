"""A `Sandbox` that keeps what runs have in common: zygotes, and collections of tests.

A run takes the fastest way that says something: the target's code exchanged where the tests have
been collected; else a fresh fork that imports the candidate; else a cold process. Why a slower way
was needed is part of the result. Zygotes are for tier A only, where Landlock parts one child from
another. Nothing here decides what is run, how often, or what follows from it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from egcfg_lsp.execution import Ending, How, Job, RunResult, SandboxState
from egcfg_lsp.execution.forks import SlowerNeededError, ZygoteError
from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution.record import late
from egcfg_lsp.execution.sandbox import KernelSandbox, order_of, unsafe_mount
from egcfg_lsp.execution.stub import Stub, stub_of
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.execution.zygote import Collection, Zygote

log = logging.getLogger(__name__)
MAX_PROJECTS, MAX_COLLECTIONS, MAX_REMEMBERED = 3, 3, 200
MANY = 3
"""Candidates of which each was blocked in a zygote only: then it is the tests' doing."""
MAX_FAILURES = 5
"""Zygotes of a project that broke one after the other before it is left to cold runs."""
CONFIGURATION = (
    "conftest.py", "pyproject.toml", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml",
    "tox.ini", "setup.cfg", "__init__.py",
)  # fmt: skip
"""Files whose coming and going concerns every collection of a project."""
COLLECTING_DEADLINES = 2
"""A job's deadlines for which it waits for its tests to be collected, which goes on without it."""
FRESH_SECONDS = 1.0
"""Given to a fresh child beyond the deadline and what its imports are known to take."""

Stamp = tuple[int, int] | None
Key = tuple[object, ...]


class Pool:
    """Owns zygotes; `close` ends them. For one event loop."""

    def __init__(self, cold: KernelSandbox | None = None) -> None:
        self._cold = cold or KernelSandbox()
        self._projects: OrderedDict[Key, _Project] = OrderedDict()
        self._turns = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // 2))

    async def state(self) -> SandboxState:
        return await self._cold.state()

    async def run(self, job: Job) -> RunResult:
        state = await self._cold.state()
        if state.works and state.tier is not Tier.A:
            why = f"in tier {state.tier} every run is a process of its own"
            return replace(await self._cold.run(job), slow=why)
        project = await self._project(self._cold.with_environment(job)) if state.works else None
        if project is None or not project.may_show(job) or not job.path.is_file():
            return await self._cold.run(job)
        async with self._turns:
            return await self._run(job, project)

    async def refresh(self, paths: Iterable[Path]) -> None:
        """Files have changed: what rests on them is collected again, before it is asked for."""
        changed = frozenset(paths)
        for project in [*self._projects.values()]:
            project.refresh(changed)

    async def close(self) -> None:
        """When it returns no process is left."""
        while self._projects:
            await self._projects.popitem()[1].close()

    async def _run(self, job: Job, project: _Project) -> RunResult:
        why = ""
        ways = [How.FRESH] if job.fresh else [How.SWAPPED, How.FRESH]
        for way in [] if project.needs_cold(_tests_of(job)) else ways:
            run = project.run_swapped if way is How.SWAPPED else project.run_fresh
            try:
                try:
                    result = await run(job)
                except ZygoteError:
                    # What the run before has left behind may have ended the zygote.
                    result = await run(job)
            except (SlowerNeededError, ZygoteError, OSError) as error:
                why = str(error)
                log.debug("%s: not %s: %s", job.path.name, way, why)
                continue
            if result.ending is Ending.TIMEOUT:
                result = replace(result, reason=late(job.deadline_seconds))
            if not _may_be_the_childs(result):
                project.need_cold.pop(_tests_of(job), None)
                return replace(result, how=way, slow=why)
            why = result.reason
        result = await self._cold.run(job)
        if why and result.ending is not Ending.BLOCKED:
            project.remember_cold(_tests_of(job))
        return replace(result, how=How.COLD, slow=why or "its tests need a process of their own")

    async def _project(self, job: Job) -> _Project:
        environment = tuple(sorted(job.environment.items()))
        key = (job.root, job.interpreter.path, environment)
        if key not in self._projects:
            self._projects[key] = _Project(self._cold, job.root, job.interpreter, job.environment)
            while len(self._projects) > MAX_PROJECTS:
                await self._projects.popitem(last=False)[1].close()
        self._projects.move_to_end(key)
        return self._projects[key]


@dataclass
class _Kept:
    """A collection, or why there is none; and what it rests on."""

    collection: Collection | None
    slow: str
    order: Mapping[str, object]
    stamps: Mapping[Path, Stamp]

    def is_stale(self) -> bool:
        broken = self.collection is not None and bool(self.collection.zygote.problem)
        return broken or any(_stamp(path) != stamp for path, stamp in self.stamps.items())


@dataclass
class _Project:
    """One root, one interpreter, one environment."""

    cold: KernelSandbox
    root: Path
    interpreter: Interpreter
    environment: Mapping[str, str]
    need_cold: OrderedDict[Key, int] = field(default_factory=OrderedDict)
    """Tests that only a cold run did not block, and how often in a row."""
    collect_seconds: float = 0.0
    _zygote: Zygote | None = None
    _kept: OrderedDict[Key, _Kept] = field(default_factory=OrderedDict)
    _collecting: dict[Key, asyncio.Task[_Kept]] = field(default_factory=dict)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _may_show: set[Path] = field(default_factory=set)
    _preloads: bool = True
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

    async def run_fresh(self, job: Job) -> RunResult:
        """Raises SlowerNeededError, ZygoteError, OSError."""
        zygote = await self._living()
        seconds = job.deadline_seconds + 2 * self.collect_seconds + FRESH_SECONDS
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
            if is_for_all or changed & kept.stamps.keys():
                self.need_cold.clear()
                self._drop(key)
                if self._zygote is not None and key not in self._collecting:
                    self._collect(key, kept.order, [*kept.stamps])

    async def close(self) -> None:
        for task in self._collecting.values():
            task.cancel()
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
                async with asyncio.timeout(COLLECTING_DEADLINES * job.deadline_seconds):
                    # A job that is cancelled leaves the collection for the next one.
                    kept = await asyncio.shield(task)
            except TimeoutError:
                raise SlowerNeededError("the tests are still being collected") from None
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
        try:
            collection = await zygote.collect(order)
        except SlowerNeededError as error:
            slow = str(error)
        else:
            slow = collection.slow
            paths = [*paths, *collection.files]
            self.collect_seconds = time.monotonic() - started
            self._preload(zygote, collection.modules)
        served = {order["path"], *_texts(order)}
        stamps = {path: _stamp(path, before) for path in paths if str(path) not in served}
        kept = _Kept(None if slow else collection, slow, order, stamps)
        self._kept[key] = kept
        while len(self._kept) > MAX_COLLECTIONS:
            self._drop(next(iter(self._kept)))
        return kept

    def _drop(self, key: Key) -> None:
        collection = self._kept.pop(key).collection
        if collection is not None and not collection.zygote.problem:
            collection.zygote.in_background(collection.close())

    def _preload(self, zygote: Zygote, modules: tuple[str, ...]) -> None:
        if not self._preloads or not modules:
            return
        self._preloads = False

        async def preload() -> None:
            with suppress(ZygoteError):
                await zygote.preload(modules)

        zygote.in_background(preload())

    async def _living(self) -> Zygote:
        """Raises ZygoteError, OSError."""
        async with self._starting:
            if self._zygote is not None and self._zygote.problem:
                broken, self._zygote = self._zygote, None
                self._n_failures += 1
                if self._n_failures >= MAX_FAILURES:
                    self._problem = f"no zygote for this project: {broken.problem}"
                await broken.close()
            if self._problem:
                raise ZygoteError(self._problem)
            if self._zygote is None:
                self._zygote = await self._started()
            return self._zygote

    async def _started(self) -> Zygote:
        """Raises ZygoteError, OSError."""
        try:
            surroundings = await self.cold.surroundings()
            return await Zygote.started(surroundings, self.interpreter, self.root, self.environment)
        except (ZygoteError, OSError) as error:
            self._n_failures += 1
            if self._n_failures >= MAX_FAILURES:
                self._problem = f"no zygote for this project: {error}"
            raise


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


def _tests_of(job: Job) -> Key:
    return (job.path, *((test.path, test.name) for test in job.tests))


def _may_be_the_childs(result: RunResult) -> bool:
    """Whether what was refused may be allowed to a cold run, which has all of `/tmp` to itself."""
    return result.ending is Ending.BLOCKED and "[Errno 13]" in result.reason


def _stamp(path: Path, before: int | None = None) -> Stamp:
    """Changes with the file; with `before` (ns of the clock) none that a file written since has."""
    try:
        found = path.stat()
    except OSError:
        return None
    if before is not None and found.st_mtime_ns >= before:
        return (-1, -1)
    return (found.st_mtime_ns, found.st_size)
