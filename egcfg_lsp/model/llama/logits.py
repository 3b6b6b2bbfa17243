"""Arithmetic on logits: log-probabilities, choosing a token, and the runner-up. Pure NumPy, no model.

Arrays are (n_vocab,), float32; the callers own the scratch, so that no token allocates one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from egcfg_lsp.model import Sampling

Floats = npt.NDArray[np.float32]
TokenIds = npt.NDArray[np.int64]


def log_probability(logits: Floats, token: int, scratch: Floats) -> float:
    """The natural log-probability of one token."""
    highest = logits.max()
    np.subtract(logits, highest, out=scratch)
    np.exp(scratch, out=scratch)
    return float(logits[token] - highest) - float(np.log(scratch.sum()))


def runner_up(logits: Floats, best: int) -> tuple[int | None, float]:
    """The second most probable token and the most probable one's lead, ≥ 0; None and inf if there is none.

    `logits` is written to and is as before on return: no copy is made for a token.
    """
    highest = logits[best]
    logits[best] = -math.inf
    second = int(logits.argmax())
    next_highest = logits[second]
    logits[best] = highest
    if next_highest == -math.inf:
        return None, math.inf
    return second, float(highest - next_highest)


class Chooser:
    """Chooses tokens; with a temperature from a random stream of its own, one number a token."""

    def __init__(self, sampling: Sampling) -> None:
        self.is_greedy = sampling.temperature <= 0
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: Floats, scratch: Floats) -> int:
        """An index of `logits`, which need not be normalised."""
        if self.is_greedy:
            return int(logits.argmax())
        tokens, weights = kept(logits, self._sampling, scratch)
        cumulative = np.cumsum(weights, dtype=np.float64)
        drawn = self._random.random() * cumulative[-1]
        return int(tokens[min(np.searchsorted(cumulative, drawn, side="right"), len(tokens) - 1)])


def kept(logits: Floats, sampling: Sampling, scratch: Floats) -> tuple[TokenIds, Floats]:
    """Indices that the truncation leaves, and their weights, the largest of which is 1.

    First the temperature, then min-p, then top-p over what is left; of equal weights top-p keeps
    those of lower indices.
    """
    np.subtract(logits, logits.max(), out=scratch)
    scratch /= np.float32(sampling.temperature)
    np.exp(scratch, out=scratch)
    least = sampling.min_p
    if sampling.top_p < 1 and least <= 0:
        # All tokens below this weight together have less than the mass that top-p leaves out.
        least = (1 - sampling.top_p) * float(scratch.sum(dtype=np.float64)) / len(scratch)
    tokens = np.flatnonzero(scratch >= np.float32(least))
    weights = scratch[tokens]
    if sampling.top_p >= 1:
        return tokens, weights
    order = np.argsort(-weights, kind="stable")
    tokens, weights = tokens[order], weights[order]
    cumulative = np.cumsum(weights, dtype=np.float64)
    total = cumulative[-1] if sampling.min_p > 0 else scratch.sum(dtype=np.float64)
    n_kept = int(np.searchsorted(cumulative, sampling.top_p * total, side="left")) + 1
    return tokens[:n_kept], weights[:n_kept]
