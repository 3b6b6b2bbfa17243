"""The tables of a folder of `bench repo`: a row a project, the reasons, latencies as distributions."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group

from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.repo import RepoResult
from egcfg_lsp.bench.results import Results
from egcfg_lsp.bench.tables import Report, new_table, percent, printable, rate_data, title_of
from egcfg_lsp.completion import Outcome

ALL = "all"
_REASON_CHARACTERS = 60


@dataclass(frozen=True)
class Spread:
    """A distribution of seconds; of nothing where n is 0."""

    n: int
    p50: float | None
    p90: float | None


@dataclass(frozen=True)
class Row:
    """One project, or all together."""

    name: str
    with_tests: Rate
    """Of the functions met, in the order drawn, those with oracle tests."""
    verified: Rate
    """Of the functions with tests."""
    by_outcome: dict[str, int]
    """Of the functions with tests."""
    reasons: dict[str, int]
    """Why functions with tests are not verified, the commonest first."""
    passed: Rate | None
    """Suggestions with which all oracle tests pass, of the functions with tests; None: not judged."""
    precision: Rate | None
    """Of the verified suggestions those that all oracle tests agree with; None: not judged."""
    first_run: Spread
    """Seconds of each function's first run."""
    next_runs: Spread
    """Seconds of its later ones: the control, the repetition."""


def row_of(name: str, results: Sequence[RepoResult]) -> Row:
    tested = [result for result in results if result.has_tests]
    verified = [result for result in tested if result.outcome is Outcome.VERIFIED]
    is_judged = any(result.model.sha256 for result in results)
    return Row(
        name=name,
        with_tests=Rate(len(tested), len(results)),
        verified=Rate(len(verified), len(tested)),
        by_outcome=_counted(result.outcome.value for result in tested),
        reasons=_counted(result.reason for result in tested if result.reason),
        passed=Rate(sum(r.passed is True for r in tested), len(tested)) if is_judged else None,
        precision=(
            Rate(sum(r.passed is True for r in verified), len(verified)) if is_judged else None
        ),
        first_run=spread([result.runs[0].seconds for result in tested if result.runs]),
        next_runs=spread([run.seconds for result in tested for run in result.runs[1:]]),
    )


def rows_of(results: Sequence[RepoResult]) -> list[Row]:
    """A row a project, by name; one for all if there are several."""
    projects: dict[str, list[RepoResult]] = {}
    for result in results:
        projects.setdefault(f"{result.package} {result.version}".strip(), []).append(result)
    rows = [row_of(name, projects[name]) for name in sorted(projects)]
    return [*rows, row_of(ALL, results)] if len(rows) > 1 else rows


def repo_report(configuration: dict[str, Any], results: Results) -> Report:
    """Raises BenchError."""
    rows = rows_of(list(results.read_all(RepoResult)))
    is_judged = any(row.passed is not None for row in rows)
    heads = ("project", "n", "with tests %", "verified %", "first run s", "next runs s")
    judged = ("passed %", "✓ right %") if is_judged else ()
    table = new_table(*heads, *judged, title=title_of(configuration))
    for row in rows:
        table.add_row(*_cells(row), *(map(percent, (row.passed, row.precision)) if judged else ()))
    outcomes = new_table("outcome", "n")
    for outcome, count in (rows[-1].by_outcome if rows else {}).items():
        outcomes.add_row(outcome, str(count))
    reasons = new_table("not verified because", "n")
    for reason, count in (rows[-1].reasons if rows else {}).items():
        reasons.add_row(printable(reason)[:_REASON_CHARACTERS], str(count))
    data = {"configuration": configuration, "rows": [row_data(row) for row in rows]}
    return Report(data, Group(table, outcomes, reasons, _NOTES))


def row_data(row: Row) -> dict[str, Any]:
    return {
        "project": row.name,
        "with_tests": rate_data(row.with_tests),
        "verified": rate_data(row.verified),
        "outcomes": row.by_outcome,
        "reasons": row.reasons,
        "passed": rate_data(row.passed),
        "precision": rate_data(row.precision),
        "first_run_seconds": _spread_data(row.first_run),
        "next_runs_seconds": _spread_data(row.next_runs),
    }


def spread(seconds: Sequence[float]) -> Spread:
    """Nearest ranks, so that each is a time that was measured."""
    ordered = sorted(seconds)
    n = len(ordered)
    if not n:
        return Spread(0, None, None)
    return Spread(n, statistics.median_high(ordered), ordered[min(n - 1, (9 * n + 9) // 10 - 1)])


_NOTES = """[dim]Rates with Wilson 95 % intervals; seconds as median and 90th percentile.
n: functions with tests, of which the other figures are; with tests: their share of all met
verified: the suggestion has its ✓
passed: all tests of the function pass with it accepted; ✓ right: those among the verified[/]"""


def _cells(row: Row) -> tuple[str, ...]:
    return (
        printable(row.name),
        str(row.verified.n),
        percent(row.with_tests),
        percent(row.verified),
        _spread_cell(row.first_run),
        _spread_cell(row.next_runs),
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _spread_cell(spread: Spread) -> str:
    return "" if spread.p50 is None else f"{spread.p50:.3g} [dim]{spread.p90:.3g}[/]"


def _spread_data(spread: Spread) -> dict[str, Any]:
    return {"n": spread.n, "p50": spread.p50, "p90": spread.p90}
