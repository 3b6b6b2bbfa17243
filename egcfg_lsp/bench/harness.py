"""Carries out a benchmark: every arm on every problem, judged, one result file each.

Several processes may work on one folder: each task is done under a lease, and what is done is
skipped. Does not know what an arm does, and makes no tables.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.bench.announced import RUNS, Announced
from egcfg_lsp.bench.arms import Answer, Arm, Bench, Effort
from egcfg_lsp.bench.datasets import is_judging, visible_tests
from egcfg_lsp.bench.judge import Judge, write_project
from egcfg_lsp.bench.leases import Leases
from egcfg_lsp.bench.models import MeteredModel, MeteredSandbox
from egcfg_lsp.bench.problems import Judgement, Problem, Suite, Visible
from egcfg_lsp.bench.results import Results, write_once
from egcfg_lsp.bench.task import TaskResult, TaskStats
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.model import LanguageModel, ModelError

LEASES = ".leases"
POLL_SECONDS = 1.0
"""Between two looks at tasks that others have."""
RETRY_SECONDS = 5.0
"""Between a model's failure at a task and the second attempt."""


@dataclass(frozen=True)
class Plan:
    """What a run is of; the same for all processes of it."""

    dataset: str
    """`humaneval`"""
    problems: tuple[Problem, ...]
    judges: Mapping[str, Suite]
    """By task; a task without one is judged by its own tests."""
    visible: Visible
    arms: tuple[Arm, ...]
    effort: Effort
    seed: int
    model: BenchModel

    @property
    def tasks(self) -> list[Task]:
        """All arms of a problem stand together: what is left by a killed run is in pairs."""
        return [Task(problem, arm) for problem in self.problems for arm in self.arms]

    def group(self, arm: Arm) -> str:
        """The folder of an arm's results."""
        return f"{self.dataset}/{self.model.name}/{arm.config(self.effort)}"

    def judging(self, problem: Problem) -> Suite:
        return self.judges.get(problem.task_id, problem.tests)


@dataclass(frozen=True)
class Task:
    problem: Problem
    arm: Arm


@dataclass(frozen=True)
class Workshop:
    """What the tasks of one process share."""

    model: LanguageModel
    sandbox: Sandbox
    judge: Judge
    results: Results
    leases: Leases


def check(plan: Plan) -> None:
    """Raises BenchError for a plan that makes no sense."""
    seen = [visible_tests(problem, plan.visible) is not None for problem in plan.problems]
    if not seen:
        raise BenchError("no problem is left")
    needing = [arm.name for arm in plan.arms if arm.needs_tests]
    if needing and not any(seen):
        raise BenchError(
            f"{', '.join(needing)}: no problem has a test to run with --visible {plan.visible}"
        )


async def run_plan(plan: Plan, workshop: Workshop, on_task: Callable[[], None]) -> None:
    """Do what no result is there for; returns when all tasks have one, whoever wrote it.

    Raises ModelError, BenchError, OSError.
    """
    open_tasks = plan.tasks
    async with workshop.leases.kept_alive():
        while open_tasks:
            left = []
            for task in open_tasks:
                if await _is_done(task, plan, workshop):
                    on_task()
                else:
                    left.append(task)
            if len(left) == len(open_tasks):
                await asyncio.sleep(POLL_SECONDS)
            open_tasks = left


def announce(plan: Plan, folder: Path) -> None:
    """Tell those who watch or report what this process sets out to do."""
    started = datetime.now(UTC)
    host, pid = socket.gethostname(), os.getpid()
    (folder / RUNS).mkdir(exist_ok=True)
    about = Announced(
        host=host,
        pid=pid,
        cpus=os.cpu_count(),
        started=started.isoformat(timespec="seconds"),
        configs={arm.config(plan.effort): plan.group(arm) for arm in plan.arms},
        task_ids=tuple(problem.task_id for problem in plan.problems),
    )
    write_once(folder / RUNS / f"{started:%Y%m%dT%H%M%S%f}-{host}-{pid}.json", asdict(about))


