"""One call of a function while it runs: its lines with what they changed, its loops folded.

Two iterations of a loop are kept, each one that takes another path, and the last, which is the one
that raised if one did; the others are counted. Does not know which calls are to be followed.
"""

from __future__ import annotations

from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, List, Optional, Set, Tuple

from .layouts import name_of
from .plans import DELEGATES, RETURNS, YIELDS, Loop, Plan, Touched
from .values import field_of, is_plain, render

if TYPE_CHECKING:
    from .recording import Recording

N_EAGER = 4
"""Iterations of a loop whose lines are recorded with values."""
N_FIRST = 2
"""Iterations of a loop that are kept whatever their path."""
N_PATHS = 8
"""Iterations of a loop that are kept; the last is kept besides."""
N_CALLER_CHARACTERS = 60

Values = Dict[str, str]
"""By name; `return`, `raise` and `yield` are no names, and tell what the line did."""
LocalTrace = Callable[[FrameType, str, Any], Any]


class RecordedFrame:
    """One call of a function. `steps` is the list that grows: the frame's, or an iteration's."""

    line = 0
    """The line that runs, 0 if its step is recorded already."""
    n_steps = 0
    loop: Optional[OpenLoop] = None
    is_coarse = False
    raising: Optional[str] = None
    """The exception since the line began; it may still be caught."""
    raised = "?"
    """The latest exception."""
    end: Optional[Tuple[str, str]] = None

    def __init__(self, recording: Recording, plan: Plan, frame: FrameType, number: int) -> None:
        self.recording = recording
        self.plan = plan
        self.number = number
        self.touched = plan.touched
        self.loops = plan.loops
        stack = recording.stack
        self.parent = stack[-1].number if stack else 0
        caller = frame.f_back
        self.caller_name = "" if caller is None else caller.f_code.co_name[:N_CALLER_CHARACTERS]
        self.caller_line = 0 if caller is None else caller.f_lineno or 0
        self.texts: Values = {}
        """What was last shown of each name."""
        self.all_steps: List[Any] = []
        self.steps = self.all_steps
        self.n_steps_at_most = recording.limits.n_steps
        self.is_sparse = recording.n_values >= recording.limits.n_values
        self.arguments = self._entry(frame)
        self.trace: LocalTrace = self.on_event

    def on_event(self, frame: FrameType, event: str, argument: Any) -> LocalTrace:
        if event == "line":
            recording = self.recording
            if recording.n_lines >= recording.n_followed:
                return self._become_coarse(frame)
            recording.n_lines += 1
            line = frame.f_lineno
            recording.hit.add(line)
            if self.line:
                self._finish_line(frame)
            self.raising = None
            if self.loop is not None or line in self.loops:
                self._follow_loops(line, frame)
            self.line = line
        elif event == "exception":
            self._see_exception(frame, argument[1], argument[0])
        elif event == "return":
            self._return(frame, argument)
        return self.trace

    def on_coarse_event(self, frame: FrameType, event: str, argument: Any) -> LocalTrace:
        if event == "line":
            self.recording.count(frame)
            self.line = frame.f_lineno
            self.raising = None
        elif event == "exception":
            self.raising = rendered_error(argument[1], argument[0])
            self.raised = self.raising
        elif event == "return":
            self._return(frame, argument)
        return self.trace

    def flush(self, frame: FrameType) -> None:
        """Record what is known of a frame that still runs: it may never return."""
        if self.is_coarse and self.loop is not None:
            self._tell_coarse(frame, self.loop)
        elif self.line:
            self._finish_line(frame)
            self.line = 0
        if self.loop is not None and self.is_sparse and not self.is_coarse:
            self._attach_state(frame, self.steps)

    def _become_coarse(self, frame: FrameType) -> LocalTrace:
        self.is_sparse = self.is_coarse = True
        loop = self.loop
        while loop is not None:
            loop.is_counted = False
            loop = loop.outer
        self.trace = self.on_coarse_event
        return self.on_coarse_event(frame, "line", None)

    def _entry(self, frame: FrameType) -> Values:
        local = frame.f_locals
        names = self.plan.arguments
        self.texts = {name: render(local[name]) for name in names if name in local}
        return dict(self.texts)

    def _finish_line(self, frame: FrameType) -> None:
        values: Values = {}
        if not self.is_sparse:
            touched = self.touched.get(self.line)
            if touched is not None:
                self.recording.n_values += 1
                values = self._changes(frame, touched)
        if self.n_steps < self.n_steps_at_most:
            self.steps.append((self.line, values))
        self.n_steps += 1

    def _changes(self, frame: FrameType, touched: Touched) -> Values:
        """Names that a line stored, and others that it touched and that look different now."""
        local = frame.f_locals
        texts = self.texts
        values: Values = {}
        for name in touched.stored:
            if name in local:
                values[name] = texts[name] = render(local[name])
        for name in touched.loaded:
            if name in local:
                value = local[name]
                if not is_plain(value):
                    self.recording.n_values += 1
                    text = render(value)
                    if texts.get(name) != text:
                        values[name] = texts[name] = text
        for name, attribute in touched.attributes:
            if name in local:
                value = local[name]
                field = field_of(value, attribute)
                if field is not None:
                    values["%s.%s" % (name, attribute)] = field
                    texts[name] = render(value)
        return values

    def _add_step(self, line: int, values: Values) -> None:
        if self.n_steps < self.n_steps_at_most:
            self.steps.append((line, values))
        self.n_steps += 1

    def _follow_loops(self, line: int, frame: FrameType) -> None:
        loop = self.loop
        while loop is not None and not loop.loop.first <= line <= loop.loop.last:
            self._close_loop(frame)
            loop = self.loop
        found = self.loops.get(line)
        if found is not None:
            if loop is not None and loop.loop is found:
                if found.is_for and frame.f_lasti == loop.begun_by:
                    self._close_loop(frame)
                    self._restart_outer(line, frame)
                    self._open_loop(found, frame)
                elif line == found.boundary and not self._is_at_head():
                    self._next_iteration(frame)
            else:
                self._restart_outer(line, frame)
                self._open_loop(found, frame)
        if self.loop is not None:
            self.loop.path.add(line)

    def _restart_outer(self, line: int, frame: FrameType) -> None:
        """An endless loop whose body begins with a loop is told by the beginning of that one."""
        outer = self.plan.restarts.get(line)
        is_outer = self.loop is not None and self.loop.loop is outer
        if is_outer and not self._is_at_head():
            self._next_iteration(frame)

    def _is_at_head(self) -> bool:
        """Whether an endless loop has run its own line only: its body is about to begin."""
        assert self.loop is not None
        loop = self.loop.loop
        if loop.boundary == loop.line:
            return False
        return not self.steps or (len(self.steps) == 1 and self._is_head_step(loop.line))

    def _is_head_step(self, line: int) -> bool:
        step = self.steps[0]
        return isinstance(step, tuple) and step[0] == line

    def _open_loop(self, loop: Loop, frame: FrameType) -> None:
        # A frame that is first seen within its loop begins with a further round.
        is_round = self.plan.instructions[frame.f_lasti] in DELEGATES
        opened = OpenLoop(loop, self, -1 if is_round else frame.f_lasti)
        self.steps.append(opened)
        self.n_steps += 1
        self.steps = opened.running = []
        self.loop = opened

    def _next_iteration(self, frame: FrameType) -> None:
        loop = self.loop
        assert loop is not None
        self._end_iteration(loop, frame)
        recording = self.recording
        self.is_sparse = (
            loop.outer_is_sparse
            or loop.n >= N_EAGER
            or recording.n_values >= recording.limits.n_values
        )
        self.steps = loop.running = []
        loop.path = set()
        loop.n_before = self.n_steps

    def _end_iteration(self, loop: OpenLoop, frame: FrameType) -> None:
        path = frozenset(loop.path)
        is_new = path not in loop.paths
        if loop.n < N_FIRST or (is_new and len(loop.kept) < N_PATHS):
            if self.is_sparse:
                self._attach_state(frame, self.steps)
            loop.kept.append((loop.n, self.steps))
            loop.latest = None
        else:
            size = self.n_steps - loop.n_before
            self.n_steps -= loop.latest_size if loop.latest is not None else 0
            loop.latest, loop.latest_size = (loop.n, self.steps), size
        if is_new and len(loop.paths) < 4 * N_PATHS:
            loop.paths.add(path)
            loop.lines |= path
        loop.n += 1

    def _close_loop(self, frame: FrameType) -> None:
        loop = self.loop
        assert loop is not None
        # The last look at the head, which found that nothing is left, is no iteration.
        is_exit = not self.steps or (
            len(self.steps) == 1
            and self._is_head_step(loop.loop.line)
            and "raise" not in self.steps[0][1]
        )
        is_head_of_while = is_exit and self.steps and not loop.loop.is_for
        exit_values = self.steps[0][1] if is_head_of_while else {}
        if not is_exit:
            self._end_iteration(loop, frame)
        if loop.latest is not None:
            if self.is_sparse:
                self._attach_state(frame, loop.latest[1])
            loop.kept.append(loop.latest)
            loop.latest = None
        loop.running = None
        self.steps = loop.outer_steps
        self.is_sparse = loop.outer_is_sparse
        self.loop = loop.outer
        if exit_values:
            self._add_step(loop.loop.line, exit_values)
        if loop.outer is not None:
            loop.outer.path |= loop.lines
            loop.outer.path.add(loop.loop.line)

    def _attach_state(self, frame: FrameType, steps: List[Any]) -> None:
        """What an iteration without values has left, each name beside the last line that touched it."""
        told: Set[str] = set()
        for i in range(len(steps) - 1, -1, -1):
            if not isinstance(steps[i], tuple):
                continue
            line, known = steps[i]
            touched = self.touched.get(line)
            if touched is not None:
                changes = self._changes(frame, touched)
                values = {name: text for name, text in changes.items() if name not in told}
                steps[i] = (line, {**values, **known})
                told.update(changes)

    def _tell_coarse(self, frame: FrameType, loop: OpenLoop) -> None:
        """What a loop has left whose latest iterations were not followed."""
        values: Values = {}
        for line in range(loop.loop.first, loop.loop.last + 1):
            touched = self.touched.get(line)
            if touched is not None:
                values.update(self._changes(frame, touched))
        self.steps[:] = [(self.line or loop.loop.line, values)]
        self.line = 0

    def _see_exception(self, frame: FrameType, error: Any, kind: Any) -> None:
        text = self.raising = self.raised = rendered_error(error, kind)
        is_signal = kind is StopIteration or kind is StopAsyncIteration
        delegates = self.plan.instructions[frame.f_lasti] in DELEGATES
        if kind is GeneratorExit or (is_signal and delegates):
            return
        if self.line:
            self._finish_line(frame)
            self.line = 0
        if self.steps and isinstance(self.steps[-1], tuple):
            line, values = self.steps[-1]
            self.steps[-1] = (line, {**values, "raise": text})

    def _return(self, frame: FrameType, argument: Any) -> None:
        recording = self.recording
        operation = self.plan.instructions[frame.f_lasti]
        recording.leave(self)
        if operation in YIELDS and self.raising is None:
            self._suspend(argument)
            return
        if self.is_coarse and self.loop is not None:
            self._tell_coarse(frame, self.loop)
        elif self.line:
            self._finish_line(frame)
        while self.loop is not None:
            self._close_loop(frame)
        # An exception that `finally` passes on is not told again.
        if operation in RETURNS or argument is not None:
            self.end = ("return", render(argument))
        else:
            self.end = ("raise", self.raised)

    def _suspend(self, argument: Any) -> None:
        if not self.line:
            return
        is_told = self.plan.is_generator and not self.is_sparse
        self._add_step(self.line, {"yield": render(argument)} if is_told else {})
        touched = self.touched.get(self.line)
        # `x = yield y` has its value when the frame is resumed.
        if touched is None or not touched.stored or self.is_sparse:
            self.line = 0


class OpenLoop:
    """A loop that runs: iterations that are kept, and the latest one."""

    def __init__(self, loop: Loop, frame: RecordedFrame, instruction: int) -> None:
        self.loop = loop
        self.begun_by = instruction
        self.outer = frame.loop
        self.outer_steps = frame.steps
        self.outer_is_sparse = frame.is_sparse
        self.n = 0
        """Of iterations that have ended; the number of the one that runs."""
        self.kept: List[Tuple[int, List[Any]]] = []
        self.paths: Set[FrozenSet[int]] = set()
        self.path: Set[int] = set()
        """Lines of the iteration that runs."""
        self.lines: Set[int] = set()
        self.latest: Optional[Tuple[int, List[Any]]] = None
        """The last iteration that has ended, unless it is kept."""
        self.latest_size = 0
        self.running: Optional[List[Any]] = frame.steps
        """Steps of the iteration that runs; None when the loop has ended."""
        self.n_before = frame.n_steps
        """Steps of the frame when this iteration began."""
        self.is_counted = True
        """False: there were more iterations than `n`."""


def rendered_error(error: Any, kind: Any) -> str:
    return render(error) if isinstance(error, BaseException) else name_of(kind)
