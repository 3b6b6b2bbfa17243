"""The report on a folder of results, from its files alone: as data (`--json`) and for people.

Here are the tables of cursors and of typing; those of arms are in `report_arms`, those of real
projects in `repo_report`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Group

from egcfg_lsp.bench import BenchError, infilling, report_arms, sessions
from egcfg_lsp.bench.cursors import Position
from egcfg_lsp.bench.infilling import CONTROL, VARIANTS
from egcfg_lsp.bench.rates import Pairs, Rate
from egcfg_lsp.bench.repo import KIND as REPO
from egcfg_lsp.bench.repo_report import repo_report
from egcfg_lsp.bench.results import Results, read_configuration
from egcfg_lsp.bench.tables import (
    MARKS_EXPLAINED,
    Report,
    against,
    new_table,
    pairs_data,
    percent,
    rate_data,
    title_of,
)


@dataclass(frozen=True)
class Row:
    """A variant at one position."""

    position: Position
    variant: str
    exact: Rate
    passed: Rate | None
    """Of all that were judged, those without a verdict too; None where nothing was."""
    n_inconclusive: int
    exact_pairs: Pairs | None
    """Against the control, on the questions that both have answered; None of the control itself."""
    passed_pairs: Pairs | None
    n_showing_tests: int
    """Questions whose prompt held the tests that judge."""
    median_seconds: float


def report(
    folder: Path, control: str | None = None, *, n_failures: int = report_arms.N_FAILURES
) -> Report:
    """`control`: which arm the others are compared with, see `compare`; `n_failures`: of arms, how
    many the table lists. Raises BenchError.
    """
    configuration = read_configuration(folder)
    kind = configuration.get("kind", configuration["dataset"])
    if kind == report_arms.KIND:
        return report_arms.arms_report(folder, control, n_failures)
    make = _REPORTS.get(kind)
    if make is None:
        raise BenchError(f"{folder}: no report on {kind}")
    if control is not None:
        raise BenchError(f"{folder}: a control can be chosen for arms only, not for {kind}")
    return make(configuration, Results(folder))


def rows_of(results: Sequence[infilling.Result]) -> list[Row]:
    """One for each position and variant that there is, in the order of their definition."""
    groups: dict[tuple[Position, str], dict[str, infilling.Result]] = {}
    for result in results:
        groups.setdefault((result.position, result.variant.name), {})[result.task_id] = result
    order = [(position, name) for position in Position for name in VARIANTS]
    return [
        _row(*key, groups[key], groups.get((key[0], CONTROL), {})) for key in order if key in groups
    ]


def _row(
    position: Position,
    variant: str,
    own: Mapping[str, infilling.Result],
    control: Mapping[str, infilling.Result],
) -> Row:
    judged = [result for result in own.values() if _is_judged(result)]
    compared = variant != CONTROL and bool(control)
    both = [(own[task], control[task]) for task in own if task in control]
    return Row(
        position=position,
        variant=variant,
        exact=Rate(sum(result.exact for result in own.values()), len(own)),
        passed=Rate(sum(r.passed is True for r in judged), len(judged)) if judged else None,
        n_inconclusive=sum(result.passed is None for result in judged),
        exact_pairs=_pairs(both, lambda result: result.exact) if compared else None,
        passed_pairs=_pairs(both, lambda r: r.passed is True) if compared and judged else None,
        n_showing_tests=sum(result.tests_shown for result in own.values()),
        median_seconds=statistics.median(result.stats.duration for result in own.values()),
    )


def _is_judged(result: infilling.Result) -> bool:
    return result.passed is not None or result.general_error != infilling.NOT_JUDGED


def _pairs(
    both: Sequence[tuple[infilling.Result, infilling.Result]],
    is_right: Callable[[infilling.Result], bool],
) -> Pairs:
    right = [(is_right(ours), is_right(theirs)) for ours, theirs in both]
    return Pairs(right.count((True, False)), right.count((False, True)))


def _infilling_report(configuration: dict[str, Any], results: Results) -> Report:
    rows = rows_of(list(results.read_all(infilling.Result)))
    heads = ("cursor, variant", "n", "exact %", "vs", "passed %", "vs", "?", "T")
    table = new_table(*heads, title=title_of(configuration))
    for position in dict.fromkeys(row.position for row in rows):
        table.add_row(f"[bold]{position}[/]")
        for row in rows:
            if row.position == position:
                table.add_row(*_cells(row))
        table.add_section()
    return Report(_data(configuration, [_row_data(row) for row in rows]), Group(table, _NOTES))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.variant,
        str(row.exact.n),
        percent(row.exact),
        against(row.exact_pairs),
        percent(row.passed),
        against(row.passed_pairs),
        str(row.n_inconclusive) if row.passed else "",
        str(row.n_showing_tests),
    )


_NOTES = f"""[dim]Rates with Wilson 95 % intervals.
vs: wins–losses against {CONTROL} on the same questions, p of the exact sign test;
  {MARKS_EXPLAINED}
