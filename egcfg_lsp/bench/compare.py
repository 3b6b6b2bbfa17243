"""Arms compared: rates, pairs against a control, cost; from the results of one run. Pure.

A task counts as passed only if it was judged so: without a verdict it is not passed, and counted
apart as well. Pairs, gain and RSR are of the tasks that both have; the other figures are of all an
arm has. Does not cover arms over several seeds, or runs of different models or data sets.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.announced import Announced, planned_tasks
from egcfg_lsp.bench.rates import (
    SIGNIFICANCE,
    Pairs,
    Rate,
    Verdict,
    holm,
    min_different,
    smallest_significant,
)
from egcfg_lsp.bench.task import TaskResult
from egcfg_lsp.completion import Outcome

DEFAULT_CONTROL = "greedy"
NOT_RUN = "not run"
"""In the place of an outcome, where the visible tests were not run."""
RUNGS = ("draft", "verify", "explore", "guide")
OUTCOMES = (*map(str, Outcome), NOT_RUN)
PUBLISHED_BY = "Qwen2.5-Coder Technical Report (greedy, the tasks and tests that EvalPlus takes)"
PUBLISHED = {
    ("0.5", "humaneval"): 0.616,
    ("0.5", "mbpp"): 0.524,
    ("1.5", "humaneval"): 0.707,
    ("1.5", "mbpp"): 0.692,
    ("7", "humaneval"): 0.884,
    ("7", "mbpp"): 0.835,
}
"""pass@1 of the Instruct models by `PUBLISHED_BY`: billions of parameters, data set."""
_PUBLISHED_MODEL = re.compile(r"qwen2\.5-coder-(0\.5|1\.5|7)b(?:$|-instruct)")


@dataclass(frozen=True)
class Compared:
    """A row against the control, on the tasks that both have."""

    pairs: Pairs
    n_common: int
    control: Rate
    """The control's, on these tasks."""
    gain: float
    """Difference of the two rates; 0 where no task is common."""
    adjusted_p: float
    """Holm's, for all rows that are compared."""
    smallest_gain: float | None
    """The smallest difference of the rates that could have been told from chance, with as many
    tasks on which the two differ; see `docs/benchmark.md`. None: with so few tasks, none."""

    @property
    def verdict(self) -> Verdict:
        return self.pairs.verdict_at(self.adjusted_p)

    @property
    def rsr(self) -> float | None:
        """Relative success rate: gain ÷ (1 − the control's rate); None where that is perfect."""
        n_open = self.control.n - self.control.n_hits
        return (self.pairs.n_wins - self.pairs.n_losses) / n_open if n_open else None


@dataclass(frozen=True)
class ArmRow:
    """An arm in one configuration, at one guidance scale. Token counts, runs: means per task."""

    label: str
    """Its name in a folder: the configuration, with the guidance scale where that is not 0."""
    arm: str
    config: str
    gamma: float
    passed: Rate
    n_inconclusive: int
    accuracy: float
    """Mean share of the judge's asserts that passed."""
    precision: Rate
    """Of the tasks that the visible tests call verified, those that pass the judge."""
    compared: Compared | None
    """None of the control."""
    cost: float
    """Mean per task, in generated tokens: `TaskStats.cost`."""
    cost_per_solved: float | None
    input_tokens: float
    output_tokens: float
    reused_tokens: float
    runs: float
    median_seconds: float
    p95_seconds: float
    median_first_line_seconds: float | None
    n_stopped_early: int
    n_judging_seen: int
    """Tasks on which the arm saw tests that judge."""
    by_rung: Mapping[str, Mapping[str, Rate]]
    """Rung, outcome: tasks, and how many of them pass the judge."""
    missing: tuple[str, ...]
    """Tasks that a run of this configuration set out to do, without a result."""


@dataclass(frozen=True)
class Published:
    """A maker's rate beside the greedy arm's."""

    name: str
    rate: float
    label: str
    """Of our row."""
    ours: Rate

    @property
    def is_inside(self) -> bool:
        """Whether the published rate lies in our interval."""
        low, high = self.ours.interval
        return low <= self.rate <= high


@dataclass(frozen=True)
class Comparison:
    configuration: Mapping[str, Any]
    control: str | None
    """A row's label; None without results."""
    rows: tuple[ArmRow, ...]
    """The control first, the others by name."""
    results: Mapping[str, tuple[TaskResult, ...]]
    """By label, in the order of the tasks' numbers."""
    published: Published | None
    notes: tuple[str, ...]
    """One sentence each: what the figures do and do not say."""

    @property
    def failures(self) -> Iterable[TaskResult]:
        """All that did not pass, those without a verdict too."""
        return (
            result for row in self.rows for result in self.results[row.label] if not result.passed
        )


