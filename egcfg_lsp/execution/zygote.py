"""A zygote, as the server has it: an interpreter in the sandbox that forks the runs of one project.

Below it are collections (a fork each, which has collected tests) and fresh children. One object owns
the process and all below it; whatever is odd or silent makes it `broken`, and it must then be
closed, which ends every process of its namespace. Knows nothing of jobs, nor of when to use which.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from egcfg_lsp.execution import MEMORY_BYTES, Ending, RunResult
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
    Child,
    SlowerNeededError,
    ZygoteError,
    new_folder,
    result_in,
    strings,
)
from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution.record import inconclusive, timed_out, without_record

log = logging.getLogger(__name__)
_T = TypeVar("_T")
START_SECONDS = 30.0
COLLECT_SECONDS = 60.0
ANSWER_SECONDS = 2.0
"""For what is done at once; a parent that takes longer to kill a child is taken for stuck."""
PATIENCE_SECONDS = 0.1
"""For a child that has closed its channel to end, so that its exit status can be told."""
REST_SECONDS = 0.5
"""After the last run its processes are counted."""
N_ALWAYS = 2
"""Processes in the namespace: the first one, and the zygote."""
N_PARKED = 3
LARGEST_ANSWER = 1 << 20


class Parent:
    """A process that forks children on command: the zygote, or one of its collections."""

    def __init__(self, zygote: Zygote, channel: Channel, folder: str) -> None:
        self.zygote = zygote
        self.channel = channel
        self.folder = folder
        self._turn = asyncio.Lock()

    async def child(self, command: str) -> Child:
        """A new child that is ready for its order. Raises ZygoteError, OSError."""
        child = Child(next(NUMBERS), new_folder(self.folder), Channel())
        self.zygote.alive.add(child.number)
        try:
            await self.tell(
                {"do": command, "number": child.number, "folder": child.folder}, child.channel
            )
            async with asyncio.timeout(START_SECONDS):
                answer = await child.channel.receive_object()
        except TimeoutError:
            answer = None
        except BaseException:
            child.channel.close()
            raise
        if answer is None or "parked" not in answer:
            child.channel.close()
            reason = "no child" if answer is None else str(answer.get("unfit"))
            raise self.zygote.broke(f"the zygote gave {reason}")
        return child

    async def run(
        self, child: Child, order: Mapping[str, object], deadline_seconds: float
    ) -> RunResult:
        """One order to one child, which is used up. Raises SlowerNeededError, ZygoteError."""
        nonce, patience = secrets.token_hex(16), 0.0
        watching = asyncio.get_running_loop().call_later(WATCH_SECONDS, self.zygote.watch_memory)
        self.zygote.n_running += 1
        try:
            async with asyncio.timeout(deadline_seconds):
                await child.channel.send({**order, "nonce": nonce, "deadline": deadline_seconds})
                record = await child.channel.receive()
            if record is not None:
                return result_in(record, nonce)
            patience = PATIENCE_SECONDS
        except TimeoutError:
            return timed_out(deadline_seconds)
        except OSError:
            patience = PATIENCE_SECONDS
        finally:
            watching.cancel()
            self.zygote.n_running -= 1
            self.zygote.count_at_rest()
            child.channel.close()
            ending = self.zygote.in_background(self.end(child.number, child.folder, patience))
        code = await ending
        if self.zygote.excess:
            return inconclusive(self.zygote.excess)
        if self.zygote.problem:
            # Not by this run, which has not been looked at: whoever asks may try again.
            raise ZygoteError(self.zygote.problem)
        if code is None:
            return inconclusive("the run stopped answering", Ending.DIED)
        return without_record(code)

    async def end(self, number: int, folder: str, patience: float = 0.0) -> int | None:
        """A child's exit status; None if it was killed, or the parent did not say."""
        try:
            answer = await self.ask(
                {"do": "end", "number": number, "folder": folder, "patience": patience},
                ANSWER_SECONDS,
            )
        except (ZygoteError, OSError):
            return None
        code = answer.get("code")
        if answer.get("odd") or not isinstance(code, int | None):
            self.zygote.broke(f"a run left something behind: {answer.get('odd')}")
            return None
        self.zygote.alive.discard(number)
        return code

    async def tell(self, command: Mapping[str, object], other: Channel | None = None) -> None:
        """Raises ZygoteError."""
        try:
            async with self._turn:
                await self.channel.send(command, other)
        except OSError as error:
            raise self.zygote.broke(f"the zygote has ended ({error})") from error

    async def ask(self, command: Mapping[str, object], seconds: float) -> dict[str, Any]:
        """Raises ZygoteError."""
        try:
            async with asyncio.timeout(seconds), self._turn:
                await self.channel.send(command)
                answer = await self.channel.receive_object(LARGEST_ANSWER)
        except (TimeoutError, OSError):
            answer = None
        if answer is None:
            raise self.zygote.broke("the zygote does not answer")
        return answer


