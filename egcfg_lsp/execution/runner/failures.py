"""One line on why a test failed, from what pytest, doctest and unittest say of it; and whether the
reason may be the target at all.

A failure is the target's unless it is plain that it is not: a test that is left out by mistake could
be the one that fails.
"""

from __future__ import annotations

import doctest
import os
import re
import sys
from types import TracebackType
from typing import Any, NamedTuple, Optional, Tuple

from .confinement import clip

_FUNCTION = re.compile(r"<(?:function|bound method) ([\w.<>]+?)(?: at 0x\w+| of [^\n]*?)>(?=\()")
"""How pytest shows what is called by a local name."""


class Entered(NamedTuple):
    """Where the target was entered before a test failed."""

    in_test: bool
    ever: bool
    """By an import, a fixture, or a test before it, too."""


def is_unrelated(
    error: BaseException,
    traceback: Optional[TracebackType],
    phase: str,
    root: str,
    entered: Entered,
) -> bool:
    """Whether a test's failure says nothing of the target.

    `phase`: `setup`, `call` or `teardown`. A fixture or a package that is missing is nobody's fault
    who was not asked; nor is an example of a docstring that names what it did not import. What is
    set up fails by itself if the target was not entered yet. Whatever else a test's own body does
    not like counts: the target may have been called in another process, or compiled away.
    """
    error = first_failure(error)
    inner, traceback = raised(error, traceback)
    if phase == "setup" and is_missing_fixture(inner):
        return True
    if entered.in_test:
        return False
    if is_missing_fixture(inner) or is_missing_package(inner, root):
        return True
    if phase == "call" and not is_setting_up(traceback):
        return isinstance(error, doctest.UnexpectedException) and is_name_error(inner, traceback)
    return not entered.ever and not comes_from_a_process(inner)


def raised(
    error: BaseException, traceback: Optional[TracebackType]
) -> Tuple[BaseException, Optional[TracebackType]]:
    """What an example of a docstring raised, or what kept a file from being imported; with where."""
    if isinstance(error, doctest.UnexpectedException):
        return error.exc_info[1], error.exc_info[2]
    if type(error).__name__ in ("CollectError", "ConftestImportFailure") and error.__cause__:
        return error.__cause__, error.__cause__.__traceback__
    return error, traceback


def first_failure(error: BaseException) -> BaseException:
    """Of several that pytest found in a docstring."""
    failures = getattr(error, "failures", None)
    is_doctest = failures and isinstance(failures, list) and isinstance(failures[0], BaseException)
    return failures[0] if failures and is_doctest else error


def is_missing_fixture(error: BaseException) -> bool:
    kind = type(error)
    return kind.__name__ == "FixtureLookupError" and kind.__module__.startswith("_pytest")


def is_missing_package(error: BaseException, root: str) -> bool:
    """One that is not the project's."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return False
    name = error.name.partition(".")[0]
    places = [os.path.join(root, *folder, name) for folder in ((), ("src",), ("lib",))]
    return not any(os.path.exists(place) or os.path.exists(place + ".py") for place in places)


def is_name_error(error: BaseException, traceback: Optional[TracebackType]) -> bool:
    """Of an example itself, not of what it calls."""
    if type(error) is not NameError:
        return False
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    filename = traceback.tb_frame.f_code.co_filename if traceback is not None else ""
    return filename.startswith("<doctest ")


def is_setting_up(traceback: Optional[TracebackType]) -> bool:
    """Whether unittest's `setUp` raised it, which for pytest is a part of the test's body."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name in ("_callSetUp", "_callAsyncSetUp"):
            return True
        traceback = traceback.tb_next
    return False


def comes_from_a_process(error: Optional[BaseException]) -> bool:
    """In which the target may have run, unseen."""
    kind: Any = getattr(sys.modules.get("subprocess"), "SubprocessError", ())
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def describe(excinfo: Any) -> str:
    """One line on what went wrong: `add(1, 2) → 4, want 3` where the assertion shows that much."""
    value = first_failure(excinfo.value)
    if isinstance(value, doctest.DocTestFailure):
        source, want = value.example.source.strip(), value.example.want.strip()
        return "%s → %s, want %s" % (source, last_line(value.got) or "nothing", want or "nothing")
    if isinstance(value, doctest.UnexpectedException):
        return in_words(value.exc_info[1])
    text = by_name(str(excinfo.exconly(tryshort=True)))
    return describe_assertion(text) if isinstance(value, AssertionError) else first_line(text)


def by_name(text: str) -> str:
    """Called functions by their names, where pytest shows an object with its address."""
    return _FUNCTION.sub(r"\1", text)


def in_words(error: BaseException) -> str:
    return "%s: %s" % (type(error).__name__, clip(str(error)))


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
