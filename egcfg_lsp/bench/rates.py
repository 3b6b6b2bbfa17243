"""Rates, their intervals, and comparisons of pairs: exact, and small enough to need no library."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import comb, sqrt
from statistics import NormalDist

SIGNIFICANCE = 0.05
MIN_DIFFERENT = 6
"""Fewer pairs that differ cannot be told from chance at `SIGNIFICANCE`, even if all go one way."""


@dataclass(frozen=True)
class Rate:
    n_hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.n_hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.n_hits, self.n)


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    TOO_SMALL = "n too small to tell"
    TOO_FEW = "too few differ to tell"


@dataclass(frozen=True)
class Pairs:
    """How often one of two is right where the other is not, on the same problems."""

    n_wins: int
    n_losses: int

    @property
    def p(self) -> float:
        return sign_test(self.n_wins, self.n_losses)

    @property
    def verdict(self) -> Verdict:
        if self.n_wins + self.n_losses < MIN_DIFFERENT:
            return Verdict.TOO_FEW
        if self.p >= SIGNIFICANCE:
            return Verdict.TOO_SMALL
        return Verdict.BETTER if self.n_wins > self.n_losses else Verdict.WORSE


def wilson(n_hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a binomial rate; (0, 1) where n is 0.

    Wilson, Probable inference, the law of succession, and statistical inference, 1927; without
    continuity correction, method 3 of Newcombe, Statistics in Medicine 17, 1998.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = n_hits / n
    centre = rate + z * z / (2 * n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def sign_test(n_wins: int, n_losses: int) -> float:
    """Two-sided exact p of wins and losses being a fair coin's (McNemar's exact test on pairs)."""
    n = n_wins + n_losses
    tail = sum(comb(n, k) for k in range(min(n_wins, n_losses) + 1))
    return min(1.0, 2 * tail / (1 << n))