passed: the completed program by {infilling.TESTS_JUDGING}
?: no verdict, counted as not passed
T: questions whose prompt showed the tests that judge[/]"""


def _typing_report(configuration: dict[str, Any], results: Results) -> Report:
    packages: dict[str, list[sessions.Session]] = {}
    every = list(results.read_all(sessions.Session))
    for session in every:
        name = f"{session.function.package} {session.function.version}"
        packages.setdefault(name, []).append(session)
    columns = [sessions.counts(name, group) for name, group in packages.items()]
    if len(columns) > 1:
        columns.append(sessions.counts("all", every))
    table = new_table("", *(column.name for column in columns), title=title_of(configuration))
    for label, show in _TYPING_LINES.items():
        table.add_row(label, *map(show, columns))
    quiet = new_table("quiet because", *(column.name for column in columns))
    causes = dict.fromkeys(cause for column in reversed(columns) for cause in column.causes)
    for cause in causes:
        quiet.add_row(cause, *(str(column.causes.get(cause, 0)) for column in columns))
    rows = [_counts_data(column) for column in columns]
    return Report(_data(configuration, rows), Group(table, quiet))


_TYPING_LINES: dict[str, Callable[[sessions.Counts], str]] = {
    "functions": lambda counts: str(counts.n_functions),
    "requests": lambda counts: str(counts.shown.n),
    "shown, of requests": lambda counts: _share(counts.shown),
    "kept, of newly shown": lambda counts: _share(counts.kept),
    "right, of line starts": lambda counts: _share(counts.right_first_line),
    "saved, of characters": lambda counts: _share(counts.saved),
    "flicker, of keys": lambda counts: _share(counts.flicker),
    "calls a key, median, mean": lambda counts: f"{counts.median_calls:g}, {counts.mean_calls:.2f}",
}
_REPORTS: dict[str, Callable[[dict[str, Any], Results], Report]] = {
    "cursors": _infilling_report,
    "infilling": _infilling_report,
    "typing": _typing_report,
    REPO: repo_report,
}
"""By the kind of the benchmark."""


def _row_data(row: Row) -> dict[str, Any]:
    return {
        "position": row.position,
        "variant": row.variant,
        "exact": rate_data(row.exact),
        "exact_against_control": pairs_data(row.exact_pairs),
        "passed": rate_data(row.passed),
        "passed_against_control": pairs_data(row.passed_pairs),
        "inconclusive": row.n_inconclusive,
        "showing_judging_tests": row.n_showing_tests,
        "median_seconds": row.median_seconds,
    }


def _counts_data(counts: sessions.Counts) -> dict[str, Any]:
    """Rates without intervals: the keys of a session depend on each other."""
    values = {field.name: getattr(counts, field.name) for field in fields(counts)}
    return {
        name: {"hits": value.n_hits, "n": value.n, "rate": value.value}
        if isinstance(value, Rate)
        else value
        for name, value in values.items()
    }


def _data(configuration: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"configuration": configuration, "control": CONTROL, "rows": rows}


def _share(rate: Rate) -> str:
    return "–" if rate.value is None else f"{100 * rate.value:.1f} %"
