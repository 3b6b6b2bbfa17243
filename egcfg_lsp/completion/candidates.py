"""The candidates of one request: which there have been, what their runs said, how they rank.

What says the same as an earlier one is not run again, and of those that behave alike one is shown.
Runs nothing itself, and makes no candidates.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from textwrap import dedent

from egcfg_lsp.completion import Considered, Drop, Outcome, Rung, Suggestion
from egcfg_lsp.completion.draft import Circumstances, Draft
from egcfg_lsp.completion.filters import drops
from egcfg_lsp.completion.fit import fit, misfits
from egcfg_lsp.completion.verify import Trial
from egcfg_lsp.execution import Ending, RunResult, Status
from egcfg_lsp.guidance.executable import normalised
from egcfg_lsp.guidance.scores import Evidence, Weights, score, trace_score
from egcfg_lsp.trace import Trace, parse
from egcfg_lsp.trace.behaviour import behaviour

MAX_SHOWN = 5
"""Suggestions that an editor gets for one request."""
_ids = itertools.count(1)


def new_id() -> str:
    """Of a suggestion, for one process."""
    return f"s{next(_ids)}"


def suggested(
    drafted: Draft, here: Circumstances, suggestion_id: str, *, is_automatic: bool
) -> Suggestion | Drop:
    """What a continuation comes to at its place."""
    fitted = fit(drafted.text, here.place, one_line=not here.goes_to_the_end)
    cause = drops(fitted.text, here.place, is_automatic=is_automatic) or misfits(fitted, here.place)
    if cause is not None:
        reason = drafted.stopped if not drafted.text and drafted.stopped else cause
        return Drop(reason, fitted.text)
    return Suggestion(
        suggestion_id,
        fitted.text,
        fitted.replaces,
        removes=here.removes(fitted.text),
        written=drafted.written,
    )


@dataclass(frozen=True)
class Rated:
    """A candidate that was run; outcome and summary are the suggestion's."""

    suggestion: Suggestion
    result: RunResult
    trace: Trace | None = None
    """The result's, read."""


@dataclass
class Candidates:
    """What there has been for one request, in the order it came."""

    head: str = ""
    """What stands before the candidates' texts, from the line of the function's `def`."""
    weights: Weights = field(default_factory=Weights)
    rated: list[Rated] = field(default_factory=list)
    considered: list[Considered] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)
    """Origins by programs."""

    def is_new(self, text: str, origin: str, rung: Rung) -> bool:
        """Whether no candidate says the same; one that does is noted, and that is all.

        Parses the function, as `add` reads a trace: for a thread.
        """
        key = normalised(dedent(self.head + text))
        if key in self._seen:
            self.considered.append(
                Considered(rung, origin, text, summary=f"says the same as: {self._seen[key]}")
            )
            return False
        self._seen[key] = origin
        return True

    def drop(self, drop: Drop, origin: str, rung: Rung) -> None:
        """A continuation came to nothing that can be shown."""
        self.considered.append(Considered(rung, origin, drop.text, summary=drop.cause.text))

    def add(self, suggestion: Suggestion, trial: Trial, origin: str) -> None:
        """A candidate was run."""
        self.rated.append(Rated(suggestion, trial.result, parse(trial.result.trace)))
        self.considered.append(
            Considered(
                suggestion.rung,
                origin,
                suggestion.text,
                suggestion.outcome,
                suggestion.summary,
                suggestion.written.mean_log_probability,
            )
        )

    @property
    def has_passed(self) -> bool:
        """Whether all tests pass with one of them, verified or not."""
        return any(_standing(rated)[0] <= _PASSES for rated in self.rated)

    def in_order(self) -> list[Rated]:
        """The best first; the first candidate stays first unless another one is better."""
        return ranked(self.rated, self.weights)

    def shown(self) -> tuple[Suggestion, ...]:
        """Those that an editor gets; the first candidate is one of them, the user may be typing it."""
        found = self.in_order()
        best, first = found[:MAX_SHOWN], self.rated[:1]
        if len(found) > MAX_SHOWN and first[0] not in best:
            best[-1:] = first
        return tuple(rated.suggestion for rated in best)

    def passing(self) -> tuple[Suggestion, ...]:
        """Those that an editor gets where there was no draft: with which some test passes."""
        worst = _STANDING[Outcome.PARTIAL]
        some = [rated for rated in self.in_order() if _standing(rated)[0] <= worst]
        return tuple(rated.suggestion for rated in some[:MAX_SHOWN])

    def report(self) -> tuple[Considered, ...]:
        """All of them, those that ran with their scores."""
        scores = dict(
            zip(
                (rated.suggestion.text for rated in self.rated),
                scores_of(self.rated, self.weights),
                strict=True,
            )
        )
        return tuple(
            one if one.outcome is None else replace(one, score=scores.get(one.text, 0.0))
            for one in self.considered
        )


def ranked(rated: Sequence[Rated], weights: Weights) -> list[Rated]:
    """By outcome (`_standing`), of partial ones by the tests that pass, then by score; without those
    that behave like a better one.

    The first, which is shown, gives its place only to one that is better before scores count.
    """
    scores = scores_of(rated, weights)
    order = sorted(range(len(rated)), key=lambda i: (*_standing(rated[i]), i > 0, -scores[i]))
    best: dict[Hashable, Rated] = {}
    for i in order:
        best.setdefault(behaviour_of(rated[i]), rated[i])
    return list(best.values())


_PASSES = 1
_STANDING = {Outcome.VERIFIED: 0, Outcome.PARTIAL: 2, Outcome.RUNS: 3, Outcome.FAILS: 4}
_SILENT = 5


def _standing(rated: Rated) -> tuple[int, int]:
    """Lower is better: the order of outcomes; but what passes all tests without being verified comes
    second, and what no test could say a word of comes last."""
    outcome = rated.suggestion.outcome
    unverified = _PASSES if rated.result.status is Status.PASSED else _SILENT
    order = _STANDING.get(outcome, unverified)
    return order, -rated.result.n_passed if outcome is Outcome.PARTIAL else 0


def behaviour_of(rated: Rated) -> Hashable:
    """Equal for candidates that nothing but their text tells apart."""
    if rated.trace is None:
        return id(rated)
    outcomes = tuple((test.name, test.outcome) for test in rated.result.tests)
    return rated.suggestion.outcome, outcomes, behaviour(rated.trace)


def scores_of(rated: Sequence[Rated], weights: Weights) -> list[float]:
    """Of each candidate, beside the others."""
    seconds = [sum(test.seconds for test in each.result.tests) for each in rated]
    fastest = min((one for one in seconds if one > 0), default=0.0)
    return [
        score(_evidence(each, own / fastest if own and fastest else 1.0), weights)
        for each, own in zip(rated, seconds, strict=True)
    ]


def _evidence(rated: Rated, slowness: float) -> Evidence:
    result, trace = rated.result, rated.trace
    lines = 0 if trace is None else len(trace.hit) + len(trace.missed)
    raised = "" if trace is None or trace.exception is None else trace.exception.text
    how_it_looks = trace_score(
        raised.partition("(")[0],
        is_endless=result.ending in (Ending.FUEL, Ending.TIMEOUT),
        reached=len(trace.hit) / lines if trace is not None and lines else 0.0,
        slowness=slowness,
    )
    ran = result.status is not Status.INCONCLUSIVE
    return Evidence(
        rated.suggestion.written.mean_log_probability,
        parses=result.compiles,
        runs=ran and not result.raised,
        tests=result.n_passed / result.n_tests if result.n_tests else 0.0,
        trace=how_it_looks,
    )
