"""The arms with a scripted model: what they ask, how they choose, what they cost."""

from __future__ import annotations

import ast
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.arms import ARMS, Answer, Bench, Effort, arms_named, rank
from egcfg_lsp.bench.judge import write_project
from egcfg_lsp.bench.models import MeteredModel, MeteredSandbox
from egcfg_lsp.bench.problems import Judgement, Problem, Suite
from egcfg_lsp.bench.task import CandidateResult
from egcfg_lsp.model import (
    Continuation,
    Event,
    Finished,
    Line,
    ModelInfo,
    Priority,
    Stop,
    StopReason,
    Token,
    Usage,
)
from egcfg_lsp.prompt import Marker, Prompt, PromptForm
from tests.support.scripted import ScriptedSandbox, passes_if

FORM = PromptForm("Qwen2.5-Coder", frozenset(Marker), chat=("<u>", "<a>"))
TESTS = Suite("the tests", "assert add(1, 2) == 3")
BODY = Problem(
    dataset="HumanEval",
    task_id="HumanEval/0",
    entry_point="add",
    text="",
    before='def add(a, b):\n    """The sum."""\n',
    reference="    return a + b\n",
    after="",
    examples=("assert add(1, 2) == 3",),
    tests=TESTS,
)
WORDS = replace(BODY, dataset="MBPP", task_id="1", text="Add two numbers.")
LINE = replace(
    BODY,
    dataset="HumanEval-SingleLineInfilling",
    before="def add(a, b):\n",
    reference="    c = a + b\n",
    after="    return c\n",
)
SPAN = replace(LINE, before="def add(a, b):\n    c = a", reference=" + ", after="b\n    return c\n")


@dataclass
class Answers:
    """A model that answers the continuations of all calls in turn with given texts and scores."""

    texts: Sequence[tuple[str, float]]
    form: PromptForm = FORM
    asked: list[Continuation] = field(default_factory=list)

    async def info(self) -> ModelInfo:
        return ModelInfo("scripted", self.form, 8192, 0.0)

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        first = len(self.asked)
        self.asked += continuations
        usage = Usage(0, 100) if first else Usage(60, 40)
        for i in range(len(continuations)):
            text, score = self.texts[(first + i) % len(self.texts)]
            for line in text.splitlines(keepends=True):
                usage = replace(usage, n_generated=usage.n_generated + 10)
                yield usage
                yield Line(line, (Token(0, score),) * 10, i)
            yield Finished(i, StopReason.END)

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        raise NotImplementedError

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        raise NotImplementedError

    async def close(self) -> None: ...


async def by_executing(code: str) -> Judgement:
    """The visible tests, executed here: the programs are the tests' own."""
    space: dict[str, object] = {}
    tests = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]
    n_passed = 0
    for test in tests:
        with suppress(Exception):
            exec(f"{code}\n{test}", space)
            n_passed += 1
    return Judgement(n_passed == len(tests), (), n_passed, len(tests), "" if n_passed else "no")


