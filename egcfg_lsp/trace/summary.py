"""One line about a run, for ghost text, a hover or a log.

`✗ 3/5 · total([(1, 100)], 'us') → 108.07, want 107.0`. Says what was seen; which outcome a suggestion
has is decided elsewhere (`completion/verify.py`).
"""

from __future__ import annotations

from egcfg_lsp.trace.listing import arguments_text
from egcfg_lsp.trace.record import Frame, Item, Loop, Trace


def passed(n_passed: int, n_tests: int) -> str:
    return f"✓ {n_passed}/{n_tests}"


def failed(n_passed: int, n_tests: int, trace: Trace | None, failure: str = "") -> str:
    """`failure`: what the test framework says, for want of a better line."""
    reason = (trace and failure_text(trace)) or failure
    return f"✗ {n_passed}/{n_tests}" + (f" · {reason}" if reason else "")


def unfinished(trace: Trace | None, reason: str) -> str:
    """A run that was ended: `⏱ loop at line 11`; `reason` where the trace does not tell."""
    if trace is None:
        return f"⏱ {reason}"
    if (line := running_loop(trace)) is not None:
        return f"⏱ loop at line {line}"
    return f"⏱ at line {trace.at}" if trace.at else f"⏱ {reason}"


def blocked(need: str) -> str:
    """`⊘ needs network`."""
    return f"⊘ needs {need}"


def failure_text(trace: Trace) -> str:
    """What went wrong, or nothing where the trace does not show it."""
    if trace.assertion is not None:
        assertion = trace.assertion
        left = assertion.call or _call_of(trace, assertion.left)
        if left and assertion.op == "==":
            return f"{left} → {assertion.left}, want {assertion.right}"
        subject = f"{left} → {assertion.left}" if left else assertion.left
        return f"{subject}, want {assertion.op} {assertion.right}"
    frame = raising_frame(trace)
    if frame is None or trace.exception is None:
        return ""
    place = f" at line {trace.exception.line}" if trace.exception.line else ""
    return f"{arguments_text(frame)} raised {trace.exception.text}{place}"


def raising_frame(trace: Trace) -> Frame | None:
    """The innermost recorded call from which the test's exception came, if it came from any."""
    found = None
    for frame in trace.frames:
        is_it = (
            frame.end is not None
            and frame.end.kind == "raise"
            and trace.exception is not None
            and frame.end.value == trace.exception.text
        )
        if is_it and (frame.parent == 0 or (found and frame.parent in (found.call, found.parent))):
            found = frame
    return found


def running_loop(trace: Trace) -> int | None:
    """The line of the innermost loop that ran when the trace was written."""
    open_frames = [frame for frame in trace.frames if frame.end is None]
    if not trace.at or not open_frames:
        return None
    line = None
    items: tuple[Item, ...] = open_frames[-1].steps
    while items and isinstance(loop := items[-1], Loop):
        line = loop.line
        items = loop.iterations[-1].steps if loop.iterations else ()
    return line


def _call_of(trace: Trace, value: str) -> str:
    """The last call from a test that returned a value."""
    outer = [frame for frame in trace.frames if frame.parent == 0 and frame.end is not None]
    if not outer or outer[-1].end is None or outer[-1].end.kind != "return":
        return ""
    return arguments_text(outer[-1]) if outer[-1].end.value == value else ""
