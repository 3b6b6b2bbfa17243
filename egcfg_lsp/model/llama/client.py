"""The asyncio side of the model worker: starts it, watches it, restarts it, speaks its messages.

Must be used from one event loop.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.model import (
    Continuation,
    Event,
    ModelError,
    ModelInfo,
    Priority,
    Usage,
)
from egcfg_lsp.model.llama.messages import (
    HEADER_BYTES,
    Cancel,
    Ended,
    FromWorker,
    Generate,
    GeneratedEnd,
    GeneratedLine,
    Loaded,
    LoadFailed,
    Read,
    Score,
    Scored,
    ToWorker,
    Used,
    WorkRequest,
    decode_from_worker,
    encode,
    encode_options,
)
from egcfg_lsp.prompt import Prompt
from egcfg_lsp.settings import ModelOptions

MAX_BACKOFF_SECONDS = 30.0
QUIET_WAITING = {"GOMP_SPINCOUNT": "1000"}
"""Threads of llama.cpp spin only shortly while they wait for each other: where another process wants
their cores, spinning makes a token many times slower (`busy_neighbour_ratio` of the benchmarks).
Sleeping at once (OMP_WAIT_POLICY=passive) makes it slower still where nothing else runs."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long a worker may be silent, seconds, until it is given up and killed."""

    to_load: float = 300.0
    at_work: float = 60.0
    """Much longer than a batch takes on the slowest machine; a working worker speaks after each."""


