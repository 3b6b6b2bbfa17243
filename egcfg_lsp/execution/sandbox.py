"""The sandbox of a run: one cold process a run, in the best tier that this machine has.

What protects the host is in `tiers.py` (which tier), `enclosure.py` (what is around the process) and
`runner/confinement.py` (what the process imposes on itself); it is tried out before the first run
(`selftest.py`). Here a job becomes an order, and a record a result. The record comes from a process
that the candidate shares: against code that means to forge it, it is best effort.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache

from egcfg_lsp.execution import RECORD_BYTES, Job, RunResult, SandboxState
from egcfg_lsp.execution.enclosure import (
    Enclosed,
    Surroundings,
    enclosed,
    feed_and_drain,
    pipe,
    read_into,
)
from egcfg_lsp.execution.facts import folder_with_home, homes, probe_facts
from egcfg_lsp.execution.record import inconclusive, result_of, timed_out
from egcfg_lsp.execution.selftest import self_test
from egcfg_lsp.execution.tiers import Facts, Tier, choose_tier

log = logging.getLogger(__name__)


class KernelSandbox:
    """A `Sandbox`; what it can do here is probed and tried once.

    `tier`: that one, or none if it cannot be had; by default the best. `environment`: variables
    that every run sees.
    """

    def __init__(
        self, tier: Tier | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._tier = tier
        self._environment = dict(environment or {})
        self._lock = asyncio.Lock()
        self._found: tuple[SandboxState, Surroundings] | None = None

    async def state(self) -> SandboxState:
        return (await self._probed())[0]

    async def surroundings(self) -> Surroundings:
        """What a run is put into; meaningful only if the state says that it works."""
        return (await self._probed())[1]

    def with_environment(self, job: Job) -> Job:
        """The job with the variables that every run sees, which its own go before."""
        return replace(job, environment={**self._environment, **job.environment})

    async def run(self, job: Job) -> RunResult:
        state, surroundings = await self._probed()
        if not state.works:
            return inconclusive(state.detail)
        if (problem := unsafe_mount(job)) is not None:
            return inconclusive(problem)
        if not job.path.is_file():
            return inconclusive("the file is not saved yet")
        try:
            return await _run(self.with_environment(job), surroundings)
        except UnicodeEncodeError:
            return inconclusive("the text has half a character (a lone surrogate)")
        except OSError as error:
            return inconclusive(f"the sandbox could not be started: {error}")

    async def _probed(self) -> tuple[SandboxState, Surroundings]:
        async with self._lock:
            if self._found is None:
                self._found = await _probe(self._tier)
                state = self._found[0]
                log.log(logging.INFO if state.works else logging.WARNING, "%s", state.detail)
        return self._found


def allowed_environment(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an allow-list that are set."""
    return {name: environment[name] for name in names if name in environment}


def unsafe_mount(job: Job) -> str | None:
    """Why the folders of a run must not be seen by it: each would show the user's home or more."""
    if folder := folder_with_home((job.root, *job.interpreter.folders)):
        return f"{folder} holds the whole home folder; open a project folder instead"
    if not job.path.resolve().is_relative_to(job.root.resolve()):
        return "the file is a link to a place outside of the project"
    return None


async def _probe(forced: Tier | None) -> tuple[SandboxState, Surroundings]:
    facts: Facts = await probe_facts()
    choice = choose_tier(facts, forced)
    surroundings = Surroundings(choice.tier, facts)
    if choice.tier is Tier.NONE:
        return SandboxState("none", False, choice.reason), surroundings
    name = "bubblewrap" if choice.tier.has_namespaces else "landlock"
    if escape := await self_test(surroundings):
        detail = f"tier {choice.tier} failed its self-test: {escape}; nothing is executed"
        return SandboxState(name, False, detail, choice.tier), surroundings
    detail = f"tier {choice.tier} ({choice.tier.layers})"
    detail += f"; {choice.reason}" if choice.reason else ""
    return SandboxState(name, True, detail, choice.tier), surroundings


async def _run(job: Job, surroundings: Surroundings) -> RunResult:
    """Raises OSError."""
    nonce, record = secrets.token_hex(16), bytearray()
    with ExitStack() as stack:
        read_end, write_end = map(stack.enter_context, pipe())
        files = {}
        if surroundings.tier.has_namespaces:
            files = {job.path.resolve(): job.text.encode()}
        running: Enclosed | None = None
        try:
            async with (
                asyncio.timeout(job.deadline_seconds),
                enclosed(
                    surroundings,
                    job.interpreter,
                    "cold",
                    write_end.fileno(),
                    folders=[job.root],
                    files=files,
                    environment=job.environment,
                    hash_seed=job.seed,
                    deadline_seconds=job.deadline_seconds,
                ) as running,
            ):
                order = _order(job, write_end.fileno(), nonce)
                if not files:
                    order["text"] = job.text
                write_end.close()
                _, errors = await asyncio.gather(
                    read_into(record, read_end, RECORD_BYTES),
                    feed_and_drain(running.process, json.dumps(order).encode()),
                )
                code = await running.process.wait()
        except TimeoutError:
            return timed_out(job.deadline_seconds)
    if running.excess:
        return inconclusive(running.excess)
    return result_of(bytes(record), nonce, code, errors)


def _order(job: Job, result_fd: int, nonce: str) -> dict[str, object]:
    return {
        **order_of(job),
        "result_fd": result_fd,
        "nonce": nonce,
        "text": None,
    }


@cache
def _hidden() -> list[str]:
    return sorted(map(str, homes()))


def order_of(job: Job) -> dict[str, object]:
    """What the runner is told of a job, whatever process it is."""
    return {
        "root": str(job.root),
        "path": str(job.path),
        "tests": [
            {"path": str(test.path), "name": test.name, "kind": test.kind.value}
            for test in job.tests
        ],
        "first_line": job.first_line,
        "last_line": job.last_line,
        "target_lines": job.target_lines,
        "hidden": _hidden(),
        "seed": job.seed,
        "stop_early": job.stop_early,
        "overlays": {str(path): text for path, text in job.overlays.items()},
    }
