"""A run of infilling with a scripted model: what is asked, what is written, going on after a kill."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.bench.cursors import Cursor, Position
from egcfg_lsp.bench.infilling import (
    NOT_JUDGED,
    VARIANTS,
    Result,
    Run,
    Task,
    run_tasks,
    tasks_of,
    variants_named,
)
from egcfg_lsp.bench.judge import Judge, judge
from egcfg_lsp.bench.problems import Judgement, Problem, Suite
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.model import Continuation, Finished, LanguageModel, Line, ModelError, Priority
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.prompt import Marker
from tests.bench.problems import clamp_and_evens
from tests.support.scripted import ScriptedModel

ABOUT = BenchModel("scripted", "0")
CONFIGURATION = {"dataset": "infilling"}
RIGHT = "    return min(value, high)\n"


def run_in(folder: Path, model: LanguageModel, judge: Judge | None = None, seed: int = 0) -> Run:
    return Run(model, ABOUT, judge, open_results(folder / "out", CONFIGURATION), seed)


async def result_of(
    problem: Problem,
    folder: Path,
    *said: str,
    typed: str = "",
    right: str = "",
    variant: str = "product",
    judge: Judge | None = None,
) -> Result:
    position = Position.MIDDLE if typed else Position.START
    cursor = Cursor(Position.CLOSED if right else position, typed, right)
    run = run_in(folder, ScriptedModel(list(said)), judge)
    await run_tasks([Task(problem, cursor, VARIANTS[variant])], run, lambda: None)
    (result,) = run.results.read_all(Result)
    return result


@pytest.mark.parametrize(
    ("typed", "right", "said", "shown", "exact"),
    [
        ("", "", RIGHT, "    return min(value, high)", True),
        ("", "", "    return min(value, high)  \n", "    return min(value, high)", True),
        ("", "", "    return min(high, value)\n", "    return min(high, value)", False),
        ("", "", "return min(value, high)\n", "", False),
        ("    return m", "", "in(value, high)\n", "in(value, high)", True),
        ("    return min(", ")", "value, high)\n", None, True),
        ("    return min(", ")", "value, high\n", None, True),
        ("    return min(", ")", "value\n", None, False),
        ("    return m", "", "", "", False),
    ],
)
async def test_exact_match_is_of_the_resulting_line(
    typed: str, right: str, said: str, shown: str | None, exact: bool, tmp_path: Path
) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    result = await result_of(clamp, tmp_path, said, typed=typed, right=right)
    assert result.exact is exact
    assert shown is None or result.shown == shown
    assert (clamp.before + clamp.reference == result.code) is exact
    assert (result.passed, result.general_error) == (None, NOT_JUDGED)


async def test_text_that_begins_with_a_line_end_is_no_answer(tmp_path: Path) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    judge = ScriptedJudge()
    said = ("\n", "    return high\n")
    result = await result_of(clamp, tmp_path, *said, typed="    return min", judge=judge)
    assert (result.shown, result.exact, result.passed) == ("", False, False)
    assert result.general_error == "nothing shown: the suggestion begins with a line end"
    assert judge.judged == []


async def test_first_line_alone_is_the_answer(tmp_path: Path) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    said = ("    largest = high\n", "    return min(value, largest)\n")
    result = await result_of(clamp, tmp_path, *said)
    assert result.shown == "    largest = high"
    assert result.code == clamp.before + "    largest = high\n"


@pytest.mark.parametrize(
    ("said", "passed", "reason"),
    [
        (RIGHT, True, ""),
        ("    return low\n", False, "clamp(5, 1, 3) → 1, want 3"),
        ("    import os; os._exit(0)\n", False, "the program ended (exit status 0)"),
        ("    import sys; sys.exit(0)\n", False, "SystemExit"),
        ("", False, "nothing shown: nothing-to-add"),
    ],
)
async def test_planted_answers_are_judged_in_the_real_sandbox(
    said: str, passed: bool | None, reason: str, tmp_path: Path
) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    result = await result_of(clamp, tmp_path, said, judge=judge)
    assert result.passed is passed
    assert reason in result.general_error


@dataclass
class ScriptedJudge:
    """Passes programs that contain a text; remembers those it was asked about."""

    wanted: str = "return"
    judged: list[str] = field(default_factory=list)

    async def __call__(self, code: str, tests: Suite, entry_point: str) -> Judgement:
        self.judged.append(code)
        return Judgement(self.wanted in code)


@dataclass
class AskedModel(ScriptedModel):
    """Remembers the continuations, and fails after so many."""

    n_answers: int = 1000
    asked: list[Continuation] = field(default_factory=list)

    def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Line | Finished]:
        if len(self.asked) == self.n_answers:
            raise ModelError("the worker was killed")
        self.asked += continuations
        return super().generate(continuations, priority)


def texts(continuation: Continuation, marker: Marker) -> str:
    parts = continuation.prompt.parts
    return str(parts[parts.index(marker) + 1])


async def test_variants_differ_in_what_they_are_named_after(tmp_path: Path) -> None:
    _, evens = clamp_and_evens(tmp_path)
    model = AskedModel()
    run = run_in(tmp_path, model)
    await run_tasks(tasks_of([evens], list(VARIANTS.values()), 0), run, lambda: None)
    asked = dict(zip(VARIANTS, model.asked[len(VARIANTS) : 2 * len(VARIANTS)], strict=True))
    every = {name: str(one.prompt.parts) for name, one in asked.items()}
    assert [n for n, text in every.items() if "def test_evens" not in text] == ["no-tests"]
    assert [n for n, one in asked.items() if not one.heal] == ["no-healing"]
    assert [n for n, one in asked.items() if not texts(one, Marker.FIM_SUFFIX)] == ["no-suffix"]
    one_line = [n for n, one in asked.items() if "\n" not in texts(one, Marker.FIM_MIDDLE)]
    assert one_line == ["no-anchor"]
    results = list(run.results.read_all(Result))
    assert {r.variant.name for r in results if not r.tests_shown} == {"no-tests"}
    assert all(r.tests_judging == "the data set's check(candidate)" for r in results)


async def test_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    problems = clamp_and_evens(tmp_path)
    tasks = tasks_of(problems, variants_named("product,no-tests"), 0)
    n_before, killed = 3, AskedModel(n_answers=3)
    with pytest.raises(ModelError):
        await run_tasks(tasks, run_in(tmp_path, killed), lambda: None)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("task_id=*")}
    assert len(first) == n_before

    again, steps = AskedModel(), []
    await run_tasks(tasks, run_in(tmp_path, again), lambda: steps.append(1))
    assert len(again.asked) == len(tasks) - n_before
    assert len(steps) == len(tasks)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert len(list(tmp_path.rglob("task_id=*"))) == len(tasks)

    done = AskedModel(n_answers=0)
    await run_tasks(tasks, run_in(tmp_path, done), lambda: None)


async def test_equal_programs_are_judged_once(tmp_path: Path) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    judge = ScriptedJudge("min(value")
    variants = variants_named("product,no-tests,no-suffix")
    tasks = [task for task in tasks_of([clamp], variants, 0) if not task.cursor.typed]
    run = run_in(tmp_path, ScriptedModel([RIGHT]), judge)
    await run_tasks(tasks, run, lambda: None)
    assert len(judge.judged) == 1
    assert [result.passed for result in run.results.read_all(Result)] == [True] * 3


def test_tasks_keep_the_variants_of_a_question_together(tmp_path: Path) -> None:
    tasks = tasks_of(clamp_and_evens(tmp_path), variants_named("no-tests, product"), 0)
    questions = [(task.problem.task_id, task.cursor) for task in tasks]
    assert [task.variant.name for task in tasks] == ["no-tests", "product"] * (len(tasks) // 2)
    assert questions[::2] == questions[1::2]
    assert len({task.group for task in tasks}) == 2 * len(Position)


@pytest.mark.parametrize(
    ("names", "message"),
    [("product,nope", "unknown variant nope .known: product, "), (",", "no v")],
)
def test_unknown_variants(names: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        variants_named(names)


@pytest.mark.model
async def test_two_problems_with_the_real_model_and_sandbox(
    default_model: Path, tmp_path: Path
) -> None:
    problems = clamp_and_evens(tmp_path)
    model = LlamaModel(default_model)
    try:
        run = run_in(tmp_path, model, judge)
        await run_tasks(tasks_of(problems, variants_named("product"), 0), run, lambda: None)
    finally:
        await model.close()
    results = list(run.results.read_all(Result))
    assert len(results) == 5  # no bracket in one of the two lines
    assert all(r.passed is not None and r.tests_shown for r in results), results
    assert all(r.passed for r in results if r.exact)
    assert sum(bool(r.passed) for r in results) >= 3
    assert all(r.stats.output_tokens and r.stats.duration > 0 for r in results if r.shown)
