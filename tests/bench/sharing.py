"""A process of a shared benchmark with a scripted arm: `python -m tests.bench.sharing FOLDER LOG`.

Writes `pid begins|ends task` lines to LOG, so that a test sees who did what, and how often.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from egcfg_lsp.bench import BenchModel
from egcfg_lsp.bench.arms import Answer, Arm, Bench, Effort
from egcfg_lsp.bench.harness import LEASES, Plan, Workshop, run_plan
from egcfg_lsp.bench.leases import Leases
from egcfg_lsp.bench.problems import AssertResult, Judgement, Problem, Suite, Visible
from egcfg_lsp.bench.results import open_results
from tests.support.scripted import ScriptedModel, ScriptedSandbox

N_PROBLEMS = 12
CONFIGURATION = {"kind": "arms", "dataset": "humaneval", "seed": 0}


def problems() -> tuple[Problem, ...]:
    tests = Suite("the tests", "assert f() == 1")
    return tuple(
        Problem(
            "HumanEval", f"HumanEval/{i}", "f", "", "def f():\n", "    return 1\n", "", (), tests
        )
        for i in range(N_PROBLEMS)
    )


def plan(arm: Arm) -> Plan:
    model = BenchModel("scripted", "0")
    return Plan("humaneval", problems(), {}, Visible.NONE, (arm,), Effort(), 0, model)


async def passes(code: str, tests: Suite, entry_point: str) -> Judgement:
    return Judgement("return 1" in code, (AssertResult("return 1" in code, 0.0),), 1, 1)


def workshop(folder: Path) -> Workshop:
    results = open_results(folder, CONFIGURATION)
    leases = Leases(folder / LEASES)
    return Workshop(ScriptedModel(), ScriptedSandbox(), passes, results, leases)


async def main(folder: Path, log: Path) -> None:
    def say(what: str, problem: Problem) -> None:
        with log.open("a") as stream:
            stream.write(f"{os.getpid()} {what} {problem.task_id}\n")

    async def slow(problem: Problem, bench: Bench) -> Answer:
        say("begins", problem)
        await asyncio.sleep(0.15)
        say("ends", problem)
        return Answer(problem.before + "    return 1\n")

    await run_plan(plan(Arm("slow", slow, ())), workshop(folder), lambda: None)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
