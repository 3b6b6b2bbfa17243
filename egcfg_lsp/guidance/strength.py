"""How strongly to guide: γ by how much the evidence says.

Pure. The idea, strength by the richness of the evidence, is that of PRSM; this form of it is ours.
Does not know where the evidence comes from.
"""

from __future__ import annotations

LEAST_SHARE = 0.5
"""Of γ, for evidence that says nothing but that all failed."""


def richness(n_candidates: int, n_behaviours: int, *, has_values: bool) -> float:
    """0 to 1: half for knowing the failing call's values, half for candidates that do different things.

    `n_behaviours`: different ones among the candidates; all alike say no more than one.
    """
    if n_candidates < 1:
        return 0.0
    spread = (n_behaviours - 1) / (n_candidates - 1) if n_candidates > 1 else 0.0
    return 0.5 * has_values + 0.5 * min(max(spread, 0.0), 1.0)


def adapted(scale: float, rich: float) -> float:
    """γ between `LEAST_SHARE` of itself, for a richness of 0, and all of it, for 1."""
    return scale * (LEAST_SHARE + (1 - LEAST_SHARE) * rich)
