"""The group `source`: what a key costs before anything is asked of the model.

Needs no model. In a project of many small files, and in a long file: the recorded sessions' file,
joined to itself up to 10,000 lines.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from benchmarks.figures import Benchmark, Figure, Figures, Setup, median, percentile
from benchmarks.typing_sessions import PROJECT
from egcfg_lsp.completion.project import Project
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.parse import reparse
from egcfg_lsp.source.target import find_target, surroundings
from egcfg_lsp.watch import FolderWatch

N_LINES, N_KEYS = 10_000, 400
N_FILES = 4_900
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


def watching(setup: Setup) -> Figures:
    """Whether anything of a large project has changed, asked at every key: with a watch and without."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for i in range(N_FILES):
            file = root / f"p{i % 25}" / f"q{i % 500}" / f"m{i}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"x = {i}\n")
        plain, watched = Project(root), Project(root)
        watch = FolderWatch(root, watched)
        begun = _ms(watched.follow, watch, _not_watched)
        try:
            plain.refresh()
            pairs = [
                (_ms(_has_changed, plain), _ms(_has_changed, watched))
                for _ in range(setup.rounds(60) + 1)
            ][1:]  # the first round looks at every file in both
        finally:
            watch.close()
    return {
        "watched_ratio": median([there / here for here, there in pairs], "ratio", at_most=0.05),
        "unwatched_ms_5k": median([here for here, _ in pairs], "ms"),
        "watched_ms_5k": median([there for _, there in pairs], "ms"),
        "watch_begin_ms_5k": Figure(begun, "ms"),
    }


BENCHMARKS: tuple[Benchmark, ...] = (at_cursor, trees, watching)


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


def _has_changed(project: Project) -> int:
    project.refresh()
    return project.version()


def _not_watched(error: OSError) -> None:
    raise error


def _ms(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - started)


def _of_keys(values: list[float], at_most: float | None = None) -> Figure:
    details = {"p95": float(f"{percentile(values, 95):.4g}")}
    return median(values, "ms", at_most=at_most, details=details)
