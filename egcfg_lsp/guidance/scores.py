"""How good a candidate looks: `α · mean log-probability + β · E`, with E from what execution said.

Pure. Ranks candidates of one outcome among each other: which outcome is better, and whether a
candidate is right, is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Weights:
    """Of the terms of a score; the defaults were chosen by hand, and have not been tuned."""

    alpha: float = 0.5
    """Of the mean log-probability, natural logarithm per token."""
    beta: float = 1.0
    """Of E."""
    parses: float = 0.1
    runs: float = 0.2
    tests: float = 1.0
    trace: float = 0.2


@dataclass(frozen=True)
class Evidence:
    """What is known of one candidate."""

    mean_log_probability: float
    """≤ 0."""
    parses: bool
    runs: bool
    """Whether no exception came out of its own lines."""
    tests: float
    """Share of the tests with a verdict that pass, 0 to 1."""
    trace: float
    """How well its trace looks beside those of the others, 0 to 1 (`trace_score`)."""


def execution_score(evidence: Evidence, weights: Weights) -> float:
    """`E = w₁ parses + w₂ runs + w₃ tests + w₄ trace`."""
    return (
        weights.parses * evidence.parses
        + weights.runs * evidence.runs
        + weights.tests * evidence.tests
        + weights.trace * evidence.trace
    )


def score(evidence: Evidence, weights: Weights) -> float:
    """`α · mean log-probability + β · E`."""
    return weights.alpha * evidence.mean_log_probability + weights.beta * execution_score(
        evidence, weights
    )


_ENDINGS = {"": 1.0, "AssertionError": 0.8, "TypeError": 0.3, "NameError": 0.1, "SyntaxError": 0.0}
"""A wrong value says that the code did what it was written for; a name that does not exist says the
least. Other exceptions, and runs without an end, stand between."""
_OTHER_ERROR, _ENDLESS = 0.5, 0.2


def trace_score(error: str, *, is_endless: bool, reached: float, slowness: float) -> float:
    """The mean of three, 0 to 1: how it ended, how far it ran, how fast.

    `error`: the class of the exception that ended it, empty for none; `reached`: the share of its
    lines that were executed; `slowness`: its time over the fastest candidate's, ≥ 1.
    """
    ending = _ENDLESS if is_endless else _ENDINGS.get(error, _OTHER_ERROR)
    return (ending + reached + 1 / max(slowness, 1.0)) / 3
