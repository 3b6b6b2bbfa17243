"""The group `execution`: runs of candidates in the zygote, over the tests of real packages.

Sandboxed and traced, from the candidate sent to the result read. Needs tier A, no model, and the
packages of `suites.py`, without which their figures have no value. `least` is the one exception: a
made-up project of one function, the least that a run can cost. What is left unverified in real
packages, and why, is `egcfg-lsp bench repo`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.figures import Benchmark, Figure, Figures, Setup, median, percentile
from benchmarks.sampled import Sampled, sampled
from benchmarks.suites import SUITES, SuiteError, installed
from egcfg_lsp.bench import BenchError
from egcfg_lsp.execution import How, Job, RunResult, Sandbox, Status
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.source.oracle import OracleKind, OracleTest

N_FUNCTIONS, N_ROUNDS, N_SLOW_ROUNDS = 6, 20, 3
"""Functions a package; rounds of each function, and those of them with the slower ways."""
PAUSE_SECONDS = 0.03
"""Between two runs: a key's distance at the least, in which the next child is parked."""

SUITE_FIGURES: Figures = {
    "functions": Figure(None, "functions"),
    "run_ms_p50": Figure(None, "ms", at_most=1.5),
    "run_ms_p90": Figure(None, "ms"),
    "overhead_ms_p50": Figure(None, "ms"),
    "fail_ms_p50": Figure(None, "ms", at_most=4.1),
    "fresh_ms_p50": Figure(None, "ms"),
    "recollect_ms_p50": Figure(None, "ms"),
    "cold_ms_p50": Figure(None, "ms"),
    "pytest_ms_p50": Figure(None, "ms"),
    "test_ms_p50": Figure(None, "ms"),
    "cold_pytest_ratio": Figure(None, "×", at_least=100),
}
MODULE = "def total(items, country):\n    {}\n\n\nRATES = {{'us': 0.07}}\n"
PASSES = "return sum(n * p for n, p in items) * (1 + RATES[country])"
FAILS = "return sum(n * p for n, p in items) * (2 + RATES[country])"
TEST = "from prices import total\n\n\ndef test():\n    assert total([(3, 100)], 'us') == 3 * 107\n"


def suites(setup: Setup) -> Figures:
    try:
        return asyncio.run(_suites(setup))
    except (SuiteError, BenchError) as error:
        return unmeasured(SUITE_FIGURES, error)


def least(setup: Setup) -> Figures:
    return asyncio.run(_least(setup))


BENCHMARKS: tuple[Benchmark, ...] = (suites, least)


@dataclass
class Times:
    """Of one function, in ms."""

    passes: list[float] = field(default_factory=list)
    fails: list[float] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    recollected: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    """A sandboxed process for the run."""
    pytest: list[float] = field(default_factory=list)
    """A plain one, without sandbox or trace."""
    test: list[float] = field(default_factory=list)
    """What pytest says that the test itself takes, traced."""
    overhead: list[float] = field(default_factory=list)
    """What else a run takes: ours, and pytest's between the phases of a test."""

    @property
    def ratios(self) -> list[float]:
        """At most one: none if the test does not pass by hand."""
        quick = statistics.median(self.passes)
        return [statistics.median(self.pytest) / quick] if self.pytest else []


async def _suites(setup: Setup) -> Figures:
    """Raises SuiteError, BenchError."""
    packages = [installed(suite) for suite in (SUITES[:2] if setup.quick else SUITES)]
    cold = await tier_a()
    times: dict[str, list[Times]] = {}
    left_out: Counter[str] = Counter()
    odd: Counter[str] = Counter()
    for package in packages:
        async with pool_around(cold) as pool:
            n_functions = setup.rounds(N_FUNCTIONS)
            functions, out = await sampled(package, n_functions, setup.seed, pool)
            left_out += out
            times[str(package.suite)] = [
                await _measured(function, pool, cold, setup, odd) for function in functions
            ]
    about = {"left_out": dict(left_out), "odd_runs": dict(odd)}
    return {"functions": _n_functions(times, about), **_figures(times)}


def _figures(times: Mapping[str, list[Times]]) -> Figures:
    ways = {
        "run_ms_p50": "passes",
        "overhead_ms_p50": "overhead",
        "fail_ms_p50": "fails",
        "fresh_ms_p50": "fresh",
        "recollect_ms_p50": "recollected",
        "cold_ms_p50": "cold",
        "pytest_ms_p50": "pytest",
        "cold_pytest_ratio": "ratios",
        "test_ms_p50": "test",
    }
    found = {
        figure: _figure(SUITE_FIGURES[figure], _pooled(times, way)) for figure, way in ways.items()
    }
    passes = [ms for each in _pooled(times, "passes").values() for ms in each]
    p90 = replace(SUITE_FIGURES["run_ms_p90"], value=percentile(passes, 90) if passes else None)
    return {**found, "run_ms_p90": p90}


