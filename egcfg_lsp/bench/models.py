"""Which model answers, and what it cost: a model and a sandbox around others, that count."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.execution import Job, RunResult, Sandbox, SandboxState
from egcfg_lsp.model import (
    Continuation,
    Event,
    LanguageModel,
    ModelInfo,
    Priority,
    Usage,
)
from egcfg_lsp.model.catalogue import catalogue, model_file
from egcfg_lsp.prompt import Prompt


class MeteredModel:
    """Passes everything on to `model`, which stays open when this one is closed.

    `heal` False: no continuation is healed; `one_line` True: each ends with its first line, however
    much more the product would have asked for.
    """

    def __init__(self, model: LanguageModel, *, heal: bool = True, one_line: bool = False) -> None:
        self._model, self._heal, self._one_line = model, heal, one_line
        self.prompts: list[Prompt] = []
        """Of the continuations, in the order they were asked for."""
        self.n_calls = 0
        self.usage = Usage()
        """Of all calls, except that what the first one found in the KV cache counts as read: it
        was left there by something else."""

    async def info(self) -> ModelInfo:
        return await self._model.info()

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        is_first = self.n_calls == 0
        self.n_calls += 1
        self.prompts += [continuation.prompt for continuation in continuations]
        asked = [self._changed(continuation) for continuation in continuations]
        before = self.usage
        async with aclosing(self._model.generate(asked, priority)) as events:
            async for event in events:
                if isinstance(event, Usage):
                    self.usage = _sum(before, _all_read(event) if is_first else event)
                yield event

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        return await self._model.score(prompt, texts, priority)

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        return await self._model.read(prompt, priority)

    async def close(self) -> None:
        pass

    def _changed(self, continuation: Continuation) -> Continuation:
        stop = replace(continuation.stop, at_line_end=True) if self._one_line else continuation.stop
        return replace(continuation, stop=stop, heal=continuation.heal and self._heal)


class MeteredSandbox:
    """Passes every job on to `sandbox`, and counts."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.n_runs = 0

    async def state(self) -> SandboxState:
        return await self._sandbox.state()

    async def run(self, job: Job) -> RunResult:
        self.n_runs += 1
        return await self._sandbox.run(job)


def bench_model(model: str) -> BenchModel:
    """Name and hash of a catalogue name or a `.gguf` file, as the file is now.

    Raises ModelNotFoundError; BenchError where the file is not what the catalogue says.
    """
    path = model_file(model)
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error
    if model not in catalogue():
        return BenchModel(path.name, sha256)
    if sha256 != catalogue()[model].sha256:
        raise BenchError(
            f"{path} is not the model {model} of the catalogue: see `egcfg-lsp models verify {model}`"
        )
    return BenchModel(model, sha256)


def _all_read(usage: Usage) -> Usage:
    return replace(usage, n_read=usage.n_read + usage.n_reused, n_reused=0)


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        first.n_read + second.n_read,
        first.n_reused + second.n_reused,
        first.n_generated + second.n_generated,
    )
