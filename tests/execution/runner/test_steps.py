"""The record of each kind of function: its lines, its loops, its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.execution.runner.functions import (
    ASYNC,
    BRANCHES,
    CLASSES,
    CLOSURE,
    COMPREHENSION,
    DECORATED,
    ENDLESS,
    ENDLESS_OVER_LOOP,
    FINALLY,
    GENERATOR,
    MATCH,
    NESTED,
    ONE_LINE,
    RAISING_IN_LOOP,
    RECURSION,
    STRAIGHT,
    UNPACK,
    WALRUS,
    WHILE,
    WITH,
)
from tests.execution.runner.traced import Names, frames, run, told

ROWS: list[tuple[str, str, str]] = [
    (STRAIGHT, "f(1, 2, z=3)", "2(x=2) 3(y=[2]) 4(y=[2, 2]) 5"),
    (
        BRANCHES,
        "f([1, 5, 2, 6, 3])",
        "2(found=[]) 3×5[0: 3(item=1) 4 | 1: 3(item=5) 4 5(found=[5]) | 4: 3(item=3) 4] 6",
    ),
    (BRANCHES, "f([])", "2(found=[]) 3×0[] 6"),
    (
        BRANCHES,
        "f([0] * 9 + [7] + [1] * 9)",
        (
            "2(found=[]) 3×19[0: 3(item=0) 4 | 1: 3(item=0) 4 | 9: 3(item=7) 4 5(found=[7])"
            " | 18: 3(item=1) 4] 6"
        ),
    ),
    (
        NESTED,
        "f(3)",
        (
            "2(total=0) 3×3[0: 3(i=0) 4×0[] | 1: 3(i=1) 4×1[0: 4(j=0) 5(total=0)]"
            " | 2: 3(i=2) 4×2[0: 4(j=0) 5(total=0) | 1: 4(j=1) 5(total=1)]] 6"
        ),
    ),
    (WHILE, "f(5)", "2×2[0: 2 3(n=3) | 1: 2 3(n=1)] 5(n=-1) 6"),
    (WHILE, "f(0)", "2×0[] 5(n=0) 6"),
    (ONE_LINE, "f(3)", "2(x=0) 3×3[0: 3(i=0, x=0) | 1: 3(i=1, x=1) | 2: 3(i=2, x=3)] 4"),
    (
        RAISING_IN_LOOP,
        "f([1, 2, 0, 4])",
        (
            "2(total=0) 3×3[0: 3(item=1) 4(total=1.0) | 1: 3(item=2) 4(total=1.5)"
            " | 2: 3(item=0) 4(raise=ZeroDivisionError('division by zero'), total=1.5)]"
        ),
    ),
    (
        RAISING_IN_LOOP,
        "f([1] * 500 + [0])",
        (
            "2(total=0) 3×501[0: 3(item=1) 4(total=1.0) | 1: 3(item=1) 4(total=2.0)"
            " | 500: 3(item=0) 4(raise=ZeroDivisionError('division by zero'), total=500.0)]"
        ),
    ),
    (FINALLY, "f('k')", "2 3(raise=KeyError('k')) 5(x=0)"),
    (WITH, "f({})", "4 5(raise=KeyError('x')) 4 6"),
    (RECURSION, "f(3)", "2 4"),
    (
        CLOSURE,
        "f(1)",
        "2(seen=[]) 3(inner=<function inner>) 8 9",
    ),
    (MATCH, "f([1, 2])", "2 3(a=1, rest=[2]) 4"),
    (MATCH, "f({'k': 1, 'z': 2})", "2 3 5(others={'z': 2}, v=1) 6"),
    (MATCH, "f(5)", "2 3 5 7(n=5) 8"),
    (WALRUS, "f([1, 2])", "2(it=<list_iterator>) 3×1[0: 3(x=1) 4(items=[2])] 3(x=None) 5"),
    (
        UNPACK,
        "f({'x': [(1, 2), 3]})",
        "2(a=1, b=2, c=[3]) 3 4(system=<module os>) 5(a=3, b=3) 6",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("source", "call", "steps"), ROWS)
def test_steps_of_a_function(tmp_path: Path, source: str, call: str, steps: str) -> None:
    traced = run(tmp_path, source, call)
    assert told(traced.raw["frames"][0]["steps"]) == steps
    assert traced.trace.frames[0].end is not None


CALLS: list[tuple[str, str | Callable[[Names], Any], list[str]]] = [
    (STRAIGHT, "f(1, 2, z=3)", ["1<0 f(a=1, k=1, b=(2,), c={'z': 3}) return [2, 2]"]),
    (FINALLY, "f(1)", ["1<0 f(x=1) raise KeyError(1)", "2<1 g(x=1) raise KeyError(1)"]),
    (WITH, "f({})", ["1<0 f(d={}) return 1"]),
    (RECURSION, "f(1)", ["1<0 f(n=1) return 1", "2<1 f(n=0) return 0"]),
    (CLOSURE, "f(1)", ["1<0 f(n=1) return [2]", "2<1 inner(x=1) return 2"]),
    (DECORATED, "f(1)", ["1<0 wrapper(args=(1,)) return 2", "2<1 f(x=1) return 2"]),
    (
        CLASSES,
        "f(4)",
        [
            "1<0 f(items=(4,)) return 4",
            "2<1 Cart.make(cls=<class Cart>, items=(4,)) return Cart(items=[4], n=1)",
            "3<2 Cart.__init__(self=Cart()) return None",
            "4<2 Cart.add(self=Cart(items=[], n=0), item=4) return 4",
            "5<4 Cart.total(self=Cart(items=[4], n=1)) return 4",
            "6<1 Cart.total(self=Cart(items=[4], n=1)) return 4",
        ],
    ),
    (
        GENERATOR,
        "list(g(2))",
        ["1<0 g(n=2) return 9", "2<1 f(n=2) return 9"],
    ),
    (
        ASYNC,
        lambda names: asyncio.run(names["f"](2)),
        ["1<0 f(n=2) return 3", "2<1 g(n=2) return None"],
    ),
    (
        COMPREHENSION,
        "f(2)",
        ["1<0 f(n=2) return 2", "2<1 double(x=0) return 0", "3<1 double(x=1) return 2"],
    ),
]


@pytest.mark.parametrize(("source", "call", "shown"), CALLS)
def test_calls(
    tmp_path: Path, source: str, call: str | Callable[[Names], Any], shown: list[str]
) -> None:
    assert frames(run(tmp_path, source, call)) == shown


def test_generator_tells_what_it_yields_and_gets(tmp_path: Path) -> None:
    def send(names: Names) -> None:
        generator = names["f"](2)
        next(generator)
        generator.send("a")
        assert next(generator, "end") == "end"

    traced = run(tmp_path, GENERATOR, send)
    expected = "2×2[0: 2(i=0) 3(yield=0) 3(got='a') | 1: 2(i=1) 3(yield=1) 3(got=None)] 4"
    assert told(traced.raw["frames"][0]["steps"]) == expected
    closed = run(tmp_path, GENERATOR, lambda names: next(names["f"](2)))
    assert frames(closed) == ["1<0 f(n=2) raise GeneratorExit()"]
    assert "GeneratorExit" not in told(closed.raw["frames"][0]["steps"])


def test_endless_loops_have_their_rounds(tmp_path: Path) -> None:
    (loop,) = (
        step for step in run(tmp_path, ENDLESS, "f(9)").raw["frames"][0]["steps"] if "n" in step
    )
    assert (loop["loop"], loop["n"]) == (2, 10)
    traced = run(tmp_path, ENDLESS_OVER_LOOP, "f(9)")
    (outer,) = (step for step in traced.raw["frames"][0]["steps"] if "n" in step)
    assert (outer["loop"], outer["n"]) == (2, 5)
    for _, steps in outer["iterations"]:
        assert [(step["loop"], step["n"]) for step in steps if "loop" in step] == [(3, 2)]


def test_fields_that_a_method_sets(tmp_path: Path) -> None:
    raw = run(tmp_path, CLASSES, "f(4)").raw["frames"]
    assert told(raw[2]["steps"]) == "5(self.items=[]) 6(self.n=0)"
    assert told(raw[3]["steps"]) == "9(self=Cart(items=[4], n=0)) 10(self.n=1) 11"
