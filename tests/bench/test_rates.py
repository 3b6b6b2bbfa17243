"""Intervals and sign tests, against published and hand-counted values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.bench.rates import (
    MIN_DIFFERENT,
    SIGNIFICANCE,
    Pairs,
    Rate,
    holm,
    min_different,
    sign_test,
    smallest_significant,
    wilson,
)


@pytest.mark.parametrize(
    ("n_hits", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(n_hits: int, n: int, low: float, high: float) -> None:
    assert wilson(n_hits, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("n_wins", "n_losses", "p"),
    [
        (0, 0, 1.0),
        (5, 0, 2 / 32),
        (0, 6, 2 / 64),
        (8, 1, 20 / 512),
        (3, 3, 1.0),
        (10, 4, 2942 / 2**14),
    ],
)
def test_sign_test(n_wins: int, n_losses: int, p: float) -> None:
    assert sign_test(n_wins, n_losses) == pytest.approx(p)


def test_sign_test_of_many_pairs_does_not_overflow() -> None:
    assert sign_test(1000, 900) == pytest.approx(0.0232, abs=1e-3)
    assert sign_test(1000, 0) == pytest.approx(0.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_interval_holds_the_rate_and_p_is_symmetric(a: int, b: int) -> None:
    low, high = wilson(a, a + b)
    rate = Rate(a, a + b).value
    assert rate is None or low <= rate + 1e-12 <= high + 2e-12
    assert 0 < sign_test(a, b) == sign_test(b, a) <= 1


@pytest.mark.parametrize(
    ("n_wins", "n_losses", "verdict"),
    [
        (5, 0, "too few differ to tell"),
        (6, 0, "better"),
        (0, 6, "worse"),
        (6, 1, "n too small to tell"),
        (20, 30, "n too small to tell"),
    ],
)
def test_verdict(n_wins: int, n_losses: int, verdict: str) -> None:
    assert Pairs(n_wins, n_losses).verdict == verdict


def test_fewer_differences_than_the_bound_can_never_be_significant() -> None:
    assert sign_test(MIN_DIFFERENT - 1, 0) >= SIGNIFICANCE > sign_test(MIN_DIFFERENT, 0)


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.04, 0.001, 0.9], [0.08, 0.003, 0.9]),
        ([0.6, 0.6], [1.0, 1.0]),
    ],
)
def test_holm(ps: list[float], adjusted: list[float]) -> None:
    assert holm(ps) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_makes_no_p_smaller(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    assert [q for _, q in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)


@pytest.mark.parametrize("significance", [0.05, 0.05 / 3])
@pytest.mark.parametrize("n", range(30))
def test_smallest_significant_difference_by_trying_all(n: int, significance: float) -> None:
    told = [n - 2 * lost for lost in range(n // 2 + 1) if sign_test(n - lost, lost) < significance]
    assert smallest_significant(n, significance) == min(told, default=None)
    assert (smallest_significant(n, significance) is None) == (n < min_different(significance))


def test_smallest_significant_difference_of_many_pairs() -> None:
    net = smallest_significant(2000)
    assert net == pytest.approx(1.96 * 2000**0.5, abs=3)
    assert min_different() == MIN_DIFFERENT
