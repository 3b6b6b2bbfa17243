"""The report on arms: the comparison of a folder's results, as data and for people.

The data is the JSON of `bench report --json`, documented in `docs/benchmark.md`. Does not cover the
page with plots, which is `html`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.announced import read_announced
from egcfg_lsp.bench.compare import (
    OUTCOMES,
    ArmRow,
    Compared,
    Comparison,
    Published,
    compare,
    points,
)
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.results import Results, read_configuration
from egcfg_lsp.bench.tables import (
    MARKS_EXPLAINED,
    Report,
    against,
    new_table,
    pairs_data,
    percent,
    printable,
    rate_data,
    title_of,
)
from egcfg_lsp.bench.task import READ_COST, TaskResult

KIND = "arms"
N_FAILURES = 20
NO_ERROR = "no reason given"
_FILE = re.compile(r"task_id=(?P<task>.*)_gamma=(?P<gamma>[^_]+)\.json")

Files = Mapping[tuple[str, str, float], str]
"""Configuration, task, guidance scale → the result's file, relative to the folder."""


def arms_report(folder: Path, control: str | None, n_failures: int = N_FAILURES) -> Report:
    """Raises BenchError."""
    comparison = read_comparison(folder, control)
    files = result_files(folder)
    return Report(
        report_data(comparison, files), _everything(folder, comparison, files, n_failures)
    )


def read_comparison(folder: Path, control: str | None) -> Comparison:
    """Raises BenchError, also where the results are not those of arms."""
    configuration = read_configuration(folder)
    kind = configuration.get("kind", configuration["dataset"])
    if kind != KIND:
        raise BenchError(f"{folder} holds results of {kind}, not of arms")
    title_of(configuration)
    results = Results(folder).read_all(TaskResult)
    return compare(configuration, read_announced(folder), results, control)


def result_files(folder: Path) -> Files:
    """Every result's file, from the names alone."""
    found = {}
    for path in folder.rglob("task_id=*.json"):
        if match := _FILE.fullmatch(path.name):
            key = (unquote(path.parent.name), unquote(match["task"]), float(match["gamma"]))
            found[key] = path.relative_to(folder).as_posix()
    return found


def file_of(result: TaskResult, files: Files) -> str:
    """Empty where it lies in a place of its own."""
    return files.get((result.config, result.task_id, result.gamma), "")


def report_data(comparison: Comparison, files: Files) -> dict[str, Any]:
    return {
        "configuration": dict(comparison.configuration),
        "control": comparison.control,
        "rows": [_row_data(row) for row in comparison.rows],
        "failures": [_failure_data(result, files) for result in comparison.failures],
        "published": _published_data(comparison.published),
        "notes": list(comparison.notes),
    }


def _row_data(row: ArmRow) -> dict[str, Any]:
    return {
        "label": row.label,
        "arm": row.arm,
        "config": row.config,
        "gamma": row.gamma,
        "passed": rate_data(row.passed),
        "inconclusive": row.n_inconclusive,
        "accuracy": row.accuracy,
        "precision": rate_data(row.precision),
        "against_control": _compared_data(row.compared),
        "cost": row.cost,
        "cost_per_solved": row.cost_per_solved,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "reused_tokens": row.reused_tokens,
        "runs": row.runs,
        "median_seconds": row.median_seconds,
        "p95_seconds": row.p95_seconds,
        "median_first_line_seconds": row.median_first_line_seconds,
        "stopped_early": row.n_stopped_early,
        "judging_seen": row.n_judging_seen,
        "by_rung": {
            rung: {name: {"n": rate.n, "passed": rate.n_hits} for name, rate in outcomes.items()}
            for rung, outcomes in row.by_rung.items()
        },
        "missing": list(row.missing),
    }


def _compared_data(compared: Compared | None) -> dict[str, Any] | None:
    if compared is None:
        return None
    return {
        **(pairs_data(compared.pairs) or {}),
        "verdict": compared.verdict,
        "adjusted_p": compared.adjusted_p,
        "common": compared.n_common,
        "control_passed": rate_data(compared.control),
        "gain": compared.gain,
        "rsr": compared.rsr,
        "smallest_gain": compared.smallest_gain,
    }


def _failure_data(result: TaskResult, files: Files) -> dict[str, Any]:
    return {
        "task_id": result.task_id,
        "arm": result.arm,
        "config": result.config,
        "gamma": result.gamma,
        "passed": result.passed,
        "error": printable(result.general_error),
        "outcome": result.outcome,
        "file": file_of(result, files),
    }


def _published_data(published: Published | None) -> dict[str, Any] | None:
    if published is None:
        return None
    return {
        "name": published.name,
        "rate": published.rate,
        "label": published.label,
        "ours": rate_data(published.ours),
        "inside": published.is_inside,
    }


