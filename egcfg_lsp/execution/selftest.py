"""Whether a tier holds here: a canary, run as candidates are, tries to get out.

What it must not reach is set up around it and looked at afterwards: a secret in the home folder, a
process, listening sockets, places to write to. Tries one way of each kind only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import secrets
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from egcfg_lsp.execution import RECORD_BYTES
from egcfg_lsp.execution.enclosure import (
    ENVIRONMENT,
    RUNNER,
    Surroundings,
    enclosed,
    feed_and_drain,
    pipe,
    read_into,
)
from egcfg_lsp.execution.facts import homes
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.runner.launch import FAILED as LAUNCH_FAILED

log = logging.getLogger(__name__)
SECONDS = 30.0
"""A machine under load takes long to start a process, which is no escape."""
VARIABLES = {*ENVIRONMENT, "HOME", "TMPDIR", "PWD", "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "LC_CTYPE"}
"""What the canary may find in its environment; Python itself sets `LC_CTYPE`."""


class _NoAnswerError(Exception):
    """The canary ended without a word: nobody knows what it could reach."""


async def self_test(surroundings: Surroundings) -> str:
    """What worked that must not, or why nothing could be tried; empty: the tier holds.

    An answer is never asked for again; a canary that gave none is sent once more.
    """
    try:
        async with asyncio.timeout(SECONDS):
            try:
                return await _attempt(surroundings)
            except _NoAnswerError as error:
                log.warning("the self-test got %s; once more", error)
                return await _attempt(surroundings)
    except _NoAnswerError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s, or a process lived on"
    except OSError as error:
        return f"it could not be started: {error}"


async def _attempt(surroundings: Surroundings) -> str:
    """Raises _NoAnswerError, OSError."""
    secret, name = secrets.token_hex(16), f".egcfg-canary-{secrets.token_hex(4)}"
    with ExitStack() as stack:
        project = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="egcfg-canary-")))
        aside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="egcfg-canary-")))
        home = min(homes(), default=aside)
        for folder in (aside, home):
            stack.enter_context(_planted(folder / name, secret))
        traces = [folder / f"{name}-trace" for folder in (project, home, Path("/var/tmp"))]
        stack.callback(_remove, traces)
        left_open = stack.enter_context((project / "left-open").open("wb"))
        tcp, unix, abstract = (
            stack.enter_context(socket.socket(family))
            for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_UNIX)
        )
        tcp.bind(("127.0.0.1", 0))
        unix.bind(str(project / "socket"))
        abstract.bind(f"\0{name}")
        for listener in (tcp, unix, abstract):
            listener.listen(1)
        victim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"),
            stdin=DEVNULL,
            stdout=DEVNULL,
            env={"EGCFG_CANARY": secret},
        )
        try:
            order = {
                "secret": secret,
                "secret_in_home": str(home / name),
                "secret_elsewhere": str(aside / name),
                "variables": sorted(VARIABLES),
                "tcp": tcp.getsockname(),
                "unix": str(project / "socket"),
                "abstract": name,
                "write": [str(path) for path in traces],
                "victim": victim.pid,
            }
            limit = resource.prlimit(victim.pid, resource.RLIMIT_NOFILE)
            try:
                answer = await _run(surroundings, project, order, left_open.fileno())
            except _NoAnswerError:
                if found := _judged({"escapes": []}, traces, victim, limit):
                    return found
                raise
            return _judged(answer, traces, victim, limit)
        finally:
            with suppress(ProcessLookupError):
                victim.kill()
            await victim.wait()


async def _run(
    surroundings: Surroundings, project: Path, order: dict[str, Any], left_open: int
) -> dict[str, Any]:
    """The canary's answer. Its record ends only when no process holds the descriptor any more.

    Raises _NoAnswerError, OSError.
    """
    nonce, record = secrets.token_hex(16), bytearray()
    read_end, write_end = pipe()
    with read_end, write_end:
        async with enclosed(
            surroundings,
            find_interpreter(RUNNER, None, {}),
            "canary",
            write_end.fileno(),
            strays=[left_open],
            folders=[project],
            deadline_seconds=SECONDS,
        ) as running:
            whole = {"nonce": nonce, "result_fd": write_end.fileno()}
            data = json.dumps({**order, **whole}).encode()
            write_end.close()
            _, errors = await asyncio.gather(
                read_into(record, read_end, RECORD_BYTES), feed_and_drain(running.process, data)
            )
            code = await running.process.wait()
    try:
        answer = json.loads(record)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or (answer.get("nonce") != nonce and "error" not in answer):
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        if code == LAUNCH_FAILED:
            return {"error": last}
        told = f"exit status {code}, {len(record)} bytes"
        raise _NoAnswerError(f"no answer ({told}) {last}".strip())
    return answer


def _judged(
    answer: dict[str, Any], traces: list[Path], victim: Process, limit: tuple[int, int]
) -> str:
    if "error" in answer:
        return str(answer["error"])
    found = [*map(str, answer["escapes"])]
    found += [f"write to {path.parent}" for path in traces if path.exists()]
    try:
        os.kill(victim.pid, 0)
        is_alive = _state_of(victim.pid) != "Z"
        is_limited = is_alive and resource.prlimit(victim.pid, resource.RLIMIT_NOFILE) != limit
    except ProcessLookupError:
        is_alive = is_limited = False
    found += [] if is_alive else ["kill another process"]
    found += ["limit another process"] if is_limited else []
    return f"it could {', '.join(found)}" if found else ""


def _state_of(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0]


@contextmanager
def _planted(path: Path, secret: str) -> Iterator[Path]:
    """A file of the user with a secret in it; not there where the home folder cannot be written to."""
    with suppress(OSError):
        path.write_text(secret)
    try:
        yield path
    finally:
        _remove([path])


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()
