"""What a model is told of candidates and their runs, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from egcfg_lsp.execution.runner.recording import Limits
from egcfg_lsp.guidance.signal import (
    Seen,
    Tried,
    failing_signal,
    minimal_trace,
    outcome,
    outcome_signal,
    trace_signal,
)
from egcfg_lsp.trace import Trace, parse
from tests.execution.runner.traced import run
from tests.trace.traces import frame, loop, record, trace_of

Form = Callable[..., str]
FORMS: list[Form] = [trace_signal, outcome_signal, failing_signal]


def parsed(**changes: object) -> Trace:
    trace = parse(record(**changes))
    assert trace is not None
    return trace


def ran(folder: Path, source: str, call: str, **changes: object) -> Trace:
    return run(folder, source, call, **changes).trace  # type: ignore[arg-type]


def test_a_trace_is_its_changes(tmp_path: Path) -> None:
    lines = minimal_trace(trace_of(tmp_path, "total([(1, 2), (4, 20)], 'us')"))
    assert lines == [
        "total(items=[(1, 2), (4, 20)], region='us')",
        "  result = 0",
        "  price = 1, n = 2",
        "  result = 2",
        "  price = 4, n = 20",
        "  price = 2.0",
        "  result = 42.0",
        "  returned 44.94",
        "  discount(price=4)",
        "    returned 2.0",
    ]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"steps": [[4, {"raise": "KeyError('x')"}]]}, "  raised KeyError('x')"),
        ({"steps": [[4, {"yield": "3"}]]}, "  yields 3"),
        ({"steps": [{"skipped": 7}]}, "  … 7 more lines"),
        ({"steps": [loop(n=9)]}, "  … 7 more rounds"),
        ({"steps": [loop(n=9, more=True)]}, "  … further rounds"),
        ({"end": ["raise", "KeyError('x')"]}, "  ended by KeyError('x')"),
        ({"end": None}, "  did not end"),
    ],
)
def test_what_may_happen_in_a_call(changes: dict[str, object], wanted: str) -> None:
    assert wanted in minimal_trace(parsed(frames=[frame(**changes)]))


def test_lines_that_changed_nothing_are_left_out() -> None:
    lines = minimal_trace(parsed(frames=[frame(steps=[[4, {}], [5, {"n": "1"}], [6, {}]])]))
    assert lines == ["total(items=[])", "  n = 1", "  returned 1"]


def test_calls_that_were_not_kept_are_counted() -> None:
    assert minimal_trace(parsed(n_calls=70))[-1] == "… 69 more calls"


def test_where_the_lines_end_is_not_a_result() -> None:
    trace = parsed(frames=[frame(steps=[], end=["return", "None"])])
    assert minimal_trace(trace)[-1] == "  returned None"
    assert minimal_trace(trace, is_whole=False)[-1] == "  came to the end of the lines"


WRONG = Tried(
    "    return a - b\n",
    True,
    (
        Seen("assert add(0, 0) == 0", True, None),
        Seen(
            "assert add(1, 2) == 3",
            False,
            parsed(
                assertion={"left": "-1", "op": "==", "right": "3", "call": "add(1, 2)"},
                frames=[
                    frame(
                        name="add", arguments={"a": "1", "b": "2"}, steps=[], end=["return", "-1"]
                    )
                ],
            ),
        ),
    ),
)
OPEN = Tried(
    "    c = a\n",
    False,
    (
        Seen(
            "assert add(1, 2) == 3",
            False,
            parsed(
                assertion={"left": "None", "op": "==", "right": "3", "call": "add(1, 2)"},
                frames=[
                    frame(
                        name="add",
                        arguments={"a": "1", "b": "2"},
                        steps=[[2, {"c": "1"}], [3, {"c": "2"}]],
                        end=["return", "None"],
                    )
                ],
            ),
        ),
    ),
)
RIGHT = Tried("    return a + b\n", True, (Seen("assert add(1, 2) == 3", True, None),))
LATE = Tried("    while a: pass\n", True, (Seen("t", None, None, "no result within 5 s"),))


@pytest.mark.parametrize(
    ("tried", "wanted"),
    [
        (WRONG, "add(1, 2) → -1, want 3 (1/2 pass)"),
        (OPEN, "runs, nothing returned yet (0/1 pass)"),
        (RIGHT, "passes (1/1 pass)"),
        (LATE, "no result within 5 s (0/1 pass)"),
        (Tried("    x\n", True, ()), "was not run"),
        (Tried("    x\n", True, (Seen("t", False),)), "no result (0/1 pass)"),
    ],
)
def test_outcomes_in_a_line(tried: Tried, wanted: str) -> None:
    assert outcome(tried) == wanted


def test_a_none_of_a_whole_candidate_is_a_result() -> None:
    whole = Tried(OPEN.code, True, OPEN.seen)
    assert outcome(whole) == "add(1, 2) → None, want 3 (0/1 pass)"


def test_signal_with_traces() -> None:
    assert (
        trace_signal([WRONG, OPEN])
        == """\
