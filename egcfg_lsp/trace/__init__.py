"""What a test made of the code, line by line: read from the runner's record, and told to people.

Pure: text and data in, text and data out. Does not know how a trace is made
(`execution/runner/tracer.py`) nor where it is shown.
"""

from egcfg_lsp.trace.record import (
    Assertion,
    End,
    Frame,
    Gap,
    Item,
    Iteration,
    Loop,
    Raised,
    Step,
    Trace,
    parse,
)

__all__ = [
    "Assertion",
    "End",
    "Frame",
    "Gap",
    "Item",
    "Iteration",
    "Loop",
    "Raised",
    "Step",
    "Trace",
    "parse",
]
