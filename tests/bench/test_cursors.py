"""Where the cursor stands, and what an editor has put right of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.bench.cursors import Position, closers, cursors
from egcfg_lsp.bench.problems import Problem, Suite


def problem(line: str) -> Problem:
    return Problem(
        dataset="Own",
        task_id="Own/0/L0",
        entry_point="f",
        text="",
        before="def f(x):\n",
        reference=line,
        after="",
        examples=(),
        tests=Suite("own", "assert f"),
    )


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("", ""),
        ("x = f(a", ")"),
        ("x = f(a[{", "}])"),
        ("x = f(a)", ""),
        ("x = f('", "')"),
        ('x = f("a(', '")'),
        ("x = '''a", "'''"),
        ("x = f(')', [", "])"),
        (r"x = 'a\'", "'"),
        ("return [x for x", "]"),
    ],
)
def test_closers(typed: str, right: str) -> None:
    assert closers(typed) == right


@pytest.mark.parametrize(
    ("line", "positions"),
    [
        ("    return g(x)", [Position.START, Position.MIDDLE, Position.CLOSED]),
        ("    return x", [Position.START, Position.MIDDLE]),
        ("    )", [Position.START]),
        ("    total = sum(", [Position.START, Position.MIDDLE]),
        ("    []", [Position.START, Position.MIDDLE]),
    ],
)
def test_positions_that_a_line_has(line: str, positions: list[Position]) -> None:
    assert [cursor.position for cursor in cursors(problem(line), seed=0)] == positions


@given(line=st.from_regex(r"\A {0,8}[a-z(][a-z()\[\]'=, ]{0,30}\Z"), seed=st.integers(0, 2**31))
def test_cuts(line: str, seed: int) -> None:
    start, *others = cursors(problem(line), seed)
    assert (start.typed, start.right) == ("", "")
    for cursor in others:
        assert line.startswith(cursor.typed)
        assert cursor.typed.strip()
        assert line[len(cursor.typed) :].strip()
        assert (cursor.right != "") is (cursor.position is Position.CLOSED)
        assert cursor.typed + cursor.right != line.rstrip()
        assert cursor.right == "" or closers(cursor.typed + cursor.right) == ""
    assert [start, *others] == list(cursors(problem(line), seed))


def test_seeds_cut_differently() -> None:
    line = problem("    return first(second, third, fourth)")
    assert len({tuple(cursors(line, seed)) for seed in range(10)}) > 3
