"""γ by how much the evidence says."""

from __future__ import annotations

import itertools

import pytest

from egcfg_lsp.guidance.strength import LEAST_SHARE, adapted, richness


@pytest.mark.parametrize(
    ("n_candidates", "n_behaviours", "has_values", "expected"),
    [
        (0, 0, True, 0.0),
        (1, 1, False, 0.0),
        (1, 1, True, 0.5),
        (5, 1, False, 0.0),
        (5, 1, True, 0.5),
        (5, 3, False, 0.25),
        (5, 5, False, 0.5),
        (5, 5, True, 1.0),
    ],
)
def test_richness(n_candidates: int, n_behaviours: int, has_values: bool, expected: float) -> None:
    assert richness(n_candidates, n_behaviours, has_values=has_values) == pytest.approx(expected)


def test_adapted_grows_with_the_evidence_and_stays_within_the_scale() -> None:
    shares = [adapted(2.0, i / 10) for i in range(11)]
    assert shares[0] == 2.0 * LEAST_SHARE
    assert shares[-1] == 2.0
    assert all(one < other for one, other in itertools.pairwise(shares))
    assert adapted(0.0, 1.0) == 0.0
