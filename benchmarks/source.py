"""The group `source`: what a key costs before anything is asked of the model, in a long file.

Needs no model. The file is the recorded sessions' file, joined to itself up to 10,000 lines.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import cache

from benchmarks.figures import Benchmark, Figure, Figures, Setup, median, percentile
from benchmarks.typing_sessions import PROJECT
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.parse import reparse
from egcfg_lsp.source.target import find_target, surroundings

N_LINES, N_KEYS = 10_000, 400
KEYS = ("x", "(", "'", '"""', "\n    ", ")", " = [")


def at_cursor(setup: Setup) -> Figures:
    """The target and the surroundings behind a typed key, most of which leave the file broken."""
    keys = list(_typed(setup))
    return {
        "target_ms_10k": _of_keys([_ms(find_target, *key) for key in keys], at_most=5),
        "surroundings_ms_10k": _of_keys([_ms(surroundings, *key) for key in keys], at_most=5),
    }


def trees(setup: Setup) -> Figures:
    """The syntax tree, from nothing and brought up to date behind a typed key."""
    whole = reparse(None, long_file())
    first = [_ms(reparse, None, long_file()) for _ in range(setup.rounds(20))]
    return {
        "first_parse_ms_10k": median(first, "ms"),
        "reparse_ms_10k": _of_keys([_ms(reparse, whole, text) for text, _ in _typed(setup)]),
    }


BENCHMARKS: tuple[Benchmark, ...] = (at_cursor, trees)


@cache
def long_file() -> str:
    """The recorded sessions' file, joined to itself up to `N_LINES` lines."""
    lines = split_lines((PROJECT / "reading.py").read_text())
    return "".join((lines * (N_LINES // len(lines) + 1))[:N_LINES])


def _typed(setup: Setup) -> Iterator[tuple[str, int]]:
    """The file with one key typed at a random place, and the cursor's offset behind it."""
    text, rng = long_file(), random.Random(setup.seed)
    for _ in range(setup.rounds(N_KEYS)):
        offset, key = rng.randrange(len(text)), rng.choice(KEYS)
        yield text[:offset] + key + text[offset:], offset + len(key)


def _ms(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - started)


def _of_keys(values: list[float], at_most: float | None = None) -> Figure:
    details = {"p95": float(f"{percentile(values, 95):.4g}")}
    return median(values, "ms", at_most=at_most, details=details)
