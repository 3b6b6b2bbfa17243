"""A comparison's three plots as SVG for the inside of a page: pass rate against cost, outcome by
rung, latency.

The same results give the same text. Text and lines take their colours from the page
(`currentColor`, `--line`), so that they are to be read on dark and on light. Does not know the page.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING, Any

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.compare import OUTCOMES, ArmRow, Comparison
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.tables import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INSTALL = "pip install 'egcfg-lsp[bench]'"
COLOURS = ("#0b7fc4", "#e08a00", "#009e73", "#cc6fa5", "#d55e00", "#7a5fd0", "#8a8f00", "#50a8c8")
"""Of configurations, in the order of the rows: apart for the colour-blind, after Okabe and Ito."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
OUTCOME_COLOURS: Mapping[str, str] = {
    "verified": "#1f9d55",
    "partial": "#e0a100",
    "runs": "#2b7fd0",
    "unverified": "#9b7fb8",
    "fails": "#d64545",
    "not run": "#7d838c",
}
LEAST_SECONDS = 0.001
"""What is faster is drawn there: the axis is logarithmic."""
LEAST_COST = 1.0
INCHES = 5.0
_TEXT, _LINE = "#010203", "#040506"
"""Colours that nothing has: stand for those of the page."""


@dataclass(frozen=True)
class Plot:
    title: str
    description: str
    """What is to be seen, for those who do not see it."""
    caption: str
    svg: str


def plots(comparison: Comparison) -> tuple[Plot, ...]:
    """None without results. Raises BenchError where matplotlib is missing."""
    rows = comparison.rows
    if not rows:
        return ()
    return (
        _plot(
            "cost",
            "Pass rate against cost",
            "; ".join(
                f"{row.label}: {_percent(row.passed)} at cost {row.cost:.0f}" for row in rows
            ),
            "Bars: Wilson 95 % intervals. Cost: generated tokens and a fifth of the read ones, "
            "mean per task, on a logarithmic axis.",
            3.3 + 0.2 * len(rows),
            lambda figure: _draw_cost(figure, comparison),
        ),
        _plot(
            "rungs",
            "Outcome by rung",
            "; ".join(
                f"{name}, {rung}: {_counts(outcomes)}" for name, rung, outcomes in _bars(rows)
            ),
            "Tasks by the rung that gave the program and by what the visible tests said of it. "
            "Full: passed the judge; pale: did not.",
            1.1 + 0.5 * len(_bars(rows)),
            lambda figure: _draw_rungs(figure, rows),
        ),
        _plot(
            "latency",
            "Latency",
            "; ".join(
                f"{row.label}: median {row.median_seconds:.1f} s, "
                f"95th percentile {row.p95_seconds:.1f} s"
                for row in rows
            ),
            "Share of the tasks that were done within so many seconds, the judge's not counted.",
            3.3 + 0.2 * len(rows),
            lambda figure: _draw_latency(figure, comparison),
        ),
    )


def _plot(
    name: str,
    title: str,
    description: str,
    caption: str,
    height: float,
    draw: Callable[[Figure], None],
) -> Plot:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BenchError(f"plots need matplotlib ({error}): {INSTALL}") from error
    options: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": _TEXT,
        "axes.labelcolor": _TEXT,
        "axes.edgecolor": _LINE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "xtick.color": _LINE,
        "ytick.color": _LINE,
        "xtick.labelcolor": _TEXT,
        "ytick.labelcolor": _TEXT,
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
    }
    with matplotlib.rc_context(options), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the page's fonts have them
        figure = Figure(figsize=(INCHES, height), layout="constrained")
        draw(figure)
        stream = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=no_metadata)
    description = printable(description)
    return Plot(title, description, caption, _for_page(stream.getvalue(), name, title, description))


