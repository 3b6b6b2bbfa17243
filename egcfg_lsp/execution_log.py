"""The execution log: what was executed, when, in which tier, and what came of it.

JSON Lines in the user's state folder, one object a run, two files of `MAX_BYTES` at most; several
processes write to it. Holds no source text; a reason is the run's own line, so it may show values that
the tests compared. A run that ends with the server itself (killed, power cut) is missing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from egcfg_lsp.execution import Job, RunResult, Sandbox, SandboxState

MAX_BYTES = 1 << 20
"""Of a file; a full one becomes the old one, and the old one before it goes."""
MAX_CHARACTERS = 300
"""Of each text in an entry."""
LOCK_SECONDS = 10.0
OFF, CANCELLED = "off", "cancelled"
"""Outcomes besides those of a run: nothing can be executed; the run was stopped before its end."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    time: str
    """When it began: UTC, ISO 8601."""
    tier: str
    outcome: str
    """`passed`, `failed` or `inconclusive`, `OFF` or `CANCELLED`."""
    seconds: float
    project: str = ""
    file: str = ""
    """The module whose candidate ran, relative to the project."""
    tests: tuple[str, ...] = ()
    reason: str = ""
    """One line."""


class ExecutionLog:
    """Writes entries in their order, in a thread of its own; `on_problem` is told once, from there.

    Call `close` to have everything written.
    """

    def __init__(
        self, path: Path | None = None, on_problem: Callable[[str], None] = log.warning
    ) -> None:
        self.path = path or default_path()
        self.on_problem = on_problem
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="egcfg-execution-log")
        self._has_told = False

    def write(self, entry: Entry) -> None:
        """Returns at once. Never raises."""
        with suppress(RuntimeError):  # closed: what still ends after that was cancelled before
            self._thread.submit(self._append, entry)

    def close(self) -> None:
        self._thread.shutdown()

    def _append(self, entry: Entry) -> None:
        try:
            append(self.path, entry)
        except (OSError, Timeout) as error:
            if not self._has_told:
                self._has_told = True
                self.on_problem(f"the execution log {self.path} cannot be written: {error}")


class LoggedSandbox:
    """A `Sandbox` that writes down every run, and why nothing can be run."""

    def __init__(self, sandbox: Sandbox, log: ExecutionLog) -> None:
        self._sandbox, self._log = sandbox, log
        self._off: SandboxState | None = None

    async def state(self) -> SandboxState:
        state = await self._sandbox.state()
        if not state.works and state != self._off:
            self._off = state
            self._log.write(Entry(_now(), tier_of(state), OFF, 0.0, reason=one_line(state.detail)))
        return state

    async def run(self, job: Job) -> RunResult:
        state = await self.state()
        began, started = _now(), time.monotonic()
        outcome, reason = CANCELLED, ""
        try:
            result = await self._sandbox.run(job)
            outcome, reason = result.status.value, result.failure or result.reason
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            outcome, reason = "error", repr(error)
            raise
        finally:
            seconds = round(time.monotonic() - started, 3)
            self._log.write(
                Entry(
                    time=began,
                    tier=tier_of(state),
                    outcome=outcome,
                    seconds=seconds,
                    project=one_line(str(job.root)),
                    file=one_line(_relative(job.path, job.root)),
                    tests=tuple(
                        one_line(f"{_relative(test.path, job.root)}::{test.name}")
                        for test in job.tests
                    ),
                    reason=one_line(reason),
                )
            )
        return result


def default_path() -> Path:
    return platformdirs.user_state_path("egcfg-lsp", appauthor=False) / "executions.jsonl"


def old_path(path: Path) -> Path:
    """Where the entries before those of `path` are."""
    return path.with_name(path.name + ".1")


def append(path: Path, entry: Entry) -> None:
    """Add an entry; a file that it would not fit into is moved away first. Raises OSError and Timeout."""
    line = (json.dumps(asdict(entry), ensure_ascii=False) + "\n").encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=0o600):
        if path.exists() and path.stat().st_size + len(line) > MAX_BYTES:
            path.replace(old_path(path))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as stream:
            stream.write(line)


def entries(path: Path) -> Iterator[Entry]:
    """All entries, the oldest first; lines that are none are left out. Raises OSError."""
    for file in (old_path(path), path):
        with suppress(FileNotFoundError), file.open("rb") as stream:
            yield from filter(None, map(_entry, stream.read(2 * MAX_BYTES).splitlines()))


def tier_of(state: SandboxState) -> str:
    return str(getattr(state, "tier", state.name))


def one_line(text: str) -> str:
    """A text of a run, fit for a terminal: what cannot be printed is replaced, and too much left out."""
    shown = "".join(c if c.isprintable() else " " if c.isspace() else "�" for c in text[:1000])
    return shown if len(shown) <= MAX_CHARACTERS else shown[: MAX_CHARACTERS - 1] + "…"


def _entry(line: bytes) -> Entry | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = {field.name for field in fields(Entry)}
    if not isinstance(value, dict) or set(value) != known:
        return None
    texts: dict[str, Any] = {name: value[name] for name in known - {"tests", "seconds"}}
    tests, seconds = value["tests"], value["seconds"]
    if (
        all(isinstance(text, str) for text in texts.values())
        and isinstance(tests, list)
        and all(isinstance(test, str) for test in tests)
        and isinstance(seconds, int | float)
    ):
        return Entry(seconds=seconds, tests=tuple(tests), **texts)
    return None


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
