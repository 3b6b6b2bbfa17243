"""What a test does by which it could tell how it is run, in a fork with a timer of ours.

A program that a test starts sees the module's file, not the candidate: such a run says nothing. A
timer of ours is gone before anybody looks for one. Not seen: programs that C code starts.
"""

from __future__ import annotations

import _posixsubprocess
import _signal  # type: ignore[import-not-found,unused-ignore]
import contextlib
import ctypes
import functools
import mmap
import os
import signal
import sys
from typing import Any, Callable, Tuple

STARTS = frozenset(
    ("os.exec", "os.posix_spawn", "os.system", "pty.spawn", "subprocess.Popen")
)  # fmt: skip
CLOCK = ("alarm", "getitimer", "getsignal", "setitimer", "signal")
"""Functions of `signal` that show or change the timer, or its signal's handler."""


class Programs:
    """Whether another program was started, by this process or by its forks."""

    def __init__(self, folder: str) -> None:
        """Raises OSError. Nothing stays in the folder, which must be empty."""
        # Forks share it, and a run may not have shared memory that no limit counts.
        path = os.path.join(folder, "programs")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)
        os.ftruncate(descriptor, 1)
        # An `mmap` object would keep the descriptor.
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        place = libc.mmap(None, 1, protection, mmap.MAP_SHARED, descriptor, 0)
        os.close(descriptor)
        if place == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "no flag that forks share")
        self._flag = ctypes.c_char.from_address(place)

    @property
    def were_started(self) -> bool:
        return self._flag.value != b"\0"

    def watch(self) -> None:
        """From now on, for good."""
        fork_exec: Any = _posixsubprocess.fork_exec  # type: ignore[attr-defined,unused-ignore]

        def on_event(event: str, _arguments: Tuple[Any, ...]) -> None:
            if event in STARTS:
                self._flag.value = b"\1"

        def started(*arguments: Any) -> Any:
            self._flag.value = b"\1"
            return fork_exec(*arguments)

        sys.addaudithook(on_event)
        # multiprocessing calls it without an audit event.
        _posixsubprocess.fork_exec = started  # type: ignore[attr-defined,unused-ignore]


class Alarm:
    """Calls `ring` once, as the handler of a signal; not if the tested code looks for a timer."""

    def __init__(self, ring: Callable[[int, Any], None]) -> None:
        self._ring = ring
        self._own = {name: getattr(signal, name) for name in CLOCK}
        self._instead = {name: self._asking(name) for name in CLOCK}
        self._before: Any = None
        self._is_set = False

    def set(self, seconds: float) -> None:
        # The functions of `signal` make enumerations of their results, which takes its time.
        self._before = _signal.getsignal(_signal.SIGALRM)
        _signal.signal(_signal.SIGALRM, self._ring)
        _signal.setitimer(_signal.ITIMER_REAL, seconds)
        vars(signal).update(self._instead)
        self._is_set = True

    @property
    def was_found(self) -> bool:
        """Whether somebody has set a timer or a handler by a name that he had from before."""
        return self._is_set and (
            _signal.getsignal(_signal.SIGALRM) is not self._ring
            or _signal.getitimer(_signal.ITIMER_REAL)[0] == 0
        )

    def take_away(self) -> None:
        """As if there had been none."""
        if not self._is_set:
            return
        self._is_set = False
        for name in CLOCK:
            if getattr(signal, name, None) is self._instead[name]:
                setattr(signal, name, self._own[name])
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        with contextlib.suppress(ValueError):  # on another thread the handler stays, for nothing
            _signal.signal(_signal.SIGALRM, self._before)

    def _asking(self, name: str) -> Any:
        own = self._own[name]

        @functools.wraps(own)
        def asking(*arguments: Any, **options: Any) -> Any:
            is_other = name in ("getsignal", "signal") and arguments[:1] != (signal.SIGALRM,)
            if not is_other or options:
                self.take_away()
            return own(*arguments, **options)

        return asking
