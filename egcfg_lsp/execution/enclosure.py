"""A process of the runner in its surroundings: namespaces where there are some, a private folder for
temporary files, and the plan by which the process confines itself.

Owns the process: leaving the block kills it, waits for the last process it has started, and removes
what it has left. Does not know what is run, nor read results.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import psutil

from egcfg_lsp.execution import LIMITS, MEMORY_BYTES, RECORD_BYTES, TMP_BYTES, TMP_INODES
from egcfg_lsp.execution.bubblewrap import (
    DEVICES,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    namespaced_command,
)
from egcfg_lsp.execution.facts import tasks_of_user
from egcfg_lsp.execution.interpreter import Interpreter, installation_folders
from egcfg_lsp.execution.runner.confinement import MAPPED_UID
from egcfg_lsp.execution.runner.trees import remove_tree
from egcfg_lsp.execution.tiers import MIN_LANDLOCK_B, Facts, Tier

T = TypeVar("T")
RUNNER = Path(__file__).parent / "runner"
OUR_PREFIX = Path(sys.base_prefix)
LAUNCHER = (
    str(Path(getattr(sys, "_base_executable", sys.executable)).resolve()), "-I", "-S", "-B", "-c",
    f"import sys; sys.path.insert(0, {str(RUNNER.parent)!r}); from runner.launch import main; main()",
)  # fmt: skip
"""Our own Python, without the packages of its environment."""
LAUNCHERS_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
PYTHON_OPTIONS = ("-S", "--check-hash-based-pycs", "always")
"""Start-up files of the environment come after the runner (`become_ordinary`); a compiled copy of
the candidate's file is no candidate."""
PASSWD = "/etc/passwd"
WATCH_SECONDS = 0.2
END_SECONDS = 10.0
"""For the last process of a PID namespace to end, once the first was killed."""
PRIVATE_TMP = "/tmp"
"""With namespaces."""
KERNEL_COUNTING_BY_NAMESPACE = (5, 14)
"""Before, `RLIMIT_NPROC` counts all processes of a user, also those outside."""
HARMLESS_FILES = ["/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"]
"""Readable without namespaces, where `/proc` is not."""
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LOGNAME": "egcfg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True)
class Surroundings:
    """What a tier needs to know of the machine."""

    tier: Tier
    facts: Facts


@dataclass
class Enclosed:
    """A process that waits for its order on standard input."""

    process: Process
    tmp: str
    """The folder in which it may write, as it sees it."""
    plan: Mapping[str, Any]
    """By which it has confined itself."""
    excess: str = ""
    """Why it was killed before its deadline, for people."""


