"""Figures of a fresh model worker, through the client: loading, memory, the first line."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.decoding import COUNTING
from benchmarks.figures import Figures, Setup, median
from benchmarks.typing_sessions import recorded, requests
from egcfg_lsp.completion import Request, Written
from egcfg_lsp.completion.draft import Draft, draft_texts, question
from egcfg_lsp.completion.engine import Tools, circumstances
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.model import Continuation, Event, ModelInfo, Priority, Stop
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.prompt import Prompt
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS
from egcfg_lsp.settings import ModelOptions

SESSION, COLD_KEY = "first line", 100
"""The cursor after this many keys of a recorded session stands in the middle of a line."""
BUSY_TOKENS = 16


def fresh_worker(setup: Setup) -> Figures:
    """Loading, and a first line with nothing in the cache, then after one more key."""
    rounds = [asyncio.run(_round(setup)) for _ in range(setup.rounds(5))]
    infos = [one.info for one in rounds]
    cold, warm = [one.cold for one in rounds], [one.warm for one in rounds]
    return {
        "load_ms": median([one.load_ms for one in rounds], "ms"),
        "rss_over_model_mb": median([(i.rss_bytes - i.file_bytes) / 1e6 for i in infos], "MB"),
        "anon_mb": median([i.anonymous_bytes / 1e6 for i in infos], "MB"),
        "first_line_cold_ms": median([one.ms for one in cold], "ms", details=_about(cold[0])),
        "first_line_warm_ms": median([one.ms for one in warm], "ms", details=_about(warm[0])),
        "first_line_warm_over_cold": median(
            [w.ms / c.ms for w, c in zip(warm, cold, strict=True)], "ratio"
        ),
    }


def busy_neighbour(setup: Setup) -> Figures:
    """Time of a short generation beside one process that never rests, over the same alone."""
    ratios = asyncio.run(_busy_ratios(setup, setup.rounds(5, 1)))
    return {"busy_neighbour_ratio": median(ratios, "ratio", details={"tokens": BUSY_TOKENS})}


@dataclass(frozen=True)
class _FirstLine:
    ms: float
    text: str
    n_prompt: int
    """Tokens of the prompt."""


@dataclass(frozen=True)
class _Round:
    info: ModelInfo
    load_ms: float
    cold: _FirstLine
    warm: _FirstLine


class _NotingModel(LlamaModel):
    """Remembers its last prompt."""

    prompt = Prompt(())

    def __init__(self, path: Path, options: ModelOptions) -> None:
        super().__init__(path, options)

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        self.prompt = continuations[0].prompt
        async with aclosing(super().generate(continuations, priority)) as events:
            async for event in events:
                yield event


async def _round(setup: Setup) -> _Round:
    typed = requests(recorded(SESSION), COLD_KEY + 1)
    cold, warm = itertools.islice(typed, COLD_KEY - 1, COLD_KEY + 1)
    model = _NotingModel(setup.model, setup.options)
    try:
        started = time.perf_counter()
        info = await model.info()
        load_ms = (time.perf_counter() - started) * 1000
        return _Round(info, load_ms, await _first_line(cold, model), await _first_line(warm, model))
    finally:
        await model.close()


async def _first_line(request: Request, model: _NotingModel) -> _FirstLine:
    started = time.perf_counter()
    here = circumstances(request, Tools(model, KernelSandbox()))
    asked = await question(request, here, model, DEFAULT_LIMITS)
    texts = draft_texts(asked, here.place, model, Priority.KEYSTROKE)
    async with aclosing(texts) as drafts:
        drafted = await anext(drafts, Draft("", Written()))
        ms = (time.perf_counter() - started) * 1000
    usage = await model.read(model.prompt, Priority.IDLE)
    return _FirstLine(ms, drafted.text, usage.n_read + usage.n_reused)


async def _busy_ratios(setup: Setup, n: int) -> list[float]:
    model = LlamaModel(setup.model, setup.options)
    ratios = []
    try:
        await _generation_ms(model)
        for _ in range(n):
            alone = await _generation_ms(model)
            busy = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
            try:
                beside = await _generation_ms(model)
            finally:
                busy.kill()
                await busy.wait()
            ratios.append(beside / alone)
    finally:
        await model.close()
    return ratios


async def _generation_ms(model: LlamaModel) -> float:
    """Of `BUSY_TOKENS` tokens behind a prompt that is in the cache after the first time."""
    started = time.perf_counter()
    continuation = Continuation(COUNTING, Stop(BUSY_TOKENS), heal=False)
    async with aclosing(model.generate([continuation], Priority.KEYSTROKE)) as events:
        async for _ in events:
            pass
    return (time.perf_counter() - started) * 1000


def _about(first_line: _FirstLine) -> dict[str, object]:
    return {"prompt_tokens": first_line.n_prompt, "text": first_line.text}
