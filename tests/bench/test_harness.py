"""The harness: what a result says, going on, and several processes on one folder, one of them killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.arms import ARMS, Answer, Arm, Bench, Effort
from egcfg_lsp.bench.harness import Plan, announce, check, result_of, run_plan
from egcfg_lsp.bench.problems import Judgement, Problem, Suite, Visible
from egcfg_lsp.bench.results import Results
from egcfg_lsp.bench.task import TaskResult
from egcfg_lsp.model import ModelError, Usage
from tests.bench import sharing

EXAMPLE = "assert f() == 1"


def arm_saying(*bodies: str, needs_tests: bool = False) -> Arm:
    """Each problem is answered with the next body."""
    left = list(bodies)

    async def run(problem: Problem, bench: Bench) -> Answer:
        return Answer(problem.before + left.pop(0))

    return Arm("scripted", run, (), needs_tests)


async def run_with(plan: Plan, folder: Path) -> int:
    """How often a task was reported as done."""
    n = 0

    def count() -> None:
        nonlocal n
        n += 1

    await run_plan(plan, sharing.workshop(folder), count)
    return n


def read(folder: Path) -> dict[str, TaskResult]:
    return {result.task_id: result for result in Results(folder).read_all(TaskResult)}


async def test_every_task_has_a_result_and_is_done_once(tmp_path: Path) -> None:
    bodies = ["    return 1\n"] * 11 + ["    return 2\n"]
    plan = sharing.plan(arm_saying(*bodies))
    assert await run_with(plan, tmp_path) == 12
    results = read(tmp_path)
    assert [result.passed for result in results.values()].count(True) == 11
    assert (tmp_path / "humaneval/scripted/scripted/task_id=HumanEval%2F3_gamma=0.json").exists()
    assert await run_with(plan, tmp_path) == 12, "nothing is done again: the arm has no more to say"


async def test_a_run_that_was_ended_goes_on(tmp_path: Path) -> None:
    plan = sharing.plan(arm_saying("    return 1\n", "    return 1\n"))
    with pytest.raises(IndexError):
        await run_with(plan, tmp_path)
    assert set(read(tmp_path)) == {"HumanEval/0", "HumanEval/1"}
    rest = sharing.plan(arm_saying(*["    return 3\n"] * 10))
    await run_with(rest, tmp_path)
    results = read(tmp_path)
    assert len(results) == 12
    assert [results[f"HumanEval/{i}"].passed for i in range(3)] == [True, True, False]


async def test_a_model_that_cannot_answer_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egcfg_lsp.bench.harness.RETRY_SECONDS", 0.0)
    attempts = []

    async def run(problem: Problem, bench: Bench) -> Answer:
        attempts.append(problem.task_id)
        raise ModelError("no memory")

    with pytest.raises(ModelError, match="no memory"):
        await run_with(sharing.plan(Arm("broken", run, ())), tmp_path)
    assert attempts == ["HumanEval/0"] * 2
    assert read(tmp_path) == {}
    assert list((tmp_path / ".leases").iterdir()) == []


async def test_a_model_that_hung_once_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once at every task; the result tells only of the attempt that it is from."""
    monkeypatch.setattr("egcfg_lsp.bench.harness.RETRY_SECONDS", 0.0)
    attempts: Counter[str] = Counter()

    async def run(problem: Problem, bench: Bench) -> Answer:
        attempts[problem.task_id] += 1
        bench.model.usage = Usage(n_generated=7)
        if attempts[problem.task_id] == 1:
            raise ModelError("the model worker hung for 60 s")
        return Answer(problem.before + "    return 1\n")

    assert await run_with(sharing.plan(Arm("shaky", run, ())), tmp_path) == 12
    assert set(attempts.values()) == {2}
    assert {result.stats.output_tokens for result in read(tmp_path).values()} == {7}


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        (Effort(budget=1_000_000), Effort(budget=1_000_001), "best-of-n_ns8t0.8b1000000"),
        (Effort(temperature=0.8), Effort(temperature=0.8000001), "best-of-n_ns8t0.8"),
        (Effort(temperature=1.0), Effort(temperature=1.5), "best-of-n_ns8t1"),
        (Effort(max_tokens=1_000_000), Effort(max_tokens=1_000_001), "best-of-n_ns8t0.8m1000000"),
    ],
)
def test_efforts_that_differ_have_folders_that_differ(
    one: Effort, other: Effort, name: str
) -> None:
    arm = ARMS["best-of-n"]
    assert arm.config(one) == name
    plans = [replace(sharing.plan(arm), effort=effort) for effort in (one, other)]
    assert plans[0].group(arm) != plans[1].group(arm)