def compare(
    configuration: Mapping[str, Any],
    announced: Sequence[Announced],
    results: Iterable[TaskResult],
    control: str | None = None,
) -> Comparison:
    """`control`: a label, a configuration's name or an arm's that is of one row; None: greedy, or
    the first by name. Raises BenchError on a control that is not there, or is several rows.
    """
    planned = planned_tasks(announced)
    groups = _groups(results)
    chosen = _control_of(groups, control)
    order = sorted(groups, key=lambda label: (label != chosen, _natural(label)))
    pairs = {label: _both(groups[label], groups[chosen]) for label in order[1:] if chosen}
    adjusted = dict(zip(pairs, holm([_pairs(both).p for both in pairs.values()]), strict=True))
    rows = tuple(
        _row(
            label,
            tuple(groups[label].values()),
            _compared(pairs[label], adjusted[label], len(pairs)) if label in pairs else None,
            planned,
        )
        for label in order
    )
    return Comparison(
        configuration=configuration,
        control=chosen,
        rows=rows,
        results={label: tuple(groups[label].values()) for label in order},
        published=_published(configuration, rows),
        notes=tuple(_notes(rows, groups, announced)),
    )


def label_of(config: str, gamma: float) -> str:
    return f"{config}_gamma={gamma:g}" if gamma else config


def points(share: float) -> str:
    return f"{100 * share:.1f}"


_Groups = Mapping[str, Mapping[str, TaskResult]]
_Both = Sequence[tuple[TaskResult, TaskResult]]


def _groups(results: Iterable[TaskResult]) -> _Groups:
    """By label and task, the tasks in the order of their numbers."""
    groups: dict[str, dict[str, TaskResult]] = {}
    for result in sorted(results, key=lambda result: _natural(result.task_id)):
        groups.setdefault(label_of(result.config, result.gamma), {})[result.task_id] = result
    return groups


def _control_of(groups: _Groups, asked: str | None) -> str | None:
    found = _called(groups, DEFAULT_CONTROL if asked is None else asked)
    labels = sorted(groups, key=_natural)
    if asked is None:
        return next(iter(found or labels), None)
    there = ", ".join(labels) or "none yet"
    if not found:
        raise BenchError(f"no results of {asked}, which is to be the control; there are: {there}")
    if len(found) > 1:
        raise BenchError(f"{asked} is several configurations: choose one of {', '.join(found)}")
    return found[0]


def _called(groups: _Groups, name: str) -> list[str]:
    """The labels that a name means: its own, else its configuration's, else its arm's."""
    if name in groups:
        return [name]
    one = {label: next(iter(group.values())) for label, group in groups.items()}
    of_config = [label for label, result in one.items() if result.config == name]
    of_arm = [label for label, result in one.items() if result.arm == name]
    return sorted(of_config or of_arm, key=_natural)


def _both(own: Mapping[str, TaskResult], control: Mapping[str, TaskResult]) -> _Both:
    return [(own[task], control[task]) for task in own if task in control]


def _pairs(both: _Both) -> Pairs:
    passed = [(ours.passed is True, theirs.passed is True) for ours, theirs in both]
    return Pairs(passed.count((True, False)), passed.count((False, True)))


def _compared(both: _Both, adjusted_p: float, n_comparisons: int) -> Compared:
    pairs = _pairs(both)
    net, n = pairs.n_wins - pairs.n_losses, len(both)
    return Compared(
        pairs=pairs,
        n_common=n,
        control=_rate(theirs for _, theirs in both),
        gain=net / n if n else 0.0,
        adjusted_p=adjusted_p,
        smallest_gain=_smallest_gain(pairs.n_wins + pairs.n_losses, n, n_comparisons),
    )


def _smallest_gain(n_different: int, n: int, n_comparisons: int) -> float | None:
    """Significant whatever the other comparisons give: at a level divided by their number."""
    level = SIGNIFICANCE / n_comparisons
    least = min_different(level)
    if n < least:
        return None
    net = smallest_significant(max(n_different, least), level)
    return None if net is None else net / n


def _row(
    label: str,
    results: Sequence[TaskResult],
    compared: Compared | None,
    planned: Mapping[str, Sequence[str]],
) -> ArmRow:
    first = results[0]
    passed = _rate(results)
    costs = [result.stats.cost for result in results]
    seconds = [result.stats.duration for result in results]
    first_lines = [r.first_line_seconds for r in results if r.first_line_seconds is not None]
    there = {result.task_id for result in results}
    return ArmRow(
        label=label,
        arm=first.arm,
        config=first.config,
        gamma=first.gamma,
        passed=passed,
        n_inconclusive=sum(result.passed is None for result in results),
        accuracy=statistics.fmean(result.accuracy for result in results),
        precision=_rate(r for r in results if r.outcome == Outcome.VERIFIED),
        compared=compared,
        cost=statistics.fmean(costs),
        cost_per_solved=sum(costs) / passed.n_hits if passed.n_hits else None,
        input_tokens=statistics.fmean(result.stats.input_tokens for result in results),
        output_tokens=statistics.fmean(result.stats.output_tokens for result in results),
        reused_tokens=statistics.fmean(result.stats.reused_tokens for result in results),
        runs=statistics.fmean(result.stats.runs for result in results),
        median_seconds=statistics.median(seconds),
        p95_seconds=float(np.quantile(seconds, 0.95)),
        median_first_line_seconds=statistics.median(first_lines) if first_lines else None,
        n_stopped_early=sum(result.stopped_early for result in results),
        n_judging_seen=sum(result.judging_seen for result in results),
        by_rung=_by_rung(results),
        missing=tuple(task for task in planned.get(first.config, ()) if task not in there),
    )


