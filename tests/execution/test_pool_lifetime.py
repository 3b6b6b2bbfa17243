"""Runs that are cancelled, pools that are closed, projects that go, at any moment: nothing stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.execution import How, Job, Status
from egcfg_lsp.execution import pool as pools
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.zygote import Zygote
from tests.execution.test_pool import (
    ADD,
    ONE_TEST,
    family,
    job_for,
    kernel_sandbox,
    pool,
    written,
)

__all__ = ["pool"]
SLEEPING = ONE_TEST.replace("assert", "__import__('time').sleep(0.4); assert")


def adding(root: Path, tests: str = ONE_TEST) -> Job:
    written(root, {"calc.py": ADD, "test_it.py": tests})
    return job_for(root, "return a + b", "test_it.py::test_a")


def zygote_of(pool: Pool) -> Zygote:
    (project,) = pool._projects.values()
    assert project._zygote is not None
    return project._zygote


async def test_cancelled_runs_leave_no_child(tmp_path: Path, pool: Pool) -> None:
    job = adding(tmp_path)
    await pool.run(job)
    await asyncio.sleep(1)
    zygote = zygote_of(pool)
    n_processes, n_alive = len(psutil.Process().children(recursive=True)), len(zygote.alive)
    for i in range(20):
        running = asyncio.create_task(pool.run(replace(job, fresh=True)))
        await asyncio.sleep(i / 2500)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await asyncio.sleep(1.5)
    assert zygote_of(pool) is zygote
    assert (zygote.problem, len(zygote.alive)) == ("", n_alive)
    assert len(psutil.Process().children(recursive=True)) == n_processes


async def test_a_save_during_a_run_leaves_the_zygote(tmp_path: Path, pool: Pool) -> None:
    job = adding(tmp_path, SLEEPING)
    await pool.run(job)
    zygote = zygote_of(pool)
    for i in range(2):
        running = asyncio.create_task(pool.run(job))
        await asyncio.sleep(0.2)
        (tmp_path / "test_it.py").write_text(SLEEPING + "\n" * (i + 1))
        await pool.refresh([tmp_path / "test_it.py"])
        result = await running
        assert (result.status, result.how) == (Status.PASSED, How.SWAPPED)
    assert (zygote_of(pool) is zygote, zygote.problem) == (True, "")
    await asyncio.sleep(1)
    assert len(zygote.collections) == 1


@pytest.mark.parametrize("seconds", [0, 0.01, 0.03, 0.08, 0.15, 0.3])
@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_closed_while_a_zygote_starts(
    tmp_path: Path, seconds: float, is_cancelled: bool
) -> None:
    job = adding(tmp_path)
    await kernel_sandbox().state()
    n_descriptors = psutil.Process().num_fds()
    pool = Pool(kernel_sandbox())
    running = [asyncio.create_task(pool.run(one)) for one in (job, replace(job, fresh=True))]
    await asyncio.sleep(seconds)
    if is_cancelled:
        for one in running:
            one.cancel()
        await asyncio.wait(running)
    await pool.close()
    assert family() == []
    if not is_cancelled:
        assert {result.status for result in await asyncio.gather(*running)} <= {
            Status.INCONCLUSIVE,
            Status.PASSED,
        }
    assert (await pool.run(job)).status is Status.INCONCLUSIVE
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert psutil.Process().num_fds() == n_descriptors


async def test_only_idle_projects_go(
    tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MAX_PROJECTS", 1)
    jobs = [adding(tmp_path / name) for name in "abc"]
    for result in await asyncio.gather(*map(pool.run, jobs)):
        assert (result.status, result.how) == (Status.PASSED, How.SWAPPED)
    await pool.run(jobs[0])
    assert len(pool._projects) == 1
