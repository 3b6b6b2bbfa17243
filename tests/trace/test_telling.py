"""Summaries, listings, Markdown, the terminal, and the contrast of two traces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from egcfg_lsp.cli.trace_view import view
from egcfg_lsp.execution.runner.recording import Limits
from egcfg_lsp.trace import Trace, parse
from egcfg_lsp.trace.contrast import contrast, told
from egcfg_lsp.trace.listing import MAX_ROWS, listing
from egcfg_lsp.trace.markdown import code, explain
from egcfg_lsp.trace.summary import blocked, failed, passed, unfinished
from tests.execution.runner.traced import run
from tests.trace.traces import PRICING, frame, loop, record, trace_of

ENDLESS = """\
def f(n):
    while n:
        for i in range(3):
            n += i
"""


def parsed(**changes: object) -> Trace:
    trace = parse(record(**changes))
    assert trace is not None
    return trace


def endless(tmp_path: Path) -> Trace:
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    return run(tmp_path, ENDLESS, "f(1)", limits=Limits(fuel=500), on_out_of_fuel=stop).trace


def test_one_line_of_passing_and_blocked_runs() -> None:
    assert passed(5, 5) == "✓ 5/5"
    assert blocked("network") == "⊘ needs network"


def compared(left: str, op: str, right: str, call: str) -> dict[str, str]:
    return {"left": left, "op": op, "right": right, "call": call}


FAILURES: list[tuple[dict[str, object], str]] = [
    (
        {"assertion": compared("108.07", "==", "107.0", "total([(1, 100)], 'us')")},
        "✗ 3/5 · total([(1, 100)], 'us') → 108.07, want 107.0",
    ),
    ({"assertion": compared("9", "==", "2", "")}, "✗ 3/5 · 9, want == 2"),
    ({"assertion": compared("1", "==", "2", "")}, "✗ 3/5 · total([]) → 1, want 2"),
    ({"assertion": compared("9", "in", "[2]", "f()")}, "✗ 3/5 · f() → 9, want in [2]"),
    (
        {
            "assertion": None,
            "exception": {"text": "KeyError(1)", "line": 7},
            "frames": [frame(end=["raise", "KeyError(1)"])],
        },
        "✗ 3/5 · total([]) raised KeyError(1) at line 7",
    ),
    ({"assertion": None}, "✗ 3/5 · the framework's line"),
    (
        {
            "assertion": None,
            "exception": {"text": "E()", "line": 0},
            "frames": [frame(end=["raise", "E()"]), frame(call=2, end=["return", "1"])],
        },
        "✗ 3/5 · total([]) raised E()",
    ),
    (
        # The test expected this one, and failed with another of its own.
        {
            "assertion": None,
            "exception": {"text": "NameError()", "line": 0},
            "frames": [frame(end=["raise", "E()"])],
        },
        "✗ 3/5 · the framework's line",
    ),
]


@pytest.mark.parametrize(("changes", "line"), FAILURES)
def test_one_line_of_a_failing_run(changes: dict[str, object], line: str) -> None:
    assert failed(3, 5, parsed(**changes), "the framework's line") == line


def test_one_line_without_a_trace() -> None:
    assert failed(0, 1, None, "no") == "✗ 0/1 · no"
    assert failed(0, 1, None) == "✗ 0/1"
    assert unfinished(None, "no result within 1 s") == "⏱ no result within 1 s"


def test_one_line_of_an_exception_is_about_where_it_came_from(tmp_path: Path) -> None:
    source = """\
def f(x):
    y = 1
    return g(y)

def g(x):
    return h(x)

def h(x):
    if x:
        raise KeyError(x)
"""
    trace = run(tmp_path, source, "f(1)", watched=range(2, 4)).trace
    assert failed(0, 1, trace) == "✗ 0/1 · h(1) raised KeyError(1) at line 10"


def test_one_line_of_an_endless_run(tmp_path: Path) -> None:
    assert unfinished(endless(tmp_path), "") == "⏱ loop at line 3"
    assert unfinished(parsed(at=7, frames=[frame(end=None, steps=[[7, {}]])]), "") == "⏱ at line 7"
    assert unfinished(parsed(), "no result") == "⏱ no result"


def test_listing(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "total([(1, 2), (4, 11), (5, 3), (5, 3)], 'us')")
    rows = {row.line: row for row in listing(trace, trace.frames[0], PRICING)}
    assert {line: row.note for line, row in rows.items()} == {
        3: "",
        4: "result = 0",
        5: "4×, price = 1 → 4 → 5, n = 2 → 11 → 3",
        6: "",
        7: "price = 2.0",
        8: "result = 2 → 24.0 → 54.0",
        9: "",
    }
    assert [line for line, row in rows.items() if not row.ran] == [3]


def test_listing_marks_what_never_ran_and_what_raised(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "total([], 'xx')")
    rows = {row.line: row for row in listing(trace, trace.frames[0], PRICING)}
    assert [line for line, row in rows.items() if row.is_missed] == [6, 7, 8]
    assert rows[9].raised
    assert rows[9].note == "raised KeyError('xx')"
    assert rows[5].note == "0×"


def test_listing_of_a_long_function_shows_what_ran(tmp_path: Path) -> None:
    body = "".join(f"        x = {i}\n" for i in range(300))
    source = f"def f(x):\n    if x:\n{body}    return x\n"
    trace = run(tmp_path, source, "f(0)").trace
    rows = listing(trace, trace.frames[0], source)
    assert len(rows) < MAX_ROWS
    assert [row.line for row in rows] == [1, 2, 3, 0, 302, 303]


@pytest.mark.parametrize("source", ["", "x", "def f():\n\tpass\n" * 3])
def test_listing_of_another_source_shows_less(tmp_path: Path, source: str) -> None:
    trace = trace_of(tmp_path, "total([], 'us')")
    assert len(listing(trace, trace.frames[0], source)) <= 4
    assert explain(trace, source)


PAGE = """\
# Trace of `total`