async def _measured(
    function: Sampled, pool: Pool, cold: KernelSandbox, setup: Setup, odd: Counter[str]
) -> Times:
    """In turn; `odd` counts the runs that were not what they were to be."""
    times = Times()
    n_rounds, n_slow = setup.rounds(N_ROUNDS, quick=4), setup.rounds(N_SLOW_ROUNDS, quick=1)

    async def run(
        sandbox: Sandbox, job: Job, how: How, status: Status, values: list[float]
    ) -> RunResult:
        started = time.perf_counter()
        result = await sandbox.run(job)
        values.append(1000 * (time.perf_counter() - started))
        if (result.how, result.status) != (how, status):
            odd[f"{how} {status}: {result.how} {result.status}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)
        return result

    passing = function.passing
    for job in (passing, function.failing):
        await pool.run(job)
    is_plain = await _plain_pytest(function, odd) is not None
    for i in range(n_rounds):
        passed = await run(pool, passing, How.SWAPPED, Status.PASSED, times.passes)
        own = [1000 * test.seconds for test in passed.tests]
        times.test += own
        times.overhead.append(times.passes[-1] - sum(own))
        await run(pool, function.failing, How.SWAPPED, Status.FAILED, times.fails)
        if i % (n_rounds // n_slow) == 0 and len(times.cold) < n_slow:
            fresh = replace(passing, fresh=True)
            await run(pool, fresh, How.FRESH, Status.PASSED, times.fresh)
            await run(pool, function.changed(i), How.SWAPPED, Status.PASSED, times.recollected)
            await run(cold, passing, How.COLD, Status.PASSED, times.cold)
            if is_plain and (ms := await _plain_pytest(function, odd)) is not None:
                times.pytest.append(ms)
            # The way back to the collection that is measured.
            await pool.run(passing)
            await asyncio.sleep(PAUSE_SECONDS)
    return times


async def _plain_pytest(function: Sampled, odd: Counter[str]) -> float | None:
    """The milliseconds of a run by hand; None if it does not pass."""
    unset = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTEST_ADDOPTS"}
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        function.installed.python,
        *("-m", "pytest", "-q", function.node),
        cwd=function.installed.root,
        env={name: value for name, value in os.environ.items() if name not in unset},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if status := await process.wait():
        odd[f"pytest by hand: exit status {status}"] += 1
        return None
    return 1000 * (time.perf_counter() - started)


async def _least(setup: Setup) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").touch()
        (root / "prices.py").write_text(MODULE.format("pass"))
        (root / "test_prices.py").write_text(TEST)
        passing, failing = _least_job(root, PASSES), _least_job(root, FAILS)
        jobs = {"passes": passing, "fails": failing, "fresh": replace(passing, fresh=True)}
        times: dict[str, list[float]] = {name: [] for name in jobs}
        async with pool_around(KernelSandbox()) as pool:
            for i in range(-1, setup.rounds(200, quick=5)):
                for name, job in jobs.items():
                    if name == "fresh" and i % 10:
                        continue
                    started = time.perf_counter()
                    await pool.run(job)
                    if i >= 0:
                        times[name].append(1000 * (time.perf_counter() - started))
                    await asyncio.sleep(PAUSE_SECONDS)
    return {
        "least_run_ms_p50": median(times["passes"], "ms", at_most=1.5),
        "least_fail_ms_p50": median(times["fails"], "ms", at_most=4.1),
        "least_fresh_ms_p50": median(times["fresh"], "ms", at_most=60),
    }


@asynccontextmanager
async def pool_around(cold: KernelSandbox) -> AsyncIterator[Pool]:
    pool = Pool(cold)
    try:
        yield pool
    finally:
        await pool.close()


async def tier_a() -> KernelSandbox:
    """Raises SuiteError."""
    sandbox = KernelSandbox()
    state = await sandbox.state()
    if not state.works or state.tier is not Tier.A:
        raise SuiteError(f"tier A is needed: {state.detail}")
    return sandbox


def _least_job(root: Path, body: str) -> Job:
    return Job(
        root=root,
        interpreter=find_interpreter(root, None, {}),
        path=root / "prices.py",
        text=MODULE.format(body),
        tests=(OracleTest(root / "test_prices.py", "test", OracleKind.FUNCTION, "", ""),),
        first_line=2,
        last_line=2,
        deadline_seconds=30,
        target="total",
        target_lines=(1, 2),
    )


def _pooled(times: Mapping[str, list[Times]], way: str) -> dict[str, list[float]]:
    """Of all functions of each package."""
    return {name: [ms for one in each for ms in getattr(one, way)] for name, each in times.items()}


def _figure(figure: Figure, by_package: Mapping[str, list[float]]) -> Figure:
    """The median of all values, with each package's."""
    values = [value for each in by_package.values() for value in each]
    if not values:
        return replace(figure, note="no function has a test that fits")
    medians = {n: float(f"{statistics.median(each):.4g}") for n, each in by_package.items() if each}
    return replace(
        figure,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        n=len(values),
        details={"by_package": medians},
    )


def _n_functions(times: Mapping[str, list[Times]], about: Mapping[str, object]) -> Figure:
    counts = {name: len(each) for name, each in times.items()}
    details = {"by_package": counts, **about}
    return replace(SUITE_FIGURES["functions"], value=sum(counts.values()), details=details)


def unmeasured(figures: Figures, error: Exception) -> Figures:
    return {name: replace(figure, note=str(error)) for name, figure in figures.items()}
