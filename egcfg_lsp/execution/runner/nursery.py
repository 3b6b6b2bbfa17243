"""Forks of a process, each known by a number of the server's; and what they must leave behind: nothing.

The zygote and its upper level both have one. Whatever is odd behind a child (a process that goes on,
a folder that cannot be removed, a full or locked `/tmp`) is told; the server then ends them all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from .confinement import silence
from .trees import remove_tree

STRAY_SECONDS = 0.3
"""For what a child has started to end, once it was killed."""


class Nursery:
    def __init__(self, tmp: str) -> None:
        self.pids: Dict[int, int] = {}
        self.tmp = tmp
        self.modes = modes_to(tmp)

    def fork(self, number: int, descriptor: int, live: Callable[[int], None]) -> None:
        """A child that lives by a function, which gets the descriptor. Raises OSError."""
        pid = os.fork()
        if pid:
            os.close(descriptor)
            self.pids[number] = pid
            return
        try:
            # Flags of an inherited file are shared: a child's would be its siblings'.
            silence(0, 1, 2)
            live(descriptor)
        finally:
            # Nothing of a child may get back into the loop of its parent.
            os._exit(1)

    def end(self, number: int, folder: str, patience: float) -> Dict[str, Any]:
        """Kill a child that does not end by itself, with its group, and remove its folder.

        The exit status as `subprocess` has it, None if it was killed here; and what is odd.
        """
        pid = self.pids.pop(number, None)
        if pid is None:
            return {"ended": number, "code": 0, "odd": "no such child"}
        code = waited(pid, patience)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        return {"ended": number, "code": code, "odd": odd_traces(folder, self.tmp, self.modes)}

    def look(self, number: int) -> Dict[str, Any]:
        """How many processes there are in all; and what is odd about a child that has been at work,
        but is not used yet."""
        odd = ""
        if number in self.pids and (has_strays() or children_of(self.pids[number])):
            odd = "a process went on"
        return {"n_processes": sum(map(str.isdigit, os.listdir("/proc"))), "odd": odd}


def waited(pid: int, patience: float) -> Optional[int]:
    """The exit status of a child; None if it is killed, when patience (in seconds) is over."""
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def odd_traces(folder: str, tmp: str, modes: Dict[str, int]) -> str:
    """What a child has left behind that must not be there; empty: nothing."""
    if has_strays():
        return "a process went on"
    try:
        if modes_to(tmp) != modes:
            return "/tmp was locked"
        if folder:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                remove_tree(Path(folder))
        room = os.statvfs(tmp)
    except OSError as error:
        return "/tmp: %s" % error
    if room.f_bavail * 2 < room.f_blocks or room.f_favail * 2 < room.f_files:
        return "/tmp is full"
    return ""


def has_strays() -> bool:
    """Whether the first process of the namespace has more children than the zygote."""
    limit = time.monotonic() + STRAY_SECONDS
    while len(children_of(1)) > 1:
        if time.monotonic() > limit:
            return True
        time.sleep(0.0005)
    return False


def modes_to(folder: str) -> Dict[str, int]:
    """Of a folder and all above it: whoever owns one can change it, wherever he may write."""
    places = [folder, *map(str, Path(folder).parents)]
    return {place: os.stat(place).st_mode for place in places}


def children_of(parent: int) -> List[int]:
    with (
        contextlib.suppress(OSError),
        open("/proc/%d/task/%d/children" % (parent, parent), "rb") as stream,
    ):
        return [int(pid) for pid in stream.read().split()]
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError), open("/proc/%s/stat" % name, "rb") as stream:
            if int(stream.read().rpartition(b")")[2].split()[1]) == parent:
                found.append(int(name))
    return found
