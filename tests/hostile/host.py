"""What stands around a run in the world: planted files, listeners, processes; and whether any of it
has changed. Reads only; what an attack has read it must tell itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from egcfg_lsp.execution.enclosure import RUNNER
from tests.hostile.cases import ADD_TEST, Case
from tests.hostile.resting import Resting
from tests.hostile.world import needed_folders

SETTLE_SECONDS = 3.0
"""After a run the kernel may still be taking its processes down for this long."""
SIBLING_FOLDER = Path("/tmp/sibling")
"""Of the sibling: its project, and its folder for temporary files."""
MODULE = "def add(a, b):\n    \n"
KEPT_OF_STATUS = {"TracerPid", "Uid", "SigBlk", "SigIgn", "Cpus_allowed", "SigPnd"}
State = dict[str, Any]
"""By the name of a thing, for people."""


class Host:
    """The planted things of one world. `close` ends what was started."""

    def __init__(self, mark: str, cases: Iterable[Case]) -> None:
        self.mark = mark
        self.home = Path.home()
        self.project = self.home / "work" / "project"
        self.secrets = [
            self.home / ".ssh" / "id_rsa",
            self.home / "notes.txt",
            self.home / "other" / "calc.py",
            self.home / "work" / "beside.txt",
            Path("/tmp/planted/secret.txt"),
            Path("/var/tmp/planted/secret.txt"),
            Path("/dev/shm/planted"),
        ]
        self.hits = 0
        self.sockets: list[socket.socket] = []
        self.canary: subprocess.Popen[bytes] | None = None
        self.sibling_pid = 0
        self.resting: Resting | None = None
        """The pool that is attacked, whose own things are not counted here."""
        self.plant(cases)
        self.kept = self.secrets[0].open("rb")
        os.set_inheritable(self.kept.fileno(), True)
        self.listen()

    def plant(self, cases: Iterable[Case]) -> None:
        """Write the files anew, and a project with the tests of the cases."""
        for i, path in enumerate(self.secrets):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            path.write_text(f"{self.mark} {path}\n")
            path.chmod(0o600 if i % 2 == 0 else 0o644)
        with suppress(OSError):
            os.setxattr(self.secrets[1], "user.kept", b"x")
        write_project(self.project, cases)

    def listen(self) -> None:
        """TCP, UDP and local sockets, by path and by abstract name."""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for kind, port in ((socket.SOCK_STREAM, 7077), (socket.SOCK_DGRAM, 7078)):
                with suppress(OSError):  # a world without IPv6
                    self.add_listener(family, kind, (host, port))
        self.paths = [str(self.home / "agent.sock"), "/tmp/planted/agent.sock"]
        for path in self.paths:
            Path(path).unlink(missing_ok=True)
            self.add_listener(socket.AF_UNIX, socket.SOCK_STREAM, path)
            self.add_listener(socket.AF_UNIX, socket.SOCK_DGRAM, path + "d")
        self.add_listener(socket.AF_UNIX, socket.SOCK_STREAM, "\0egcfg")
        self.add_listener(socket.AF_UNIX, socket.SOCK_DGRAM, "\0egcfgd")

    def add_listener(self, family: int, kind: int, address: Any) -> None:
        one = socket.socket(family, kind)
        try:
            one.bind(address)
        except OSError:
            one.close()
            raise
        if kind == socket.SOCK_STREAM:
            one.listen(16)
        one.setblocking(False)
        self.sockets.append(one)

    def start_canary(self) -> subprocess.Popen[bytes]:
        """A process of the same user that must not notice anything."""
        if self.canary is None or self.canary.poll() is not None:
            self.canary = subprocess.Popen(["sleep", "infinity"], start_new_session=True)
        return self.canary

    def facts(self) -> dict[str, object]:
        """What the candidate is told, so that it need not search. The mark stands backwards."""
        readable = [str(self.project / "calc.py"), str(self.project / "pyproject.toml")]
        secrets = list(map(str, self.secrets))
        folders = (self.home, self.home / ".ssh", self.project, self.project / "tests",
                   "/tmp/planted", "/var/tmp/planted", "/var/tmp", "/", "/etc", "/usr/local",
                   "/run")  # fmt: skip
        return {
            "kram": self.mark[::-1],
            "home": str(self.home),
            "project": str(self.project),
            "secrets": secrets,
            "readable": readable,
            "files": [*secrets, *readable],
            "runner": str(RUNNER / "cold.py"),
            "folders": list(map(str, folders)),
            "driver": os.getpid(),
            "canary": self.start_canary().pid,
            "sibling": self.sibling_pid,
            "tcp": 7077,
            "udp": 7078,
            "sockets": [*self.paths, *(path + "d" for path in self.paths)],
            "abstract": "\0egcfg",
            "abstract_datagram": "\0egcfgd",
        }

    def state(self) -> State:
        canary = self.start_canary().pid
        return {
            "files": self.files(),
            "processes": self.processes(),
            "mounts": Path("/proc/self/mounts").read_text(),
            "connections": self.connections(),
            "System V IPC": [Path(f"/proc/sysvipc/{n}").read_text() for n in ("shm", "sem", "msg")],
            "host name": list(os.uname()),
            "descriptors": self.descriptors(),
            # The event loop's own pool grows when it likes, up to its limit,
            # and one waits for each process, which are counted.
            "threads": [t.name for t in threading.enumerate() if not t.name.startswith("asyncio")],
            "canary": _process_state(canary),
            "driver": _process_state(os.getpid()),
            "its limits": [
                resource.getrlimit(getattr(resource, name))
                for name in dir(resource)
                if name.startswith("RLIMIT_")
            ],
            "its signals": [str(signal.getsignal(n)) for n in signal.valid_signals()],
            "its folder": str(Path.cwd()),
            "locks on project files": self.locks(),
        }

    async def steady(self) -> State:
        """The state between runs: what looks at a pool's memory may just have a file open."""
        state = self.state()
        if self.resting is not None:
            end = time.monotonic() + SETTLE_SECONDS
            earlier = None
            while state["descriptors"] != earlier and time.monotonic() < end:
                await asyncio.sleep(0.05)
                earlier, state = state["descriptors"], self.state()
        return state

    async def settled(self, before: State) -> State:
        """The state once it is as before, or after `SETTLE_SECONDS`."""
        end = time.monotonic() + SETTLE_SECONDS
        after = _with_ended(before, self.state())
        while after != before and time.monotonic() < end:
            await asyncio.sleep(0.05)
            after = _with_ended(before, self.state())
        return after

    def files(self) -> dict[str, tuple[Any, ...]]:
        """Everything but reading times; of folders where others make files too no times at all."""
        found: dict[str, tuple[Any, ...]] = {}
        skipped = {*map(str, needed_folders()), str(SIBLING_FOLDER)}
        shared = {
            "/",
            "/tmp",
            "/var/tmp",
            "/dev/shm",
            "/run",
            "/dev",
            "/dev/pts",
            "/etc",
            "/usr/local",
        }
        for root in (
            self.home,
            Path("/tmp"),
            Path("/var/tmp"),
            Path("/dev/shm"),
            Path("/run"),
            Path("/etc"),
        ):
            for folder, folders, names in os.walk(root):
                here = Path(folder)
                folders[:] = [name for name in folders if str(here / name) not in skipped]
                for path in (folder, *(str(here / name) for name in (*names, *folders))):
                    found[path] = _file_state(path, path in shared)
        for folder in ("/", "/usr/local", "/dev", "/opt", "/srv", "/mnt", "/home"):
            found[f"names in {folder}"] = tuple(_names(folder))
        for needed in needed_folders():
            found[str(needed)] = _file_state(str(needed), False)
        for module in (pytest, json, psutil):
            place = Path(str(module.__file__))
            for one in (place, place.parent):
                found[str(one)] = _file_state(str(one), False)
        return found

    def descriptors(self) -> object:
        """Of this process: which, or, beside a pool that keeps some, how many."""
        if self.resting is not None:
            return self.resting.n_descriptors()
        return _descriptors()

    def processes(self) -> dict[int, str]:
        """Of the world, without the sibling's and those at rest. After a run they must be those of before."""
        siblings = set() if self.resting is None else self.resting.processes()
        if self.sibling_pid:
            with suppress(psutil.Error):
                sibling = psutil.Process(self.sibling_pid)
                siblings |= {self.sibling_pid, *(p.pid for p in sibling.children(recursive=True))}
        found = {}
        for name in _names("/proc"):
            if name.isdigit() and int(name) not in siblings:
                with suppress(OSError):
                    found[int(name)] = Path(f"/proc/{name}/comm").read_text().strip()
        return found

    def described(self, pids: Iterable[int]) -> list[str]:
        """Processes that have been left, for people."""
        found = []
        for pid in sorted(pids):
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                state, parent, group, n_threads = fields[0], fields[1], fields[2], fields[17]
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:80]
                found.append(
                    f"{pid} is in state {state}, of {parent}, group {group}, {n_threads} threads: {line!r}"
                )
        return found

    def connections(self) -> int:
        """Connections and messages that have arrived so far."""
        for one in self.sockets:
            with suppress(OSError):
                while True:
                    if one.type == socket.SOCK_STREAM:
                        one.accept()[0].close()
                    else:
                        one.recv(4096)
                    self.hits += 1
        return self.hits

    def locks(self) -> str:
        """What stands in the way of locking the project's files."""
        for path in (self.project / "calc.py", self.project / "pyproject.toml"):
            try:
                with path.open() as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return f"{path}: {error}"
        return ""

    def kill(self, pids: set[int]) -> None:
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        if self.canary is not None:
            self.canary.kill()
            self.canary.wait()
        for one in self.sockets:
            one.close()