Way 1:
```python
    return a - b
```
assert add(0, 0) == 0: passes
assert add(1, 2) == 3: add(1, 2) → -1, want 3
    add(a=1, b=2)
      returned -1

Way 2:
```python
    c = a
```
assert add(1, 2) == 3: runs, nothing returned yet
    add(a=1, b=2)
      c = 1
      c = 2
      came to the end of the lines"""
    )


def test_signal_with_outcomes_alone() -> None:
    assert (
        outcome_signal([WRONG, RIGHT])
        == """\
Way 1:
```python
    return a - b
```
add(1, 2) → -1, want 3 (1/2 pass)

Way 2:
```python
    return a + b
```
passes (1/1 pass)"""
    )


def test_signal_with_the_failing_examples_values() -> None:
    assert (
        failing_signal([OPEN, RIGHT])
        == """\
Way 1:
```python
    c = a
```
runs, nothing returned yet (0/1 pass)
with a = 1, b = 2, c = 2

Way 2:
```python
    return a + b
```
passes (1/1 pass)"""
    )


@pytest.mark.parametrize("signal", FORMS)
def test_nothing_to_tell_is_an_empty_signal(signal: Form) -> None:
    assert signal([]) == ""
    assert signal([WRONG], 20) == ""


@pytest.mark.parametrize("signal", FORMS)
def test_signals_keep_within_their_bound(signal: Form, tmp_path: Path) -> None:
    """And the more room there is the more they tell."""
    long = ran(
        tmp_path, "def f(n):\n    for i in range(n):\n        x = i\n    return x\n", "f(40)"
    )
    tried = [
        Tried(f"    x = {i}\n", True, (Seen("t", False, long, "x"), Seen("u", None, long, "y")))
        for i in range(4)
    ]
    lengths = [len(signal(tried, n)) for n in (0, 50, 100, 200, 400, 800, 3000, 10_000)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0
    for n, length in zip((0, 50, 100, 200, 400, 800, 3000, 10_000), lengths, strict=True):
        assert length <= n
    assert lengths[-1] > lengths[2] > 0


def test_long_traces_keep_their_beginning_and_their_end() -> None:
    steps = [[i, {"x": str(i)}] for i in range(1, 100)]
    one = Tried("    pass\n", True, (Seen("t", True, parsed(frames=[frame(steps=steps)])),))
    lines = trace_signal([one], 300).splitlines()
    assert "    total(items=[])" in lines
    assert "      x = 1" in lines
    assert "    …" in lines
    assert "      x = 99" in lines
    assert lines[-1] == "      returned 1"
    assert "      x = 50" not in lines


def test_what_short_traces_leave_is_for_long_ones() -> None:
    steps = [[i, {"x": str(i)}] for i in range(1, 30)]
    short = Tried("    pass\n", True, (Seen("t", True, parsed(frames=[frame(steps=[])])),))
    long = Tried("    pass\n", True, (Seen("t", True, parsed(frames=[frame(steps=steps)])),))
    told = trace_signal([short, long], len(trace_signal([short, long])))
    assert "…" not in told


def test_the_last_candidates_go_first() -> None:
    told = outcome_signal([RIGHT, WRONG, OPEN], 150)
    assert "return a + b" in told
    assert "return a - b" in told
    assert "c = a" not in told


def test_a_loop_that_never_ends_is_told_as_far_as_it_went(tmp_path: Path) -> None:
    class StopTest(BaseException):
        pass

    def stop() -> None:
        raise StopTest

    source = "def f(n):\n    while n:\n        n += 1\n"
    trace = ran(tmp_path, source, "f(1)", limits=Limits(fuel=200), on_out_of_fuel=stop)
    lines = minimal_trace(trace)
    assert lines[:3] == ["f(n=1)", "  n = 2", "  n = 3"]
    assert lines[-1] == "  did not end"
    assert any("more rounds" in line for line in lines)
