"""Executes cases in a world, one after the other, and reports each as a line of JSON.

What goes on beside them is a sibling, which must end well. An order on standard input:
`{"subject": "A" | "A−" | "B" | "zygote" | "judge", "cases": [names], "mark": …}`. Started by `batches.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from egcfg_lsp.bench.judge import judge
from egcfg_lsp.bench.problems import Suite
from egcfg_lsp.execution import How, Job, Sandbox, Status
from egcfg_lsp.execution import zygote as zygotes
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.source.oracle import OracleKind, OracleTest
from tests.execution.targets import lines_of
from tests.hostile.cases import (
    GRACE_SECONDS,
    LONG_SECONDS,
    Case,
    Expect,
    case,
    problems_of,
    told_by,
)
from tests.hostile.host import SIBLING_FOLDER, Host, State, differences, test_path, write_project
from tests.hostile.mechanisms import CASES
from tests.hostile.resting import Resting

JUDGE = "judge"
ZYGOTE = "zygote"
"""Tier A, with what is kept from one run to the next."""
TIER = "the tier"
"""A pseudo-case: whether it is the very tier that was asked for, and works."""
SIBLING = "the sibling"
"""A pseudo-case: the last run that went on beside the others."""
END = "the end"
"""A pseudo-case of the zygote: whether the pool, once closed, has left anything."""
COLLECT_SECONDS = 8.0
"""For a collection that does not end; the pool's own limit is longer."""
HONEST = case("honest", "return a + b", Expect.PASSED)
NEXT = case(
    "the next run",
    """
import tempfile
assert not os.listdir(os.environ["TMPDIR"])
tempfile.TemporaryFile().close()
assert all(map(os.get_blocking, range(3))), "descriptors do not block"
assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) and not signal.sigpending()
assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
assert os.getcwd() == W["project"] and os.umask(0o022) == 0o022
return a + b
""",
    Expect.PASSED,
)
"""Sees whatever the run before could have left for it."""
RESTING = replace(
    case("sibling", "time.sleep(4)\nreturn a + b", Expect.PASSED), deadline_seconds=4 * LONG_SECONDS
)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    if sys.argv[1:] == ["sibling"]:
        asyncio.run(be_sibling(order["subject"]))
    else:
        asyncio.run(drive(order))


async def drive(order: dict[str, Any]) -> None:
    zygotes.COLLECT_SECONDS = COLLECT_SECONDS
    host = Host(order["mark"], CASES.values())
    sandbox = await sandbox_of(order["subject"])
    if isinstance(sandbox, Pool):
        host.resting = Resting(sandbox)
    run = runner(sandbox, host)
    report(TIER, await problems_of_tier(order["subject"]))
    for _ in range(2):  # what the first runs of a process leave is left once
        await run(HONEST)
    if host.resting is not None:
        report(TIER, await host.resting.rest())
        host.resting.calibrate()
    sibling = await Sibling.start(order, host)
    for name in order["cases"]:
        print(json.dumps({"starts": name}), flush=True)
        begun = time.monotonic()
        told, problems = await execute(CASES[name], run, host)
        problems += sibling.problems()
        report(name, problems, told, time.monotonic() - begun)
    ended = await sibling.end()
    if host.resting is not None:
        report(END, await host.resting.close({host.start_canary().pid}))
    report(SIBLING, ended)
    host.close()


async def sandbox_of(subject: str) -> Sandbox | None:
    """None: the judge's, which are its own business."""
    if subject == JUDGE:
        return None
    if subject != ZYGOTE:
        return KernelSandbox(tier=Tier(subject))
    cold = KernelSandbox(tier=Tier.A)
    await cold.state()
    return Pool(cold)


async def problems_of_tier(subject: str) -> list[str]:
    if subject == JUDGE:
        return []
    expected = tier_of(subject)
    state = await KernelSandbox(tier=expected).state()
    if not state.works:
        return [f"does not work here: {state.detail}"]
    return [] if state.tier == expected else [f"it is {state.tier}, not {expected}"]


def tier_of(subject: str) -> Tier:
    return Tier.A if subject in (JUDGE, ZYGOTE) else Tier(subject)


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    told: str
    """For people."""
    problems: tuple[str, ...] = ()
    has_passed: bool = False
    is_swapped: bool = False
    """Done in a child of the pool's that was parked before."""


Run = Callable[[Case], Awaitable[Ending]]


async def execute(one: Case, run: Run, host: Host) -> tuple[str, list[str]]:
    """What the run said, and what is wrong."""
    before = await host.steady()
    most = one.deadline_seconds + GRACE_SECONDS
    try:
        ending = await asyncio.wait_for(run(one), most)
    except TimeoutError:
        ending = Ending("nothing", (f"did not return within {most:g} s",))
    except Exception as error:
        ending = Ending("nothing", (f"raised {type(error).__name__}: {error}",))
    problems = [*ending.problems]
    if host.resting is not None:
        problems += await problems_of_next(run, host.resting, one.is_heavy)
    after = await host.settled(before)
    problems += differences(before, after)
    problems += host.described({*after["processes"]} - {*before["processes"]})
    restore(before, after, host)
    if (one.is_heavy or problems) and not (honest := await run(HONEST)).has_passed:
        problems.append(f"an honest run right afterwards: {honest.told}")
    return ending.told, problems


