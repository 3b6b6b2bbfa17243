"""The lines of code of a module, by function; and which of the target's run beside the tests' calls.

What is imported or set up for a test is a part of the test: lines that run there have run. Their
values are not looked at. Calls from C code and from processes that a test starts are not seen.
"""

from __future__ import annotations

import dis
import inspect
import sys
import threading
from functools import lru_cache
from types import CodeType, FrameType, TracebackType
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from .paths import is_file

_LATER = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def functions_in(code: CodeType) -> List[FrozenSet[int]]:
    """The lines with code of each function and class: a function's `def` line runs at import."""
    return [lines_of(inner) for inner in codes_in(code)]


def codes_in(code: CodeType) -> List[CodeType]:
    """The functions and classes of a module, outer ones before inner ones."""
    found: List[CodeType] = []
    pending = [code]
    while pending:
        inner = [one for one in pending.pop().co_consts if isinstance(one, CodeType)]
        found += inner
        pending += inner
    return found


@lru_cache(maxsize=4096)
def lines_of(code: CodeType) -> FrozenSet[int]:
    starts = {line for _, line in dis.findlinestarts(code) if line is not None}
    return frozenset(starts - {code.co_firstlineno})


class Visits:
    """Counts the target's lines between `start` and `stop`, on the thread that calls them and on
    those that begin meanwhile.

    The target is the function that stands in `lines` (1-based, inclusive, with its decorators), if
    they are known, else what holds a watched line.
    """

    def __init__(
        self,
        path: str,
        module: CodeType,
        watched: Set[int],
        lines: Optional[Sequence[int]] = None,
    ) -> None:
        self.path = path
        codes = codes_in(module)
        holders = [code for code in codes if lines_of(code) & watched]
        at = [code for code in codes if lines and code.co_firstlineno == lines[0]]
        at = [code for code in at if not code.co_name.startswith("<")][:1]
        targets = at or holders
        self.target: Set[int] = set().union(*map(lines_of, targets))
        self.seen: Set[int] = self.target.union(*map(lines_of, holders))
        """Lines that are counted."""
        self.is_certain = bool(self.target) and all(
            is_entered_when_called(code) and not head_of(code) & watched for code in targets
        )
        """Whether a target that was not entered has done nothing."""
        self.hit: Set[int] = set()
        self._is_ours: Dict[str, bool] = {}
        self._codes: Dict[int, Tuple[CodeType, bool]] = {}
        self._trace: Any = self._on_call
        self._before: Any = None
        self.is_on = False

    def start(self) -> None:
        if self.is_on:
            return
        self.is_on = True
        self._before = sys.gettrace()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def stop(self) -> None:
        if not self.is_on:
            return
        self.is_on = False
        sys.settrace(self._before)
        threading.settrace(None)

    def is_passed_by(self, traceback: Optional[TracebackType]) -> bool:
        """Whether an exception came through the target."""
        while traceback is not None:
            code = traceback.tb_frame.f_code
            if traceback.tb_lineno in self.seen and self._is_module(code.co_filename):
                return True
            traceback = traceback.tb_next
        return False

    def is_module_passed_by(self, traceback: Optional[TracebackType]) -> bool:
        while traceback is not None:
            if self._is_module(traceback.tb_frame.f_code.co_filename):
                return True
            traceback = traceback.tb_next
        return False

    def _on_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        filename = frame.f_code.co_filename
        is_ours = self._is_ours.get(filename)
        if is_ours is None:
            is_ours = self._is_module(filename)
        if is_ours and self.is_on and self._is_counted(frame.f_code):
            return self._on_line
        return None

    def _on_line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line" and self.is_on:
            self.hit.add(frame.f_lineno)
        return self._on_line

    def _is_counted(self, code: CodeType) -> bool:
        known = self._codes.get(id(code))
        if known is None:
            known = self._codes[id(code)] = (code, bool(lines_of(code) & self.seen))
        return known[1]

    def _is_module(self, filename: str) -> bool:
        is_ours = self._is_ours[filename] = is_file(filename, self.path)
        return is_ours


def is_entered_when_called(code: CodeType) -> bool:
    """Not so a generator or coroutine, which may be waited for in vain, nor the body of a class."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and not code.co_flags & _LATER


def head_of(code: CodeType) -> Set[int]:
    """The lines of a function's decorators and parameters."""
    return set(range(code.co_firstlineno, min(lines_of(code), default=code.co_firstlineno + 1)))
