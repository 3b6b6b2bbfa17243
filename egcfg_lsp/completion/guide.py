"""Rung 4: whole bodies, decoded with what the candidates' runs showed (EG-CFG, arXiv 2506.10948).

Behind the gate: only where nothing that was tried passes; what passes is never replaced.
Unlike the published method the signal is about the failing example, within a budget, and the answer
goes to the function's end; several strengths are decoded side by side. Makes continuations; what
they are worth a run tells (`explore.search`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from egcfg_lsp.completion.candidates import Rated, behaviour_of
from egcfg_lsp.completion.explore import TOP_P, Attempt
from egcfg_lsp.guidance.signal import Seen, Tried, failing_signal
from egcfg_lsp.guidance.strength import adapted, richness
from egcfg_lsp.model import Continuation, Sampling
from egcfg_lsp.prompt import Prompt
from egcfg_lsp.prompt.fim import CHARACTERS_A_TOKEN
from egcfg_lsp.settings import Settings

MAX_TOLD = 2
"""Candidates in a signal: those that rank best, of different behaviour."""
STRENGTHS = ((1.0, 0.0), (0.5, 0.0), (1.0, 0.7), (1.0, 0.9))
"""Of each attempt: the share of γ, and the temperature."""


@dataclass(frozen=True)
class Signal:
    """What is told of the candidates, and how much of γ that deserves."""

    text: str
    richness: float


def signal_of(ranked: Sequence[Rated], settings: Settings) -> Signal:
    """Of candidates all of which failed, the best first; empty where nothing fits into the budget."""
    told = ranked[:MAX_TOLD]
    text = failing_signal(
        [_tried(rated) for rated in told], settings.signal_tokens * CHARACTERS_A_TOKEN
    )
    behaviours = {behaviour_of(rated) for rated in ranked}
    has_values = any(rated.trace is not None and rated.trace.frames for rated in told)
    return Signal(text, richness(len(ranked), len(behaviours), has_values=has_values))


def attempts(
    asked: Continuation, told: Prompt, signal: Signal, settings: Settings
) -> list[Attempt]:
    """Continuations of `asked`, each guided by `told`, the same question with the signal.

    Decoded in one batch: the two prompts are read once, whatever the number of strengths.
    """
    scale = adapted(settings.guidance_scale, signal.richness)
    return [
        Attempt(
            replace(
                asked,
                signal=told,
                guidance_scale=scale * share,
                plausibility=settings.plausibility,
                sampling=Sampling(heat, TOP_P, seed=i) if heat else Sampling(),
            ),
            f"guided, γ {scale * share:.2f}" + (f", sampled at {heat:g}" if heat else ""),
        )
        for i, (share, heat) in enumerate(STRENGTHS)
    ]


def _tried(rated: Rated) -> Tried:
    result, trace = rated.result, rated.trace
    failing = Seen(trace.test if trace is not None else "", False, trace, result.failure)
    passed = tuple(
        Seen(test.name, True)
        for test in result.tests
        if test.outcome == "passed" and (trace is None or test.name != trace.test)
    )
    return Tried(rated.suggestion.text, is_whole=True, seen=(failing, *passed))
