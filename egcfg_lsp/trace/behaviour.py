"""What a run did, seen from outside: by it two candidates can be told apart, or not.

Pure. Two candidates of equal behaviour may still differ on inputs that the test did not try.
"""

from __future__ import annotations

from collections.abc import Hashable

from egcfg_lsp.trace.record import Trace


def behaviour(trace: Trace) -> Hashable:
    """Equal where a test called the module in the same way, got the same, and ended in the same way.

    The way inside is not compared, nor are line numbers.
    """
    calls = tuple(
        (frame.name, frame.arguments, frame.end) for frame in trace.frames if frame.parent == 0
    )
    raised = None if trace.exception is None else trace.exception.text
    return trace.test, trace.stopped, bool(trace.at), calls, raised, trace.assertion
