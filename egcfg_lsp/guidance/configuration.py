"""Configurations of EG-CFG (arXiv 2506.10948): their published names, and the published grid.

Does not know what a configuration does; that is `bench/published.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product

from egcfg_lsp.prompt.published import Style

TOP_P = 0.95
"""Of what is sampled; the same in all published configurations."""
TEMPERATURES = (0.7, 0.75, 0.85, 0.95, 1.2, 1.5)
HORIZONS = (2, 3, 6, 8)
SCALES = (0.0, 0.5, 1.0, 3.0)
N_SAMPLES = 3
"""With the three above and `Style`: the published grid."""

_NAME = re.compile(
    r"ns(?P<samples>[1-9]\d*)t(?P<temperature>\d+(?:\.\d+)?)d(?P<horizon>[1-9]\d*)"
    r"(?:k(?P<refresh>[1-9]\d*))?(?P<style>(?:_lci)?_ln)"
)
_SUFFIXES = {Style.FEW_SHOT: "_ln", Style.LONG_CODE: "_lci_ln"}


@dataclass(frozen=True)
class Configuration:
    """How one attempt at a program is guided. Raises ValueError for numbers out of their range."""

    n_samples: int
    """s: candidates that are sampled for a signal, ≥ 1."""
    temperature: float
    """t, above 0; samples need one."""
    horizon: int
    """d: lines of a candidate, ≥ 1."""
    refresh: int = 1
    """k: lines that are guided by one signal, ≥ 1."""
    style: Style = Style.FEW_SHOT
    scale: float = 1.0
    """γ, ≥ 0; not part of the name."""
    names_refresh: bool = field(default=False, compare=False)
    """Whether the name tells k though it is 1; published names do and do not."""

    def __post_init__(self) -> None:
        if min(self.n_samples, self.horizon, self.refresh) < 1:
            raise ValueError("s, d and k of a configuration are 1 or more")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"samples need a temperature above 0, not {self.temperature:g}")
        if not 0 <= self.scale < math.inf:
            raise ValueError(f"a guidance scale is a number from 0 on, not {self.scale:g}")

    @property
    def name(self) -> str:
        """`ns3t0.75d5_lci_ln`; k is told where it is not 1, or where `parse` has read it."""
        shows_refresh = self.refresh != 1 or self.names_refresh
        refresh = f"k{self.refresh}" if shows_refresh else ""
        about = f"ns{self.n_samples}t{_digits(self.temperature)}d{self.horizon}{refresh}"
        return about + _SUFFIXES[self.style]


def parse(name: str, scale: float = 1.0) -> Configuration:
    """The configuration of a name such as `ns3t0.75d5k1_lci_ln` or `ns2t0.75d2_ln`.

    `scale`: its γ. Of what it gives, `name` is the same name, but for superfluous zeros. Raises
    ValueError for what is no such name, and for numbers out of their range.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no configuration's name (such as ns3t0.75d5k1_lci_ln)")
    return Configuration(
        n_samples=int(match["samples"]),
        temperature=float(match["temperature"]),
        horizon=int(match["horizon"]),
        refresh=int(match["refresh"] or 1),
        style=next(style for style, suffix in _SUFFIXES.items() if suffix == match["style"]),
        scale=scale,
        names_refresh=match["refresh"] is not None,
    )


def published_grid(scales: tuple[float, ...] = SCALES) -> Iterator[Configuration]:
    """The published configurations: 48 with each γ, all k = 1, s = 3.

    d changes most slowly, then t, then the prompt, γ fastest; each as it is listed above, the
    few-shot prompt before the other.
    """
    for horizon, temperature, style, scale in product(HORIZONS, TEMPERATURES, Style, scales):
        yield Configuration(N_SAMPLES, temperature, horizon, 1, style, scale)


def _digits(number: float) -> str:
    """The shortest decimal digits that mean the same number, without an exponent."""
    return f"{Decimal(repr(number)):f}".removesuffix(".0")
