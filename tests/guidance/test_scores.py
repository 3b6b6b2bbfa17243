"""Scores of candidates: the formula, and what counts for more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egcfg_lsp.guidance.scores import Evidence, Weights, execution_score, score, trace_score

WEIGHTS = Weights(alpha=0.5, beta=2.0, parses=0.1, runs=0.2, tests=1.0, trace=0.4)
GOOD = Evidence(-0.5, parses=True, runs=True, tests=1.0, trace=1.0)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence(0.0, parses=False, runs=False, tests=0.0, trace=0.0), 0.0),
        (replace(GOOD, mean_log_probability=0.0), 2 * 1.7),
        (GOOD, -0.25 + 2 * 1.7),
        (replace(GOOD, tests=0.5), -0.25 + 2 * 1.2),
        (replace(GOOD, runs=False), -0.25 + 2 * 1.5),
        (replace(GOOD, parses=False), -0.25 + 2 * 1.6),
        (replace(GOOD, trace=0.25), -0.25 + 2 * 1.4),
    ],
)
def test_score_is_the_formula(evidence: Evidence, expected: float) -> None:
    assert score(evidence, WEIGHTS) == pytest.approx(expected)


def test_without_beta_only_the_probability_counts() -> None:
    weights = replace(WEIGHTS, alpha=1.0, beta=0.0)
    assert score(GOOD, weights) == GOOD.mean_log_probability
    assert execution_score(GOOD, weights) > 0


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (("", False, 1.0, 1.0), ("AssertionError", False, 1.0, 1.0)),
        (("AssertionError", False, 1.0, 1.0), ("IndexError", False, 1.0, 1.0)),
        (("IndexError", False, 1.0, 1.0), ("TypeError", False, 1.0, 1.0)),
        (("TypeError", False, 1.0, 1.0), ("NameError", False, 1.0, 1.0)),
        (("TypeError", False, 1.0, 1.0), ("", True, 1.0, 1.0)),
        (("ValueError", False, 1.0, 1.0), ("ValueError", False, 0.5, 1.0)),
        (("ValueError", False, 1.0, 1.0), ("ValueError", False, 1.0, 3.0)),
    ],
)
def test_trace_score(
    better: tuple[str, bool, float, float], worse: tuple[str, bool, float, float]
) -> None:
    one, other = (
        trace_score(error, is_endless=endless, reached=reached, slowness=slowness)
        for error, endless, reached, slowness in (better, worse)
    )
    assert 0 <= other < one <= 1


def test_a_time_below_the_fastest_is_no_advantage() -> None:
    fast = trace_score("", is_endless=False, reached=1.0, slowness=0.5)
    assert fast == trace_score("", is_endless=False, reached=1.0, slowness=1.0) == 1.0