def bench(tmp_path: Path, texts: Sequence[tuple[str, float]], **changes: object) -> Bench:
    made = Bench(
        model=MeteredModel(Answers(texts)),
        sandbox=MeteredSandbox(ScriptedSandbox()),
        visible=TESTS,
        run_visible=by_executing,
        tests_text="",
        path=write_project(tmp_path, TESTS, "add"),
        effort=Effort(),
        seed=7,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def asked(bench: Bench) -> list[Continuation]:
    model = bench.model._model
    assert isinstance(model, Answers)
    return model.asked


async def answer(name: str, problem: Problem, bench: Bench) -> Answer:
    return await ARMS[name].run(problem, bench)


@pytest.mark.parametrize("name", ["greedy", "fim", "sample", "best-of-n"])
@pytest.mark.parametrize(
    ("problem", "said", "program"),
    [
        (BODY, "    return a + b\n", BODY.before + "    return a + b\n"),
        (BODY, "    return a + b", BODY.before + "    return a + b"),
        (LINE, "    c = a + b\n", LINE.before + LINE.reference + LINE.after),
        (LINE, "    c = a + b", LINE.before + LINE.reference + LINE.after),
        (SPAN, " + ", SPAN.before + SPAN.reference + SPAN.after),
    ],
)
async def test_program_is_whole(
    name: str, problem: Problem, said: str, program: str, tmp_path: Path
) -> None:
    """The answer stands between what is above and below the gap, without a lost or doubled line end."""
    found = await answer(name, problem, bench(tmp_path, [(said, -1.0)]))
    assert found.code == program
    ast.parse(found.code)


@pytest.mark.parametrize("name", ["greedy", "sample", "best-of-n"])
async def test_asked_in_words_the_answer_is_the_program(name: str, tmp_path: Path) -> None:
    code = "def add(a, b):\n    return a + b\n"
    there = bench(tmp_path, [(code, -1.0)], tests_text="assert add(1, 2) == 3\n")
    assert (await answer(name, WORDS, there)).code == code
    question = str(asked(there)[0].prompt.parts[1])
    assert "Add two numbers." in question
    assert "assert add(1, 2) == 3" in question


async def test_fim_asks_in_the_products_form_and_sees_the_tests_on_disk(tmp_path: Path) -> None:
    there = bench(tmp_path, [("    return a + b\n", -1.0)])
    await answer("fim", BODY, there)
    (one,) = asked(there)
    parts = one.prompt.parts
    assert Marker.FIM_MIDDLE in parts
    assert any("assert add(1, 2) == 3" in part for part in parts if isinstance(part, str))


@pytest.mark.parametrize(
    ("name", "temperatures"),
    [("greedy", [0.0]), ("fim", [0.0]), ("sample", [0.6]), ("best-of-n", [0.6] * 3)],
)
async def test_how_tokens_are_chosen(name: str, temperatures: list[float], tmp_path: Path) -> None:
    effort = Effort(n_samples=3, temperature=0.6, max_tokens=99)
    there = bench(tmp_path, [("    return a + b\n", -1.0)], effort=effort)
    await answer(name, BODY, there)
    assert [one.sampling.temperature for one in asked(there)] == temperatures
    assert {one.stop.max_tokens for one in asked(there)} == {99}
    if name in ("sample", "best-of-n"):
        assert [one.sampling.seed for one in asked(there)] == [7, 8, 9][: len(temperatures)]


WRONG, RIGHT = "    return a - b\n", "    return a + b\n"
BROKEN, LONG = "    return a +\n", "    return b + a\n"


@pytest.mark.parametrize(
    ("texts", "best"),
    [
        pytest.param([(WRONG, -0.1), (RIGHT, -9.0)], RIGHT, id="tests before probability"),
        pytest.param([(RIGHT, -2.0), (LONG, -1.0)], LONG, id="then the more probable"),
        pytest.param([(BROKEN, -0.1), (WRONG, -3.0)], WRONG, id="one of two passed before none"),
    ],
)
async def test_best_of_n_chooses(texts: list[tuple[str, float]], best: str, tmp_path: Path) -> None:
    effort = Effort(n_samples=len(texts))
    found = await answer("best-of-n", BODY, bench(tmp_path, texts, effort=effort))
    assert found.code == BODY.before + best
    assert [one.code for one in found.candidates] == [BODY.before + text for text, _ in texts]
    assert [one.mean_log_probability for one in found.candidates] == [p for _, p in texts]
    assert found.outcome == ("partial" if best == WRONG else "verified")


async def test_unknown_ranks_between_some_and_none() -> None:
    def candidate(passed: int | None) -> CandidateResult:
        return CandidateResult("", -1.0, passed, 2)

    ranked = sorted([candidate(0), candidate(None), candidate(2), candidate(1)], key=rank)
    assert [one.visible_passed for one in ranked] == [0, None, 1, 2]


async def test_best_of_n_without_tests_takes_the_most_probable(tmp_path: Path) -> None:
    texts = [(RIGHT, -2.0), (WRONG, -1.0)]
    there = bench(tmp_path, texts, visible=None, effort=Effort(n_samples=2))
    found = await answer("best-of-n", BODY, there)
    assert (found.code, found.outcome) == (BODY.before + WRONG, "")


async def test_the_budget_ends_it(tmp_path: Path) -> None:
    """20 (0.2 × 100 tokens read) + 10 a line: the third answer is cut, and no other batch started."""
    two_lines = "    c = a + b\n    return c\n"
    effort = Effort(n_samples=20, budget=70)
    there = bench(tmp_path, [(two_lines, -1.0)], effort=effort)
    found = await answer("best-of-n", BODY, there)
    assert len(asked(there)) == 8
    assert found.stopped_early
    assert [one.code for one in found.candidates] == [BODY.before + two_lines] * 2
    assert there.cost == 70


async def test_a_budget_too_small_for_one_answer_gives_what_there_is(tmp_path: Path) -> None:
    there = bench(tmp_path, [("    c = 1\n    return c\n", -1.0)], effort=Effort(budget=25))
    found = await answer("best-of-n", BODY, there)
    assert found.code == BODY.before + "    c = 1\n"
    assert found.stopped_early


async def test_cost_counts_as_if_nothing_had_been_cached_before(tmp_path: Path) -> None:
    """What other tasks left in the KV cache is read here; what the arm reuses itself is not."""
    there = bench(tmp_path, [(RIGHT, -1.0)], effort=Effort(n_samples=16))
    await answer("best-of-n", BODY, there)
    assert there.model.usage == Usage(n_read=100, n_reused=100, n_generated=160)


@pytest.mark.parametrize(
    ("said", "outcome", "summary"),
    [(RIGHT, "verified", "✓ 3/3"), (WRONG, "fails", "✗ 0/3")],
)
async def test_verify_is_the_editors_ladder(
    said: str, outcome: str, summary: str, tmp_path: Path
) -> None:
    sandbox = ScriptedSandbox(passes_if("return a + b"))
    there = bench(tmp_path, [(said, -1.0)], sandbox=MeteredSandbox(sandbox))
    found = await answer("verify", BODY, there)
    assert found.code.rstrip() == (BODY.before + said).rstrip()
    assert (found.rung, found.outcome) == ("verify", outcome)
    assert found.summary.startswith(summary)
    assert found.first_line_seconds is not None
    assert there.sandbox.n_runs == len(sandbox.jobs) > 0


async def test_ladder_follows_up_what_fails(tmp_path: Path) -> None:
    """The draft fails; of the samples behind it the first right one is the answer."""
    sandbox = MeteredSandbox(ScriptedSandbox(passes_if("return a + b")))
    there = bench(tmp_path, [(WRONG, -1.0), (RIGHT, -2.0)], sandbox=sandbox)
    found = await answer("ladder", BODY, there)
    assert found.code.rstrip() == (BODY.before + RIGHT).rstrip()
    assert (found.rung, found.outcome, found.summary) == ("explore", "verified", "✓ 3/3")
    assert [one["outcome"] for one in found.extra["considered"]] == ["fails", "verified"]
    verified = await answer("verify", BODY, bench(tmp_path, [(WRONG, -1.0)], sandbox=sandbox))
    assert (verified.rung, verified.outcome) == ("verify", "fails")


async def test_verify_where_nothing_is_suggested(tmp_path: Path) -> None:
    found = await answer("verify", BODY, bench(tmp_path, [("", -1.0)]))
    assert (found.code, found.rung, found.outcome) == (BODY.before, "draft", "")
    assert found.summary


@pytest.mark.parametrize(
    ("name", "effort", "config"),
    [
        ("greedy", Effort(), "greedy"),
        ("greedy", Effort(max_tokens=64, budget=5), "greedy_m64"),
        ("sample", Effort(temperature=0.25), "sample_t0.25"),
        ("best-of-n", Effort(), "best-of-n_ns8t0.8"),
        ("best-of-n", Effort(n_samples=3, budget=900), "best-of-n_ns3t0.8b900"),
        ("verify", Effort(max_tokens=64), "verify"),
        ("ladder", Effort(max_tokens=64), "ladder"),
        ("guide", Effort(max_tokens=64), "guide"),
    ],
)
def test_names_of_configurations(name: str, effort: Effort, config: str) -> None:
    """Efforts that make a difference have different names."""
    assert ARMS[name].config(effort) == config


def test_arms_by_name() -> None:
    assert [arm.name for arm in arms_named(["fim", "greedy", "fim"])] == ["fim", "greedy"]
    with pytest.raises(BenchError, match="unknown arm best \\(known: greedy, fim"):
        arms_named(["greedy", "best"])
    with pytest.raises(BenchError, match="no arm"):
        arms_named([])


@pytest.mark.parametrize(
    ("problem", "said", "program"),
    [
        pytest.param(SPAN, " + b\n    return c\n", None, id="the tail again"),
        pytest.param(SPAN, " + b\n    return c", None, id="without its end"),
        pytest.param(SPAN, " + ", None, id="not again"),
        pytest.param(
            SPAN, " + b\n", "def add(a, b):\n    c = a + b\nb\n    return c\n", id="a part"
        ),
        pytest.param(LINE, "    c = a + b\n    return c\n", None, id="lines: the stop's matter"),
    ],
)
async def test_what_stands_below_is_not_repeated(
    problem: Problem, said: str, program: str | None, tmp_path: Path
) -> None:
    found = await answer("fim", problem, bench(tmp_path, [(said, -1.0)]))
    whole = problem.before + problem.reference + problem.after
    if problem is LINE:
        assert found.code == problem.before + said + problem.after, "this model does not stop"
    else:
        assert found.code == (program or whole)


async def test_stops_at_the_line_below(tmp_path: Path) -> None:
    there = bench(tmp_path, [("    c = a + b\n", -1.0)])
    await answer("greedy", LINE, there)
    await answer("greedy", SPAN, there)
    await answer("greedy", BODY, there)
    stops: list[Stop] = [one.stop for one in asked(there)]
    assert [stop.suffix_line for stop in stops] == ["    return c", "", ""]
    assert [stop.min_indent for stop in stops] == [1, 1, 1]
    assert {stop.strings for stop in stops} == {("```",)}
