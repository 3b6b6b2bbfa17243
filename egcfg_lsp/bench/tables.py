"""What reports have in common: figures as data, and as cells of a table for people.

Does not know what is reported on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.rates import Pairs, Rate, Verdict

MARKS_EXPLAINED = "+ better, − worse, ~ n too small to tell, · too few differ to tell"
_MARKS = {Verdict.BETTER: "+", Verdict.WORSE: "−", Verdict.TOO_SMALL: "~", Verdict.TOO_FEW: "·"}


@dataclass(frozen=True)
class Report:
    data: dict[str, Any]
    """JSON: `configuration`, and `rows` with the figures of the table."""
    table: RenderableType


def rate_data(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {"hits": rate.n_hits, "n": rate.n, "rate": rate.value, "interval": rate.interval}


def pairs_data(pairs: Pairs | None) -> dict[str, Any] | None:
    if pairs is None:
        return None
    return {
        "wins": pairs.n_wins,
        "losses": pairs.n_losses,
        "p": pairs.p,
        "verdict": pairs.verdict,
    }


def title_of(configuration: Mapping[str, Any]) -> str:
    """Raises BenchError where it does not say what every run says."""
    try:
        name = configuration.get("dataset_name", configuration["dataset"])
        parts = (
            name,
            configuration["model"]["name"],
            f"seed {configuration['seed']}",
            configuration["version"],
        )
    except (KeyError, TypeError) as error:
        raise BenchError(f"the configuration of the results lacks {error}") from error
    return " · ".join(map(str, parts))


def new_table(first: str, *others: str, title: str = "") -> Table:
    table = Table(title=title or None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def percent(rate: Rate | None) -> str:
    """With its interval; empty where there is none."""
    if rate is None or rate.value is None:
        return ""
    low, high = rate.interval
    return f"{100 * rate.value:.0f} [dim]{100 * low:.0f}–{100 * high:.0f}[/]"


def against(pairs: Pairs | None, adjusted_p: float | None = None) -> str:
    """Wins–losses, p and verdict; `adjusted_p`: in the place of the pairs' own."""
    if pairs is None:
        return ""
    p = pairs.p if adjusted_p is None else adjusted_p
    mark = _MARKS[pairs.verdict_at(p)]
    return f"{pairs.n_wins}–{pairs.n_losses} [dim]{short_p(p)}[/] {mark}"


def short_p(p: float) -> str:
    if p < 0.001:
        return "<.001"
    return "1" if p > 0.995 else f"{p:.{3 if p < 0.1 else 2}f}".removeprefix("0")


def printable(text: str, keep: str = "") -> str:
    """Text of a model or of its program, without what a terminal or a page would act upon: escape
    sequences, characters that turn the direction of writing, halves of surrogate pairs.

    `keep`: characters that stay as they are.
    """
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )
