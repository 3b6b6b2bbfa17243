"""The report on arms as one page that needs nothing else: tables, plots, and every failure with its
code.

All text of models and their programs is hostile: it is escaped, what cannot be printed is written
out, and the page's own policy forbids scripts and the network. Does not cover the tables' figures
(`compare`), or the plots (`plots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from egcfg_lsp.bench.compare import Comparison, label_of, points
from egcfg_lsp.bench.plots import plots
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.report_arms import (
    Files,
    file_of,
    published_line,
    read_comparison,
    result_files,
)
from egcfg_lsp.bench.tables import printable, short_p, title_of
from egcfg_lsp.bench.task import READ_COST, TaskResult

TEMPLATE = "report.html.jinja"


def html_page(folder: Path, control: str | None = None) -> str:
    """The report on a folder. Raises BenchError, also where matplotlib is missing."""
    return render(read_comparison(folder, control), result_files(folder))


def render(comparison: Comparison, result_files: Files) -> str:
    """The same comparison gives the same text. Raises BenchError where matplotlib is missing."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "points": points,
        "p": short_p,
        "interval": _interval,
        "number": _number,
        "line": printable,
        "code": lambda text: printable(text, keep="\n\t"),
        "file": lambda result: file_of(result, result_files),
        "svg": Markup,
    }
    template = files("egcfg_lsp.bench").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(template).render(
        title=title_of(comparison.configuration),
        comparison=comparison,
        published=published_line(comparison.published) if comparison.published else None,
        plots=plots(comparison),
        failures=_by_label(comparison),
        read_cost=READ_COST,
    )


def _by_label(comparison: Comparison) -> Sequence[tuple[str, Sequence[TaskResult]]]:
    grouped = groupby(comparison.failures, lambda result: label_of(result.config, result.gamma))
    return [(label, list(results)) for label, results in grouped]


def _interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{points(low)}–{points(high)}"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
