"""The lines of code of a module, by function."""

from __future__ import annotations

import dis
from types import CodeType


def functions_in(code: CodeType) -> list[set[int]]:
    """The lines with code of each function and class: a function's `def` line runs at import."""
    functions: list[set[int]] = []
    pending = [c for c in code.co_consts if hasattr(c, "co_code")]
    while pending:
        inner = pending.pop()
        pending += [c for c in inner.co_consts if hasattr(c, "co_code")]
        starts = {line for _, line in dis.findlinestarts(inner) if line is not None}
        functions.append(starts - {inner.co_firstlineno})
    return functions
