"""A call as its source lines with values beside them: what Markdown and the terminal both show.

A line that ran often has the first values and the last: `price = 1 → 2 → … → 8`. Where a function
ends is told by its indentation; a string that is indented less may end it early.
"""

from __future__ import annotations

from dataclasses import dataclass

from egcfg_lsp.trace.record import Frame, Gap, Item, Loop, Step, Trace, steps_of

MAX_ROWS = 100
"""Of a listing; of longer functions only what ran is shown, and the lines around it."""
MAX_SHOWN = 3
"""Values of a name beside one line."""
MAX_CODE = 100
"""Characters of a source line."""


@dataclass(frozen=True)
class Row:
    line: int
    """1-based; 0 for lines that are left out."""
    code: str
    note: str
    """Values, counts; empty where there is nothing to say."""
    ran: bool
    is_missed: bool = False
    """A line of the target with code on it that the test did not run."""
    raised: bool = False
    """An exception came up here, whether or not it was caught."""


GAP = Row(0, "⋮", "", ran=False)


def listing(trace: Trace, frame: Frame, source: str) -> tuple[Row, ...]:
    """The rows of one call; `source` is the module as it ran."""
    lines = source.splitlines()
    steps = _by_line(frame.steps)
    counts = _counts(frame.steps)
    last = _last_line(lines, frame.line, max(steps, default=frame.line))
    missed = set(trace.missed)
    rows = []
    for line in range(max(frame.line, 1), min(last, len(lines)) + 1):
        visits = steps.get(line, [])
        is_missed = line in missed and not visits
        rows.append(
            Row(
                line,
                _code(lines[line - 1]),
                "never ran" if is_missed else _note(visits, counts.get(line, "")),
                ran=bool(visits),
                is_missed=is_missed,
                raised=any(step.raised is not None for step in visits),
            )
        )
    return tuple(rows) if len(rows) <= MAX_ROWS else _around_what_ran(rows)


def arguments_text(frame: Frame) -> str:
    """`total([(1, 100)], 'us')`: the call as it could be written, the instance left out."""
    shown = [text for name, text in frame.arguments if name not in ("self", "cls")]
    return f"{frame.name}({', '.join(shown)})"


def call_text(frame: Frame) -> str:
    """The call with what became of it."""
    call = arguments_text(frame)
    if frame.end is None:
        return f"{call} did not end"
    return (
        f"{call} → {frame.end.value}"
        if frame.end.kind == "return"
        else (f"{call} raised {frame.end.value}")
    )


def _by_line(items: tuple[Item, ...]) -> dict[int, list[Step]]:
    found: dict[int, list[Step]] = {}
    for step in steps_of(items):
        found.setdefault(step.line, []).append(step)
    return found


def _counts(items: tuple[Item, ...]) -> dict[int, str]:
    """How often each loop went round; of inner loops the latest time."""
    counts: dict[int, str] = {}
    for item in items:
        if isinstance(item, Loop):
            counts[item.line] = f"{'' if item.is_exact else '> '}{item.n}×"
            for iteration in item.iterations:
                counts |= _counts(iteration.steps)
    return counts


def _note(visits: list[Step], count: str) -> str:
    values: dict[str, list[str]] = {}
    for step in visits:
        for name, text in step.values:
            values.setdefault(name, []).append(text)
    raised = values.pop("raise", [])
    parts = [count] if count else []
    parts += [f"{name} = {_sequence(texts)}" for name, texts in values.items()]
    parts += [f"raised {_sequence(raised)}"] if raised else []
    return ", ".join(parts)


def _sequence(texts: list[str]) -> str:
    """`1 → 2 → … → 8`: what repeats is told once."""
    changes = [text for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]]
    if len(changes) > MAX_SHOWN:
        changes = [*changes[: MAX_SHOWN - 1], "…", changes[-1]]
    return " → ".join(changes)


def _code(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text.expandtabs(4)).rstrip()
    return text if len(text) <= MAX_CODE else text[: MAX_CODE - 1] + "…"


def _last_line(lines: list[str], first: int, ran: int) -> int:
    """The last line of the function that begins on `first` and ran up to `ran`."""
    if not 0 < first <= len(lines):
        return 0
    indent = _indent(lines[first - 1])
    last = min(ran, len(lines))
    for line in range(last + 1, len(lines) + 1):
        text = lines[line - 1]
        if text.strip() and _indent(text) <= indent:
            break
        last = line if text.strip() else last
    return last


def _indent(text: str) -> int:
    expanded = text.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


def _around_what_ran(rows: list[Row]) -> tuple[Row, ...]:
    shown: list[Row] = []
    for i, row in enumerate(rows):
        near = rows[max(0, i - 1) : i + 2]
        if i == 0 or any(one.ran for one in near):
            shown.append(row)
        elif shown[-1] is not GAP:
            shown.append(GAP)
    return tuple(shown)


def n_left_out(items: tuple[Item, ...]) -> int:
    """Steps that a record had no room for."""
    n = 0
    for item in items:
        if isinstance(item, Gap):
            n += item.n
        elif isinstance(item, Loop):
            n += sum(n_left_out(iteration.steps) for iteration in item.iterations)
    return n
