"""The group `execution`: runs of candidates in the zygote, in a small project that is made for it.

Sandboxed and traced, from the candidate sent to the result read. Needs tier A and no model. What
real suites cost is `egcfg-lsp bench repo`.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.figures import Benchmark, Figure, Figures, Setup, median, percentile
from egcfg_lsp.execution import How, Job, RunResult, Status
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.source.oracle import OracleKind, OracleTest

MODULE = "def total(items, country):\n    {}\n\n\nRATES = {{'us': 0.07}}\n"
PASSES = "return sum(n * p for n, p in items) * (1 + RATES[country])"
FAILS = "return sum(n * p for n, p in items) * (2 + RATES[country])"
TESTS = "from prices import total\n" + "".join(
    f"\n\ndef test_{n}():\n    assert total([({n}, 100)], 'us') == {n} * 100 * 1.07\n"
    for n in range(8)
)
PAUSE_SECONDS = 0.03
"""Between two runs: a key's distance at the least, in which the next child is parked."""
N_LEAKS = 10_000


def single_runs(setup: Setup) -> Figures:
    return asyncio.run(_single_runs(setup))


def throughput(setup: Setup) -> Figures:
    return asyncio.run(_throughput(setup))


BENCHMARKS: tuple[Benchmark, ...] = (single_runs, throughput)


async def _single_runs(setup: Setup) -> Figures:
    async with _project() as (root, pool, cold):
        passing, failing = _job(root, PASSES), _job(root, FAILS)
        bare = replace(passing, target_lines=None)
        ways: dict[str, Callable[[], Awaitable[RunResult]]] = {
            "passes": lambda: pool.run(passing),
            "fails": lambda: pool.run(failing),
            "fresh": lambda: pool.run(replace(passing, fresh=True)),
            "cold": lambda: cold.run(bare),
        }
        for way in ways.values():
            await way()
        times: dict[str, list[float]] = {name: [] for name in ways}
        for i in range(setup.rounds(200, quick=5)):
            for name, way in ways.items():
                if name in ("passes", "fails") or i % 10 == 0:
                    times[name].append(await _ms(way))
                    await asyncio.sleep(PAUSE_SECONDS)
        recollected = []
        for i in range(setup.rounds(20)):
            changed = _job(root, PASSES, f"\nX = {i}\n")
            recollected.append(await _ms(lambda job=changed: pool.run(job)))  # type: ignore[misc]
        quick = statistics.median(times["passes"])
        return {
            "run_ms_p50": median(times["passes"], "ms", at_most=1.5),
            "run_ms_p90": Figure(percentile(times["passes"], 90), "ms"),
            "fail_ms_p50": median(times["fails"], "ms", at_most=4.1),
            "fresh_ms_p50": median(times["fresh"], "ms", at_most=60),
            "recollect_ms_p50": median(recollected, "ms"),
            "cold_pytest_ratio": Figure(
                statistics.median(times["cold"]) / quick,
                "×",
                at_least=100,
                note="a cold run in the sandbox by our run of the same test, in turn",
            ),
        }


async def _throughput(setup: Setup) -> Figures:
    """Back to back; then what has grown."""
    async with _project() as (root, pool, _):
        jobs = [_job(root, PASSES), _job(root, FAILS)]
        for _ in range(setup.rounds(200)):
            await pool.run(jobs[0])
        before = await _resources()
        started, n_runs = time.perf_counter(), setup.rounds(N_LEAKS, quick=100)
        for i in range(n_runs):
            result = await pool.run(jobs[i % 2])
            assert result.how is How.SWAPPED, result.slow
            assert result.status is (Status.FAILED if i % 2 else Status.PASSED)
        seconds = time.perf_counter() - started
        after = await _resources()
        grown = {name: after[name] - before[name] for name in before}
        leaks = sum(grown[name] > 0 for name in ("processes", "descriptors", "files"))
        leaks += grown["megabytes"] > 16
        return {
            "runs_per_s": Figure(n_runs / seconds, "1/s", n=n_runs),
            "leaks": Figure(leaks, "kinds", at_most=0, n=n_runs, details={"grown": grown}),
        }


async def _resources() -> dict[str, int]:
    """Of this process and all below it, once they rest."""
    await asyncio.sleep(1)
    ours = psutil.Process()
    family = [p for p in ours.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return {
        "processes": len(family),
        "descriptors": ours.num_fds(),
        "files": _n_leftovers(),
        "megabytes": sum(p.memory_info().rss for p in (ours, *family)) >> 20,
    }


def _n_leftovers() -> int:
    """Folders of runs of anybody on this machine."""
    return len([*Path(tempfile.gettempdir()).glob("egcfg-candidate-*")])


async def _ms(work: Callable[[], Awaitable[RunResult]]) -> float:
    started = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - started)


@asynccontextmanager
async def _project() -> AsyncIterator[tuple[Path, Pool, KernelSandbox]]:
    cold = KernelSandbox()
    pool = Pool(cold)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").touch()
        (root / "prices.py").write_text(MODULE.format("pass"))
        (root / "test_prices.py").write_text(TESTS)
        try:
            yield root, pool, cold
        finally:
            await pool.close()


def _job(root: Path, body: str, more: str = "") -> Job:
    path = root / "test_prices.py"
    return Job(
        root=root,
        interpreter=find_interpreter(root, None, {}),
        path=root / "prices.py",
        text=MODULE.format(body) + more,
        tests=(OracleTest(path, "test_3", OracleKind.FUNCTION, "", ""),),
        first_line=2,
        last_line=2,
        deadline_seconds=30,
        target="total",
        target_lines=(1, 2),
    )
