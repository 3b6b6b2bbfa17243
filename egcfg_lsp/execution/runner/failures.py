"""One line on why a test failed, from what pytest, doctest and unittest say of it."""

from __future__ import annotations

import doctest
import re
from typing import Any

from .confinement import clip

_FUNCTION = re.compile(r"<(?:function|bound method) ([\w.<>]+?)(?: at 0x\w+| of [^\n]*?)>(?=\()")
"""How pytest shows what is called by a local name."""


def describe(excinfo: Any) -> str:
    """One line on what went wrong: `add(1, 2) → 4, want 3` where the assertion shows that much."""
    value = excinfo.value
    failures = getattr(value, "failures", None)
    if failures and isinstance(failures[0], doctest.DocTestFailure):
        value = failures[0]
    if isinstance(value, doctest.DocTestFailure):
        source, want = value.example.source.strip(), value.example.want.strip()
        return "%s → %s, want %s" % (source, last_line(value.got) or "nothing", want or "nothing")
    if failures or isinstance(value, doctest.UnexpectedException):
        inner = getattr(failures[0] if failures else value, "exc_info", (None, value, None))[1]
        return "%s: %s" % (type(inner).__name__, clip(str(inner)))
    text = str(excinfo.exconly(tryshort=True))
    text = _FUNCTION.sub(r"\1", text)
    return describe_assertion(text) if isinstance(value, AssertionError) else first_line(text)


def describe_assertion(text: str) -> str:
    """pytest's `assert 4 == 3` and ` +  where 4 = add(1, 2)` as `add(1, 2) → 4, want 3`."""
    lines = text.splitlines() or [""]
    head = lines[0].strip()
    if head.startswith("AssertionError: "):
        head = head[len("AssertionError: ") :]
    if not head.startswith("assert ") or " == " not in head:
        return head or "AssertionError"
    left, _, right = head[len("assert ") :].partition(" == ")
    for line in lines[1:]:
        shown, where, call = line.strip().lstrip("+ ").partition("where %s = " % left)
        if where and not shown and call.endswith(")"):
            return "%s → %s, want %s" % (call, left, right)
    return head


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
