"""Arithmetic on logits against the formulas in float64, and choices against naive sorting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egcfg_lsp.model import Sampling
from egcfg_lsp.model.llama.logits import (
    Chooser,
    Floats,
    kept,
    log_probability,
    runner_up,
)

INFINITY = float("inf")
logits_with_ties = st.lists(st.integers(-8, 8).map(lambda n: n / 2), min_size=1, max_size=40)


def array(values: Sequence[float]) -> Floats:
    return np.array(values, np.float32)


def naive_log_softmax(logits: Sequence[float]) -> list[float]:
    highest = max(logits)
    total = math.fsum(math.exp(logit - highest) for logit in logits)
    return [logit - highest - math.log(total) for logit in logits]


def random_logits(n: int, seed: int, scale: float = 5.0) -> Floats:
    return np.random.default_rng(seed).normal(0, scale, n).astype(np.float32)


@pytest.mark.parametrize(
    "logits",
    [
        [0.0],
        [1.0, 1.0, 1.0],
        [1000.0, 999.0, -1000.0],
        [-1e30, 0.0],
        [3.0, -INFINITY, 2.0],
        random_logits(5000, 1).tolist(),
    ],
)
def test_log_probabilities_are_those_of_the_formula(logits: list[float]) -> None:
    wanted = naive_log_softmax(logits)
    for token in range(min(len(logits), 20)):
        one = log_probability(array(logits), token, np.empty(len(logits), np.float32))
        assert one == pytest.approx(wanted[token], rel=1e-6, abs=1e-5)


def test_log_probabilities_of_a_large_vocabulary_add_up() -> None:
    logits, scratch = random_logits(152_000, 2, scale=2.0), np.empty(152_000, np.float32)
    first = log_probability(logits, 0, scratch)
    differences = logits.astype(np.float64) - float(logits[0])
    assert float(np.exp(first + differences).sum()) == pytest.approx(1, abs=1e-5)


def test_the_logits_themselves_stay_as_they_are() -> None:
    """They are a view of llama.cpp's buffer."""
    logits, scratch = random_logits(100, 3), np.empty((2, 100), np.float32)
    before = logits.copy()
    log_probability(logits, 5, scratch[0])
    runner_up(logits, int(logits.argmax()))
    Chooser(Sampling(temperature=0.7, top_p=0.9, min_p=0.01)).choose(logits, scratch[0])
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize(
    ("logits", "best", "wanted"),
    [
        ([1.0, 3.0, 2.5], 1, (2, 0.5)),
        ([3.0, 1.0, 3.0], 0, (2, 0.0)),
        ([-5.0, -7.0], 0, (1, 2.0)),
        ([4.0], 0, (None, INFINITY)),
        ([4.0, -INFINITY, -INFINITY], 0, (None, INFINITY)),
        ([-INFINITY, 0.0, -1e30], 1, (2, pytest.approx(1e30))),
        ([-INFINITY, -INFINITY], 0, (None, INFINITY)),
    ],
)
def test_the_runner_up_is_the_best_but_one(
    logits: list[float], best: int, wanted: tuple[int | None, float]
) -> None:
    values = array(logits)
    assert runner_up(values, best) == wanted
    np.testing.assert_array_equal(values, array(logits))


@given(logits_with_ties)
@settings(max_examples=200, deadline=None)
def test_the_runner_up_is_what_a_sort_says(logits: list[float]) -> None:
    order = sorted(range(len(logits)), key=lambda token: -logits[token])
    second, margin = runner_up(array(logits), order[0])
    if len(logits) == 1:
        assert (second, margin) == (None, INFINITY)
    else:
        assert (second, margin) == (order[1], logits[order[0]] - logits[order[1]])


def naive_kept(logits: Floats, sampling: Sampling, top_p: float) -> list[int]:
    """Tokens in the order of their weights, by a full sort."""
    tempered = [logit / sampling.temperature for logit in logits.tolist()]
    highest = max(tempered)
    weights = [math.exp(value - highest) for value in tempered]
    order = sorted(range(len(weights)), key=lambda token: -weights[token])
    order = [token for token in order if weights[token] >= sampling.min_p * (1 - 1e-6)]
    total, mass, n = math.fsum(weights[token] for token in order), 0.0, 0
    while n < len(order) and mass < top_p * total:
        mass += weights[order[n]]
        n += 1
    return order[: max(n, 1)] if top_p < 1 else order


def check_kept(logits: Floats, sampling: Sampling) -> None:
    """Like the naive choice, but for a token at the very border of top-p."""
    tokens, weights = kept(logits, sampling, np.empty_like(logits))
    least = naive_kept(logits, sampling, sampling.top_p - 1e-5)
    most = naive_kept(logits, sampling, min(sampling.top_p + 1e-5, 1.0))
    assert set(least) <= set(tokens.tolist()) <= set(most)
    assert len(set(tokens.tolist())) == len(tokens) == len(weights) > 0
    highest = float(logits.max())
    wanted = np.exp((logits[tokens].astype(np.float64) - highest) / sampling.temperature)
    np.testing.assert_allclose(weights, wanted, rtol=1e-4, atol=1e-6)
    assert weights.max() == 1


