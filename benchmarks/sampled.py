"""Functions of a suite, each with one quick test that passes and is made to fail; for the group `execution`.

They are drawn as `egcfg-lsp bench repo` draws them. A function is taken with the first of its oracle
tests that fits: one item of pytest's (a function or a method, without parameters) that passes in a
swapped run, within `QUICK_SECONDS`, and fails without the function. Does not measure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from benchmarks.suites import Installed
from egcfg_lsp.bench.repo import Plan, repository_at, tasks_of
from egcfg_lsp.bench.repo_gaps import Gap, Remove
from egcfg_lsp.execution import How, Job, RunResult, Sandbox, Status
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.stub import RAISE, Stub, stub_of
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.oracle import OracleKind, OracleTest
from egcfg_lsp.source.target import find_target

QUICK_SECONDS = 0.05
"""Slower tests run at idle only."""
MAX_TRIED = 6
"""Functions with tests that are tried for each one that is wanted."""
WRONG_BODIES = ("return None", RAISE)
"""The first that fails the test is taken: an assertion fails more often than a function raises."""


@dataclass(frozen=True)
class Sampled:
    """One function and one test of it."""

    installed: Installed
    test: OracleTest
    passing: Job
    """The function as it is."""
    failing: Job
    """With one of `WRONG_BODIES`; its collection is that of `passing`."""

    @property
    def node(self) -> str:
        """What pytest is told to run the test."""
        path = self.test.path.relative_to(self.installed.root).as_posix()
        return f"{path}::{self.test.name.replace('.', '::')}"

    def changed(self, number: int) -> Job:
        """The module changed outside of the function, otherwise for each number."""
        return replace(self.passing, text=f"{self.passing.text}\n_CHANGED = {number}\n")


async def sampled(
    suite: Installed, n: int, seed: int, sandbox: Sandbox
) -> tuple[list[Sampled], Counter[str]]:
    """At most `n` functions, and how many were left out for which reason. Raises BenchError, OSError."""
    found: list[Sampled] = []
    left_out: Counter[str] = Counter()
    plan = Plan(repository_at(suite.root), Remove.BODY, n * MAX_TRIED, seed, Settings())
    for gap, tests in tasks_of(plan):
        functions = [test for test in tests if test.kind is OracleKind.FUNCTION]
        if not functions:
            continue
        one = await _fitting(suite, gap, functions, sandbox)
        if isinstance(one, str):
            left_out[one] += 1
            continue
        found.append(one)
        if len(found) == n:
            break
    return found, left_out


async def _fitting(
    suite: Installed, gap: Gap, tests: list[OracleTest], sandbox: Sandbox
) -> Sampled | str:
    """With the first test that fits, or why its first test does not."""
    text = gap.above + gap.removed + gap.below
    target = find_target(text, len(gap.above))
    if target is None or target.qualified_name != gap.function:
        return "the body begins with a function"
    lines = (target.first_line + 1, target.end_line)
    stub = stub_of(text, *lines)
    if stub is None:
        return "cannot be taken out"
    reasons = []
    for test in tests:
        job = Job(
            root=suite.root,
            interpreter=find_interpreter(suite.root, str(suite.python)),
            path=gap.path,
            text=text,
            tests=(test,),
            first_line=gap.first_line,
            last_line=gap.first_line + gap.removed.count("\n"),
            deadline_seconds=30,
            target=target.qualified_name,
            target_lines=lines,
        )
        result = await sandbox.run(job)
        if reason := _unfit(result):
            reasons.append(reason)
            continue
        failing = await _failing(job, stub, sandbox)
        if failing is not None:
            return Sampled(suite, test, job, failing)
        reasons.append("passes without the function")
    return reasons[0]


def _unfit(result: RunResult) -> str:
    if result.status is not Status.PASSED:
        return f"the test is {result.ending.replace('_', ' ')}"
    if result.how is not How.SWAPPED:
        return "not swapped"
    if len(result.tests) != 1:
        return "has parameters"
    return "takes long" if result.tests[0].seconds > QUICK_SECONDS else ""


async def _failing(job: Job, stub: Stub, sandbox: Sandbox) -> Job | None:
    for body in WRONG_BODIES:
        lines = split_lines(stub.text)
        last = stub.last_line - 1
        lines[last] = lines[last].replace(RAISE, body)
        wrong = replace(
            job,
            text="".join(lines),
            first_line=stub.last_line,
            last_line=stub.last_line,
            target_lines=(stub.first_line, stub.last_line),
        )
        result = await sandbox.run(wrong)
        if result.status is Status.FAILED and result.how is How.SWAPPED:
            return wrong
    return None
