"""A zygote, as the server has it: an interpreter in the sandbox that forks the runs of one project.

Below it are collections (a fork each, which has collected tests) and fresh children. One object owns
the process and all below it; whatever is odd or silent makes it `broken`, and it must then be
closed, which ends every process of its namespace. Knows nothing of jobs, nor of when to use which.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from egcfg_lsp.execution import MEMORY_BYTES, RunResult
from egcfg_lsp.execution.channel import Channel
from egcfg_lsp.execution.enclosure import (
    WATCH_SECONDS,
    Enclosed,
    Surroundings,
    enclosed,
    feed_and_drain,
    kill_group,
    resident_bytes,
)
from egcfg_lsp.execution.forks import (
    NUMBERS,
    SlowerNeededError,
    Stamps,
    ZygoteError,
    outcome,
    stamps_of,
    strings,
)
from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution.parents import (
    ANSWER_SECONDS,
    LARGEST_ANSWER,
    START_SECONDS,
    Collection,
    Parent,
)

log = logging.getLogger(__name__)
_T = TypeVar("_T")
COLLECT_SECONDS = 60.0
REST_SECONDS = 0.5
"""After the last run its processes are counted."""
N_ALWAYS = 2
"""Processes in the namespace: the first one, and the zygote."""


@dataclass
class Zygote:
    """Started by `started`; `problem` says why it is broken, for people."""

    running: Enclosed
    root: Parent = field(init=False)
    problem: str = ""
    packages: Stamps = field(default_factory=dict)
    """Folders with packages, as they were when it had imported some."""
    excess: str = ""
    """What a run took too much of, so that it is broken."""
    collections: set[Collection] = field(default_factory=set)
    alive: set[int] = field(default_factory=set)
    """Numbers of what has been forked and has not been seen to end."""
    n_running: int = 0
    rest_bytes: int = 0
    """Memory that its processes take while nothing runs."""
    _watching: asyncio.Task[None] | None = None
    _counting: asyncio.TimerHandle | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @staticmethod
    async def started(
        surroundings: Surroundings,
        interpreter: Interpreter,
        root: Path,
        environment: Mapping[str, str],
        hash_seed: int,
    ) -> Zygote:
        """Raises ZygoteError, OSError."""
        channel = Channel()
        async with AsyncExitStack() as stack:
            stack.callback(channel.close)
            running = await stack.enter_async_context(
                enclosed(
                    surroundings,
                    interpreter,
                    "zygote",
                    channel.other.fileno(),
                    folders=[root],
                    environment=environment,
                    hash_seed=hash_seed,
                    deadline_seconds=None,
                )
            )
            zygote = Zygote(running)
            stack.push_async_callback(zygote._let_go)
            zygote.root = Parent(zygote, channel, running.tmp)
            order = {
                "root": str(root),
                "confinement": running.plan,
                "control_fd": channel.other.fileno(),
            }
            channel.other.close()
            zygote.in_background(feed_and_drain(running.process, json.dumps(order).encode()))
            try:
                async with asyncio.timeout(START_SECONDS):
                    answer = await channel.receive_object()
            except TimeoutError:
                answer = {"error": "the zygote does not answer"}
            answer = answer or {"error": "the zygote has ended"}
            zygote._check_tasks(answer)
            zygote.packages = stamps_of(map(Path, strings(answer.get("packages"))))
            zygote._stack = stack.pop_all()
            return zygote
        raise AssertionError

    async def collect(self, order: Mapping[str, object]) -> Collection:
        """Raises ZygoteError, SlowerNeededError if nothing can be collected."""
        # Of ours, so that nobody waits for its channel when `close` closes that.
        return await outcome(self.in_background(self._collect(order)))

    async def _collect(self, order: Mapping[str, object]) -> Collection:
        """Raises ZygoteError, SlowerNeededError."""
        channel, number = Channel(), next(NUMBERS)
        collection = Collection(self, channel, number)
        self.alive.add(number)
        self.n_running += 1
        self.watch_memory()
        command: dict[str, object] = {"do": "collect", "number": number}
        try:
            await self.root.tell({**command, "folder": collection.folder}, channel)
            async with asyncio.timeout(COLLECT_SECONDS):
                await channel.send(order)
                answer = await channel.receive_object(LARGEST_ANSWER)
            if answer is not None and (await self._look(number)).get("odd"):
                answer = {"error": "importing the project leaves processes behind"}
        except TimeoutError:
            answer = {"error": f"the tests are not collected within {COLLECT_SECONDS:g} s"}
        except OSError:
            answer = None
        except BaseException:
            self.in_background(collection.close())
            raise
        finally:
            self.n_running -= 1
        if answer is None or "error" in answer:
            await collection.close()
            reason = "the collection has ended" if answer is None else str(answer["error"])
            raise SlowerNeededError(reason)
        collection.slow = str(answer.get("slow", ""))
        collection.files = tuple(map(Path, strings(answer.get("files"))))
        collection.is_broken = bool(answer.get("broken"))
        if collection.slow:
            await collection.close()
        else:
            collection.fill()
            self.in_background(self._measure())
        return collection

    async def run_fresh(self, order: Mapping[str, object], deadline_seconds: float) -> RunResult:
        """Raises ZygoteError, SlowerNeededError."""
        return await self.root.run(await self.root.child("fresh"), order, deadline_seconds)

    async def end(self, number: int, folder: str) -> None:
        if not self.problem:
            await self.root.end(number, folder)

    def watch_memory(self) -> None:
        """Look from now on as long as anything runs."""
        if self._watching is None or self._watching.done():
            self._watching = self.in_background(self._watch_memory())

    def broke(self, problem: str) -> ZygoteError:
        """Of no use from now on: all of its processes end."""
        if not self.problem:
            self.problem = problem
            log.info("%s", problem)
            kill_group(self.running.process)
        return ZygoteError(problem)

    def count_at_rest(self) -> None:
        """A while after the last run: what is there must be what was forked on command."""
        if self._counting is not None:
            self._counting.cancel()
        loop = asyncio.get_running_loop()
        self._counting = loop.call_later(
            REST_SECONDS, lambda: self.in_background(self._count_at_rest())
        )

    def in_background(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """When it returns no process is left."""
        self.problem = self.problem or "closed"
        if self._counting is not None:
            self._counting.cancel()
        await self._stack.aclose()

    async def _let_go(self) -> None:
        """Whoever reads what its processes write must have ended before these do."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for collection in [*self.collections]:
            collection.let_go()

    async def _watch_memory(self) -> None:
        while self.n_running and not self.problem:
            n_bytes = await asyncio.to_thread(resident_bytes, self.running.process.pid)
            if n_bytes > MEMORY_BYTES + self.rest_bytes:
                self.excess = f"the run took {n_bytes >> 20} MiB of memory"
                self.broke(self.excess)
            await asyncio.sleep(WATCH_SECONDS)

    async def _count_at_rest(self) -> None:
        alive = set(self.alive)
        if self.problem or self.n_running:
            return
        with suppress(ZygoteError):
            found = (await self._look(0)).get("n_processes")
            if self.alive != alive or self.n_running:
                self.count_at_rest()
            elif not isinstance(found, int) or found > N_ALWAYS + len(alive):
                self.broke("there are more processes than are known")

    async def _look(self, number: int) -> dict[str, Any]:
        """Raises ZygoteError."""
        return await self.root.ask({"do": "look", "number": number}, ANSWER_SECONDS)

    async def _measure(self) -> None:
        self.rest_bytes = await asyncio.to_thread(resident_bytes, self.running.process.pid)

    def _check_tasks(self, answer: Mapping[str, object]) -> None:
        """Raises ZygoteError unless it has one thread, which a fork needs."""
        if "error" in answer:
            raise self.broke(str(answer["error"]))
        if answer.get("tasks") != 1:
            raise self.broke("importing the packages leaves threads behind")
