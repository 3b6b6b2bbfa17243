"""What one test made of the target: its calls, each followed as closely as counts allow.

Three ways to follow a call, from dear to cheap: values after every line; "sparse", lines alone, with
values at the end of an iteration that is kept; "coarse", only that lines ran. Which one, and what is
kept, depends on counts, never on time: the same run leaves the same record. Does not know which
frames are to be followed, nor how the record travels.
"""

from __future__ import annotations

from collections import deque
from types import FrameType
from typing import Any, Callable, Deque, List, NamedTuple, Optional, Set

from .calls import LocalTrace, RecordedFrame, rendered_error
from .plans import RETURNS, Plan
from .values import render


class Limits(NamedTuple):
    n_values: int = 2000
    """Lines followed with values, over all frames; those after them are followed without."""
    n_calls: int = 256
    """Calls that are recorded; of those after them only the ones that raise."""
    n_frames: int = 64
    """Frames that are kept: the first half and the latest half."""
    n_steps: int = 2000
    """Of a frame; reached only where loops are not recognised."""
    n_lines: int = 50_000
    """Lines that are followed; those after them are counted."""
    n_bytes: int = 16 << 10
    """Of the record as JSON."""
    fuel: int = 1_000_000
    """Lines that may run in a test, in the module under test."""


class Recording:
    """One test. `on_out_of_fuel` is called from within the frame that used it up."""

    def __init__(
        self, test: str, limits: Limits, on_out_of_fuel: Callable[[FrameType], None]
    ) -> None:
        self.test = test
        self.limits = limits
        self.fuel = limits.fuel
        self.n_followed = min(limits.n_lines, limits.fuel)
        self.on_out_of_fuel = on_out_of_fuel
        self.hit: Set[int] = set()
        self.n_lines = 0
        self.n_values = 0
        self.n_calls = 0
        self.stack: List[RecordedFrame] = []
        self.first: List[RecordedFrame] = []
        self.latest: Deque[RecordedFrame] = deque(maxlen=limits.n_frames - limits.n_frames // 2)

    def frames(self) -> List[RecordedFrame]:
        """By number: a quiet one is kept as it ends, after those that it called."""
        return sorted([*self.first, *self.latest], key=lambda frame: frame.number)

    def follow(self, frame: FrameType, plan: Plan) -> LocalTrace:
        """The local trace function for a new call."""
        if plan.is_quiet:
            return QuietFrame(self, plan, 0).trace
        self.n_calls += 1
        if self.n_calls > self.limits.n_calls or self.n_lines >= self.n_followed:
            return QuietFrame(self, plan, self.n_calls).trace
        recorded = RecordedFrame(self, plan, frame, self.n_calls)
        self.keep(recorded)
        self.stack.append(recorded)
        return recorded.trace

    def keep(self, frame: RecordedFrame) -> None:
        if len(self.first) < self.limits.n_frames // 2:
            self.first.append(frame)
        else:
            self.latest.append(frame)

    def count(self, frame: FrameType) -> None:
        """A line that runs, without looking further."""
        self.n_lines += 1
        self.hit.add(frame.f_lineno)
        if self.n_lines > self.fuel:
            self.on_out_of_fuel(frame)

    def leave(self, frame: RecordedFrame) -> None:
        if self.stack and self.stack[-1] is frame:
            self.stack.pop()
        elif frame in self.stack:
            self.stack.remove(frame)


class QuietFrame:
    """A call whose lines are counted; it is recorded, as it ends, if it raises."""

    def __init__(self, recording: Recording, plan: Plan, number: int) -> None:
        self.recording = recording
        self.plan = plan
        self.number = number
        """0: never recorded."""
        self.raising: Optional[str] = None
        self.trace: LocalTrace = self.on_event

    def on_event(self, frame: FrameType, event: str, argument: Any) -> LocalTrace:
        recording = self.recording
        if event == "line":
            recording.count(frame)
            self.raising = None
        elif event == "exception" and self.number:
            self.raising = rendered_error(argument[1], argument[0])
        elif (
            event == "return"
            and self.raising is not None
            and self.plan.instructions[frame.f_lasti] not in RETURNS
        ):
            self._keep(frame, self.raising)
        return self.trace

    def _keep(self, frame: FrameType, raising: str) -> None:
        recorded = RecordedFrame(self.recording, self.plan, frame, self.number)
        local = frame.f_locals
        values = {name: render(local[name]) for name in list(local)[:16] if type(name) is str}
        recorded.all_steps.append((frame.f_lineno, {**values, "raise": raising}))
        recorded.end = ("raise", raising)
        self.recording.keep(recorded)
