"""*Explain trace*: a trace as Markdown, plain and narrow, for a preview or a scratch buffer.

Source and values come from a run of code that nobody has read: they stand in code spans and fences
that they cannot leave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from egcfg_lsp.trace.listing import Row, call_text, listing, n_left_out
from egcfg_lsp.trace.record import Frame, Trace, printable
from egcfg_lsp.trace.summary import failure_text, raising_frame, running_loop

MAX_LISTED, MAX_TOLD = 4, 20
"""Calls that are shown line by line, and calls that are told in a line each."""
MAX_COLUMN = 48
"""Longer lines have their note right behind them."""


def explain(trace: Trace, source: str, *, summary: str = "", output: str = "") -> str:
    """A page about one test; `source` is the module as it ran, `summary` the run in one line."""
    listed = chosen_frames(trace)
    parts = [f"# {_title(listed)}", *_head(trace, summary)]
    for frame in listed:
        parts += [f"## {_heading(frame)}", _fenced(_lines(listing(trace, frame, source)), "python")]
        if (n := n_left_out(frame.steps)) > 0:
            parts.append(f"{n} steps of this call are left out.")
    parts += _other_calls(trace, listed)
    if output.strip():
        lines = [printable(line, 200) for line in output.strip().splitlines()[:20]]
        parts += ["## Output", _fenced(lines, "text")]
    return "\n\n".join(parts) + "\n"


def chosen_frames(trace: Trace) -> tuple[Frame, ...]:
    """The calls that tell most: the one that raised, the last and the first one from the test."""
    outer = [frame for frame in trace.frames if frame.parent == 0]
    wanted = [raising_frame(trace), *outer[-1:], *outer[:1], *trace.frames]
    calls = list(dict.fromkeys(frame.call for frame in wanted if frame is not None))[:MAX_LISTED]
    return tuple(frame for frame in trace.frames if frame.call in calls)


def code(text: str) -> str:
    """A code span around any text of one line."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def stopped_text(trace: Trace) -> str:
    """Why the trace ends early, or nothing."""
    if trace.stopped == "fuel":
        return f"The run was ended after {trace.n_lines:,} lines."
    if trace.stopped == "lost":
        return "The trace ends early: the code replaced it, or ran out of stack."
    return ""


def _title(listed: Sequence[Frame]) -> str:
    name = listed[0].name if listed else ""
    return f"Trace of {code(name)}" if name else "Trace"


def _head(trace: Trace, summary: str) -> list[str]:
    parts = [code(printable(summary, 300))] if summary else []
    facts = [f"- Test: {code(trace.test)}"] if trace.test else []
    if trace.assertion is not None:
        assertion = trace.assertion
        compared = " ".join((assertion.left, assertion.op, assertion.right))
        facts.append(f"- The assertion compared: {code(compared)}")
    if not summary and (reason := failure_text(trace)):
        facts.append(f"- {code(reason)}")
    if (line := running_loop(trace)) is not None:
        facts.append(f"- It stood in the loop at line {line}.")
    elif trace.at:
        facts.append(f"- It stood at line {trace.at}.")
    if reason := stopped_text(trace):
        facts.append(f"- {reason}")
    if not trace.frames:
        facts.append("- The test did not call the function.")
    elif trace.missed:
        facts.append(f"- Never ran: {_numbers(trace.missed)}")
    return parts + (["\n".join(facts)] if facts else [])


def _numbers(lines: Sequence[int]) -> str:
    """`lines 3, 5–9`."""
    ranges: list[tuple[int, int]] = []
    for line in lines:
        if ranges and ranges[-1][1] == line - 1:
            ranges[-1] = (ranges[-1][0], line)
        else:
            ranges.append((line, line))
    shown = ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in ranges[:12])
    more = ", …" if len(ranges) > 12 else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"


def _heading(frame: Frame) -> str:
    caller = f" · from {code(frame.caller)}" if frame.caller else ""
    place = f" at line {frame.caller_line}" if frame.caller and frame.caller_line else ""
    return code(call_text(frame)) + caller + place


def _lines(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["(not in this file)"]
    width = len(str(rows[-1].line or 0))
    lengths = [len(row.code) for row in rows if row.note]
    column = max((length for length in lengths if length <= MAX_COLUMN), default=0)
    lines = []
    for row in rows:
        number = str(row.line) if row.line else ""
        note = f"  # {row.note}" if row.note else ""
        text = f"{number:>{width}} {row.code:<{column if note else 0}}{note}"
        lines.append(text.rstrip())
    return lines


def _fenced(lines: Sequence[str], language: str) -> str:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])


def _other_calls(trace: Trace, listed: Sequence[Frame]) -> list[str]:
    others = [frame for frame in trace.frames if frame not in listed]
    n_more = trace.n_calls - len(listed) - min(len(others), MAX_TOLD)
    lines = [f"- {code(call_text(frame))}" for frame in others[:MAX_TOLD]]
    if n_more > 0:
        lines.append(f"- {n_more:,} more")
    return ["## Other calls", "\n".join(lines)] if lines else []
