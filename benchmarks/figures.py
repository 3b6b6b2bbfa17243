"""What a benchmark is given, and what it says: figures with their aims."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from egcfg_lsp.settings import ModelOptions


@dataclass(frozen=True)
class Setup:
    """What all figures of a run are measured with."""

    model: Path
    name: str
    """The model's, as it was asked for."""
    options: ModelOptions = field(default_factory=ModelOptions)
    quick: bool = False
    """Few rounds: shows that a benchmark works, its figures mean little."""
    seed: int = 0
    humaneval: Path | None = None
    """A file of HumanEval's problems, for the figures that use it where it is given."""

    def rounds(self, n: int, quick: int = 2) -> int:
        return quick if self.quick else n


@dataclass(frozen=True)
class Figure:
    value: float | None
    """None where it could not be measured; `note` then says why."""
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    low: float | None = None
    high: float | None = None
    """The lowest and the highest of the `n` rounds whose median the value is."""
    n: int | None = None
    note: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def aim(self) -> str:
        return " and ".join(
            f"{sign} {bound:g}"
            for sign, bound in ((">=", self.at_least), ("<=", self.at_most))
            if bound is not None
        )

    @property
    def is_met(self) -> bool | None:
        """None without an aim or a value."""
        if self.value is None or not self.aim:
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def as_dict(self) -> dict[str, object]:
        """JSON values: the value and the unit always, the rest where there is something to say."""
        known = {
            "aim": self.aim or None,
            "met": self.is_met,
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "n": self.n,
            "note": self.note or None,
            **self.details,
        }
        said = {key: value for key, value in known.items() if value is not None}
        return {"value": _rounded(self.value), "unit": self.unit, **said}


Figures = dict[str, Figure]
Benchmark = Callable[[Setup], Figures]
"""Measures a few figures that belong together."""


def median(
    values: Sequence[float],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
    details: Mapping[str, object] | None = None,
) -> Figure:
    """The figure of rounds."""
    return Figure(
        statistics.median(values),
        unit,
        at_least,
        at_most,
        min(values),
        max(values),
        len(values),
        note,
        details or {},
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
