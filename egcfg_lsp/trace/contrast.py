"""Where two traces part: of a test that fails and one that passes, or of two candidates.

Calls are paired in their order by name, steps by line; the first difference is told, since all that
follows from it differs as well. Does not align code that moved: of two candidates it tells the first
line that one ran and the other did not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from egcfg_lsp.trace.listing import arguments_text
from egcfg_lsp.trace.record import Frame, Gap, Item, Loop, Step, Trace


@dataclass(frozen=True)
class Parting:
    """The first difference of two traces."""

    kind: Literal["calls", "arguments", "path", "values", "rounds", "end"]
    name: str
    """Of the function."""
    line: int
    """The line behind which, or on which, they part; 0 before the first line."""
    left: str
    right: str
    """What is seen on either side: a value, a line, a call; empty for nothing."""


def contrast(left: Trace, right: Trace) -> Parting | None:
    """None if the traces show no difference.

    Arguments that differ are the answer only where nothing else differs: tests differ in them.
    """
    arguments = None
    for i in range(max(len(left.frames), len(right.frames))):
        if i >= len(left.frames) or i >= len(right.frames):
            shown = [
                arguments_text(trace.frames[i]) if i < len(trace.frames) else ""
                for trace in (left, right)
            ]
            name = (left.frames + right.frames)[0].name
            return arguments or Parting("calls", name, 0, *shown)
        one, other = left.frames[i], right.frames[i]
        if one.name != other.name:
            return Parting("calls", one.name, 0, arguments_text(one), arguments_text(other))
        if one.arguments != other.arguments and arguments is None:
            arguments = Parting(
                "arguments", one.name, 0, arguments_text(one), arguments_text(other)
            )
        if (parting := _of_frames(one, other)) is not None:
            return parting
    return arguments


def told(parting: Parting | None, left: str, right: str) -> str:
    """One sentence; `left` and `right` name the traces."""
    if parting is None:
        return f"{left} and {right} ran the same lines with the same values."
    a, b = parting.left or "nothing", parting.right or "nothing"
    name, line = parting.name, parting.line
    match parting.kind:
        case "calls":
            return f"They make other calls: {a} ({left}), {b} ({right})."
        case "arguments":
            return f"Only the arguments differ: {a} ({left}), {b} ({right})."
        case "path":
            place = f"After line {line} of {name}" if line else f"At the beginning of {name}"
            return f"{place} they part: {a} ({left}), {b} ({right})."
        case "rounds":
            return (
                f"The loop at line {line} of {name} goes round {a} ({left}), {b} ({right}) times."
            )
        case "values":
            return f"At line {line} of {name}: {a} ({left}), {b} ({right})."
    return f"{name} ends otherwise: {a} ({left}), {b} ({right})."


def _of_frames(left: Frame, right: Frame) -> Parting | None:
    """Another path rather than other values, which other arguments always lead to."""
    name = left.name
    values = None
    line = 0
    mine, yours = _flat(left.steps), _flat(right.steps)
    while True:
        one, other = next(mine, None), next(yours, None)
        if one is None and other is None:
            break
        if one is None or other is None or _place(one) != _place(other):
            is_told = values is not None and values.kind == "rounds"
            return values if is_told else Parting("path", name, line, _told(one), _told(other))
        line = one.line
        if isinstance(one, Loop) and isinstance(other, Loop):
            if one.n != other.n and values is None:
                values = Parting("rounds", name, line, str(one.n), str(other.n))
        elif one != other and values is None:
            values = _of_values(name, one, other)
    if values is not None:
        return values
    if left.end != right.end:
        return Parting("end", name, line, _end(left), _end(right))
    return None


def _flat(items: tuple[Item, ...]) -> Iterator[Step | Loop]:
    for item in items:
        if isinstance(item, Gap):
            continue
        yield item
        if isinstance(item, Loop):
            for iteration in item.iterations:
                yield from _flat(iteration.steps)


def _place(item: Step | Loop) -> tuple[type, int]:
    return type(item), item.line


def _told(item: Step | Loop | None) -> str:
    return f"line {item.line}" if item is not None else "the end"


def _of_values(name: str, left: Step | Loop, right: Step | Loop) -> Parting:
    assert isinstance(left, Step)
    assert isinstance(right, Step)
    differing = [pair for pair in left.values if pair not in right.values][:1]
    differing += [pair for pair in right.values if pair not in left.values][:1]
    names = {one for one, _ in differing}
    shown = [
        ", ".join(f"{one} = {text}" for one, text in step.values if one in names)
        for step in (left, right)
    ]
    return Parting("values", name, left.line, *shown)


def _end(frame: Frame) -> str:
    if frame.end is None:
        return "it did not end"
    return f"{frame.end.kind} {frame.end.value}"