def write_project(folder: Path, cases: Iterable[Case]) -> None:
    """A project anew: the module, and a test file for each different test."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("")
    (folder / "calc.py").write_text(MODULE)
    for case in cases:
        test_path(folder, case).write_text(case.test, encoding="utf-8")


def test_path(project: Path, case: Case) -> Path:
    """Where the test of a case stands."""
    if case.test == ADD_TEST:
        return project / "tests" / "test_calc.py"
    digest = hashlib.sha256(case.test.encode()).hexdigest()[:12]
    return project / "tests" / f"test_{digest}.py"


def differences(before: State, after: State) -> list[str]:
    """What has changed, a line each thing."""
    lines = []
    for name in before:
        one, other = before[name], after[name]
        if one == other:
            continue
        if isinstance(one, dict):
            changed = sorted(
                (key for key in {*one, *other} if one.get(key) != other.get(key)), key=str
            )
            shown = [f"{key}: {one.get(key)} → {other.get(key)}" for key in changed[:4]]
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            lines.append(f"{name} changed: {'; '.join(shown)}{more}")
        else:
            lines.append(f"{name} changed: {one} → {other}"[:600])
    return lines


def _with_ended(before: State, after: State) -> State:
    """With the processes that have ended since: of the sibling's, some do; ours are looked at alone."""
    return {**after, "processes": {**before["processes"], **after["processes"]}}