def _everything(
    folder: Path, comparison: Comparison, files: Files, n_failures: int
) -> RenderableType:
    parts: list[RenderableType] = [
        make(comparison) for make in (_main_table, _tests_table, _effort_table)
    ]
    if any(set(outcomes) != {OUTCOMES[-1]} for r in comparison.rows for outcomes in _rungs(r)):
        parts.append(_rung_table(comparison))
    parts.append(Text(published_line(comparison.published)) if comparison.published else Text())
    parts += [Text(f"• {note}") for note in comparison.notes]
    parts.append(_NOTES)
    return Group(*parts, *_failure_lines(folder, comparison, files, n_failures))


def published_line(published: Published) -> str:
    low, high = published.ours.interval
    place = "inside" if published.is_inside else "outside"
    n, rate = published.ours.n, published.ours.value
    ours = "–" if rate is None else points(rate)
    return (
        f"Published: {points(published.rate)} % by the {published.name}; {published.label} here, on "
        f"{n} task{'s' if n != 1 else ''}: {ours} % ({points(low)}–{points(high)}). "
        f"The published rate lies {place} our interval."
    )


def _main_table(comparison: Comparison) -> Table:
    heads = ("n", "passed %", "vs control", "RSR %", "cost", "/solved", "left")
    table = _table_of_rows(*heads, title=title_of(comparison.configuration))
    for row in comparison.rows:
        compared = row.compared
        table.add_row(
            Text(printable(row.label)),
            str(row.passed.n),
            percent(row.passed),
            against(compared.pairs, compared.adjusted_p) if compared else "[dim]control[/]",
            f"{100 * compared.rsr:.0f}" if compared and compared.rsr is not None else "–",
            _count(row.cost),
            _count(row.cost_per_solved),
            str(len(row.missing)),
        )
    return table


def _tests_table(comparison: Comparison) -> Table:
    heads = ("accuracy %", "verified", "of these pass %", "runs", "?")
    table = _table_of_rows(*heads)
    for row in comparison.rows:
        table.add_row(
            Text(printable(row.label)),
            points(row.accuracy),
            str(row.precision.n),
            percent(row.precision) or "–",
            f"{row.runs:.1f}",
            str(row.n_inconclusive),
        )
    return table


def _effort_table(comparison: Comparison) -> Table:
    heads = ("read", "reused", "generated", "s", "p95", "1st line")
    table = _table_of_rows(*heads)
    for row in comparison.rows:
        table.add_row(
            Text(printable(row.label)),
            _count(row.input_tokens),
            _count(row.reused_tokens),
            _count(row.output_tokens),
            _seconds(row.median_seconds),
            _seconds(row.p95_seconds),
            _seconds(row.median_first_line_seconds),
        )
    return table


def _rung_table(comparison: Comparison) -> Table:
    """Passed of all, by the rung that gave the program and what the visible tests said of it."""
    there = {name for row in comparison.rows for outcomes in _rungs(row) for name in outcomes}
    known = [name for name in OUTCOMES if name in there]
    names = known + sorted(there.difference(known))
    table = _table_of_rows("rung", *map(printable, names))
    for row in comparison.rows:
        for i, (rung, outcomes) in enumerate(row.by_rung.items()):
            cells = (_hits_of(outcomes.get(name)) for name in names)
            label = "" if i else printable(row.label)
            table.add_row(Text(label), Text(printable(rung)), *cells)
    return table


def _rungs(row: ArmRow) -> Iterable[Mapping[str, Rate]]:
    return row.by_rung.values()


def _failure_lines(
    folder: Path, comparison: Comparison, files: Files, n_failures: int
) -> Iterable[Text]:
    failures = list(comparison.failures)
    if not failures:
        return
    yield Text(f"\nNot passed: {len(failures)}, files in {folder}", style="bold")
    for result in islice(failures, n_failures):
        yield Text(f"{printable(result.task_id)}  {printable(result.config)}", overflow="fold")
        error = Text(f"  {printable(result.general_error) or NO_ERROR}", no_wrap=True)
        error.overflow = "ellipsis"
        yield error
        yield Text(f"  {file_of(result, files)}", style="dim", overflow="fold")
    if len(failures) > n_failures:
        yield Text(f"and {len(failures) - n_failures} more: in --json, or --html with their code")


_NOTES = f"""[dim]passed, of these pass: with Wilson 95 % intervals
vs control: wins–losses on the same tasks, p of the exact sign test (Holm);
  {MARKS_EXPLAINED}
RSR: gain ÷ (100 − the control's rate); cost: generated tokens + {READ_COST:g} × read ones, mean per task
left: planned tasks without a result; verified: tasks whose visible tests passed; ?: no verdict
s, p95, 1st line: seconds, median, 95th percentile, median until the first line[/]"""
MIN_LABEL_WIDTH = 18
"""Columns: the usual labels are not folded where 80 are there."""


def _table_of_rows(*others: str, title: str = "") -> Table:
    table = new_table("configuration", *others, title=title)
    table.columns[0].no_wrap = False
    table.columns[0].overflow = "fold"
    table.columns[0].min_width = MIN_LABEL_WIDTH
    return table


def _hits_of(rate: Rate | None) -> str:
    return f"{rate.n_hits}/{rate.n}" if rate else ""


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