async def problems_of_next(run: Run, resting: Resting, is_heavy: bool) -> list[str]:
    """Of the pool at rest, and of the next run in it, which is to be as if none had been before."""
    if is_heavy:  # what comes later is found when the pool counts its processes
        await asyncio.sleep(2 * zygotes.REST_SECONDS)
    problems = await resting.rest()
    next_one = await run(NEXT)
    if not (next_one.has_passed and next_one.is_swapped):
        problems.append(f"the next run in the pool: {next_one.told} {next_one.problems}")
    return [*problems, *await resting.rest()]


def restore(before: State, after: State, host: Host) -> None:
    """So that the next case finds the world as this one did."""
    host.kill({*after["processes"]} - {*before["processes"]})
    if before["files"] != after["files"]:
        host.plant(CASES.values())


def runner(sandbox: Sandbox | None, host: Host) -> Run:
    if sandbox is None:
        return lambda one: judged(one, host)

    async def run(one: Case) -> Ending:
        result = await sandbox.run(job_for(one, host.project, host.facts()))
        told = f"{result.status.value}, {result.how}: {told_by(result)} {result.slow}".strip()
        is_passed, is_swapped = result.status is Status.PASSED, result.how is How.SWAPPED
        return Ending(told, tuple(problems_of(one, result)), is_passed, is_swapped)

    return run


def job_for(one: Case, project: Path, facts: dict[str, object]) -> Job:
    text = one.text(facts)
    first_line = text[: text.rindex(one.source)].count("\n") + 1
    definition = text[: text.rindex("def add(a, b):")].count("\n") + 1
    return Job(
        root=project,
        interpreter=find_interpreter(project, None, {}),
        path=project / "calc.py",
        text=text,
        tests=(OracleTest(test_path(project, one), "test_add", OracleKind.FUNCTION, "", ""),),
        first_line=first_line + 1,
        last_line=first_line + one.source.count("\n"),
        deadline_seconds=one.deadline_seconds,
        target="add",
        target_lines=lines_of(text, definition),
    )


async def judged(one: Case, host: Host) -> Ending:
    """By the benchmark's judge, which passes the honest ones and nothing else, however it is told."""
    suite = Suite("own", "def check(candidate):\n    assert candidate(1, 2) == 3\n")
    found = await judge(one.text(host.facts()), suite, "add", deadline_seconds=one.deadline_seconds)
    told = f"{found.passed}: {found.reason}"
    problems = []
    if bool(found.passed) is not (one.expect is Expect.PASSED) or "ESCAPED" in found.reason:
        problems.append(f"the judge says {told}")
    return Ending(told, tuple(problems), found.passed is True)


class Sibling:
    """A process that has honest runs of its own going on all the time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[str] = []
        self.reading = asyncio.ensure_future(self.read())

    @staticmethod
    async def start(order: dict[str, Any], host: Host) -> Sibling:
        SIBLING_FOLDER.mkdir(exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.hostile.driver", "sibling",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(SIBLING_FOLDER)},
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        host.sibling_pid = process.pid
        assert process.stdout is not None
        await process.stdout.readline()  # its sandbox has probed the machine
        return Sibling(process)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.told.append(line.decode())

    def problems(self) -> list[str]:
        """Of its runs that have ended since."""
        problems = self.ended_badly()
        if self.process.returncode is not None:
            problems.append(f"the sibling is gone (exit status {self.process.returncode})")
        return problems

    def ended_badly(self) -> list[str]:
        told, self.told = self.told, []
        return [f"a sibling ended badly: {line}" for line in told if line != "passed\n"]

    async def end(self) -> list[str]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 60)
        except TimeoutError:
            self.process.kill()
            return ["the sibling hangs"]
        await self.reading
        return self.ended_badly()


async def be_sibling(subject: str) -> None:
    """Runs until standard input ends, at least once."""
    project = SIBLING_FOLDER / "project"
    write_project(project, [RESTING])
    sandbox = await sandbox_of(subject) or KernelSandbox(tier=Tier.A)
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    await sandbox.state()
    print("ready", flush=True)
    while True:
        result = await sandbox.run(job_for(RESTING, project, {}))
        print("passed" if result.status is Status.PASSED else told_by(result), flush=True)
        if ended.done():
            break
    if isinstance(sandbox, Pool):
        await sandbox.close()


def report(name: str, problems: list[str], told: str = "", seconds: float = 0) -> None:
    line = {"case": name, "problems": problems, "told": told, "seconds": round(seconds, 2)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
