"""Executes cases in a world, one after the other, and reports each as a line of JSON.

What goes on beside them is a sibling, which must end well. An order on standard input:
`{"subject": "A" | "A−" | "B" | "judge", "cases": [names], "mark": …}`. Started by `batches.py`.
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
from egcfg_lsp.execution import Job, Status
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.source.oracle import OracleKind, OracleTest
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

JUDGE = "judge"
TIER = "the tier"
"""A pseudo-case: whether it is the very tier that was asked for, and works."""
SIBLING = "the sibling"
"""A pseudo-case: the last run that went on beside the others."""
HONEST = case("honest", "return a + b", Expect.PASSED)
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
    host = Host(order["mark"], CASES.values())
    run = runner(order["subject"], host)
    report(TIER, await problems_of_tier(order["subject"]))
    for _ in range(2):  # what the first runs of a process leave is left once
        await run(HONEST)
    sibling = await Sibling.start(order, host)
    for name in order["cases"]:
        print(json.dumps({"starts": name}), flush=True)
        begun = time.monotonic()
        told, problems = await execute(CASES[name], run, host)
        problems += sibling.problems()
        report(name, problems, told, time.monotonic() - begun)
    report(SIBLING, await sibling.end())
    host.close()


async def problems_of_tier(subject: str) -> list[str]:
    if subject == JUDGE:
        return []
    state = await KernelSandbox(tier=Tier(subject)).state()
    if not state.works:
        return [f"does not work here: {state.detail}"]
    tier = getattr(state, "tier", None)
    return [] if tier == Tier(subject) else [f"it is {tier}, not {subject}"]


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    told: str
    """For people."""
    problems: tuple[str, ...] = ()
    has_passed: bool = False


Run = Callable[[Case], Awaitable[Ending]]


async def execute(one: Case, run: Run, host: Host) -> tuple[str, list[str]]:
    """What the run said, and what is wrong."""
    before = host.state()
    most = one.deadline_seconds + GRACE_SECONDS
    try:
        ending = await asyncio.wait_for(run(one), most)
    except TimeoutError:
        ending = Ending("nothing", (f"did not return within {most:g} s",))
    except Exception as error:
        ending = Ending("nothing", (f"raised {type(error).__name__}: {error}",))
    after = await host.settled(before)
    problems = [*ending.problems, *differences(before, after)]
    problems += host.described({*after["processes"]} - {*before["processes"]})
    restore(before, after, host)
    if (one.is_heavy or problems) and not (honest := await run(HONEST)).has_passed:
        problems.append(f"an honest run right afterwards: {honest.told}")
    return ending.told, problems


def restore(before: State, after: State, host: Host) -> None:
    """So that the next case finds the world as this one did."""
    host.kill({*after["processes"]} - {*before["processes"]})
    if before["files"] != after["files"]:
        host.plant(CASES.values())


def runner(subject: str, host: Host) -> Run:
    if subject == JUDGE:
        return lambda one: judged(one, host)
    sandbox = KernelSandbox(tier=Tier(subject))

    async def run(one: Case) -> Ending:
        result = await sandbox.run(job_for(one, host.project, host.facts()))
        told = f"{result.status.value}: {told_by(result)}"
        return Ending(told, tuple(problems_of(one, result)), result.status is Status.PASSED)

    return run


def job_for(one: Case, project: Path, facts: dict[str, object]) -> Job:
    text = one.text(facts)
    first_line = text[: text.rindex(one.source)].count("\n") + 1
    return Job(
        root=project,
        interpreter=find_interpreter(project, None, {}),
        path=project / "calc.py",
        text=text,
        tests=(OracleTest(test_path(project, one), "test_add", OracleKind.FUNCTION, "", ""),),
        first_line=first_line + 1,
        last_line=first_line + one.source.count("\n"),
        deadline_seconds=one.deadline_seconds,
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
    sandbox = KernelSandbox(tier=Tier.A if subject == JUDGE else Tier(subject))
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    await sandbox.state()
    print("ready", flush=True)
    while True:
        result = await sandbox.run(job_for(RESTING, project, {}))
        print("passed" if result.status is Status.PASSED else told_by(result), flush=True)
        if ended.done():
            return


def report(name: str, problems: list[str], told: str = "", seconds: float = 0) -> None:
    line = {"case": name, "problems": problems, "told": told, "seconds": round(seconds, 2)}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
