"""The way of one completion through the rungs, in the terminal: every candidate and what became of it.

Makes a renderable of rich; prints nothing and runs nothing.
"""

from __future__ import annotations

from textwrap import dedent

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from egcfg_lsp.completion import Considered, Outcome, Update
from egcfg_lsp.trace.record import printable

MAX_LINES = 40
"""Of one candidate's text."""
STYLES = {Outcome.VERIFIED: "green", Outcome.FAILS: "red", Outcome.PARTIAL: "red"}


def way_of(update: Update, head: str) -> RenderableType:
    """`update` is the last one of a completion, `head` the cursor's line up to the cursor."""
    shown = update.suggestions[0].text if update.suggestions else None
    parts: list[RenderableType] = []
    for number, one in enumerate(update.considered, 1):
        parts.append(_heading(number, one, is_shown=one.text == shown))
        if one.outcome is not None:
            parts.append(Padding(_text(one, head), (0, 0, 0, 6), expand=False))
    if not parts:
        parts.append(Text("no candidate was run", style="dim"))
    if update.signal:
        told = "\n".join(printable(line, 200) for line in update.signal.split("\n"))
        parts += [
            Text("told the model", style="bold"),
            Padding(Text(told), (0, 0, 0, 6), expand=False),
        ]
    parts += [Text(printable(note, 200), style="dim") for note in update.notes]
    laps = " · ".join(f"{name.replace('_', ' ')} {at:.2f} s" for name, at in update.timings.items())
    return Group(*parts, Text(laps, style="dim"))


def _heading(number: int, one: Considered, *, is_shown: bool) -> Text:
    heading = Text(f"{number:2}  {one.rung:<8} ")
    heading.append(printable(one.origin, 100), style="dim")
    summary = printable(one.summary, 200)
    heading.append(
        f"\n    {summary}", style=STYLES.get(one.outcome, "yellow") if one.outcome else "dim"
    )
    if one.outcome is not None:
        numbers = f"  log-probability {one.mean_log_probability:.2f} a token, score {one.score:.2f}"
        heading.append(numbers, style="dim")
    if is_shown and one.outcome is not None:
        heading.append("  ← shown", style="bold")
    return heading


def _text(one: Considered, head: str) -> Text:
    lines = dedent(head + one.text.rstrip("\n")).split("\n")
    left_out = len(lines) - MAX_LINES
    told = [printable(line, 200) for line in lines[:MAX_LINES]]
    told += [f"… {left_out} more lines"] if left_out > 0 else []
    return Text("\n".join(told))
