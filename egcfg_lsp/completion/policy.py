"""Which rungs a request gets, and how much each may do: one table.

Pure. What is known of the place, the tests and the machine goes in; a plan comes out. Does not know
how candidates are made or run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from egcfg_lsp.completion import Outcome, Rung
from egcfg_lsp.guidance.scores import Weights
from egcfg_lsp.settings import Settings

UNCERTAIN_MARGIN = 2.0
"""Natural logarithm: a token with another one this near could have been that one."""


@dataclass(frozen=True)
class Situation:
    """What a plan depends on."""

    to_the_end: bool
    """Whether the draft goes on to the function's end; else it is one line."""
    tests_are_slow: bool = False
    is_flaky: bool = False
    """One of the function's tests is known to say now this, now that."""
    trims: bool = True
    """Whether the model's KV cache can be cut; if not, each branch reads the prompt anew."""
    on_gpu: bool = False
    on_battery: bool = False
    n_uncertain: int = 0
    """Tokens of the draft that could have been others (`UNCERTAIN_MARGIN`)."""


@dataclass(frozen=True)
class Plan:
    """How much exploring there may be. Nothing of it is done after a candidate that is verified."""

    n_branches: int = 0
    n_samples: int = 0
    temperatures: tuple[float, ...] = ()
    """Of the samples, in turn."""
    why: str = ""
    """For people: what it was cut down for, or why there is none of it."""

    @property
    def is_empty(self) -> bool:
        return not self.n_branches and not self.n_samples


LINE = Plan(n_branches=6, n_samples=2, temperatures=(0.8, 1.1))
"""A line takes few tokens, and few of its branches are the same: branches first."""
BODY = Plan(n_branches=4, n_samples=6, temperatures=(0.6, 0.8, 1.0))
LEAST_BRANCHES = 2
GPU_FACTOR = 3
"""So many times as many candidates on a GPU, where a row of a batch costs less; not measured."""


def plan(situation: Situation, settings: Settings) -> Plan:
    """How a draft that fails is followed up."""
    if settings.highest_rung not in (Rung.EXPLORE, Rung.GUIDE):
        return Plan(why="switched off (`highestRung`)")
    if situation.is_flaky:
        return Plan(why="a test is flaky: what passes would say little")
    full = BODY if situation.to_the_end else LINE
    if not situation.trims:
        return replace(full, n_branches=0, why="the model cannot go back to a prefix")
    n_branches = min(full.n_branches, max(situation.n_uncertain, LEAST_BRANCHES))
    cut = replace(full, n_branches=n_branches)
    if situation.tests_are_slow:
        return replace(cut, n_branches=min(n_branches, 2), n_samples=0, why="the tests are slow")
    if situation.on_battery:
        return replace(cut, n_samples=0, why="on battery")
    if situation.on_gpu:
        return replace(
            full,
            n_branches=full.n_branches * GPU_FACTOR,
            n_samples=full.n_samples * GPU_FACTOR,
        )
    return cut


def reason_not_to_guide(situation: Situation, settings: Settings) -> str | None:
    """Why decoding is not guided behind candidates that all failed, or None."""
    if settings.highest_rung != Rung.GUIDE:
        return "switched off (`highestRung`)"
    if not situation.to_the_end:
        return "one line is wanted"
    if situation.is_flaky or situation.tests_are_slow or situation.on_battery:
        return "the tests are flaky or slow, or the machine is on battery"
    return None


def is_worth_exploring(outcome: Outcome, *, is_endless: bool) -> bool:
    """Whether other candidates can do better than a draft with this outcome: it was run, and fails."""
    return outcome in (Outcome.FAILS, Outcome.PARTIAL) or is_endless


def weights_of(settings: Settings) -> Weights:
    """How candidates of one outcome are ranked."""
    return Weights(
        settings.rank_alpha,
        settings.rank_beta,
        settings.rank_parses,
        settings.rank_runs,
        settings.rank_tests,
        settings.rank_trace,
    )
