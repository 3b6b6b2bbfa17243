"""Infilling, one line missing: what the product shows at several cursors, in several variants.

A variant changes how the prompt is made; all are asked the same questions. The answer is the first
line of the first suggestion of the ladder, asked for explicitly in a workspace that is not trusted:
nothing is executed before there is an answer. Does not cover verifying or choosing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.bench.cursors import Cursor, Position, cursors
from egcfg_lsp.bench.judge import Judge, name_of_test, write_project
from egcfg_lsp.bench.models import MeteredModel
from egcfg_lsp.bench.problems import Judgement, Problem
from egcfg_lsp.bench.results import Results
from egcfg_lsp.completion import Request
from egcfg_lsp.completion.engine import Tools, ladder
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS, PromptLimits
from egcfg_lsp.source.edit import splice

NOT_JUDGED = "not judged"
LINE_ENDS = "the suggestion begins with a line end"
TESTS_JUDGING = "the data set's check(candidate)"


@dataclass(frozen=True)
class Variant:
    """How the prompt is made."""

    name: str
    limits: PromptLimits = DEFAULT_LIMITS
    heal: bool = True


CONTROL = "product"
"""The variant that the others are compared with."""
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(CONTROL),
        Variant("no-tests", replace(DEFAULT_LIMITS, test_characters=0)),
        Variant("no-anchor", replace(DEFAULT_LIMITS, anchor_step=0)),
        Variant("no-suffix", replace(DEFAULT_LIMITS, suffix_lines=0)),
        Variant("no-healing", heal=False),
        Variant("anchor-steps-8", replace(DEFAULT_LIMITS, anchor_step=8)),
        Variant("closers-in-suffix", replace(DEFAULT_LIMITS, closers_in_suffix=True)),
    )
}


@dataclass(frozen=True)
class Stats:
    start: str
    """UTC, ISO 8601."""
    duration: float
    """Seconds from the request to the first line; those of the judge are not in it."""
    output_tokens: int


@dataclass(frozen=True)
class Result:
    """One question, one variant: the content of a task's file."""

    task_id: str
    position: Position
    variant: Variant
    model: BenchModel
    seed: int
    version: str
    typed: str
    right: str
    """Of the cursor's line, as the question had it."""
    wanted: str
    """The line of the data set."""
    shown: str
    """The first line that was proposed; empty: nothing was."""
    replaces: int
    """Code points right of the cursor that it takes the place of."""
    code: str
    """The completed program."""
    tests_shown: bool
    """Whether the prompt showed the tests that judge."""
    exact: bool
    passed: bool | None
    """None: not judged, or the judge can say nothing."""
    general_error: str
    """Why it did not pass, one line."""
    stats: Stats
    tests_judging: str = TESTS_JUDGING


@dataclass(frozen=True)
class Answer:
    text: str = ""
    """One line to insert at the cursor."""
    replaces: int = 0
    cause: str = ""
    """Why nothing is shown."""


@dataclass(frozen=True)
class Task:
    problem: Problem
    cursor: Cursor
    variant: Variant

    @property
    def group(self) -> str:
        return f"{self.variant.name}/{self.cursor.position}"


@dataclass(frozen=True)
class Run:
    """What all tasks of a run share."""

    model: LanguageModel
    about: BenchModel
    judge: Judge | None
    """None: nothing is judged."""
    results: Results
    seed: int


def variants_named(names: str) -> list[Variant]:
    """Those of a list with commas; raises BenchError."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in VARIANTS]:
        known = ", ".join(VARIANTS)
        raise BenchError(f"unknown variant {', '.join(unknown)} (known: {known})")
    if not wanted:
        raise BenchError("no variant is named")
    return [VARIANTS[name] for name in dict.fromkeys(wanted)]


def tasks_of(problems: Sequence[Problem], variants: Sequence[Variant], seed: int) -> list[Task]:
    """All variants of a question stand together: what is left by a killed run is in pairs."""
    return [
        Task(problem, cursor, variant)
        for problem in problems
        for cursor in cursors(problem, seed)
        for variant in variants
    ]


async def run_tasks(tasks: Sequence[Task], run: Run, on_task: Callable[[], None]) -> None:
    """Answer, judge and write what the folder does not have yet. Raises ModelError, BenchError."""
    for problem, own in _by_problem(tasks):
        with tempfile.TemporaryDirectory(prefix="egcfg-bench-") as folder:
            path = write_project(Path(folder), problem.tests, problem.entry_point)
            judgements: dict[str, Judgement] = {}
            for task in own:
                if not run.results.has(task.group, problem.task_id):
                    result = await _result(task, run, path, judgements)
                    run.results.write(task.group, problem.task_id, result)
                on_task()


async def answer(request: Request, tools: Tools) -> Answer:
    """The first line that the ladder shows for an untrusted project. Raises ModelError."""
    cause = ""
    async with aclosing(ladder(request, tools)) as updates:
        async for update in updates:
            for suggestion in update.suggestions:
                line = suggestion.text.partition("\n")[0]
                return Answer(line, suggestion.replaces) if line else Answer(cause=LINE_ENDS)
            cause = ", ".join(drop.cause for drop in update.drops)
    return Answer(cause=cause)


async def _result(task: Task, run: Run, path: Path, judgements: dict[str, Judgement]) -> Result:
    """`judgements`: of the problem's programs so far."""
    problem, cursor, variant = task.problem, task.cursor, task.variant
    before = problem.before + cursor.typed
    text = f"{before}{cursor.right}\n{problem.after}"
    wanted = problem.reference.removesuffix("\n")
    request = Request(text, len(before), path, path.parent)
    metered = MeteredModel(run.model, heal=variant.heal)
    start, started = datetime.now(UTC), time.monotonic()
    tools = Tools(metered, KernelSandbox(), limits=variant.limits)
    answered = await answer(request, tools)
    duration = time.monotonic() - started
    code = splice(text, len(before), answered.text, answered.replaces)
    judgement = Judgement(False, reason=f"nothing shown: {answered.cause}")
    if run.judge is None:
        judgement = Judgement(None, reason=NOT_JUDGED)
    elif answered.text:
        if code not in judgements:
            judgements[code] = await run.judge(code, problem.tests, problem.entry_point)
        judgement = judgements[code]
    return Result(
        task_id=problem.task_id,
        position=cursor.position,
        variant=variant,
        model=run.about,
        seed=run.seed,
        version=__version__,
        typed=cursor.typed,
        right=cursor.right,
        wanted=wanted,
        shown=answered.text,
        replaces=answered.replaces,
        code=code,
        tests_shown=_shows_tests(metered, problem),
        exact=code.split("\n")[problem.before.count("\n")].rstrip() == wanted.rstrip(),
        passed=judgement.passed,
        general_error=judgement.reason,
        stats=Stats(
            start.isoformat(timespec="seconds"), round(duration, 3), metered.usage.n_generated
        ),
    )


def _shows_tests(model: MeteredModel, problem: Problem) -> bool:
    """Whether a prompt held the test of `judge.module_of_tests`; a file of tests is in it whole or not."""
    parts = (part for prompt in model.prompts for part in prompt.parts if isinstance(part, str))
    return any(f"def {name_of_test(problem.entry_point)}():" in part for part in parts)


def _by_problem(tasks: Sequence[Task]) -> Iterator[tuple[Problem, list[Task]]]:
    own: dict[str, list[Task]] = {}
    for task in tasks:
        own.setdefault(task.problem.task_id, []).append(task)
    return ((group[0].problem, group) for group in own.values())