@asynccontextmanager
async def enclosed(
    surroundings: Surroundings,
    interpreter: Interpreter,
    module: str,
    *descriptors: int,
    folders: Sequence[Path] = (),
    files: Mapping[Path, bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    hash_seed: int = 0,
    strays: Sequence[int] = (),
    deadline_seconds: float | None,
) -> AsyncIterator[Enclosed]:
    """Python, about to execute a module of the runner; it has the descriptors. Raises OSError.

    `folders` are readable; with namespaces, `files` are seen in the place of what lies there. Our
    own Python confines itself and then becomes the interpreter, which alone sees the environment.
    `hash_seed` is that of its strings; `strays` are descriptors that it gets and must close. Without
    a deadline it is a zygote: it lives until the block is left, and its owner bounds the CPU time of
    its children and looks at the memory that it takes while they run (`resident_bytes`).
    """
    readable = [*interpreter.folders, *folders, RUNNER.parent, *installation_folders(OUR_PREFIX)]
    watched_folder: Path | None = None
    passed = (*descriptors, *strays)
    async with AsyncExitStack() as stack:
        if surroundings.tier.has_namespaces:
            tmp = private_tmp(readable)
            start = _in_namespaces(surroundings.facts, readable, files or {}, passed)
        else:
            tmp = await stack.enter_async_context(_private_folder())
            start, watched_folder = _started(LAUNCHER, passed), Path(tmp)
        process = await stack.enter_async_context(start)
        plan = _plan(surroundings, readable, tmp, deadline_seconds)
        order = {
            "confinement": plan,
            "descriptors": descriptors,
            "folder": str(RUNNER.parent),
            "command": [str(interpreter.path), *PYTHON_OPTIONS, "-m", f"runner.{module}"],
            "environment": _environment(interpreter, tmp, environment or {}, hash_seed),
        }
        data = json.dumps(order).encode()
        assert process.stdin is not None
        process.stdin.write(b"%08d" % len(data) + data)
        one = Enclosed(process, tmp, plan)
        if deadline_seconds is not None:
            await stack.enter_async_context(_watched(one, watched_folder))
        yield one


async def feed_and_drain(process: Process, order: bytes) -> bytes:
    """Write the order; return the end of what the run wrote to its stderr, reading all of it."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(order)
    process.stdin.close()
    tail = b""
    while part := await process.stderr.read(RECORD_BYTES):
        tail = (tail + part)[-4096:]
    return tail


def private_tmp(folders: Sequence[Path]) -> str:
    """With namespaces: where a run may write. Below it nothing else may lie."""
    is_shared = any(folder.resolve().is_relative_to(PRIVATE_TMP) for folder in folders)
    return f"{PRIVATE_TMP}/egcfg" if is_shared else PRIVATE_TMP


def pipe() -> tuple[BinaryIO, BinaryIO]:
    """A reading and a writing end."""
    read_end, write_end = os.pipe()
    return os.fdopen(read_end, "rb", buffering=0), os.fdopen(write_end, "wb", buffering=0)


async def read_into(record: bytearray, stream: BinaryIO, most: int) -> None:
    """Add what comes from a pipe, to its end or some bytes more than `most`; then it is closed."""
    reader = asyncio.StreamReader(limit=RECORD_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), stream
    )
    try:
        while len(record) <= most and (part := await reader.read(RECORD_BYTES)):
            record += part
    finally:
        transport.close()


def _environment(
    interpreter: Interpreter, tmp: str, extra: Mapping[str, str], hash_seed: int = 0
) -> Mapping[str, str]:
    """All variables of a run; ours win."""
    ours = {**ENVIRONMENT, "HOME": tmp, "TMPDIR": tmp, "PYTHONHASHSEED": str(hash_seed % 2**32)}
    if interpreter.is_ours:
        ours["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return {**extra, **ours}


def _plan(
    surroundings: Surroundings, readable: Sequence[Path], tmp: str, deadline_seconds: float | None
) -> dict[str, Any]:
    """What `confine` in the runner is told."""
    tier, facts = surroundings.tier, surroundings.facts
    limits = dict(LIMITS)
    if deadline_seconds is not None:
        limits["RLIMIT_CPU"] = int(deadline_seconds) + 1
    is_counted_apart = tier.has_namespaces and (
        facts.spare_uid is not None or facts.kernel >= KERNEL_COUNTING_BY_NAMESPACE
    )
    if not is_counted_apart:
        limits["RLIMIT_NPROC"] += tasks_of_user()
    landlock: dict[str, Any] | None = None
    if tier is not Tier.A_MINUS:
        places = [*map(str, readable), "/usr", *SYSTEM_FOLDERS, *SYSTEM_FILES, *DEVICES]
        landlock = {
            "abi": 1 if tier.has_namespaces else MIN_LANDLOCK_B,
            "read": [*places, *(["/proc", PASSWD] if tier.has_namespaces else HARMLESS_FILES)],
            "write": ["/dev/null", tmp],
        }
    tmpfs = {"path": PRIVATE_TMP, "bytes": TMP_BYTES, "inodes": TMP_INODES, "folder": tmp}
    return {
        "parent": os.getpid(),
        "limits": limits,
        "namespaces": tier.has_namespaces,
        "landlock": landlock,
        "tmp": tmpfs if tier.has_namespaces else None,
        "devices": DEVICES if tier.has_namespaces else (),
        "is_zygote": deadline_seconds is None,
        "settles": tier.has_namespaces and facts.spare_uid is not None,
    }


@asynccontextmanager
async def _started(command: Sequence[str], descriptors: Sequence[int]) -> AsyncIterator[Process]:
    """A process in a group of its own, which is killed when the block is left."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            pass_fds=descriptors,
            env=LAUNCHERS_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    )
    try:
        # A start that is given up half way would leave a process that nobody knows.
        await asyncio.shield(starting)
        yield starting.result()
    finally:
        process = await _settled(starting)
        if process is not None:
            kill_group(process)
            await _ended(process)


def kill_group(process: Process) -> None:
    """A process and its group, also when it is gone itself; without namespaces nobody leaves that."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _ended(process: Process) -> None:
    """asyncio tells it only once the pipes have ended too, and a full buffer keeps one from that."""
    assert process.stderr is not None
    while await process.stderr.read(RECORD_BYTES):
        pass
    await process.wait()


async def _settled(task: asyncio.Future[T]) -> T | None:
    """Its result, None if it has failed; waits for that also when we are cancelled meanwhile."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return None if task.cancelled() or task.exception() else task.result()