class LlamaModel:
    """A `LanguageModel` whose llama.cpp runs in one child process, started on first use.

    A worker that died is replaced on the next request; one that keeps dying, or a model that does
    not load, is tried again after a pause only, which doubles up to `MAX_BACKOFF_SECONDS`.
    """

    def __init__(
        self,
        path: Path,
        options: ModelOptions | None = None,
        *,
        show_errors: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._path, self._options = path, options or ModelOptions()
        self._stderr = None if show_errors else DEVNULL
        self._patience = patience or Patience()
        self._worker: _Worker | None = None
        self._starting = asyncio.Lock()
        self._failures = _Failures()

    async def info(self) -> ModelInfo:
        return (await self._alive_worker()).info

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        def request(id_: int) -> Generate:
            return Generate(id_, priority, tuple(continuations))

        worker = await self._alive_worker()
        async with aclosing(worker.answer(request)) as messages:
            async for message in messages:
                if isinstance(message, GeneratedLine):
                    yield message.line
                elif isinstance(message, GeneratedEnd):
                    yield message.finished
                elif isinstance(message, Used):
                    yield message.usage

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        scores: list[list[float]] = []
        worker = await self._alive_worker()
        async with aclosing(
            worker.answer(lambda id_: Score(id_, priority, prompt, tuple(texts)))
        ) as messages:
            async for message in messages:
                if isinstance(message, Scored):
                    scores = [list(text) for text in message.log_probabilities]
        return scores

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        usage = Usage()
        worker = await self._alive_worker()
        async with aclosing(worker.answer(lambda id_: Read(id_, priority, prompt))) as messages:
            async for message in messages:
                if isinstance(message, Ended):
                    usage = message.usage
        return usage

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()

    async def _alive_worker(self) -> _Worker:
        async with self._starting:
            if self._worker is not None and self._worker.death:
                self._failures.note(self._worker.death, harmless=self._worker.n_answers > 0)
                await self.close()
            if self._worker is None:
                self._failures.refuse()
                try:
                    self._worker = await _start(
                        self._path, self._options, self._stderr, self._patience
                    )
                except ModelError as error:
                    self._failures.note(str(error), harmless=False)
                    raise
            return self._worker


class _Failures:
    """Deaths of workers in a row, none of which had answered a request."""

    def __init__(self) -> None:
        self._n, self._reason, self._retry_at = 0, "", 0.0

    def note(self, reason: str, *, harmless: bool) -> None:
        """`harmless`: the next attempt may follow at once."""
        self._n = 0 if harmless else self._n + 1
        pause = 0.0 if self._n < 2 else min(2.0 ** (self._n - 2), MAX_BACKOFF_SECONDS)
        self._reason, self._retry_at = reason, time.monotonic() + pause

    def refuse(self) -> None:
        """Raises ModelError while it is too early for another attempt."""
        wait = self._retry_at - time.monotonic()
        if wait > 0:
            raise ModelError(f"{self._reason}; the next attempt is in {wait:.0f} s")


async def _start(
    path: Path, options: ModelOptions, stderr: int | None, patience: Patience
) -> _Worker:
    command = [sys.executable, "-P", "-m", "egcfg_lsp.model.llama.worker"]
    process = await asyncio.create_subprocess_exec(
        *command,
        str(path),
        encode_options(options),
        stdin=PIPE,
        stdout=PIPE,
        stderr=stderr,
        env=QUIET_WAITING | os.environ,
    )
    try:
        async with asyncio.timeout(patience.to_load):
            message = await _receive(process)
    except BaseException as error:
        await _end(process)
        if isinstance(error, TimeoutError):
            raise ModelError(f"the model did not load within {patience.to_load:g} s") from error
        raise
    match message:
        case Loaded(info):
            return _Worker(process, info, patience)
        case LoadFailed(reason):
            await _end(process)
            raise ModelError(reason)
        case _:
            code = await _end(process)
            raise ModelError(f"the model worker died while loading {path} ({_ending(code)})")


class _Worker:
    """One living worker process and the answers under way."""

    def __init__(self, process: Process, info: ModelInfo, patience: Patience) -> None:
        self.info = info
        self.death = ""
        """Why it cannot be used any more; empty while it can."""
        self.n_answers = 0
        self._process, self._patience = process, patience
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[FromWorker]] = {}
        self._heard = time.monotonic()
        self._receiver = asyncio.create_task(self._receive_all())
        self._watchdog: asyncio.Task[None] | None = None

    async def answer(self, make: Callable[[int], WorkRequest]) -> AsyncGenerator[FromWorker]:
        """The messages that answer a request, the last one an `Ended`. Raises ModelError."""
        id_ = next(self._ids)
        answer = self._answers[id_] = asyncio.Queue()
        ended = False
        try:
            self._heard = time.monotonic()
            self._send(make(id_))
            if self._watchdog is None:
                self._watchdog = asyncio.create_task(self._watch())
            while not ended:
                message = Ended(id_, Usage(), self.death) if self.death else await answer.get()
                ended = isinstance(message, Ended)
                if isinstance(message, Ended) and message.error:
                    raise ModelError(message.error)
                yield message
            self.n_answers += 1
        finally:
            del self._answers[id_]
            if not ended:
                self._send(Cancel(id_))

    async def close(self) -> None:
        self.death = self.death or "the model was closed"
        self._receiver.cancel()
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._fail_all()
        await _end(self._process)

    def _send(self, message: ToWorker) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(encode(message))

    async def _receive_all(self) -> None:
        while (message := await _receive(self._process)) is not None:
            self._heard = time.monotonic()
            request = getattr(message, "request", None)
            if request in self._answers:
                self._answers[request].put_nowait(message)
        self._die(f"the model worker died ({_ending(await self._process.wait())})")

    async def _watch(self) -> None:
        """Kill a worker that is silent for too long while there is a request."""
        while self._answers and not self.death:
            silence = time.monotonic() - self._heard
            if silence >= self._patience.at_work:
                self._die(f"the model worker hung for {silence:.0f} s and was ended")
                self._process.kill()
                return
            await asyncio.sleep(self._patience.at_work - silence)
        self._watchdog = None

    def _die(self, reason: str) -> None:
        if not self.death:
            self.death = reason
            log.warning(reason)
            self._fail_all()

    def _fail_all(self) -> None:
        for request, answer in self._answers.items():
            answer.put_nowait(Ended(request, Usage(), self.death))


async def _receive(process: Process) -> FromWorker | None:
    """The next message; None when the worker has closed its side."""
    assert process.stdout is not None
    try:
        header = await process.stdout.readexactly(HEADER_BYTES)
        return decode_from_worker(await process.stdout.readexactly(int.from_bytes(header, "big")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def _end(process: Process) -> int:
    """The worker's exit status; it ends by itself when its input closes, a busy one is killed."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(1):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


def _ending(code: int) -> str:
    if code == -9:
        return "killed: perhaps the machine ran out of memory"
    return f"signal {-code}" if code < 0 else f"exit status {code}"
