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
    target: str = ""
    """The qualified name of the function that the candidate changes; empty: not known."""
    target_lines: tuple[int, int] | None = None
    """1-based, inclusive: that whole function in `text`, with its decorators."""
    fresh: bool = False
    """Import the patched module and collect the tests again, in a process that has done neither."""
    seed: int = 0
    """Of `random`, and of NumPy where it is imported; of the hashes of strings too, but where only
    the function was exchanged."""
    stop_early: bool = False
    """End behind the first test that fails."""
    overlays: Mapping[Path, str] = field(default_factory=dict)
    """What the run sees instead of other files: the buffers that are not saved."""


class How(StrEnum):
    """How the process came about in which the tests ran."""

    COLD = "cold"
    """Started for this run."""
    FRESH = "fresh"
    """A fork of an interpreter without the project's modules, which imported the candidate."""
    SWAPPED = "swapped"
    """A fork of one that has collected the tests, in which the target's code was exchanged."""


class Ending(StrEnum):
    """A finer word for what became of a run."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The tests could not be run: an import or the collection failed, all were skipped …"""
    TIMEOUT = "timeout"
    FUEL = "fuel"
    """The target executed more lines than a run may."""
    CRASHED = "crashed"
    """The process was ended by a signal of its own."""
    DIED = "died"
    """The process ended without a result, or there was none."""
    BLOCKED = "blocked"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True)
class TestResult:
    """Of one test, as pytest collects it: one for each set of parameters."""

    __test__ = False

    name: str
    outcome: str
    """`passed`, `failed`, `skipped` or `error`; the last two say nothing of the candidate."""
    seconds: float


@dataclass(frozen=True)
class RunResult:
    """Equal if the verdict is: how it came about, and the evidence, are not compared."""

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
    ending: Ending = field(default=Ending.DIED, compare=False)
    tests: tuple[TestResult, ...] = field(default=(), compare=False)
    output: str = field(default="", compare=False)
    """The head of what the first test with an output wrote, several lines of printable text."""
    trace: Mapping[str, object] | None = field(default=None, compare=False)
    """What ran, as the process told it, which need not be true."""
    how: How = field(default=How.COLD, compare=False)
    slow: str = field(default="", compare=False)
    """Why it was not swapped, for people; empty where it was, or was not to be."""


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
OUTPUT_CHARACTERS = 2000
