"""Processes in the sandbox that fork children on command, as the server has them: a `Parent` is the
zygote's own process, or a `Collection`, which is a fork of that.

A parent is told what to fork, and what to end; a child gets one order, and is used up. Whatever is
odd or silent breaks the zygote, which owns all of them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egcfg_lsp.execution import Ending, RunResult
from egcfg_lsp.execution.channel import Channel
from egcfg_lsp.execution.enclosure import WATCH_SECONDS
from egcfg_lsp.execution.forks import NUMBERS, Child, ZygoteError, new_folder, outcome, result_in
from egcfg_lsp.execution.record import inconclusive, timed_out, without_record

if TYPE_CHECKING:
    from egcfg_lsp.execution.zygote import Zygote

START_SECONDS = 30.0
ANSWER_SECONDS = 2.0
"""For what is done at once; a parent that takes longer to kill a child is taken for stuck."""
PATIENCE_SECONDS = 0.1
"""For a child that has closed its channel to end, so that its exit status can be told."""
N_PARKED = 3
LARGEST_ANSWER = 1 << 20


class Parent:
    """A process that forks children on command: the zygote, or one of its collections."""

    def __init__(self, zygote: Zygote, channel: Channel, folder: str) -> None:
        self.zygote = zygote
        self.channel = channel
        self.folder = folder
        self.n_uses = 0
        """Children that are about to be forked, run or are being ended."""
        self._turn = asyncio.Lock()
        self._unused = asyncio.Event()
        self._unused.set()

    async def child(self, command: str) -> Child:
        """A new child that is ready for its order. Raises ZygoteError, OSError."""
        child = Child(next(NUMBERS), new_folder(self.folder), Channel())
        self._use()
        try:
            await self.tell(
                {"do": command, "number": child.number, "folder": child.folder}, child.channel
            )
            self.zygote.alive.add(child.number)
            async with asyncio.timeout(START_SECONDS):
                answer = await child.channel.receive_object()
        except TimeoutError:
            answer = None
        except BaseException:
            child.channel.close()
            if child.number in self.zygote.alive:
                self.end_in_background(child)
            raise
        finally:
            self._unuse()
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
        self._use()
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
            ending = self.end_in_background(child, patience)
            self._unuse()
        code = await outcome(ending)
        if self.zygote.excess:
            return inconclusive(self.zygote.excess)
        if self.zygote.problem:
            # Not by this run, which has not been looked at: whoever asks may try again.
            raise ZygoteError(self.zygote.problem)
        if code is None:
            return inconclusive("the run stopped answering", Ending.DIED)
        return without_record(code)

    def end_in_background(self, child: Child, patience: float = 0.0) -> asyncio.Task[int | None]:
        self._use()
        task = self.zygote.in_background(self.end(child.number, child.folder, patience))
        task.add_done_callback(lambda _: self._unuse())
        return task

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

    async def unused(self) -> None:
        """Wait until no child needs it."""
        while self.n_uses:
            await self._unused.wait()

    def _use(self) -> None:
        self.n_uses += 1
        self._unused.clear()

    def _unuse(self) -> None:
        self.n_uses -= 1
        if not self.n_uses:
            self._unused.set()


class Collection(Parent):
    """A fork that has collected tests, with children parked ahead."""

    def __init__(self, zygote: Zygote, channel: Channel, number: int) -> None:
        super().__init__(zygote, channel, new_folder(zygote.running.tmp))
        self.number = number
        self.slow = ""
        """Why nothing can be run in it."""
        self.files: tuple[Path, ...] = ()
        self.is_broken = False
        """Whether something of it could not be collected."""
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
        is_done = self._filling is None or self._filling.done()
        if is_done and self in self.zygote.collections:
            self._filling = self.zygote.in_background(self._fill())

    async def filled(self) -> None:
        if self._filling is not None:
            await asyncio.shield(self._filling)

    async def close(self) -> None:
        """Runs in it go on to their end first."""
        self.zygote.collections.discard(self)
        try:
            await self.unused()
        finally:
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
                self._parked.append(await self.child("park"))
                if self not in self.zygote.collections:
                    return
