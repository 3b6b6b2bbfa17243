"""Prompt tokens that are read for each key of a recorded typing session, through the product's draft.

Every key is one request for the first line, decoded for real. Not timed; the completion cache, which
answers many keys without the model, is left out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from benchmarks.decoding import opened
from benchmarks.figures import Figure, Figures, Setup
from benchmarks.typing_sessions import recorded, requests
from egcfg_lsp.completion import Request
from egcfg_lsp.completion.draft import Draft, draft_texts, place_of, question
from egcfg_lsp.completion.engine import Tools, circumstances
from egcfg_lsp.completion.filters import word_right
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.model import Continuation, Event, LanguageModel, ModelInfo, Priority, Usage
from egcfg_lsp.model.llama.engine import LlamaEngine, drive
from egcfg_lsp.prompt import Control, Marker, Prompt, PromptPart
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS

N_KEYS = 200
MAX_TOKENS = 8
_PART_BEHIND = {
    Marker.FIM_PREFIX: "prefix",
    Marker.FIM_SUFFIX: "suffix",
    Marker.FIM_MIDDLE: "middle",
}
_SMALL = 8
"""Reads of at most this many tokens are typing, not re-reading."""


def rereading_at_end(setup: Setup) -> Figures:
    return {"reread_end": _reread(setup, "end", at_most=2)}


def rereading_in_middle(setup: Setup) -> Figures:
    return {"reread_middle": _reread(setup, "middle", at_most=2)}


def rereading_to_and_fro(setup: Setup) -> Figures:
    return {"reread_scroll": _reread(setup, "scroll", at_most=40)}


def rereading_with_closed_brackets(setup: Setup) -> Figures:
    return {"reread_end_closing_brackets": _reread(setup, "end", closes_brackets=True)}


@dataclass
class RecordingModel:
    """A `LanguageModel` over an engine in this process; notes prompts and what was read of them."""

    engine: LlamaEngine
    max_tokens: int
    asked: list[tuple[Prompt, Usage]] = field(default_factory=list)

    async def info(self) -> ModelInfo:
        return self.engine.info

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        del priority
        short = [
            replace(one, stop=replace(one.stop, max_tokens=self.max_tokens))
            for one in continuations
        ]
        job = self.engine.generate(short)
        events = list(drive(job))
        self.asked.append((continuations[0].prompt, job.usage))
        for event in events:
            yield event

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        del priority
        job = self.engine.score(prompt, texts)
        for _ in drive(job):
            pass
        return job.log_probabilities

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        del priority
        job = self.engine.read(prompt)
        for _ in drive(job):
            pass
        return job.usage

    async def close(self) -> None: ...


async def draft(request: Request, model: LanguageModel) -> list[Draft]:
    """What the ladder's first rung says."""
    here = circumstances(request, Tools(model, KernelSandbox()))
    asked = await question(request, here, model, DEFAULT_LIMITS)
    texts = draft_texts(asked, here.place, model, Priority.KEYSTROKE)
    async with aclosing(texts) as drafts:
        return [drafted async for drafted in drafts]


def changed_part(prompt: Prompt, earlier: Iterable[Prompt]) -> str:
    """The part in which a prompt parts from the one of the earlier ones that it agrees with longest."""
    text = _text(prompt)
    n_common = max((_common_prefix(text, _text(other)) for other in earlier), default=0)
    return _part_at(text, n_common)


def _reread(
    setup: Setup,
    name: str,
    *,
    at_most: float | None = None,
    closes_brackets: bool = False,
) -> Figure:
    with opened(setup) as engine:
        model = RecordingModel(engine, MAX_TOKENS)
        n_keys = setup.rounds(N_KEYS, 24)
        for request in requests(recorded(name), n_keys, closes_brackets=closes_brackets):
            if word_right(place_of(request, None)) is None:
                asyncio.run(draft(request, model))
    counts = [usage.n_read for _, usage in model.asked]
    first, *later = counts
    prompts = [prompt for prompt, _ in model.asked]
    large = {i: n for i, n in enumerate(counts) if n > _SMALL}
    causes = Counter({"typing": sum(counts) - sum(large.values())})
    for i, n_read in large.items():
        causes[changed_part(prompts[i], prompts[:i])] += n_read
    details = {
        "max_tokens": MAX_TOKENS,
        "first_read": first,
        "prompt_tokens": max(usage.n_read + usage.n_reused for _, usage in model.asked),
        "large_reads_by_key": large,
        "read_by_cause": dict(causes),
    }
    return Figure(
        sum(later) / len(later),
        "prompt tokens a key",
        at_most=at_most,
        low=min(later),
        high=max(later),
        n=len(later),
        details=details,
    )


_MARK = "\0"


def _text(prompt: Prompt) -> str:
    """A prompt as one text, its markers in it."""
    return "".join(map(_part_text, prompt.parts))


def _part_text(part: PromptPart) -> str:
    if isinstance(part, Marker):
        return f"{_MARK}{part.value}{_MARK}"
    return part.text if isinstance(part, Control) else part


def _common_prefix(a: str, b: str) -> int:
    """Length of what both begin with."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _part_at(text: str, offset: int) -> str:
    """Which part of a prompt's text stands at an offset."""
    before = text[:offset]
    starts = {before.rfind(f"{_MARK}{m.value}{_MARK}"): name for m, name in _PART_BEHIND.items()}
    last = max(starts)
    return starts[last] if last >= 0 else "other files"
