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
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from egcfg_lsp.execution import Ending, How, Job, RunResult, SandboxState
from egcfg_lsp.execution.forks import SlowerNeededError, StillCollectingError, ZygoteError
from egcfg_lsp.execution.pooled_project import Key, PooledProject
from egcfg_lsp.execution.record import inconclusive, late
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier

log = logging.getLogger(__name__)
MAX_PROJECTS = 6
"""Each with a zygote: two for a root if its tests run with two hash seeds."""
CLOSED = "the sandbox was closed"


class Pool:
    """Owns zygotes; `close` ends them. For one event loop."""

    def __init__(self, cold: KernelSandbox | None = None) -> None:
        self._cold = cold or KernelSandbox()
        self._projects: OrderedDict[Key, PooledProject] = OrderedDict()
        self._seed = 0
        """The latest hash seed that was asked for."""
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._turns = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // 2))

    async def state(self) -> SandboxState:
        return await self._cold.state()

    async def run(self, job: Job) -> RunResult:
        state = await self._cold.state()
        if state.works and state.tier is not Tier.A:
            why = f"in tier {state.tier} every run is a process of its own"
            return replace(await self._cold.run(job), slow=why)
        if not state.works:
            return await self._cold.run(job)
        if self._is_closed:
            return inconclusive(CLOSED)
        seed = job.seed if job.fresh else 0
        self._seed = seed or self._seed
        project = self._project(job, seed)
        if not project.may_show(job) or not os.path.isfile(job.path):  # noqa: ASYNC240, PTH113 - faster
            return await self._cold.run(job)
        project.n_runs += 1
        try:
            async with self._turns:
                result = await self._run(job, project)
        finally:
            project.n_runs -= 1
        if result.how is How.SWAPPED and self._seed and not self._is_closed:
            self._project(job, self._seed).start_ahead()
        return result

    async def refresh(self, paths: Iterable[Path]) -> None:
        """Files have changed: what rests on them is collected again, before it is asked for."""
        changed = frozenset(paths)
        for project in [*self._projects.values()]:
            project.refresh(changed)

    async def close(self) -> None:
        """When it returns no process is left."""
        self._is_closed = True
        while self._projects:
            await self._projects.popitem()[1].close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _run(self, job: Job, project: PooledProject) -> RunResult:
        why = ""
        run_fresh: Callable[[Job], Awaitable[RunResult]] = project.run_fresh
        ways = [How.FRESH] if job.fresh else [How.SWAPPED, How.FRESH]
        for way in [] if project.needs_cold(_tests_of(job)) else ways:
            run = project.run_swapped if way is How.SWAPPED else run_fresh
            try:
                try:
                    result = await run(job)
                except ZygoteError:
                    # What the run before has left behind may have ended the zygote.
                    result = await run(job)
            except (SlowerNeededError, ZygoteError, OSError) as error:
                why = str(error)
                log.debug("%s: not %s: %s", job.path.name, way, why)
                if isinstance(error, StillCollectingError):
                    run_fresh = partial(project.run_fresh, has_waited=True)
                continue
            if result.ending is Ending.TIMEOUT:
                result = replace(result, reason=late(job.deadline_seconds))
            if not _may_be_the_childs(result):
                project.need_cold.pop(_tests_of(job), None)
                return replace(result, how=way, slow=why)
            why = result.reason
        if project.is_closed:
            return inconclusive(CLOSED)
        result = await self._cold.run(job)
        if why and result.ending is not Ending.BLOCKED:
            project.remember_cold(_tests_of(job))
        return replace(result, how=How.COLD, slow=why or "its tests need a process of their own")

    def _project(self, job: Job, hash_seed: int) -> PooledProject:
        environment = self._cold.with_environment(job).environment
        about = (job.root, job.interpreter.path, tuple(sorted(environment.items())))
        key = (*about, hash_seed)
        if key not in self._projects:
            self._projects[key] = PooledProject(
                self._cold, job.root, job.interpreter, environment, hash_seed
            )
        self._projects.move_to_end(key)
        if other := self._projects.get((*about, 0)):
            self._projects[key].collect_seconds = other.collect_seconds
        idle = [one for one in self._projects if one != key and not self._projects[one].n_runs]
        for one in idle[: max(0, len(self._projects) - MAX_PROJECTS)]:
            closing = asyncio.create_task(self._projects.pop(one).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        return self._projects[key]


def _tests_of(job: Job) -> Key:
    return (job.path, *((test.path, test.name) for test in job.tests))


def _may_be_the_childs(result: RunResult) -> bool:
    """Whether what was refused may be allowed to a cold run, which has all of `/tmp` to itself."""
    return result.ending is Ending.BLOCKED and "[Errno 13]" in result.reason
