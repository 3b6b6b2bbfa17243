"""Real projects: which of their functions can be verified, and what a model's suggestions are worth.

A statement or the body is taken out of a function that has tests. Without a model what stood there
is put back, as a suggestion: what is not verified then could not be verified with any model, and the
reason is kept. With one, the ladder is asked as an editor asks it, and all oracle tests of the
function judge the text it shows. The project's files are never written. Does not make tables.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.bench.repo_gaps import Gap, Remove, gaps_in_order, source_files
from egcfg_lsp.bench.results import Results
from egcfg_lsp.completion import Outcome, Request, Suggestion, Update
from egcfg_lsp.completion.engine import Tools, ladder
from egcfg_lsp.completion.project import Project, project_at
from egcfg_lsp.completion.verify import verify
from egcfg_lsp.execution import How, Job, RunResult, Sandbox, SandboxState, Status
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.oracle import OracleTest, find_oracle_tests
from egcfg_lsp.source.target import find_target

KIND = "repo"
ORIGINAL = BenchModel("the original text", "")
"""In the place of a model: it answers with what was taken out."""
MAX_JUDGING_TESTS = 64
JUDGE_SECONDS = 60.0
NO_TESTS = "no tests found"
REASONS = {
    NO_TESTS: r"no tests found",
    "passes with or without it": r"with or without it",
    "a line never ran": r"never ran",
    "not reached": r"not reached",
    "blocked by the sandbox": r"sandbox blocked|needs network",
    "deadline": r"no result within|timeout|⏱",
    "tests skipped": r"tests? w(?:as|ere) skipped",
    "no test collected": r"no test was collected",
    "pytest failed": r"pytest (?:ended|was left)",
    "no pytest": r"has no pytest",
    "module or test cannot be imported": r"Error|cannot import|collection",
    "flaky": r"flaky",
    "the run died": r"ended without a result|is no result",
    "does not compile": r"not compile",
    "tests fail": r"^✗",
    "no suggestion": r"^$",
}
"""Why a suggestion is not verified: names of groups, by what its summary says; the first that fits.
A failing test's line may hold any word: what begins with ✗ is looked at first."""


@dataclass(frozen=True)
class Repository:
    """A project whose functions are sampled."""

    name: str
    version: str
    """Empty where it does not say."""
    root: Path

    @property
    def group(self) -> str:
        return f"{self.name}-{self.version}" if self.version else self.name


@dataclass(frozen=True)
class Run:
    """One run of the sandbox."""

    status: Status
    seconds: float
    n_tests: int
    """That gave a verdict."""


@dataclass(frozen=True)
class RepoResult:
    """One function: the content of a task's file."""

    package: str
    version: str
    path: str
    """Relative to the project, with slashes."""
    function: str
    """Qualified name."""
    first_line: int
    """Of what was taken out, 1-based."""
    remove: Remove
    removed: str
    model: BenchModel
    seed: int
    egcfg_version: str
    tests: tuple[str, ...]
    """Path and name of each oracle test."""
    reasons: tuple[str, ...]
    """Why each was chosen."""
    suggestion: str
    """Empty: nothing was suggested."""
    outcome: Outcome
    summary: str
    """What the editor shows."""
    reason: str
    """Why it was not verified, one of `REASONS` or the summary itself; empty where it was."""
    runs: tuple[Run, ...]
    first_line_seconds: float | None
    """Until the model's first line was shown."""
    draft_seconds: float | None
    passed: bool | None
    """Whether all oracle tests pass with the suggestion accepted; None: no verdict, or no suggestion,
    or none was asked for."""
    n_judging: int
    """Tests that judged; 0: nothing was judged."""

    @property
    def has_tests(self) -> bool:
        return bool(self.tests)


@dataclass(frozen=True)
class Plan:
    repository: Repository
    remove: Remove
    limit: int
    """Functions with tests; those without that are met on the way are results as well."""
    seed: int
    settings: Settings