@asynccontextmanager
async def _in_namespaces(
    facts: Facts, folders: Sequence[Path], files: Mapping[Path, bytes], descriptors: Sequence[int]
) -> AsyncIterator[Process]:
    """The launcher in namespaces; when the block is left, all processes in them have ended."""
    first: _First | None = None
    try:
        with ExitStack() as stack:
            info_end, info = map(stack.enter_context, pipe())
            ready, ready_end = map(stack.enter_context, pipe())
            contents = {
                place: stack.enter_context(_in_memory(data)).fileno()
                for place, data in {**files, Path(PASSWD): _passwd()}.items()
            }
            command = namespaced_command(
                facts,
                LAUNCHER,
                folders=folders,
                files=contents,
                info=info.fileno(),
                ready=None if facts.spare_uid is None else ready.fileno(),
            )
            passed = (*descriptors, info.fileno(), ready.fileno(), *contents.values())
            async with _started(command, passed) as process:
                info.close()
                telling = asyncio.ensure_future(_First.of(info_end))
                try:
                    first = await asyncio.shield(telling)
                    if first is not None and facts.spare_uid is not None:
                        _map_users(first.pid, facts.spare_uid)
                        ready_end.write(b"+")
                    yield process
                finally:
                    # Until it waits for bubblewrap's death, nothing else would end it.
                    first = await _settled(telling)
                    if first is not None:
                        first.kill()
    finally:
        if first is not None:
            await first.end()


def _in_memory(data: bytes) -> BinaryIO:
    stream = os.fdopen(os.memfd_create("egcfg"), "w+b")
    stream.write(data)
    stream.seek(0)
    return stream


def _passwd() -> bytes:
    """The user of a run, by name."""
    uid, gid = os.geteuid(), os.getegid()
    return f"{ENVIRONMENT['LOGNAME']}:x:{uid}:{gid}::{PRIVATE_TMP}:/bin/sh\n".encode()


@dataclass(frozen=True)
class _First:
    """The first process of a PID namespace: with it the others end."""

    pid: int
    descriptor: int

    @staticmethod
    async def of(info: BinaryIO) -> _First | None:
        """From what bubblewrap tells; None if it has failed before."""
        told = bytearray()
        await read_into(told, info, RECORD_BYTES)
        try:
            pid = json.loads(told)["child-pid"]
            return _First(pid, os.pidfd_open(pid))
        except (ValueError, KeyError, ProcessLookupError):
            return None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)

    async def end(self) -> None:
        """Wait until it has, which is after all others."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.descriptor, ended.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await ended.wait()
        finally:
            loop.remove_reader(self.descriptor)
            os.close(self.descriptor)


def _map_users(pid: int, spare_uid: int) -> None:
    """Root, and the user by whom processes are counted; bubblewrap maps one user only."""
    for name, lines in (
        ("uid_map", f"0 0 1\n{MAPPED_UID} {spare_uid} 1\n"),
        ("gid_map", "0 0 1\n"),
    ):
        Path(f"/proc/{pid}/{name}").write_text(lines)


@asynccontextmanager
async def _private_folder() -> AsyncIterator[str]:
    """A folder for one run, removed with all that is in it."""
    folder = tempfile.mkdtemp(prefix="egcfg-run-")
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(remove_tree, Path(folder)))


@asynccontextmanager
async def _watched(one: Enclosed, tmp: Path | None = None) -> AsyncIterator[Enclosed]:
    """Kill it once it takes too much, which no limit of the kernel says for all its processes."""
    watching = asyncio.create_task(_watch(one, tmp))
    try:
        yield one
    finally:
        watching.cancel()


async def _watch(one: Enclosed, tmp: Path | None) -> None:
    while one.process.returncode is None:
        await asyncio.sleep(WATCH_SECONDS)
        one.excess = await asyncio.to_thread(_excess, one.process.pid, tmp)
        if one.excess and one.process.returncode is None:
            kill_group(one.process)
            return


def _excess(pid: int, tmp: Path | None) -> str:
    if (n_bytes := resident_bytes(pid)) > MEMORY_BYTES:
        return f"the run took {n_bytes >> 20} MiB of memory"
    if tmp is not None and (n_threads := _n_threads(pid)) > LIMITS["RLIMIT_NPROC"]:
        return f"the run started {n_threads} threads"
    if tmp is not None and _is_overfull(tmp):
        return f"the run wrote more than {TMP_BYTES >> 20} MiB, or {TMP_INODES} files"
    return ""


def resident_bytes(pid: int) -> int:
    """Of a process and all it has started."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in family:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _n_threads(pid: int) -> int:
    """Of a process and all it has started; root's are not limited by the kernel."""
    try:
        root = psutil.Process(pid)
        return sum(one.num_threads() for one in (root, *root.children(recursive=True)))
    except psutil.Error:
        return 0


def _is_overfull(folder: Path) -> bool:
    """Also if a part of it cannot be looked into, or lies deeper than a path can say."""
    pending, n_files, n_bytes = [str(folder)], 0, 0
    while pending:
        try:
            for entry in os.scandir(pending.pop()):
                n_files += 1
                with suppress(FileNotFoundError):
                    n_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                if n_files > TMP_INODES or n_bytes > TMP_BYTES:
                    return True
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False