`✗ 0/1`

- Test: `test`
- Never ran: lines 6–8

## `total([], 'xx') raised KeyError('xx')` · from `<module>` at line 1

```python
3 def total(items, region):
4     result = 0                       # result = 0
5     for price, n in items:           # 0×
6         if n > 10:                   # never ran
7             price = discount(price)  # never ran
8         result += price * n          # never ran
9     return round(result * (1 + RATES[region]), 2)  # raised KeyError('xx')
```
"""


def test_page(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "total([], 'xx')")
    assert explain(trace, PRICING, summary="✗ 0/1") == PAGE


def test_page_of_an_endless_run_says_where_it_stood(tmp_path: Path) -> None:
    page = explain(endless(tmp_path), ENDLESS)
    assert "It stood in the loop at line 3." in page
    assert "ended after 501 lines" in page


def test_page_of_a_test_that_does_not_call_the_function() -> None:
    page = explain(parsed(frames=[], n_calls=0, assertion=None), PRICING)
    assert "did not call the function" in page


def test_page_is_short_for_many_calls(tmp_path: Path) -> None:
    source = "def f(x):\n    return x\n"
    trace = run(tmp_path, source, lambda names: [names["f"](i) for i in range(1000)]).trace
    page = explain(trace, source)
    assert "## `f(999) → 999`" in page or "f(999)" in page or trace.frames[-1].call < 1000
    assert page.endswith("- 976 more\n")
    assert len(page.splitlines()) < 80


@pytest.mark.parametrize("text", ["a", "`", "``a`", "a`b", "`a", "a```b"])
def test_code_spans_hold_any_text(text: str) -> None:
    span = code(text)
    ticks = re.match("`+", span)
    assert ticks is not None
    inner = span[len(ticks[0]) : -len(ticks[0])]
    assert ticks[0] not in re.findall("`+", inner)
    assert inner.strip() == text


def test_source_cannot_leave_its_fence() -> None:
    source = 'def total(items):\n    """\n```\n# Trust me\n````\n    """\n    return 1\n'
    page = explain(
        parsed(frames=[frame(line=1, steps=[[7, {"x": "```"}]])]), source, output="`````"
    )
    fences = [line for line in page.splitlines() if line.startswith("`````")]
    assert fences == ["`````python", "`````", "``````text", "`````", "``````"]


def test_terminal(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "total([(1, 2), (4, 11)], 'us')")
    console = Console(width=100, record=True, force_terminal=True, file=(tmp_path / "o").open("w"))
    console.print(view(trace, PRICING, summary="✓ 1/1", output="printed\x1b[31m"))
    text = console.export_text()
    assert "\x1b" not in text
    for words in (
        "✓ 1/1",
        "total([(1, 2), (4, 11)], 'us') → 25.68",
        "2×, price = 1 → 4",
        "printed",
    ):
        assert words in text
    assert "discount(4) → 2.0  from total at line 7" in text


CONTRASTS = [
    (
        "total([(1, 2)], 'us')",
        "total([(1, 2)], 'us')",
        "A and B ran the same lines with the same values.",
    ),
    (
        "total([(1, 2)], 'us')",
        "total([(1, 11)], 'us')",
        "After line 6 of total they part: line 8 (A), line 7 (B).",
    ),
    (
        "total([(1, 2)], 'us')",
        "total([(1, 2)], 'de')",
        "total ends otherwise: return 2.14 (A), return 2.38 (B).",
    ),
    (
        "total([], 'us')",
        "total([], 'xx')",
        "At line 9 of total: nothing (A), raise = KeyError('xx') (B).",
    ),
    (
        "total([(1, 2)], 'us')",
        "total([(1, 3)], 'us')",
        "At line 5 of total: n = 2 (A), n = 3 (B).",
    ),
    (
        "total([(1, 2)] * 8, 'us')",
        "total([(1, 2)] * 9, 'us')",
        "The loop at line 5 of total goes round 8 (A), 9 (B) times.",
    ),
    ("total([], 'us')", "discount(1)", "They make other calls: total([], 'us') (A), nothing (B)."),
    (
        "total([], 'us')",
        "total((), 'us')",
        "Only the arguments differ: total([], 'us') (A), total((), 'us') (B).",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "sentence"), CONTRASTS)
def test_contrast(tmp_path: Path, left: str, right: str, sentence: str) -> None:
    traces = [trace_of(tmp_path, call) for call in (left, right)]
    assert told(contrast(*traces), "A", "B") == sentence


def test_contrast_of_candidates_that_differ_in_one_line(tmp_path: Path) -> None:
    other = PRICING.replace("n > 10", "n > 1")
    traces = [
        run(tmp_path, s, "total([(1, 2)], 'us')", watched=range(4, 10)).trace
        for s in (PRICING, other)
    ]
    assert told(contrast(*traces), "the first", "the second") == (
        "After line 6 of total they part: line 8 (the first), line 7 (the second)."
    )


def test_loops_of_a_hostile_record_without_iterations() -> None:
    trace = parsed(at=5, frames=[frame(end=None, steps=[loop(iterations=[])])])
    assert unfinished(trace, "") == "⏱ loop at line 5"
