"""The arithmetic of guidance as properties, on random distributions of many shapes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from egcfg_lsp.guidance.cfg import Floats, Mask, guided, plausible

SCALES = (-1.0, 0.0, 0.25, 0.5, 0.999, 1.0, 1.5, 3.0, 10.0)
INFINITY = np.float32(np.inf)


def log_probabilities(logits: Floats) -> Floats:
    exact = logits.astype(np.float64)
    exact -= exact.max()
    exact -= np.log(np.exp(exact).sum())
    return exact.astype(np.float32)


def pairs(excluded: float = 0.0) -> Iterator[tuple[Floats, Floats]]:
    """Prior and signal, log-probabilities; about a share `excluded` of the tokens is −inf in each."""
    random = np.random.default_rng(8)
    for n in (1, 2, 7, 100, 3000):
        for spread in (0.1, 3.0, 30.0):
            logits = random.normal(0, spread, (2, n)).astype(np.float32)
            logits[random.random((2, n)) < excluded] = -INFINITY
            logits[:, 0] = random.normal(0, spread, 2)  # something is possible
            yield log_probabilities(logits[0]), log_probabilities(logits[1])


def mixed(prior: Floats, signal: Floats, scale: float, mask: Mask | None = None) -> Floats:
    """Into an array that is full of what must not be left in it."""
    return guided(prior, signal, scale, np.full_like(prior, np.nan), mask)


def kept(prior: Floats, signal: Floats, fraction: float) -> Mask:
    n = len(prior)
    return plausible(prior, signal, fraction, np.empty(n, np.bool_), np.empty(n, np.bool_))


def test_guidance_is_the_formula() -> None:
    for prior, signal in pairs():
        exact_prior, exact_signal = prior.astype(np.float64), signal.astype(np.float64)
        for scale in SCALES:
            wanted = exact_prior + scale * (exact_signal - exact_prior)
            np.testing.assert_allclose(mixed(prior, signal, scale), wanted, rtol=1e-5, atol=1e-4)


def test_no_guidance_is_exactly_the_prior_and_one_exactly_the_signal() -> None:
    for prior, signal in pairs(excluded=0.3):
        np.testing.assert_array_equal(mixed(prior, signal, 0.0), prior)
        np.testing.assert_array_equal(mixed(prior, signal, 1.0), signal)


def test_where_both_agree_the_scale_changes_nothing() -> None:
    for prior, _ in pairs(excluded=0.3):
        for scale in SCALES:
            np.testing.assert_allclose(mixed(prior, prior, scale), prior)


def test_logits_shifted_by_a_constant_choose_alike() -> None:
    """So that whether its inputs are normalised makes a constant of a difference, and no other."""
    random = np.random.default_rng(9)
    for prior, signal in pairs():
        shifts = random.normal(0, 20, 2).astype(np.float32)
        for scale in SCALES:
            plain = mixed(prior, signal, scale)
            shifted = mixed(prior + shifts[0], signal + shifts[1], scale)
            constant = float(shifts[0] + scale * (shifts[1] - shifts[0]))
            np.testing.assert_allclose(shifted - np.float32(constant), plain, atol=2e-3)
            order = np.sort(plain)
            if len(order) > 1 and order[-1] - order[-2] > 0.01:
                assert shifted.argmax() == plain.argmax()


def test_between_two_scales_it_is_linear() -> None:
    for prior, signal in pairs():
        for low, high in ((0.0, 1.0), (0.5, 3.0), (-1.0, 1.5)):
            for share in (0.25, 0.5, 0.9):
                scale = low + share * (high - low)
                line = (1 - share) * mixed(prior, signal, low) + share * mixed(prior, signal, high)
                np.testing.assert_allclose(mixed(prior, signal, scale), line, rtol=1e-5, atol=1e-3)


def test_the_most_probable_token_of_both_stays_it() -> None:
    for prior, signal in pairs():
        best = int(prior.argmax())
        signal = signal.copy()
        signal[best] = signal.max() + 1
        for scale in (0.0, 0.3, 0.5, 1.0):
            assert mixed(prior, signal, scale).argmax() == best


@pytest.mark.parametrize("scale", SCALES)
def test_what_one_rules_out_stays_out(scale: float) -> None:
    for prior, signal in pairs(excluded=0.3):
        found = mixed(prior, signal, scale)
        assert not np.isnan(found).any()
        assert not (found == INFINITY).any()
        out_of_prior, out_of_signal = prior == -INFINITY, signal == -INFINITY
        if scale == 0:
            wanted = out_of_prior
        elif scale == 1:
            wanted = out_of_signal
        else:
            wanted = out_of_prior | out_of_signal
        np.testing.assert_array_equal(found == -INFINITY, wanted)


def test_a_mask_leaves_the_others_as_they_are() -> None:
    random = np.random.default_rng(10)
    for excluded in (0.0, 0.3):
        for prior, signal in pairs(excluded):
            mask = random.random(len(prior)) < 0.5
            for scale in SCALES:
                found = mixed(prior, signal, scale, mask)
                np.testing.assert_array_equal(found[mask], mixed(prior, signal, scale)[mask])
                assert (found[~mask] == -INFINITY).all()


def test_plausible_is_the_definition() -> None:
    for prior, signal in pairs(excluded=0.2):
        for fraction in (0.001, 0.1, 0.5):
            wanted = np.zeros(len(prior), np.bool_)
            doubtful = np.zeros(len(prior), np.bool_)
            for head in (prior, signal):
                share = np.exp(head.astype(np.float64) - float(head.max()))
                wanted |= share >= fraction
                doubtful |= abs(share - fraction) < 1e-5
            found = kept(prior, signal, fraction)
            np.testing.assert_array_equal(found[~doubtful], wanted[~doubtful])


def test_a_fraction_of_zero_keeps_all_and_of_one_the_most_probable() -> None:
    for prior, signal in pairs(excluded=0.2):
        assert kept(prior, signal, 0.0).all()
        best = np.zeros(len(prior), np.bool_)
        best[[prior.argmax(), signal.argmax()]] = True
        np.testing.assert_array_equal(kept(prior, signal, 1.0), best)


def test_a_larger_fraction_keeps_a_subset() -> None:
    for prior, signal in pairs():
        fractions = (0.0, 1e-6, 0.01, 0.1, 0.9, 1.0)
        masks = [kept(prior, signal, fraction) for fraction in fractions]
        for wide, narrow in pairwise(masks):
            assert not (narrow & ~wide).any()


def test_logits_are_as_plausible_as_their_log_probabilities() -> None:
    for prior, signal in pairs():
        for fraction in (0.01, 0.1):
            shifted = kept(prior + np.float32(4), signal - np.float32(2), fraction)
            assert (shifted != kept(prior, signal, fraction)).mean() <= 0.001


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_what_is_no_fraction(fraction: float) -> None:
    prior = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="from 0 to 1"):
        kept(prior, prior, fraction)


def test_a_mask_keeps_large_scales_from_the_improbable() -> None:
    """The ratio of two improbable tokens' probabilities is noise, and γ = 3 makes it decide."""
    prior = log_probabilities(np.array([0.0, -1.0, -14.0], np.float32))
    signal = log_probabilities(np.array([0.0, -1.0, -6.0], np.float32))
    assert mixed(prior, signal, 3.0).argmax() == 2
    assert mixed(prior, signal, 3.0, kept(prior, signal, 0.1)).argmax() == 0


def test_the_inputs_stay_as_they_are() -> None:
    for prior, signal in pairs(excluded=0.2):
        before = prior.copy(), signal.copy()
        for scale in SCALES:
            mixed(prior, signal, scale, kept(prior, signal, 0.1))
        np.testing.assert_array_equal((prior, signal), before)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_nothing_of_the_vocabularys_size_is_allocated(scale: float) -> None:
    n = 100_000
    prior, signal = np.random.default_rng(11).normal(0, 3, (2, n)).astype(np.float32)
    out, mask, scratch = np.empty(n, np.float32), np.empty(n, np.bool_), np.empty(n, np.bool_)
    tracemalloc.start()
    try:
        guided(prior, signal, scale, out)
        guided(prior, signal, scale, out, plausible(prior, signal, 0.1, mask, scratch))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n / 2
