"""A part of the group `execution`: many runs one behind the other, and what has grown by them.

Of the first package of `suites.py`; memory counts from `MEGABYTES_THAT_LEAK` on.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.execution import pool_around, tier_a, unmeasured
from benchmarks.figures import Benchmark, Figure, Figures, Setup
from benchmarks.sampled import sampled
from benchmarks.suites import SUITES, SuiteError, installed
from egcfg_lsp.bench import BenchError
from egcfg_lsp.execution import How, Status

N_RUNS = 10_000
MEGABYTES_THAT_LEAK = 16

FIGURES: Figures = {
    "runs_per_s": Figure(None, "1/s"),
    "leaks": Figure(None, "kinds", at_most=0),
}


def throughput(setup: Setup) -> Figures:
    try:
        return asyncio.run(_throughput(setup))
    except (SuiteError, BenchError) as error:
        return unmeasured(FIGURES, error)


BENCHMARKS: tuple[Benchmark, ...] = (throughput,)


async def _throughput(setup: Setup) -> Figures:
    """Back to back; then what has grown. Raises SuiteError, BenchError."""
    package = installed(SUITES[0])
    cold = await tier_a()
    with _own_temporary_folder() as temporary:
        async with pool_around(cold) as pool:
            functions, left_out = await sampled(package, 1, setup.seed, pool)
            if not functions:
                raise SuiteError(f"no function has a test that fits: {dict(left_out)}")
            jobs = [functions[0].passing, functions[0].failing]
            folders = (temporary, package.root)
            for i in range(setup.rounds(200)):
                await pool.run(jobs[i % 2])
            before = await _resources(folders)
            started, n_runs = time.perf_counter(), setup.rounds(N_RUNS, quick=100)
            for i in range(n_runs):
                result = await pool.run(jobs[i % 2])
                assert result.how is How.SWAPPED, result.slow
                assert result.status is (Status.FAILED if i % 2 else Status.PASSED), result
            seconds = time.perf_counter() - started
            after = await _resources(folders)
    grown = {name: after[name] - before[name] for name in before}
    leaks = sum(grown[name] > 0 for name in ("processes", "descriptors", "files"))
    leaks += grown["megabytes"] > MEGABYTES_THAT_LEAK
    per_second, kinds = FIGURES["runs_per_s"], FIGURES["leaks"]
    return {
        "runs_per_s": replace(per_second, value=n_runs / seconds, n=n_runs),
        "leaks": replace(kinds, value=leaks, n=n_runs, details={"grown": grown}),
    }


async def _resources(folders: Sequence[Path]) -> dict[str, int]:
    """Of this process and all below it, once they rest; and the files in some folders."""
    await asyncio.sleep(1)
    ours = psutil.Process()
    family = [p for p in ours.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return {
        "processes": len(family),
        "descriptors": sum(map(_n_descriptors, (ours, *family))),
        "files": sum(1 for folder in folders for _ in folder.rglob("*")),
        "megabytes": sum(p.memory_info().rss for p in (ours, *family)) >> 20,
    }


def _n_descriptors(process: psutil.Process) -> int:
    """0 where the system does not tell: a user may not look into another namespace."""
    try:
        return int(process.num_fds())
    except psutil.AccessDenied:
        return 0


@contextmanager
def _own_temporary_folder() -> Iterator[Path]:
    """What is left in it is ours."""
    with tempfile.TemporaryDirectory() as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before
