"""Running candidates. `Sandbox` is the seam: what the ladder knows of execution is this protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.source.oracle import OracleTest


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """Nothing can be said: no verdict came, or the sandbox blocked an action."""


@dataclass(frozen=True)
class Job:
    """One candidate against its oracle tests."""

    root: Path
    """The project; mounted read-only, and the working folder of the run."""
    interpreter: Interpreter
    path: Path
    """The module under test, which must exist below `root`."""
    text: str
    """What the run sees instead of that module's content."""
    tests: tuple[OracleTest, ...]
    first_line: int
    last_line: int
    """1-based, inclusive: the lines whose execution is watched."""
    deadline_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables the run sees besides the sandbox's own, which win."""


@dataclass(frozen=True)
class RunResult:
    status: Status
    n_passed: int = 0
    n_tests: int = 0
    """Tests that gave a verdict."""
    failure: str = ""
    """The first failing test's reason, one line."""
    missed_lines: tuple[int, ...] = ()
    """Watched lines with code on them that no test executed."""
    raised: bool = False
    """Whether an exception came out of a watched line."""
    reason: str = ""
    """Why the run was inconclusive, one line."""
    compiles: bool = True
    """Whether the project's interpreter compiles the text."""


@dataclass(frozen=True)
class SandboxState:
    """What protects the host; `works` False: nothing can be run, and `detail` says why."""

    name: str
    works: bool
    detail: str
    tier: Tier = Tier.NONE


class Sandbox(Protocol):
    async def state(self) -> SandboxState: ...

    async def run(self, job: Job) -> RunResult:
        """Runs to the end or the deadline; a cancelled call leaves no process behind. Never raises."""
        ...


LIMITS: Mapping[str, int] = {
    "RLIMIT_AS": 32 << 30,
    "RLIMIT_CORE": 0,
    "RLIMIT_DATA": 2 << 30,
    "RLIMIT_FSIZE": 64 << 20,
    "RLIMIT_MEMLOCK": 0,
    "RLIMIT_MSGQUEUE": 0,
    "RLIMIT_NICE": 0,
    "RLIMIT_NOFILE": 256,
    "RLIMIT_NPROC": 64,
    "RLIMIT_RTPRIO": 0,
    "RLIMIT_SIGPENDING": 256,
    "RLIMIT_STACK": 64 << 20,
}
"""Resource limits of a run, in the units of `setrlimit`; CPU time follows the deadline."""
MEMORY_BYTES = 4 << 30
"""Resident memory of all processes of a run together, which is looked at now and then."""
TMP_BYTES = 64 << 20
TMP_INODES = 4096
"""Of the private folder for temporary files; a file, folder or link is one inode."""
RECORD_BYTES = 64 << 10
"""Largest result record that is read."""