def _by_rung(results: Sequence[TaskResult]) -> dict[str, dict[str, Rate]]:
    """In the order of the ladder, and of the outcomes; what is neither stands last."""
    groups: dict[tuple[str, str], list[TaskResult]] = {}
    for result in results:
        groups.setdefault((result.rung, result.outcome or NOT_RUN), []).append(result)
    table: dict[str, dict[str, Rate]] = {}
    for rung, outcome in sorted(
        groups, key=lambda key: (_place(RUNGS, key[0]), _place(OUTCOMES, key[1]))
    ):
        table.setdefault(rung, {})[outcome] = _rate(groups[rung, outcome])
    return table


def _published(configuration: Mapping[str, Any], rows: Sequence[ArmRow]) -> Published | None:
    """Only where the data set's own tests judge."""
    model = _PUBLISHED_MODEL.match(str(configuration["model"]["name"]).lower())
    row = next((row for row in rows if row.arm == DEFAULT_CONTROL), None)
    if model is None or row is None or configuration.get("judge_sha256"):
        return None
    rate = PUBLISHED.get((model[1], configuration["dataset"]))
    return None if rate is None else Published(PUBLISHED_BY, rate, row.label, row.passed)


def _notes(
    rows: Sequence[ArmRow], groups: _Groups, announced: Sequence[Announced]
) -> Iterable[str]:
    every = [result for group in groups.values() for result in group.values()]
    seen = " / ".join(sorted({result.tests_seen or "no tests" for result in every}))
    judging = " / ".join(sorted({result.tests_judging for result in every}))
    if not rows:
        yield "There are no results yet."
        return
    yield f"The arms could see: {seen}. Judged by: {judging}."
    seeing = (row for row in rows if row.n_judging_seen)
    if shown := [f"{row.label} {row.n_judging_seen} of {row.passed.n}" for row in seeing]:
        yield f"Tasks on which an assert was seen that judges too: {', '.join(shown)}."
    for row in rows:
        if row.missing:
            yield f"{row.label}: planned tasks without a result yet: {len(row.missing)}."
    if not_begun := sorted(planned_tasks(announced).keys() - {row.config for row in rows}):
        yield f"Planned, and without any result yet: {', '.join(not_begun)}."
    if len(hosts := {one.host for one in announced}) > 1:
        yield f"Made on {len(hosts)} machines: seconds compare only as far as these are alike."
    if any(row.n_inconclusive for row in rows):
        counts = ", ".join(f"{r.label} {r.n_inconclusive}" for r in rows if r.n_inconclusive)
        yield f"Without a verdict, counted as not passed: {counts}."
    compared = [row for row in rows if row.compared]
    for row in compared:
        yield from _what_it_can_tell(row, rows[0].label, len(compared))
    if len(compared) > 1:
        yield f"{len(compared)} comparisons with {rows[0].label}: p is adjusted by Holm's method."


def _what_it_can_tell(row: ArmRow, control: str, n_comparisons: int) -> Iterable[str]:
    compared = row.compared
    if compared is None or compared.verdict in (Verdict.BETTER, Verdict.WORSE):
        return
    n, n_different = compared.n_common, compared.pairs.n_wins + compared.pairs.n_losses
    least = min_different(SIGNIFICANCE / n_comparisons)
    if compared.smallest_gain is None:
        yield (
            f"{row.label}: {n} task{'s' if n != 1 else ''} in common with {control} can tell "
            f"nothing, whatever they give; {least} would have to differ."
        )
    else:
        yield (
            f"{row.label}: differs from {control} on {n_different} of {n} tasks; only a difference "
            f"of {points(compared.smallest_gain)} points or more could be told from chance, "
            f"it is {points(abs(compared.gain))}."
        )


def _rate(results: Iterable[TaskResult]) -> Rate:
    passed = [result.passed is True for result in results]
    return Rate(sum(passed), len(passed))


def _place(order: Sequence[str], name: str) -> tuple[int, str]:
    return (order.index(name), "") if name in order else (len(order), name)


def _natural(text: str) -> list[tuple[int, str]]:
    """Orders `HumanEval/9` before `HumanEval/10`."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]