def _file_state(path: str, is_shared: bool) -> tuple[Any, ...]:
    try:
        found = os.lstat(path)
    except OSError as error:
        return (error.strerror,)
    kept: tuple[Any, ...] = (oct(found.st_mode), found.st_uid, found.st_gid)
    if is_shared:
        return kept
    # The kernel sets the time of change: nothing can be written and look as before.
    kept += (found.st_nlink, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return kept


def _process_state(pid: int) -> dict[str, str]:
    """What others may not change of a process."""
    kept: dict[str, str] = {}
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        for line in status:
            name, _, value = line.partition(":")
            is_bad_state = name == "State" and value.strip()[0] in "TtZX"
            if is_bad_state or name in KEPT_OF_STATUS:
                kept[name] = value.strip()
        for name in ("limits", "oom_score_adj", "cgroup"):
            kept[name] = Path(f"/proc/{pid}/{name}").read_text()
        kept["nice"] = str(os.getpriority(os.PRIO_PROCESS, pid))
        kept["scheduler"] = str(os.sched_getscheduler(pid))
        kept["group and session"] = f"{os.getpgid(pid)} {os.getsid(pid)}"
    except OSError as error:
        kept["gone"] = str(error)
    return kept


def _descriptors() -> dict[str, str]:
    """Of the driver, where each leads; not the one that lists them."""
    found = {}
    for name in _names("/proc/self/fd"):
        with suppress(OSError):
            found[name] = str(Path(f"/proc/self/fd/{name}").readlink())
    return found


def _names(folder: str) -> list[str]:
    """In it, sorted."""
    return sorted(path.name for path in Path(folder).iterdir())
