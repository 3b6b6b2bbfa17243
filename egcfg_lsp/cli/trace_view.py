"""A trace in the terminal: the test, the calls, and source lines with values beside them.

Makes a renderable of rich; prints nothing and runs nothing.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from egcfg_lsp.trace.listing import Row, call_text, listing, n_left_out
from egcfg_lsp.trace.markdown import MAX_TOLD, chosen_frames, stopped_text
from egcfg_lsp.trace.record import Frame, Trace, printable
from egcfg_lsp.trace.summary import failure_text, running_loop

_COLOURS = {"✓": "green", "✗": "red"}


def view(trace: Trace, source: str, *, summary: str = "", output: str = "") -> RenderableType:
    """`source` is the module as it ran, `summary` the run in one line."""
    parts: list[RenderableType] = []
    if summary:
        parts.append(Text(printable(summary, 300), style=_COLOURS.get(summary[:1], "yellow")))
    parts += [Text(line, style="dim") for line in _facts(trace, summary)]
    listed = chosen_frames(trace)
    for frame in listed:
        parts += [Text(), _heading(frame), _table(listing(trace, frame, source))]
        if (n := n_left_out(frame.steps)) > 0:
            parts.append(Text(f"{n} steps of this call are left out", style="dim"))
    others = [frame for frame in trace.frames if frame not in listed][:MAX_TOLD]
    parts += [Text(), *(Text(call_text(frame), style="dim") for frame in others)] if others else []
    if (n := trace.n_calls - len(listed) - len(others)) > 0:
        parts.append(Text(f"{n:,} more calls", style="dim"))
    if output.strip():
        lines = [printable(line, 200) for line in output.strip().splitlines()[:20]]
        parts += [Text("\noutput", style="bold"), Text("\n".join(lines))]
    return Group(*parts)


def _facts(trace: Trace, summary: str) -> list[str]:
    facts = [trace.test] if trace.test else []
    if not summary and (reason := failure_text(trace)):
        facts.append(reason)
    if (line := running_loop(trace)) is not None:
        facts.append(f"it stood in the loop at line {line}")
    if reason := stopped_text(trace):
        facts.append(reason)
    if not trace.frames:
        facts.append("the test did not call the function")
    return facts


def _heading(frame: Frame) -> Text:
    is_raised = frame.end is not None and frame.end.kind == "raise"
    heading = Text(call_text(frame), style="bold red" if is_raised else "bold")
    if frame.caller:
        place = f" at line {frame.caller_line}" if frame.caller_line else ""
        heading.append(f"  from {frame.caller}{place}", style="dim not bold")
    return heading


def _table(rows: tuple[Row, ...]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=None)
    table.add_column(overflow="fold")
    syntax = Syntax("", "python", background_color="default", theme="ansi_dark")
    for row in rows:
        code = syntax.highlight(row.code)
        code.rstrip()
        if not row.ran:
            code.stylize("dim")
        style = "yellow" if row.is_missed else "red" if row.raised else "cyan"
        table.add_row(str(row.line or ""), code, Text(row.note, style=style))
    return table
