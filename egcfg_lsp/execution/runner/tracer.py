"""Traces the target of a run: which lines a test executes, and what they do with values.

Followed are frames of the module under test: of the target function, of functions within it, and of
what else of the module they call. Frames of other modules, and of this one outside of a call of the
target, are left alone. In threads only the lines are seen. Covers pure Python: what C code does with
values shows at the next line. No `sys.monitoring`.

`start` and `stop` are called around each test's call; the lines that ran add up over tests, the
record is that of one: of the first that failed, else of the last that entered the target.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from types import CodeType, FrameType, TracebackType
from typing import AbstractSet, Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from .calls import LocalTrace, RecordedFrame
from .operands import operands_of
from .paths import is_file
from .plans import Plan, is_of_target, plan_of
from .recording import Limits, QuietFrame, Recording
from .serialise import serialise
from .values import render

DEFAULT_LIMITS = Limits()
STACK = 12
"""Frames of our own on top of the tested code's, which has as many of its own as without a trace."""
MAX_LINES = 500
"""Of the target, in a record."""


class Tracer:
    """Takes `sys.settrace` between `start` and `stop`, on the thread that calls them.

    `functions`: the lines with code of each function and class of the module at `path`; those that
    hold a watched line are the target. `source`: the module's lines, without which loops are not
    folded. `on_out_of_fuel` is called within the code that used up its fuel, with the record up to
    date, and should not return: an exception could be caught by the code, an exit cannot. Without
    it the run goes on untraced.
    """

    def __init__(
        self,
        path: str,
        functions: Sequence[AbstractSet[int]],
        watched: "Set[int]",
        source: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
        on_out_of_fuel: Optional[Callable[[], None]] = None,
    ) -> None:
        self.path = path
        targets = [lines for lines in functions if lines & watched]
        self.entries: Set[int] = set().union(*targets)
        """Lines of the functions that hold a watched one."""
        self.lines = self.entries & watched
        self.limits = limits
        self.on_out_of_fuel = on_out_of_fuel
        self.stopped = ""
        """`fuel`: it was used up; `lost`: the tested code took the trace function away."""
        self._source = source
        self._target_lines = frozenset(self.entries)
        self._hit: Set[int] = set()
        self._plans: Dict[int, Plan] = {}
        self._are_of_target: Dict[int, Tuple[CodeType, bool]] = {}
        """With the code, so that its identity is not given to another one."""
        self._is_ours: Dict[str, bool] = {}
        self._recording: Optional[Recording] = None
        self._kept: Optional[Recording] = None
        self._failed: Optional[Recording] = None
        self._exception: Optional[Dict[str, Any]] = None
        self._assertion: Optional[Dict[str, str]] = None
        self._trace = self._on_call
        self._before: Any = None
        self._is_on = False
        self._depth = 0

    def start(self, test: str = "") -> None:
        """From here on frames that are entered are traced."""
        if self._is_on:
            return
        if self._recording is not None and self._recording.n_calls:
            self._kept = self._recording
        self._recording = Recording(test, self.limits, self._run_out)
        self._is_on = True
        self._before = sys.gettrace()
        self._depth = sys.getrecursionlimit() + STACK
        sys.setrecursionlimit(self._depth)
        threading.settrace(self._on_call_in_thread)
        sys.settrace(self._trace)

    def stop(self) -> None:
        if not self._is_on:
            return
        self._is_on = False
        if sys.gettrace() is not self._trace:
            self.stopped = self.stopped or "lost"
        sys.settrace(self._before)
        if sys.getrecursionlimit() == self._depth:  # else it is the test's own
            with contextlib.suppress(RecursionError):
                sys.setrecursionlimit(self._depth - STACK)
        threading.settrace(None)
        if self._recording is not None:
            self._hit |= self._recording.hit

    def keep_failure(self, error: BaseException, traceback: Optional[TracebackType]) -> None:
        """The test failed: its trace is the one to keep. Executes no code of the user."""
        if self._failed is None and self._recording is not None:
            self._failed = self._recording
            returned = {
                frame.plan.name.rpartition(".")[2]: frame.end[1]
                for frame in self._recording.frames()
                if frame.end is not None and frame.end[0] == "return"
            }
            self._assertion = operands_of(error, traceback, returned)
            self._exception = {"text": render(error), "line": self._innermost(traceback)}

    def flush(self, frame: Optional[FrameType]) -> None:
        """Bring the record up to date with frames that still run, from `frame` outwards.

        For what ends a run from within: a signal handler passes the frame it is given.
        """
        while frame is not None:
            owner = getattr(frame.f_trace, "__self__", None)
            if type(owner) is RecordedFrame:
                owner.flush(frame)
            frame = frame.f_back

    def record(self) -> Dict[str, Any]:
        """The trace as JSON values, of at most `limits.n_bytes` as text. Can be called at any time."""
        recording = self._failed or self._recording
        if recording is not None and recording is not self._failed and not recording.n_calls:
            recording = self._kept or recording
        if recording is None:
            recording = Recording("", self.limits, self._run_out)
        head = {
            "test": recording.test[:200],
            "stopped": self.stopped,
            "at": self._line_of(recording),
            "n_lines": recording.n_lines,
            "n_calls": recording.n_calls,
            "hit": sorted(self.entries & recording.hit)[:MAX_LINES],
            "missed": sorted(self.entries - recording.hit)[:MAX_LINES],
            "exception": self._exception if recording is self._failed else None,
            "assertion": self._assertion if recording is self._failed else None,
        }
        return serialise(head, recording.frames(), recording.limits.n_bytes)

    def is_passed_by(self, traceback: Optional[TracebackType]) -> bool:
        """Whether an exception came through a watched line."""
        while traceback is not None:
            filename, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
            if line in self.lines and is_file(filename, self.path):
                return True
            traceback = traceback.tb_next
        return False

    def missed(self) -> List[int]:
        """Watched lines that no test executed."""
        return sorted(self.lines - self._all_hit())

    def hit(self) -> "Set[int]":
        """Lines of the module that ran in any test."""
        return set(self._all_hit())

    def hit_last(self) -> "Set[int]":
        """Lines of the module that ran in the test that was started last."""
        return set() if self._recording is None else set(self._recording.hit)

    def has_entered(self) -> bool:
        """Whether a function with a watched line was entered, if there is one."""
        return not self.entries or bool(self.entries & self._all_hit())

    def _innermost(self, traceback: Optional[TracebackType]) -> int:
        """The line of the module from which an exception came last; 0 if it passed none."""
        line = 0
        while traceback is not None:
            filename = traceback.tb_frame.f_code.co_filename
            if self._is_ours[filename] if filename in self._is_ours else self._look_at(filename):
                line = traceback.tb_lineno or 0
            traceback = traceback.tb_next
        return line

    def _line_of(self, recording: Recording) -> int:
        """Where the run stands, or stood when its fuel was used up."""
        is_running = self._is_on or self.stopped == "fuel"
        return _current_line(recording.stack[-1]) if is_running and recording.stack else 0

    def _all_hit(self) -> "Set[int]":
        return self._hit if self._recording is None else self._hit | self._recording.hit

    def _on_call(self, frame: FrameType, _event: str, _argument: Any) -> Optional[LocalTrace]:
        code = frame.f_code
        is_ours = self._is_ours.get(code.co_filename)
        if not is_ours:
            if is_ours is None:
                is_ours = self._look_at(code.co_filename)
            if not is_ours:
                return None
        recording = self._recording
        if recording is None:
            return None
        owner: Any = getattr(frame.f_trace, "__self__", None)
        if type(owner) in (RecordedFrame, QuietFrame) and owner.recording is recording:
            return _resume(recording, owner)
        if not recording.stack and not self._is_of_target(code):
            return None
        plan = self._plans.get(id(code))
        if plan is None:
            plan = self._plan(code)
        return recording.follow(frame, plan)

    def _look_at(self, filename: str) -> bool:
        is_ours = self._is_ours[filename] = is_file(filename, self.path)
        return is_ours

    def _is_of_target(self, code: CodeType) -> bool:
        # A plan takes longer: most functions are never followed.
        known = self._are_of_target.get(id(code))
        if known is None:
            known = (code, is_of_target(code, self._target_lines))
            self._are_of_target[id(code)] = known
        return known[1]

    def _plan(self, code: CodeType) -> Plan:
        plan = self._plans[id(code)] = plan_of(code, self._source)
        return plan

    def _on_call_in_thread(
        self, frame: FrameType, _event: str, _argument: Any
    ) -> Optional[LocalTrace]:
        filename = frame.f_code.co_filename
        is_ours = self._is_ours.get(filename)
        if is_ours is None:
            is_ours = self._look_at(filename)
        return self._on_line_in_thread if is_ours else None

    def _on_line_in_thread(self, frame: FrameType, event: str, _argument: Any) -> LocalTrace:
        if event == "line" and self._is_on and self._recording is not None:
            self._recording.hit.add(frame.f_lineno)
        return self._on_line_in_thread

    def _run_out(self, frame: FrameType) -> None:
        self.stopped = "fuel"
        self.flush(frame)
        if self.on_out_of_fuel is not None:
            self.on_out_of_fuel()
        if self._recording is not None:
            self._recording.fuel = sys.maxsize
        sys.settrace(None)


def _resume(recording: Recording, owner: Any) -> LocalTrace:
    """A generator goes on. One of an earlier test counts as a new call."""
    if type(owner) is RecordedFrame:
        recording.stack.append(owner)
    trace: LocalTrace = owner.trace
    return trace


def _current_line(frame: RecordedFrame) -> int:
    steps = frame.steps
    last: int = steps[-1][0] if steps and isinstance(steps[-1], tuple) else 0
    return frame.line or last
