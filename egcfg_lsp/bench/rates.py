"""Rates, their intervals, and comparisons of pairs: exact, and small enough to need no library."""

from __future__ import annotations

from collections.abc import Sequence
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
        return self.verdict_at(self.p)

    def verdict_at(self, p: float) -> Verdict:
        """With a p of the caller's, as one that is adjusted for several comparisons."""
        if self.n_wins + self.n_losses < MIN_DIFFERENT:
            return Verdict.TOO_FEW
        if p >= SIGNIFICANCE:
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


def holm(ps: Sequence[float]) -> list[float]:
    """Each p adjusted for their number, in the order given: with those below `SIGNIFICANCE` called
    differences, the chance of calling any that is none stays below it.

    Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def smallest_significant(n_different: int, significance: float = SIGNIFICANCE) -> int | None:
    """The smallest |wins − losses| that the sign test tells from chance, of pairs that differ.

    None where not even all wins would do.
    """
    n_losses, tail, coins = 0, 1, 1 << n_different
    while 2 * n_losses < n_different and 2 * tail / coins < significance:
        n_losses += 1
        tail += comb(n_different, n_losses)
    return n_different - 2 * (n_losses - 1) if n_losses else None


def min_different(significance: float = SIGNIFICANCE) -> int:
    """The fewest pairs that must differ before anything can be told; all of them one way."""
    n = 1
    while sign_test(n, 0) >= significance:
        n += 1
    return n
