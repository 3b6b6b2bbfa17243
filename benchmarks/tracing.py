"""A part of the group `execution`: what a trace costs, over functions of the standard library.

In this process, without a sandbox and without pytest. Needs no model.
"""

from __future__ import annotations

import ast
import colorsys
import configparser
import difflib
import fractions
import gc
import io
import json
import shlex
import statistics
import string
import sys
import textwrap
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from benchmarks.figures import Benchmark, Figures, Setup, median, percentile
from egcfg_lsp.execution.runner.lines import functions_in
from egcfg_lsp.execution.runner.tracer import Tracer

N_ROUNDS = 60
WORDS = "the quick brown fox jumps over the lazy dog " * 4
INI = "[a]\nx = 1\ny = %(x)s\n[b]\n" + "".join(f"key{i} = value {i}\n" for i in range(8))


@dataclass(frozen=True)
class Work:
    """A call, and the module whose functions are traced while it runs."""

    module: ModuleType
    call: Callable[[], object]


WORKS = (
    Work(ast, lambda: ast.literal_eval("{'a': [1, 2, (3, -4)], 'b': {5, 6}}")),
    Work(colorsys, lambda: [colorsys.rgb_to_hsv(i / 9, 0.3, 0.7) for i in range(10)]),
    Work(configparser, lambda: configparser.ConfigParser().read_file(io.StringIO(INI))),
    Work(difflib, lambda: difflib.SequenceMatcher(None, "private String x", "private x").ratio()),
    Work(fractions, lambda: sum(fractions.Fraction(1, i) for i in range(1, 12))),
    Work(
        json.decoder, lambda: vars(json.decoder)["py_scanstring"]('a\\n\\u0041b\\"c' * 4 + '"', 0)
    ),
    Work(shlex, lambda: shlex.split("cp -r 'a file' \"$HOME/b\" # all")),
    Work(statistics, lambda: statistics.quantiles([float(i * i % 17) for i in range(40)])),
    Work(string, lambda: string.Template("$a and ${b} or $$").substitute(a=1, b=[2])),
    Work(textwrap, lambda: textwrap.wrap(WORDS, 30)),
    Work(textwrap, lambda: textwrap.dedent("    a\n      b\n\n    c\n" * 4)),
    Work(urllib.parse, lambda: urllib.parse.urljoin("http://a/b/c/d?q#f", "../../g/./h")),
    Work(urllib.parse, lambda: urllib.parse.parse_qsl("a=1&b=%20x&c=&d=4" * 3)),
)


def tracing(setup: Setup) -> Figures:
    """The time that a trace adds, over the events that it sees; and what is paid once a candidate."""
    n = setup.rounds(N_ROUNDS)
    each, over_nothing, once = [], [], []
    for work in WORKS:
        n_events = _n_events(work)
        tracer = _tracer(work)
        sides = (partial(_ms, work.call), partial(_hooked, work), partial(_traced, work, tracer))
        bare, hooked, traced = _in_turn(n, sides)
        each.append(1000 * (traced - bare) / n_events)
        over_nothing.append((traced - bare) / max(hooked - bare, 1e-6))
        once.append(statistics.median([_first(work) for _ in range(n)]) - traced)
    details = {"p90": float(f"{percentile(each, 90):.4g}"), "functions": len(WORKS)}
    return {
        "trace_us_per_event": median(each, "µs", at_most=3, details=details),
        "trace_over_empty_hook": median(over_nothing, "ratio"),
        "trace_ms_once": median(once, "ms", note="names, loops, and the record"),
    }


BENCHMARKS: tuple[Benchmark, ...] = (tracing,)


@cache
def _source(module: ModuleType) -> str:
    return Path(module.__file__ or "").read_text()


@cache
def _functions(module: ModuleType) -> tuple[frozenset[int], ...]:
    code = compile(_source(module), module.__file__ or "", "exec", dont_inherit=True)
    return tuple(frozenset(lines) for lines in functions_in(code))


def _tracer(work: Work) -> Tracer:
    functions = [set(lines) for lines in _functions(work.module)]
    return Tracer(
        work.module.__file__ or "", functions, set().union(*functions), _source(work.module)
    )


def _n_events(work: Work) -> int:
    """Events in the module: lines, calls, returns, exceptions."""
    n = 0
    path = work.module.__file__

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal n
        if frame.f_code.co_filename != path:
            return None
        n += 1
        return trace

    sys.settrace(trace)
    work.call()
    sys.settrace(None)
    return n


def _in_turn(n: int, sides: Sequence[Callable[[], float]]) -> list[float]:
    """The median of each side's rounds; garbage is collected between them."""
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(n):
        for i, side in enumerate(sides):
            times[i].append(side())
        gc.collect(0)
    return [statistics.median(one) for one in times]


def _hooked(work: Work) -> float:
    """With a trace function that does nothing, in the same frames."""
    path = work.module.__file__

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        return nothing if frame.f_code.co_filename == path else None

    def nothing(_frame: FrameType, _event: str, _argument: Any) -> Any:
        return nothing

    sys.settrace(trace)
    try:
        return _ms(work.call)
    finally:
        sys.settrace(None)


def _traced(work: Work, tracer: Tracer) -> float:
    started = time.perf_counter()
    tracer.start()
    work.call()
    tracer.stop()
    return 1000 * (time.perf_counter() - started)


def _first(work: Work) -> float:
    """The first trace of a candidate, with its record."""
    tracer = _tracer(work)
    started = time.perf_counter()
    tracer.start()
    work.call()
    tracer.stop()
    tracer.record()
    return 1000 * (time.perf_counter() - started)


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)
