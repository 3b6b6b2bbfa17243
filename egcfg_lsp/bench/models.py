"""Which model answers, and what it was asked: a `LanguageModel` around another that counts."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from egcfg_lsp.bench import BenchModel
from egcfg_lsp.model import (
    Continuation,
    Finished,
    LanguageModel,
    Line,
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
        self.n_generated = 0
        """Tokens of the lines that were received."""

    async def info(self) -> ModelInfo:
        return await self._model.info()

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Line | Finished]:
        self.n_calls += 1
        self.prompts += [continuation.prompt for continuation in continuations]
        asked = [self._changed(continuation) for continuation in continuations]
        async with aclosing(self._model.generate(asked, priority)) as events:
            async for event in events:
                if isinstance(event, Line):
                    self.n_generated += len(event.log_probabilities)
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


def bench_model(model: str) -> BenchModel:
    """Name and hash of a catalogue name or a `.gguf` file; raises ModelNotFoundError."""
    path = model_file(model)
    if model in catalogue():  # verified when it was pulled
        return BenchModel(model, catalogue()[model].sha256)
    with path.open("rb") as stream:
        return BenchModel(path.name, hashlib.file_digest(stream, "sha256").hexdigest())