class TimedSandbox:
    """Passes every job on to `sandbox`, and keeps what came of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.runs: list[Run] = []
        self.results: list[RunResult] = []

    async def state(self) -> SandboxState:
        return await self._sandbox.state()

    async def run(self, job: Job) -> RunResult:
        started = time.monotonic()
        result = await self._sandbox.run(job)
        seconds = round(time.monotonic() - started, 4)
        self.results.append(result)
        self.runs.append(Run(result.status, seconds, result.n_tests))
        return result


def repository_at(root: Path) -> Repository:
    """Name and version by the `PKG-INFO` of a source distribution, else the folder's name."""
    root = root.resolve()
    if not root.is_dir():
        raise BenchError(f"{root} is no folder")
    try:
        about = HeaderParser().parsestr((root / "PKG-INFO").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return Repository(root.name, "", root)
    return Repository(about.get("Name", root.name), about.get("Version", ""), root)


async def run_repo(
    plan: Plan,
    sandbox: Sandbox,
    model: LanguageModel | None,
    about: BenchModel,
    results: Results,
    on_function: Callable[[], None],
) -> None:
    """Ask about and write the functions that the folder does not have yet. Raises ModelError, OSError."""
    for gap, tests in tasks_of(plan):
        task_id = task_id_of(gap, plan.repository.root)
        if not results.has(plan.repository.group, task_id):
            result = await _result(gap, tests, plan, sandbox, model, about)
            results.write(plan.repository.group, task_id, result)
        if tests:
            on_function()


def tasks_of(plan: Plan) -> Iterator[tuple[Gap, tuple[OracleTest, ...]]]:
    """Functions with a gap and their tests, until enough have some; raises BenchError, OSError.

    A larger sample begins with the smaller one.
    """
    project = project_at(plan.repository.root, plan.settings.exclude)
    project.refresh()
    paths = source_files(project)
    if not paths:
        raise BenchError(f"{plan.repository.root} holds no Python files that may be read")
    n_left = plan.limit
    for gap in gaps_in_order(paths, plan.remove, plan.seed):
        tests = _tests_of(gap, project)
        yield gap, tests
        n_left -= bool(tests)
        if not n_left:
            return


def task_id_of(gap: Gap, root: Path) -> str:
    path = gap.path.relative_to(root).as_posix()
    return f"{path}:{gap.first_line}:{gap.function}:{gap.remove}"


def reason_of(outcome: Outcome, summary: str) -> str:
    """The group of `REASONS` that a summary belongs to; the summary itself where none fits."""
    if outcome is Outcome.VERIFIED:
        return ""
    if summary.startswith("✗"):
        return "tests fail"
    found = (name for name, pattern in REASONS.items() if re.search(pattern, summary))
    return next(found, summary)


def _tests_of(gap: Gap, project: Project, limit: int | None = None) -> tuple[OracleTest, ...]:
    target = find_target(gap.above + gap.below, len(gap.above))
    if target is None:
        return ()
    text = gap.above + gap.below
    if limit is None:
        return find_oracle_tests(target, gap.path, project.root, text, project)
    return find_oracle_tests(target, gap.path, project.root, text, project, limit=limit)


async def _result(
    gap: Gap,
    tests: tuple[OracleTest, ...],
    plan: Plan,
    sandbox: Sandbox,
    model: LanguageModel | None,
    about: BenchModel,
) -> RepoResult:
    """Raises ModelError."""
    root = plan.repository.root
    request = Request(
        gap.above + gap.below, len(gap.above), gap.path, root, replace(plan.settings, trusted=True)
    )
    timed = TimedSandbox(sandbox)
    update = Update(done=True)
    if tests and model is None:
        update = await _put_back(request, gap, tests, timed)
    elif tests and model is not None:
        update = await _climbed(request, Tools(model, timed))
    shown = update.suggestions[0] if update.suggestions else None
    passed, n_judging = None, 0
    if model is not None and shown is not None:
        passed, n_judging = await _judged(request, gap, shown, sandbox)
    outcome = shown.outcome if shown is not None else Outcome.UNVERIFIED
    summary = shown.summary if shown is not None else ""
    return RepoResult(
        package=plan.repository.name,
        version=plan.repository.version,
        path=gap.path.relative_to(root).as_posix(),
        function=gap.function,
        first_line=gap.first_line,
        remove=gap.remove,
        removed=gap.removed,
        model=about,
        seed=plan.seed,
        egcfg_version=__version__,
        tests=tuple(f"{test.path.relative_to(root).as_posix()}::{test.name}" for test in tests),
        reasons=tuple(test.reason for test in tests),
        suggestion=shown.text if shown is not None else "",
        outcome=outcome,
        summary=summary,
        reason=reason_of(outcome, summary) if tests else NO_TESTS,
        runs=tuple(timed.runs),
        first_line_seconds=update.timings.get("first_line"),
        draft_seconds=update.timings.get("draft"),
        passed=passed,
        n_judging=n_judging,
    )


async def _put_back(
    request: Request, gap: Gap, tests: tuple[OracleTest, ...], sandbox: Sandbox
) -> Update:
    """What the editor would show if the model said what stood there."""
    text = gap.removed.replace("\r\n", "\n")
    suggestion = Suggestion("", text)
    verdict = await verify(request, tests, suggestion, sandbox)
    shown = replace(suggestion, outcome=verdict.outcome, summary=verdict.summary)
    return Update((shown,), done=True)


async def _climbed(request: Request, tools: Tools) -> Update:
    """The last update of the ladder. Raises ModelError."""
    last = Update(done=True)
    async with aclosing(ladder(request, tools)) as updates:
        async for update in updates:
            last = update
    return last


async def _judged(
    request: Request, gap: Gap, shown: Suggestion, sandbox: Sandbox
) -> tuple[bool | None, int]:
    """Whether all oracle tests pass with the suggestion accepted, and how many gave a verdict."""
    assert request.root is not None
    settings = replace(
        request.settings, deadline_seconds=max(JUDGE_SECONDS, request.settings.deadline_seconds)
    )
    tests = _tests_of(gap, project_at(request.root, settings.exclude), MAX_JUDGING_TESTS)
    timed = TimedSandbox(sandbox)
    await verify(replace(request, settings=settings), tests, shown, timed)
    # The first that has imported the module as it is with the suggestion.
    others = (result for result in timed.results if result.how is not How.SWAPPED)
    decisive = next(others, next(iter(timed.results), None))
    if decisive is None or decisive.status is Status.INCONCLUSIVE:
        return None, 0
    return decisive.status is Status.PASSED, decisive.n_tests