def _for_page(svg: str, name: str, title: str, description: str) -> str:
    """The element alone, named for screen readers, its ids apart from those of other plots, in the
    width that the page gives it and the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", svg)
    head, _, rest = svg.partition(">")
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    named = (
        f'{head} role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>'
    )
    return (named + rest).replace(_TEXT, "currentColor").replace(_LINE, "var(--line)")


def _draw_cost(figure: Figure, comparison: Comparison) -> None:
    axes = figure.add_subplot()
    costs = [max(row.cost, LEAST_COST) for row in comparison.rows]
    for row, cost, colour, marker in zip(
        comparison.rows, costs, cycle(COLOURS), cycle(MARKERS), strict=False
    ):
        low, high = (100 * end for end in row.passed.interval)
        rate = 100 * (row.passed.value or 0.0)
        bar = [[max(rate - low, 0.0)], [max(high - rate, 0.0)]]
        axes.errorbar(
            [cost], [rate], yerr=bar, fmt=marker, color=colour, capsize=3, label=_name(row)
        )
    if comparison.published:
        axes.axhline(
            100 * comparison.published.rate, color=_TEXT, ls=":", lw=1, label="published, greedy"
        )
    axes.set(xlabel="cost per task, generated tokens", ylabel="passed, %", ylim=(0, 100))
    _logarithmic(axes, min(costs) / 2, max(costs) * 2)
    _legend(figure)


def _draw_rungs(figure: Figure, rows: Sequence[ArmRow]) -> None:
    axes = figure.add_subplot()
    bars = _bars(rows)
    longest = max(sum(rate.n for rate in outcomes.values()) for _, _, outcomes in bars)
    named: set[str] = set()
    for i, (name, rung, outcomes) in enumerate(bars):
        left = 0
        for outcome, rate in outcomes.items():
            colour = OUTCOME_COLOURS.get(outcome, _LINE)
            for n, alpha in ((rate.n_hits, 1.0), (rate.n - rate.n_hits, 0.38)):
                label = _visible(outcome) if n and outcome not in named else None
                named |= {outcome} if n else set()
                axes.barh(i, n, 0.42, left, color=colour, alpha=alpha, label=label)
                if n >= 0.07 * longest:
                    axes.text(left + n / 2, i, str(n), ha="center", va="center", size=8)
                left += n
        axes.text(0, i - 0.27, f"{name} · {rung}", ha="left", va="bottom", size=9)
    axes.set(xlabel="tasks", ylim=(len(bars) - 0.6, -0.8), xlim=(0, longest * 1.02))
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    handles, names = axes.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda i: [*OUTCOMES, *names].index(names[i]))
    legend = figure.legend(
        [handles[i] for i in order],
        [names[i] for i in order],
        loc="outside lower left",
        ncols=3,
        fontsize=9,
    )
    for handle in legend.get_patches():
        handle.set_alpha(1.0)


def _draw_latency(figure: Figure, comparison: Comparison) -> None:
    axes = figure.add_subplot()
    every = []
    for row, colour, style in zip(
        comparison.rows, cycle(COLOURS), cycle(("-", "--", "-.", ":")), strict=False
    ):
        seconds = [
            max(result.stats.duration, LEAST_SECONDS) for result in comparison.results[row.label]
        ]
        every += seconds
        axes.ecdf(seconds, color=colour, ls=style, label=_name(row))
    axes.set(xlabel="seconds", ylabel="tasks done, share", ylim=(0, 1.02))
    _logarithmic(axes, min(every) / 1.2, max(every) * 1.2)
    _legend(figure)


def _logarithmic(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(low, high)
    steps = (1.0, 2.0, 5.0) if high / low < 500 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside lower left", ncols=1, fontsize=9)


def _bars(rows: Sequence[ArmRow]) -> list[tuple[str, str, Mapping[str, Rate]]]:
    return [
        (_name(row), printable(rung), outcomes)
        for row in rows
        for rung, outcomes in row.by_rung.items()
    ]


def _name(row: ArmRow) -> str:
    return _visible(row.label)


def _visible(name: str) -> str:
    """matplotlib leaves labels out that begin with an underscore."""
    return printable(name).lstrip("_") or "unnamed"


def _percent(rate: Rate) -> str:
    return "–" if rate.value is None else f"{100 * rate.value:.1f} %"


def _counts(outcomes: Mapping[str, Rate]) -> str:
    return ", ".join(f"{name} {rate.n} ({rate.n_hits} passed)" for name, rate in outcomes.items())