class Collection(Parent):
    """A fork that has collected tests, with children parked ahead."""

    def __init__(self, zygote: Zygote, channel: Channel, number: int) -> None:
        super().__init__(zygote, channel, new_folder(zygote.running.tmp))
        self.number = number
        self.slow = ""
        """Why nothing can be run in it."""
        self.files: tuple[Path, ...] = ()
        self.modules: tuple[str, ...] = ()
        self._parked: deque[Child] = deque()
        self._filling: asyncio.Task[None] | None = None
        zygote.collections.add(self)

    async def run_swapped(self, order: Mapping[str, object], deadline_seconds: float) -> RunResult:
        """Raises SlowerNeededError, ZygoteError."""
        child = self._parked.popleft() if self._parked else await self.child("park")
        try:
            return await self.run(child, order, deadline_seconds)
        finally:
            self.fill()

    def fill(self) -> None:
        """Park children ahead, in the background."""
        if self._filling is None or self._filling.done():
            self._filling = self.zygote.in_background(self._fill())

    async def filled(self) -> None:
        if self._filling is not None:
            await asyncio.shield(self._filling)

    async def close(self) -> None:
        parked = {child.number for child in self._parked}
        self.let_go()
        await self.zygote.end(self.number, self.folder)
        self.zygote.alive -= parked

    def let_go(self) -> None:
        """Close what leads to its processes."""
        self.zygote.collections.discard(self)
        while self._parked:
            self._parked.popleft().channel.close()
        self.channel.close()

    async def _fill(self) -> None:
        with suppress(ZygoteError, OSError):
            while len(self._parked) < N_PARKED and not self.zygote.problem:
                child = await self.child("park")
                if self not in self.zygote.collections:
                    child.channel.close()
                    self.zygote.alive.discard(child.number)
                    return
                self._parked.append(child)


@dataclass
class Zygote:
    """Started by `started`; `problem` says why it is broken, for people."""

    running: Enclosed
    root: Parent = field(init=False)
    problem: str = ""
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
                    deadline_seconds=None,
                )
            )
            zygote = Zygote(running)
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
            zygote._check_tasks(answer or {"error": "the zygote has ended"})
            zygote._stack = stack.pop_all()
            return zygote
        raise AssertionError

    async def collect(self, order: Mapping[str, object]) -> Collection:
        """Raises ZygoteError, SlowerNeededError if nothing can be collected."""
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
        collection.modules = tuple(strings(answer.get("modules")))
        if collection.slow:
            await collection.close()
        else:
            collection.fill()
            self.in_background(self._measure())
        return collection

    async def run_fresh(self, order: Mapping[str, object], deadline_seconds: float) -> RunResult:
        """Raises ZygoteError, SlowerNeededError."""
        return await self.root.run(await self.root.child("fresh"), order, deadline_seconds)

    async def preload(self, modules: Sequence[str]) -> None:
        """Import what later forks would import each by itself. Raises ZygoteError."""
        command = {"do": "preload", "modules": list(modules)}
        self._check_tasks(await self.root.ask(command, START_SECONDS))

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
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for collection in [*self.collections]:
            collection.let_go()
        await self._stack.aclose()

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
