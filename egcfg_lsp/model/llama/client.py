"""The asyncio side of the model worker: starts it, restarts it when it died, speaks its messages.

Must be used from one event loop.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path

from egcfg_lsp.model import Line, ModelError, ModelInfo
from egcfg_lsp.model.llama.messages import (
    HEADER_BYTES,
    Cancel,
    Ended,
    FromWorker,
    Generate,
    GeneratedLine,
    Loaded,
    LoadFailed,
    ToWorker,
    decode_from_worker,
    encode,
)
from egcfg_lsp.prompt import Prompt

LOAD_SECONDS = 300.0
"""A worker that has not loaded its model by then is given up."""

log = logging.getLogger(__name__)


class LlamaModel:
    """A `LanguageModel` whose llama.cpp runs in one child process, started on first use."""

    def __init__(self, path: Path, *, show_errors: bool = False) -> None:
        self._path = path
        self._stderr = None if show_errors else DEVNULL
        self._worker: _Worker | None = None
        self._starting = asyncio.Lock()

    async def info(self) -> ModelInfo:
        return (await self._alive_worker()).info

    async def lines(self, prompt: Prompt, max_tokens: int) -> AsyncGenerator[Line]:
        worker = await self._alive_worker()
        async for line in worker.lines(prompt, max_tokens):
            yield line

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.close()

    async def _alive_worker(self) -> _Worker:
        async with self._starting:
            if self._worker is None or self._worker.is_dead:
                await self.close()
                self._worker = await _start(self._path, self._stderr)
            return self._worker


async def _start(path: Path, stderr: int | None) -> _Worker:
    command = [sys.executable, "-P", "-m", "egcfg_lsp.model.llama.worker", str(path)]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=stderr)
    try:
        async with asyncio.timeout(LOAD_SECONDS):
            message = await _receive(process)
    except BaseException as error:
        await _end(process)
        if isinstance(error, TimeoutError):
            raise ModelError(f"the model did not load within {LOAD_SECONDS:.0f} s") from error
        raise
    match message:
        case Loaded(info):
            return _Worker(process, info)
        case LoadFailed(reason):
            await _end(process)
            raise ModelError(reason)
        case _:
            code = await _end(process)
            raise ModelError(f"the model worker died while loading {path} ({_ending(code)})")


class _Worker:
    """One living worker process and the answers under way."""

    def __init__(self, process: Process, info: ModelInfo) -> None:
        self.info = info
        self.is_dead = False
        self._process = process
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[GeneratedLine | Ended]] = {}
        self._receiver = asyncio.create_task(self._receive_all())

    async def lines(self, prompt: Prompt, max_tokens: int) -> AsyncGenerator[Line]:
        request = next(self._requests)
        answer = self._answers[request] = asyncio.Queue()
        ended = False
        try:
            self._send(Generate(request, prompt.parts, max_tokens))
            while True:
                match await answer.get():
                    case GeneratedLine(_, text, n_tokens):
                        yield Line(text, n_tokens)
                    case Ended(error=error):
                        ended = True
                        if error:
                            raise ModelError(error)
                        return
        finally:
            del self._answers[request]
            if not ended:
                self._send(Cancel(request))

    async def close(self) -> None:
        self.is_dead = True
        self._receiver.cancel()
        await _end(self._process)

    def _send(self, message: ToWorker) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(encode(message))

    async def _receive_all(self) -> None:
        while (message := await _receive(self._process)) is not None:
            if isinstance(message, GeneratedLine | Ended) and message.request in self._answers:
                self._answers[message.request].put_nowait(message)
        self.is_dead = True
        reason = f"the model worker died ({_ending(await self._process.wait())})"
        log.warning(reason)
        for request, answer in self._answers.items():
            answer.put_nowait(Ended(request, 0, 0, error=reason))


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
    return f"signal {-code}" if code < 0 else f"exit status {code}"