@given(
    logits_with_ties,
    st.sampled_from([0.1, 0.5, 1.0, 1.7]),
    st.sampled_from([0.0, 0.1, 0.37, 0.5, 0.75, 0.9, 0.95, 0.999, 1.0]),
    st.sampled_from([0.0, 0.0, 0.02, 0.3, 1.0]),
)
@settings(max_examples=200, deadline=None)
def test_truncation_keeps_what_a_full_sort_keeps(
    logits: list[float], temperature: float, top_p: float, min_p: float
) -> None:
    check_kept(array(logits), Sampling(temperature, top_p, min_p))


@pytest.mark.parametrize("top_p", [0.3, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("scale", [0.01, 1.0, 4.0])
def test_truncation_of_a_large_vocabulary(top_p: float, scale: float) -> None:
    check_kept(random_logits(20_000, 10, scale), Sampling(0.8, top_p))


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [
        (Sampling(1.0), {0, 1, 2, 3}),
        (Sampling(1.0, top_p=0.5), {0}),
        (Sampling(1.0, top_p=0.7), {0, 1}),
        (Sampling(1.0, top_p=0.0), {0}),
        (Sampling(1.0, min_p=0.3), {0, 1}),
        (Sampling(1.0, min_p=0.3, top_p=0.6), {0}),
        (Sampling(1.0, min_p=0.2, top_p=0.9), {0, 1, 2}),
        (Sampling(1.0, min_p=1.0), {0}),
        (Sampling(0.25, top_p=0.9), {0}),
        (Sampling(4.0, top_p=0.5), {0, 1}),
    ],
)
def test_what_truncation_keeps_of_four(sampling: Sampling, wanted: set[int]) -> None:
    logits = np.log(array([0.55, 0.25, 0.15, 0.05]))
    tokens, _ = kept(logits, sampling, np.empty_like(logits))
    assert set(tokens.tolist()) == wanted


def test_of_equal_weights_lower_indices_are_kept() -> None:
    for n in (10, 1000):
        logits = array([1.0] * n)
        tokens, _ = kept(logits, Sampling(1.0, top_p=0.25), np.empty_like(logits))
        assert tokens.tolist() == list(range(math.ceil(n / 4)))


def drawn(logits: Floats, sampling: Sampling, n: int) -> Counter[int]:
    chooser, scratch = Chooser(sampling), np.empty_like(logits)
    return Counter(chooser.choose(logits, scratch) for _ in range(n))


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [
        (Sampling(1.0, seed=1), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(0.5, seed=2), [p**2 / 0.365 for p in (0.5, 0.3, 0.15, 0.05)]),
        (Sampling(1.0, top_p=0.7, seed=3), [0.625, 0.375, 0, 0]),
        (Sampling(1.0, min_p=0.25, seed=4), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        (Sampling(1e-3, seed=5), [1, 0, 0, 0]),
        (Sampling(0.0, seed=6), [1, 0, 0, 0]),
    ],
)
def test_tokens_are_chosen_as_often_as_they_are_probable(
    sampling: Sampling, wanted: list[float]
) -> None:
    n = 4000
    counts = drawn(np.log(array([0.5, 0.3, 0.15, 0.05])), sampling, n)
    for token, probability in enumerate(wanted):
        assert counts[token] / n == pytest.approx(probability, abs=0.04)
        assert (counts[token] == 0) == (probability == 0)


def test_a_seed_determines_the_choices() -> None:
    def sequence(seed: int) -> list[int]:
        chooser = Chooser(Sampling(temperature=2.0, seed=seed))
        return [chooser.choose(random_logits(50, i), np.empty(50, np.float32)) for i in range(30)]

    assert sequence(1) == sequence(1)
    assert sequence(1) != sequence(2)


def test_each_choice_takes_one_number_of_the_random_stream() -> None:
    """What is chosen later does not depend on how many tokens a truncation kept before."""
    flat, steep = array([0.0] * 8), array([50.0, *[0.0] * 7])
    scratch = np.empty(8, np.float32)
    first, second = (Chooser(Sampling(1.0, seed=9)) for _ in range(2))
    first.choose(flat, scratch)
    second.choose(steep, scratch)
    assert first.choose(flat, scratch) == second.choose(flat, scratch)


@pytest.mark.parametrize(
    "choose",
    [
        lambda logits: drawn(logits, Sampling(0.0), 1),
        lambda logits: drawn(logits, Sampling(1.0), 50),
        lambda logits: drawn(logits, Sampling(5.0, top_p=0.9), 50),
        lambda logits: drawn(logits, Sampling(5.0, min_p=0.001), 50),
    ],
)
def test_an_impossible_token_is_never_chosen(choose: Callable[[Floats], Counter[int]]) -> None:
    logits = array([-INFINITY, 0.0, -INFINITY, 1.0, -INFINITY])
    assert set(choose(logits)) <= {1, 3}


def test_one_token_is_chosen_however_it_is_sampled() -> None:
    for sampling in (Sampling(0.0), Sampling(1.0), Sampling(9.0, top_p=0.1, min_p=0.5)):
        assert drawn(array([-3.0]), sampling, 3) == {0: 3}