async def _is_done(task: Task, plan: Plan, workshop: Workshop) -> bool:
    """Whether the task has a result now; False: somebody else has it in hand."""
    task_id, arm, results = task.problem.task_id, task.arm, workshop.results
    group = plan.group(arm)
    if results.has(group, task_id, arm.gamma):
        return True
    lease = f"{arm.config(plan.effort)} {arm.gamma:g} {task_id}"
    if not workshop.leases.take(lease):
        return False
    try:
        if not results.has(group, task_id, arm.gamma):  # written before the lease was free
            results.write(group, task_id, await _result_at_last(task, plan, workshop), arm.gamma)
    finally:
        workshop.leases.release(lease)
    return True


async def _result_at_last(task: Task, plan: Plan, workshop: Workshop) -> TaskResult:
    """As `result_of`, begun anew once where the model fails: a worker that hung starts again."""
    try:
        return await result_of(task, plan, workshop)
    except ModelError:
        await asyncio.sleep(RETRY_SECONDS)
        return await result_of(task, plan, workshop)


async def result_of(task: Task, plan: Plan, workshop: Workshop) -> TaskResult:
    """One arm's answer to one problem, judged. Raises ModelError, BenchError."""
    problem, arm = task.problem, task.arm
    effort = arm.limited(plan.effort)
    visible = visible_tests(problem, plan.visible)
    judging = plan.judging(problem)
    n_visible_runs = 0

    async def run_visible(code: str) -> Judgement:
        nonlocal n_visible_runs
        assert visible is not None, "an arm runs the visible tests only where there are some"
        n_visible_runs += 1
        return await workshop.judge(code, visible, problem.entry_point)

    model, sandbox = MeteredModel(workshop.model), MeteredSandbox(workshop.sandbox)
    with tempfile.TemporaryDirectory(prefix="egcfg-bench-") as folder:
        bench = Bench(
            model=model,
            sandbox=sandbox,
            visible=visible,
            run_visible=run_visible,
            tests_text=_shown(visible, plan.visible),
            path=write_project(Path(folder), visible, problem.entry_point),
            effort=effort,
            seed=plan.seed,
        )
        start, started = datetime.now(UTC), time.monotonic()
        answer = await arm.run(problem, bench)
        end, duration = datetime.now(UTC), time.monotonic() - started
    judgement = await workshop.judge(answer.code, judging, problem.entry_point)
    usage = model.usage
    stats = TaskStats(
        start=start.isoformat(timespec="milliseconds"),
        end=end.isoformat(timespec="milliseconds"),
        duration=round(duration, 3),
        input_tokens=usage.n_read,
        output_tokens=usage.n_generated,
        reused_tokens=usage.n_reused,
        runs=sandbox.n_runs + n_visible_runs,
        judge_seconds=round(judgement.seconds, 3),
    )
    seen = visible.name if visible is not None else ""
    return _result(task, plan, answer, judgement, stats, seen)


def _result(
    task: Task, plan: Plan, answer: Answer, judgement: Judgement, stats: TaskStats, seen: str
) -> TaskResult:
    problem, arm = task.problem, task.arm
    n_tests = judgement.n_tests
    return TaskResult(
        task_id=problem.task_id,
        entry_point=problem.entry_point,
        dataset=problem.dataset,
        arm=arm.name,
        config=arm.config(plan.effort),
        configuration=arm.configuration(plan.effort),
        gamma=arm.gamma,
        seed=plan.seed,
        model=plan.model,
        version=__version__,
        visible=plan.visible,
        tests_seen=seen,
        tests_judging=plan.judging(problem).name,
        judging_seen=is_judging(plan.visible, problem),
        code=answer.code,
        passed=judgement.passed,
        accuracy=judgement.n_passed / n_tests if n_tests else 0.0,
        results=judgement.results,
        n_tests=n_tests,
        general_error=judgement.reason,
        has_testcase_error=judgement.n_passed < n_tests,
        rung=answer.rung,
        outcome=answer.outcome,
        summary=answer.summary,
        first_line_seconds=answer.first_line_seconds,
        candidates=answer.candidates,
        stats=stats,
        stopped_early=answer.stopped_early,
        extra=answer.extra,
    )


def _shown(visible: Suite | None, which: Visible) -> str:
    """The tests' source for a prompt; a docstring's examples are in it already."""
    is_shown = visible is not None and which is not Visible.DOCSTRING
    return f"{visible.source.strip()}\n" if visible is not None and is_shown else ""