@pytest.mark.parametrize(
    ("visible", "seen", "shown", "judging_seen"),
    [
        (Visible.NONE, "", "", False),
        (Visible.DOCSTRING, "the docstring's examples", "", False),
        (Visible.FIRST, "HumanEval's first assert", "assert f(0) == 1\n", True),
        (Visible.ALL, "own", sharing.problems()[0].tests.source, True),
    ],
)
async def test_the_protocol_stands_in_the_result(
    visible: Visible, seen: str, shown: str, judging_seen: bool, tmp_path: Path
) -> None:
    """Which tests guide and which judge; and that the arm gets the former only."""
    source = "def check(candidate):\n    assert candidate(0) == 1\n    assert candidate(1) == 2\n"
    problem = replace(
        sharing.problems()[0], examples=("assert f(3) == 4",), tests=Suite("own", source)
    )
    got: list[Bench] = []

    async def run(problem: Problem, bench: Bench) -> Answer:
        got.append(bench)
        await bench.run_visible("x") if bench.visible else None
        return Answer(problem.before + "    return 1\n")

    asked: list[tuple[str, str]] = []

    async def judge(code: str, tests: Suite, entry_point: str) -> Judgement:
        asked.append((code, tests.name))
        return Judgement(False, (), 1, 2, "f(1) → 1, want 2", 0.5)

    plan = replace(sharing.plan(Arm("a", run, ())), visible=visible)
    workshop = replace(sharing.workshop(tmp_path), judge=judge)
    (task,) = replace(plan, problems=(problem,)).tasks
    result = await result_of(task, plan, workshop)
    assert (result.visible, result.tests_seen) == (visible, seen)
    assert (result.tests_judging, result.judging_seen) == ("own", judging_seen)
    if visible is not Visible.ALL:
        assert got[0].tests_text == shown
    else:
        assert "candidate(1) == 2" in got[0].tests_text
    assert result.stats.runs == (visible is not Visible.NONE)
    assert asked[-1] == (problem.before + "    return 1\n", "own")
    assert (result.passed, result.accuracy) == (False, 0.5)
    assert (result.n_tests, result.has_testcase_error) == (2, True)
    assert (result.general_error, result.stats.judge_seconds) == ("f(1) → 1, want 2", 0.5)


async def test_another_judge(tmp_path: Path) -> None:
    plan = sharing.plan(arm_saying("    return 1\n"))
    plan = replace(plan, judges={"HumanEval/0": Suite("HumanEval+", "assert f() == 1")})
    result = await result_of(plan.tasks[0], plan, sharing.workshop(tmp_path))
    assert (result.tests_judging, result.judging_seen) == ("HumanEval+", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": ()}, "no problem is left"),
        ({"arms": (ARMS["verify"],), "visible": Visible.NONE}, "verify: .*--visible none"),
        ({"arms": (ARMS["verify"],), "visible": Visible.DOCSTRING}, "verify: .*docstring"),
    ],
)
def test_plans_that_make_no_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        check(replace(sharing.plan(arm_saying()), **changes))  # type: ignore[arg-type]


def test_who_watches_is_told(tmp_path: Path) -> None:
    plan = sharing.plan(arm_saying())
    announce(plan, tmp_path)
    announce(plan, tmp_path)
    assert len(list((tmp_path / "runs").glob("*.json"))) == 2


WORKER = """
import asyncio, sys
from pathlib import Path
from tests.bench import sharing

print("ready", flush=True)
input()
asyncio.run(sharing.main(*map(Path, sys.argv[1:])))
"""


def start(folder: Path, log: Path, n: int) -> list[subprocess.Popen[bytes]]:
    """Processes that begin at once, however long each took to start."""
    command = [sys.executable, "-c", WORKER, str(folder), str(log)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(n)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
    return processes


def kill_at_work(process: subprocess.Popen[bytes], log: Path) -> None:
    """Kill a process that has begun a task and not ended it."""

    def is_at_work() -> bool:
        said = [what for pid, what, _ in lines(log) if pid == str(process.pid)]
        return said[-1:] == ["begins"]

    while True:
        assert process.poll() is None
        if is_at_work():
            process.send_signal(signal.SIGSTOP)
            if is_at_work():
                break
            process.send_signal(signal.SIGCONT)
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def lines(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_of_three_processes_one_is_killed(tmp_path: Path) -> None:
    """No task is lost and none has been done twice: the killed one's is begun anew, and ends once."""
    folder, log = tmp_path / "out", tmp_path / "log"
    victim, *others = start(folder, log, 3)
    kill_at_work(victim, log)
    assert [process.wait(60) for process in others] == [0, 0]
    assert set(read(folder)) == {f"HumanEval/{i}" for i in range(sharing.N_PROBLEMS)}
    ends = Counter(task for _, what, task in lines(log) if what == "ends")
    begun = Counter(task for _, what, task in lines(log) if what == "begins")
    unfinished = begun - ends
    assert sum(unfinished.values()) == 1, "what the victim had in hand"
    assert all(n == 1 for n in ends.values())
    workers = {pid for pid, *_ in lines(log)}
    assert len(workers) == 3, "the work was shared"
    assert list((folder / ".leases").iterdir()) == []
