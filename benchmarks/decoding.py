"""Figures of the decode loop: against bare llama.cpp, in a batch, in a full cache, interrupted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import llama_cpp.llama_cpp as llama

from benchmarks.bare import BareLoop
from benchmarks.figures import Figure, Figures, Setup, median, percentile
from egcfg_lsp.model import Continuation, Finished, Sampling, Stop
from egcfg_lsp.model.llama.engine import Job, LlamaEngine, drive
from egcfg_lsp.model.llama.hardware import Plan, plans
from egcfg_lsp.prompt import Prompt

COUNTING = Prompt(("# The numbers from one to a thousand, one a line:\n1\n2\n3\n",))
"""Decoded greedily, a text without an end."""
STORY = Prompt(("# A long list of test cases, one assertion a line.\nassert add(1, 2) == 3\n",))
"""Sampled, one that hardly ever ends."""
BLOCK_TOKENS = 8
"""Tokens that one side decodes before it is the other's turn."""
FOREIGN_TOKENS, FOREIGN_PROMPT_TOKENS = 6000, 1000
BATCH, BATCH_TOKENS_EACH, BATCH_BLOCK_STEPS = 8, 40, 4
TEMPERATURE = 0.8


def decode_ratio(setup: Setup) -> Figures:
    """Greedy tokens a second, ours over a bare loop's."""
    with opened(setup) as engine, closing(_bare(setup, engine)) as bare:
        ours = Endless(engine)
        ours.step()
        bare.read(engine.tokenize(COUNTING, 1))
        for _ in range(BLOCK_TOKENS):
            ours.step()
            bare.step()
        ours_ms: list[float] = []
        bare_ms: list[float] = []
        for i in range(setup.rounds(40)):
            for is_ours in (True, False) if i % 2 else (False, True):
                started = time.perf_counter()
                for _ in range(BLOCK_TOKENS):
                    (ours if is_ours else bare).step()
                elapsed_ms = (time.perf_counter() - started) * 1000 / BLOCK_TOKENS
                (ours_ms if is_ours else bare_ms).append(elapsed_ms)
    ratios = [b / o for o, b in zip(ours_ms, bare_ms, strict=True)]
    details = {"tokens_a_block": BLOCK_TOKENS}
    return {
        "decode_ratio": median(ratios, "ratio", at_least=0.97, details=details),
        "decode_tokens_per_second": median([1000 / ms for ms in ours_ms], "tokens/s"),
        "bare_tokens_per_second": median([1000 / ms for ms in bare_ms], "tokens/s"),
    }


def batch_ratio(setup: Setup) -> Figures:
    """Time of a step of 8 sampled continuations in one batch over that of 8 steps, one of each alone."""
    ratios: list[float] = []
    with opened(setup) as engine:
        run(engine.read(STORY))
        for i in range(setup.rounds(8)):
            ratios += _batch_ratios(engine, setup.seed + BATCH * i)
    if not ratios:
        note = "every continuation ended at once"
        return {"batch8_ratio": Figure(None, "ratio", at_most=0.6, note=note)}
    details = {"temperature": TEMPERATURE, "tokens_a_block": BATCH * BATCH_BLOCK_STEPS}
    return {"batch8_ratio": median(ratios, "ratio", at_most=0.6, details=details)}


