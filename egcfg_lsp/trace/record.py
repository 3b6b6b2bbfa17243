"""A trace as the runner writes it, read strictly: exactly that, within its bounds, or nothing.

The record comes from a process that the candidate shares, so whatever is in it may have been written
by the candidate: keys, types and numbers are checked, and every text is made printable and short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

MAX_FRAMES, MAX_STEPS, MAX_DEPTH = 64, 4000, 24
"""Of a trace: calls, steps of all calls, and loops within loops."""
MAX_VALUE, MAX_NAME, MAX_CALL, MAX_TEST = 40, 60, 80, 200
"""Characters of a value, a name, the call of an assertion, the name of a test."""
MAX_ARGUMENTS, MAX_VALUES, MAX_ITERATIONS, MAX_LINES = 256, 64, 16, 500
MAX_NUMBER = 10**9

Values = tuple[tuple[str, str], ...]
"""Names with what they look like; `raise` and `yield` tell what the line did."""


@dataclass(frozen=True)
class Step:
    """A line that ran."""

    line: int
    """1-based, in the module as it ran."""
    values: Values
    """What the line changed."""

    @property
    def raised(self) -> str | None:
        return dict(self.values).get("raise")


@dataclass(frozen=True)
class Gap:
    """Steps that were left out."""

    n: int


@dataclass(frozen=True)
class Iteration:
    number: int
    """From 0."""
    steps: tuple[Item, ...]


@dataclass(frozen=True)
class Loop:
    """A loop that ran, with some of its iterations."""

    line: int
    n: int
    """Iterations that ran."""
    is_exact: bool
    """False: there were more than `n`."""
    iterations: tuple[Iteration, ...]


Item = Step | Gap | Loop


@dataclass(frozen=True)
class End:
    kind: Literal["return", "raise"]
    value: str


@dataclass(frozen=True)
class Frame:
    """One call of a function of the module."""

    call: int
    """Its number among the calls, from 1; some may be left out."""
    parent: int
    """The number of the call of the module that it was made from, or 0."""
    name: str
    line: int
    """Where the function begins."""
    caller: str
    """The name of the function that called, and the line there, or 0."""
    caller_line: int
    arguments: Values
    steps: tuple[Item, ...]
    end: End | None
    """None: it did not end."""


@dataclass(frozen=True)
class Raised:
    """What the test failed with."""

    text: str
    line: int
    """The line of the module from which it came, or 0: it came from the test."""


@dataclass(frozen=True)
class Assertion:
    """What the failed test compared."""

    left: str
    op: str
    right: str
    call: str
    """The call whose result is `left`, or nothing."""


@dataclass(frozen=True)
class Trace:
    """The run of one test."""

    test: str
    stopped: Literal["", "fuel", "lost"]
    """`fuel`: too many lines ran; `lost`: the code took the trace away, or ran out of stack."""
    at: int
    """The line on which the run stood when the trace was written; 0 if it had ended."""
    n_lines: int
    """Lines that ran, and calls that were made, in the module."""
    n_calls: int
    hit: tuple[int, ...]
    """Lines of the target that this test ran, and those that it did not."""
    missed: tuple[int, ...]
    exception: Raised | None
    assertion: Assertion | None
    frames: tuple[Frame, ...]


def parse(raw: object) -> Trace | None:
    """None for what no tracer has written. Never raises."""
    try:
        return _Reader().trace(raw)
    except (_Odd, RecursionError):
        return None


def steps_of(items: tuple[Item, ...]) -> Iterator[Step]:
    """All steps in their order, those of loops included."""
    for item in items:
        if isinstance(item, Step):
            yield item
        elif isinstance(item, Loop):
            for iteration in item.iterations:
                yield from steps_of(iteration.steps)


def printable(text: str, n: int) -> str:
    """One line of at most `n` printable characters."""
    line = "".join(c if c.isprintable() else "�" for c in text[: n + 1])
    return line if len(line) <= n else line[: n - 1] + "…"


class _Odd(Exception):
    """The record is none."""


T = TypeVar("T")


class _Reader:
    """Counts steps over the whole of a record."""

    def __init__(self) -> None:
        self.n_steps = 0

    def trace(self, raw: object) -> Trace:
        keys = "test stopped at n_lines n_calls hit missed exception assertion frames"
        value = _object(raw, keys.split())
        frames = tuple(map(self.frame, _list(value["frames"], MAX_FRAMES)))
        calls = [frame.call for frame in frames]
        if calls != sorted(set(calls)):
            raise _Odd
        return Trace(
            test=_text(value["test"], MAX_TEST),
            stopped=_one_of(value["stopped"], ("", "fuel", "lost")),
            at=_number(value["at"]),
            n_lines=_number(value["n_lines"]),
            n_calls=_number(value["n_calls"]),
            hit=_lines(value["hit"]),
            missed=_lines(value["missed"]),
            exception=_optional(value["exception"], _raised),
            assertion=_optional(value["assertion"], _assertion),
            frames=frames,
        )

    def frame(self, raw: object) -> Frame:
        keys = "call parent name line caller arguments steps end"
        value = _object(raw, keys.split())
        caller = _list(value["caller"], 2, exactly=True)
        call, parent = _number(value["call"]), _number(value["parent"])
        if not 0 <= parent < call:
            raise _Odd
        return Frame(
            call=call,
            parent=parent,
            name=_text(value["name"], MAX_NAME),
            line=_number(value["line"]),
            caller=_text(caller[0], MAX_NAME),
            caller_line=_number(caller[1]),
            arguments=_values(value["arguments"], MAX_ARGUMENTS),
            steps=self.steps(value["steps"], MAX_DEPTH),
            end=_optional(value["end"], _end),
        )

    def steps(self, raw: object, depth: int) -> tuple[Item, ...]:
        if depth == 0:
            raise _Odd
        return tuple(self.item(item, depth) for item in _list(raw, MAX_STEPS))

    def item(self, raw: object, depth: int) -> Item:
        self.n_steps += 1
        if self.n_steps > MAX_STEPS:
            raise _Odd
        if type(raw) is list:
            line, values = _list(raw, 2, exactly=True)
            return Step(_number(line), _values(values, MAX_VALUES))
        if type(raw) is dict and "skipped" in raw:
            return Gap(_number(_object(raw, ["skipped"])["skipped"]))
        value = _object(raw, ["loop", "n", "more", "iterations"])
        iterations = tuple(
            self.iteration(one, depth - 1) for one in _list(value["iterations"], MAX_ITERATIONS)
        )
        n = _number(value["n"])
        numbers = [iteration.number for iteration in iterations]
        if numbers != sorted(set(numbers)) or (numbers and numbers[-1] >= n):
            raise _Odd
        return Loop(_number(value["loop"]), n, not _typed(value["more"], bool), iterations)

    def iteration(self, raw: object, depth: int) -> Iteration:
        number, steps = _list(raw, 2, exactly=True)
        return Iteration(_number(number), self.steps(steps, depth))


def _raised(raw: object) -> Raised:
    value = _object(raw, ["text", "line"])
    return Raised(_text(value["text"], MAX_VALUE), _number(value["line"]))


def _assertion(raw: object) -> Assertion:
    value = _object(raw, ["left", "op", "right", "call"])
    return Assertion(
        _text(value["left"], MAX_VALUE),
        _text(value["op"], 8),
        _text(value["right"], MAX_VALUE),
        _text(value["call"], MAX_CALL),
    )


def _end(raw: object) -> End:
    kind, value = _list(raw, 2, exactly=True)
    return End(_one_of(kind, ("return", "raise")), _text(value, MAX_VALUE))


def _values(raw: object, n: int) -> Values:
    value = _typed(raw, dict)
    if len(value) > n:
        raise _Odd
    return tuple((_text(name, MAX_NAME), _text(text, MAX_VALUE)) for name, text in value.items())


def _lines(raw: object) -> tuple[int, ...]:
    lines = tuple(map(_number, _list(raw, MAX_LINES)))
    if list(lines) != sorted(set(lines)):
        raise _Odd
    return lines


def _optional(raw: object, read: Callable[[object], T]) -> T | None:
    return None if raw is None else read(raw)


def _one_of(raw: object, words: tuple[str, ...]) -> Any:
    if type(raw) is not str or raw not in words:
        raise _Odd
    return raw


def _object(raw: object, keys: list[str]) -> Mapping[str, Any]:
    value = _typed(raw, dict)
    if value.keys() != set(keys):
        raise _Odd
    return value


def _list(raw: object, n: int, *, exactly: bool = False) -> list[Any]:
    value = _typed(raw, list)
    if len(value) > n or (exactly and len(value) != n):
        raise _Odd
    return value


def _number(raw: object) -> int:
    number = _typed(raw, int)
    if not 0 <= number <= MAX_NUMBER:
        raise _Odd
    return number


def _text(raw: object, n: int) -> str:
    return printable(_typed(raw, str), n)


def _typed(raw: object, kind: type[T]) -> T:
    """`type(True)` is not `int`."""
    if type(raw) is not kind:
        raise _Odd
    return raw
