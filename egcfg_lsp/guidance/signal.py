"""The dynamic signal: candidates with what their runs showed, as text for a model, within a bound.

Three forms of it: traces as in EG-CFG (arXiv 2506.10948), outcomes alone, and the failing example's
values. What cannot be within the bound is left out, last candidates first; a signal of nothing is
empty. Does not know where in a prompt it stands, nor how candidates are made and run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from egcfg_lsp.prompt.program import fenced
from egcfg_lsp.trace.record import Frame, Gap, Item, Loop, Trace, printable, steps_of
from egcfg_lsp.trace.summary import failure_text, raising_frame

SIGNAL_CHARACTERS = 6000
"""Default bound, about 2,000 tokens; the published signal has none."""
MAX_TEST = 160
"""Characters of a test as it is named."""
MIN_TRACE = 60
"""Characters of a trace; of less nothing can be seen."""
_LEFT_OUT = "…"


@dataclass(frozen=True)
class Seen:
    """What one test made of a candidate."""

    test: str
    """Names it: the assertion, or a name."""
    passed: bool | None
    """None: no verdict."""
    trace: Trace | None = None
    note: str = ""
    """What the run says, for want of a better line."""


@dataclass(frozen=True)
class Tried:
    """A candidate and its runs."""

    code: str
    """Its own lines."""
    is_whole: bool
    """Whether the model ended it; else it was cut, and a `None` that it returns says nothing."""
    seen: tuple[Seen, ...]

    @property
    def n_passed(self) -> int:
        return sum(one.passed is True for one in self.seen)

    @property
    def failing(self) -> Seen | None:
        """The first that failed, else the first without a verdict."""
        failed = [one for one in self.seen if one.passed is False]
        unknown = [one for one in self.seen if one.passed is None]
        return next(iter(failed + unknown), None)


def trace_signal(tried: Sequence[Tried], max_characters: int = SIGNAL_CHARACTERS) -> str:
    """Each candidate with the minimal trace of each of its tests.

    The traces share what room is left beside the code and the results.
    """
    tried = _fitting(tried, max_characters, _with_results)
    traces = {
        (i, j): minimal_trace(seen.trace, is_whole=one.is_whole)
        for i, one in enumerate(tried)
        for j, seen in enumerate(one.seen)
        if seen.trace is not None
    }
    shown = _shared(traces, max_characters - len(_joined(tried, _with_results)))
    texts = []
    for i, one in enumerate(tried):
        parts = [_code(i, one)]
        for j, seen in enumerate(one.seen):
            parts += [_result(one, seen), *shown.get((i, j), [])]
        texts.append("\n".join(parts))
    return "\n\n".join(texts)


def outcome_signal(tried: Sequence[Tried], max_characters: int = SIGNAL_CHARACTERS) -> str:
    """Each candidate with one line: `add(1, 2) → -1, want 3 (0/1 pass)`."""
    return _joined(_fitting(tried, max_characters, _with_outcome), _with_outcome)


def failing_signal(tried: Sequence[Tried], max_characters: int = SIGNAL_CHARACTERS) -> str:
    """As `outcome_signal`, with the values that the names of the failing call had at last."""
    return _joined(_fitting(tried, max_characters, _with_values), _with_values)


def minimal_trace(trace: Trace, *, is_whole: bool = True) -> list[str]:
    """The events of a run, reduced to what changed: a line for each, in calls by their order.

    A call with its arguments; names with their new values, `raised` and `yields`; how the call
    ended. A call that another one made is indented under it. `is_whole` False: of a `None` that a
    call returned is said that it was the end of the lines.
    """
    depths: dict[int, int] = {}
    lines = []
    for frame in trace.frames:
        depth = depths[frame.call] = depths.get(frame.parent, -1) + 1
        lines += [f"{'  ' * depth}{line}" for line in _frame_lines(frame, is_whole)]
    if trace.n_calls > len(trace.frames):
        lines.append(f"{_LEFT_OUT} {trace.n_calls - len(trace.frames)} more calls")
    return lines


def outcome(tried: Tried) -> str:
    """`add(1, 2) → -1, want 3 (0/1 pass)`."""
    count = f"({tried.n_passed}/{len(tried.seen)} pass)"
    failing = tried.failing
    if failing is None:
        return f"passes {count}" if tried.seen else "was not run"
    return f"{_reason(tried, failing)} {count}"


def _frame_lines(frame: Frame, is_whole: bool) -> Iterator[str]:
    arguments = ", ".join(f"{name}={text}" for name, text in frame.arguments)
    yield f"{frame.name}({arguments})"
    yield from (f"  {line}" for line in _changes(frame.steps))
    yield f"  {_ended(frame, is_whole)}"


def _changes(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Gap):
            yield f"{_LEFT_OUT} {item.n} more lines"
        elif isinstance(item, Loop):
            yield from _rounds(item)
        elif item.values:
            yield ", ".join(_change(name, text) for name, text in item.values)


def _rounds(loop: Loop) -> Iterator[str]:
    """Rounds that the record has left out are counted where they were."""
    expected = 0
    for iteration in loop.iterations:
        if iteration.number > expected:
            yield f"{_LEFT_OUT} {iteration.number - expected} more rounds"
        yield from _changes(iteration.steps)
        expected = iteration.number + 1
    if not loop.is_exact:
        yield f"{_LEFT_OUT} further rounds"
    elif loop.n > expected:
        yield f"{_LEFT_OUT} {loop.n - expected} more rounds"


def _change(name: str, text: str) -> str:
    verbs = {"raise": "raised", "yield": "yields"}
    return f"{verbs[name]} {text}" if name in verbs else f"{name} = {text}"


def _ended(frame: Frame, is_whole: bool) -> str:
    if frame.end is None:
        return "did not end"
    if frame.end.kind == "raise":
        return f"ended by {frame.end.value}"
    if frame.end.value == "None" and not is_whole:
        return "came to the end of the lines"
    return f"returned {frame.end.value}"


def _reason(tried: Tried, seen: Seen) -> str:
    """What went wrong, in a line."""
    if _has_not_returned(tried, seen.trace):
        return "runs, nothing returned yet"
    told = failure_text(seen.trace) if seen.trace is not None else ""
    return printable(told or seen.note or "no result", MAX_TEST)


def _has_not_returned(tried: Tried, trace: Trace | None) -> bool:
    """Whether all that is wrong is that the lines end before the function returns."""
    frame = _failing_frame(trace) if trace is not None else None
    if tried.is_whole or frame is None or frame.end is None:
        return False
    return frame.end.kind == "return" and frame.end.value == "None"


def _failing_frame(trace: Trace) -> Frame | None:
    """The call that the test failed in: what raised, else the last one that the test made."""
    outer = [frame for frame in trace.frames if frame.parent == 0]
    return raising_frame(trace) or (outer[-1] if outer else None)


def _last_values(frame: Frame) -> str:
    values = dict(frame.arguments)
    for step in steps_of(frame.steps):
        values |= {name: text for name, text in step.values if name not in ("raise", "yield")}
    return ", ".join(f"{name} = {text}" for name, text in values.items())


Written = Callable[[int, Tried], str]


def _code(i: int, tried: Tried) -> str:
    return f"Way {i + 1}:\n{fenced(tried.code)}"


def _result(tried: Tried, seen: Seen) -> str:
    test = printable(seen.test, MAX_TEST)
    return f"{test}: {'passes' if seen.passed else _reason(tried, seen)}"


def _with_results(i: int, tried: Tried) -> str:
    return "\n".join([_code(i, tried), *(_result(tried, seen) for seen in tried.seen)])


def _with_outcome(i: int, tried: Tried) -> str:
    return f"{_code(i, tried)}\n{outcome(tried)}"


def _with_values(i: int, tried: Tried) -> str:
    trace = tried.failing.trace if tried.failing is not None else None
    frame = _failing_frame(trace) if trace is not None else None
    values = f"\nwith {_last_values(frame)}" if frame is not None and _last_values(frame) else ""
    return f"{_with_outcome(i, tried)}{values}"


def _joined(tried: Sequence[Tried], written: Written) -> str:
    return "\n\n".join(written(i, one) for i, one in enumerate(tried))


def _fitting(tried: Sequence[Tried], max_characters: int, written: Written) -> Sequence[Tried]:
    """Without the last ones that are too much."""
    while tried and len(_joined(tried, written)) > max_characters:
        tried = tried[:-1]
    return tried


Place = tuple[int, int]


def _shared(traces: dict[Place, list[str]], room: int) -> dict[Place, list[str]]:
    """The lines of each that have room; what short ones leave is for longer ones."""
    shown = {}
    n_left = len(traces)
    for place, lines in sorted(traces.items(), key=lambda one: sum(map(len, one[1]))):
        lines = _within([f"    {line}" for line in lines], room // n_left)
        room -= _length(lines)
        n_left -= 1
        shown[place] = lines
    return shown


def _within(lines: list[str], room: int) -> list[str]:
    """The first lines and the last, with a mark between them; nothing where that says nothing."""
    if _length(lines) <= room:
        return lines
    if room < MIN_TRACE:
        return []
    mark = f"    {_LEFT_OUT}"
    head: list[str] = []
    tail: list[str] = []
    front, back = 0, len(lines) - 1
    room -= len(mark) + 1
    while front <= back:
        is_front = len(head) <= len(tail)
        line = lines[front if is_front else back]
        if len(line) + 1 > room:
            break
        room -= len(line) + 1
        if is_front:
            head.append(line)
            front += 1
        else:
            tail.insert(0, line)
            back -= 1
    return [*head, mark, *tail]


def _length(lines: list[str]) -> int:
    """Of the lines, each behind a line end."""
    return sum(len(line) + 1 for line in lines)