def decode_fill_ratio(setup: Setup) -> Figures:
    """Time of a decode step beside some 6,000 cells of other prompts over one in an empty cache."""
    with opened(setup) as filled, opened(setup) as empty:
        n_foreign = min(FOREIGN_TOKENS, filled.info.n_context * 3 // 4)
        seed = 0
        while filled.kv.n_used < n_foreign - FOREIGN_PROMPT_TOKENS // 2:
            run(filled.read(random_prompt(seed, FOREIGN_PROMPT_TOKENS)))
            seed += 1
        n_foreign = filled.kv.n_used
        jobs = [Endless(filled), Endless(empty)]
        for job in jobs:
            job.step()
        ratios = []
        for i in range(setup.rounds(40)):
            ms = [0.0, 0.0]
            for side in (0, 1) if i % 2 else (1, 0):
                ms[side] = _ms_of_steps(jobs[side], BLOCK_TOKENS)
            ratios.append(ms[0] / ms[1])
    return {"decode_fill_ratio": median(ratios, "ratio", details={"foreign_cells": n_foreign})}


def cancelling(setup: Setup) -> Figures:
    """From the abort flag to the return of the interrupted step, at random moments."""
    chance = random.Random(setup.seed)
    with opened(setup) as engine:
        started = time.perf_counter()
        run(engine.read(random_prompt(-1, 400)))
        reading_seconds = time.perf_counter() - started
        steady = Endless(engine)
        steady.step()
        step_ms = [_ms_of_steps(steady, 1) for _ in range(BLOCK_TOKENS)][1:]
        reading_ms, decoding_ms = [], []
        for i in range(setup.rounds(60, 3)):
            delay = chance.uniform(0, 0.9 * reading_seconds)
            reading_ms.append(_cancelled_after(engine, engine.read(random_prompt(i, 400)), delay))
            step_ms += [_ms_of_steps(steady, 1) for _ in range(3)]
            batch = engine.generate(
                [
                    Continuation(STORY, Stop(512), Sampling(0.8, seed=100 * i + j), heal=False)
                    for j in range(BATCH)
                ]
            )
            decoding_ms.append(_cancelled_after(engine, batch, chance.uniform(0.02, 0.5)))
            step_ms += [_ms_of_steps(steady, 1) for _ in range(3)]
    step = median(step_ms, "ms")
    waits = [ms for ms in (*reading_ms, *decoding_ms) if ms is not None]
    if not waits or step.value is None:
        missing = Figure(None, "ms", note="every job ended before it was cancelled")
        return {"cancel_ms_p95": missing, "decode_step_ms": step}
    p95 = percentile(waits, 95)
    details = {
        "median": round(percentile(waits, 50), 2),
        "reading_p95": round(percentile([ms for ms in reading_ms if ms is not None] or [0], 95), 2),
        "decoding_p95": round(
            percentile([ms for ms in decoding_ms if ms is not None] or [0], 95), 2
        ),
        "seed": setup.seed,
    }
    return {
        "cancel_ms_p95": Figure(
            p95, "ms", low=min(waits), high=max(waits), n=len(waits), details=details
        ),
        "decode_step_ms": step,
        "cancel_steps_p95": Figure(p95 / step.value, "decode steps", at_most=1.2, n=len(waits)),
    }


def reading_speed(setup: Setup) -> Figures:
    """Tokens a second of a prompt that is not in the cache."""
    speeds = []
    with opened(setup) as engine:
        for i in range(setup.rounds(3)):
            job = engine.read(random_prompt(i, 900))
            started = time.perf_counter()
            run(job)
            speeds.append(job.usage.n_read / (time.perf_counter() - started))
    return {"prompt_tokens_per_second": median(speeds, "tokens/s")}


@contextmanager
def opened(setup: Setup) -> Iterator[LlamaEngine]:
    """An engine in this process, with nothing in its cache."""
    with closing(LlamaEngine(setup.model, setup.options)) as engine:
        yield engine


class Endless:
    """A prompt, continued greedily, and again from its start when it has ended; a step is a token."""

    def __init__(
        self,
        engine: LlamaEngine,
        prompt: Prompt = COUNTING,
        signal: Prompt | None = None,
        guidance_scale: float = 1.0,
    ) -> None:
        self._engine = engine
        stop = Stop(engine.info.n_context // 2)
        self._continuation = Continuation(
            prompt, stop, signal=signal, guidance_scale=guidance_scale, heal=False
        )
        for one in (prompt, signal):
            if one is not None:
                run(engine.read(one))
        self._job = engine.generate([self._continuation])

    def step(self) -> None:
        if self._job.is_done:
            self._job.pause()
            self._job = self._engine.generate([self._continuation])
        self._job.step()


def random_prompt(seed: int, n_tokens: int) -> Prompt:
    """About so many tokens that no other seed's prompt begins with."""
    chance = random.Random(seed)
    words = (chance.choice(("if", "for", "return", "value", "total")) for _ in range(n_tokens))
    return Prompt((f"# {seed}\n" + " ".join(words),))


def _bare(setup: Setup, engine: LlamaEngine) -> BareLoop:
    return BareLoop(setup.model, first_plan(setup), engine.info.n_context)


def first_plan(setup: Setup) -> Plan:
    """How an engine loads the model where nothing goes wrong."""
    offloads = bool(llama.llama_supports_gpu_offload())
    plan, _ = next(plans(setup.options, n_layers=0, n_context_trained=0, offloads=offloads))
    return plan


def run(job: Job) -> None:
    for _ in drive(job):
        pass


def _ms_of_steps(job: Endless, n: int) -> float:
    """Milliseconds a step."""
    started = time.perf_counter()
    for _ in range(n):
        job.step()
    return (time.perf_counter() - started) * 1000 / n


def _batch_ratios(engine: LlamaEngine, seed: int) -> list[float]:
    """Of blocks of steps, batch and singles in turn, up to the first end of a continuation."""
    stop = Stop(BATCH_TOKENS_EACH)
    continuations = [
        Continuation(STORY, stop, Sampling(TEMPERATURE, top_p=0.95, seed=seed + i), heal=False)
        for i in range(BATCH)
    ]
    batch = [engine.generate(continuations)]
    singles = [engine.generate([one]) for one in continuations]
    ratios: list[float] = []
    for i in range(BATCH_TOKENS_EACH // BATCH_BLOCK_STEPS):
        if i % 2:
            batch_ms, single_ms = _ms_of_block(batch), _ms_of_block(singles)
        else:
            single_ms, batch_ms = _ms_of_block(singles), _ms_of_block(batch)
        if batch_ms is None or single_ms is None:
            break
        if i > 0:  # in the first step of a batch all share one row
            ratios.append(batch_ms / single_ms)
    for job in (*batch, *singles):
        job.pause()
    return ratios


def _ms_of_block(jobs: Sequence[Job]) -> float | None:
    """Of `BATCH_BLOCK_STEPS` steps of each job; None when one of their continuations ended."""
    started = time.perf_counter()
    for _ in range(BATCH_BLOCK_STEPS):
        if any(isinstance(event, Finished) for job in jobs for event in job.step()):
            return None
    return (time.perf_counter() - started) * 1000


def _cancelled_after(engine: LlamaEngine, job: Job, seconds: float) -> float | None:
    """Milliseconds that a step still took when the flag was set; None if the job ended before."""
    set_at = 0.0

    def cancel() -> None:
        nonlocal set_at
        set_at = time.perf_counter()
        engine.abort.set()

    timer = threading.Timer(seconds, cancel)
    timer.start()
    waited = None
    while waited is None and not job.is_done:
        job.step()
        returned = time.perf_counter()
        if engine.abort and returned >= set_at:
            waited = (returned - set_at) * 1000
    timer.cancel()
    timer.join()
    engine.abort.clear()
    job.pause()
    return waited
