"""EG-CFG as published, with a scripted model and sandbox: what is asked, run, told and chosen."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.arms import ARMS, Answer, Bench, Effort, arms_named
from egcfg_lsp.bench.judge import write_project
from egcfg_lsp.bench.line_by_line import Signal
from egcfg_lsp.bench.models import MeteredModel, MeteredSandbox
from egcfg_lsp.bench.problems import Judgement, Problem, Suite
from egcfg_lsp.bench.published import eg_cfg, grid_of, with_grid
from egcfg_lsp.cli import app
from egcfg_lsp.execution import Job, RunResult, Status
from egcfg_lsp.model import (
    Continuation,
    Event,
    Finished,
    Line,
    ModelInfo,
    Priority,
    StopReason,
    Token,
    Usage,
)
from egcfg_lsp.prompt import Prompt, PromptForm
from tests.support.scripted import ScriptedSandbox
from tests.trace.traces import frame, record

FORM = PromptForm("Qwen2.5-Coder", chat=("<u>", "<a>"))
TESTS = Suite("the tests", "assert add(1, 2) == 3\nassert add(0, 0) == 0")
HEAD = 'def add(a, b):\n    """The sum."""\n'
BODY = Problem(
    dataset="HumanEval",
    task_id="HumanEval/0",
    entry_point="add",
    text="",
    before=HEAD,
    reference="    return a + b\n",
    after="",
    examples=("assert add(1, 2) == 3",),
    tests=TESTS,
)
WORDS = replace(BODY, dataset="MBPP", task_id="1", text="Add two numbers.")
OPENS, RIGHT, WRONG = "    c = a + b\n", "    return c\n", "    return a - b\n"
NAME = "ns3t0.75d2_ln"


@dataclass
class Scripted:
    """Says `lines` one a request, and `samples` one text a continuation that is sampled.

    After the last line it has ended; the samples begin anew. A sample ends when it is said. A token
    is a line, 10 tokens are read by a request.
    """

    lines: Sequence[str] = ()
    samples: Sequence[str] = (OPENS + RIGHT,)
    form: PromptForm = FORM
    calls: list[list[Continuation]] = field(default_factory=list)
    n_lines: int = 0
    n_samples: int = 0
    n_said: int = 0
    """Lines of samples that were said."""

    async def info(self) -> ModelInfo:
        return ModelInfo("scripted", self.form, 8192, 0.0)

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        self.calls.append(list(continuations))
        usage = Usage(n_read=10)
        for event in self.events(continuations):
            usage = replace(usage, n_generated=usage.n_generated + isinstance(event, Line))
            yield usage
            yield event

    def events(self, continuations: Sequence[Continuation]) -> Iterator[Event]:
        if continuations[0].sampling.temperature == 0:
            yield from self.line(len(continuations))
            return
        for i in range(len(continuations)):
            text = self.samples[self.n_samples % len(self.samples)]
            self.n_samples += 1
            for line in text.splitlines(keepends=True):
                self.n_said += 1
                yield Line(line, (Token(0, -0.5 - i),), i)
            yield Finished(i, StopReason.END)

    def line(self, n: int) -> Iterator[Event]:
        assert n == 1
        if self.n_lines == len(self.lines):
            yield Finished(0, StopReason.END)
            return
        yield Line(self.lines[self.n_lines], (Token(0, -1.0),))
        yield Finished(0, StopReason.LINE_END)
        self.n_lines += 1

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        raise NotImplementedError

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        raise NotImplementedError

    async def close(self) -> None: ...

    @property
    def kinds(self) -> str:
        """Of the calls: `s` samples, `l` a plain line, `g` a guided one."""
        return "".join(
            "s" if first.sampling.temperature else "g" if first.signal is not None else "l"
            for first, *_ in self.calls
        )

    def of_kind(self, kind: str) -> list[list[Continuation]]:
        return [call for call, own in zip(self.calls, self.kinds, strict=True) if own == kind]


def said_by_executing(job: Job) -> RunResult:
    """Each test, executed here: the programs are the tests' own."""
    (test,) = job.tests
    space: dict[str, object] = {}
    trace = record(
        test=test.name,
        exception=None,
        assertion=None,
        frames=[frame(name="add", arguments={"a": "1", "b": "2"})],
    )
    with suppress(Exception):
        exec(f"{job.text}\n{test.source}", space)
        return RunResult(Status.PASSED, 1, 1, trace=trace)
    return RunResult(Status.FAILED, 0, 1, failure="it is not 3", trace=trace)


async def visible_by_executing(code: str) -> Judgement:
    n_passed = 0
    for test in TESTS.source.splitlines():
        with suppress(Exception):
            exec(f"{code}\n{test}", {})
            n_passed += 1
    return Judgement(n_passed == 2, (), n_passed, 2, "" if n_passed == 2 else "it fails")


@dataclass
class Ran:
    answer: Answer
    model: Scripted
    jobs: list[Job]


async def ran(
    folder: Path,
    model: Scripted,
    names: str = NAME,
    *,
    scales: Sequence[float] = (1.0,),
    signal: Signal = Signal.TRACE,
    problem: Problem = BODY,
    visible: Suite | None = TESTS,
    effort: Effort | None = None,
) -> Ran:
    sandbox = ScriptedSandbox(said_by_executing)
    bench = Bench(
        model=MeteredModel(model),
        sandbox=MeteredSandbox(sandbox),
        visible=visible,
        run_visible=visible_by_executing,
        tests_text="",
        path=write_project(folder, visible, "add"),
        effort=effort or Effort(),
        seed=7,
    )
    arm = eg_cfg(grid_of(names.split(","), scales, signal))
    return Ran(await arm.run(problem, bench), model, sandbox.jobs)


def text_of(prompt: Prompt | None) -> str:
    assert prompt is not None
    return "".join(part for part in prompt.parts if isinstance(part, str))


async def test_each_line_is_sampled_run_and_guided(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([OPENS, RIGHT], [OPENS + RIGHT, WRONG, OPENS + WRONG]))
    assert done.answer.code == HEAD + OPENS + RIGHT
    assert done.model.kinds == "sgsgsg", "the last one finds the end"
    assert done.answer.rung == "guide"
    assert done.answer.outcome == "verified"


async def test_what_the_samples_are(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([OPENS, RIGHT]), "ns2t0.75d2_ln")
    batches = done.model.of_kind("s")
    assert [len(batch) for batch in batches] == [2, 2, 2]
    samplings = [one.sampling for batch in batches for one in batch]
    assert {(one.temperature, one.top_p, one.min_p) for one in samplings} == {(0.75, 0.95, 0.0)}
    assert [one.seed for one in samplings] == [7, 8, 9, 10, 11, 12]
    assert all(one.signal is None for batch in batches for one in batch)
    assert not batches[0][0].stop.at_line_end
    assert text_of(batches[1][0].prompt).endswith(HEAD + OPENS), "behind what is written"


async def test_what_guides_a_line(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([OPENS, RIGHT], [OPENS + RIGHT, WRONG]), scales=(0.5,))
    (first,), (second,), _ = done.model.of_kind("g")
    for one in (first, second):
        assert one.guidance_scale == 0.5
        assert one.sampling.temperature == 0
        assert one.stop.at_line_end
    prior, signal = text_of(first.prompt), text_of(first.signal)
    assert prior.endswith(HEAD)
    assert signal.endswith(HEAD)
    for told in (OPENS + RIGHT, WRONG, "assert add(1, 2) == 3: passes", "result = 0"):
        assert told in signal
        assert told not in prior
    assert text_of(second.prompt).endswith(HEAD + OPENS)
    assert text_of(second.signal).endswith(HEAD + OPENS)


async def test_each_candidate_is_run_against_each_test(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([RIGHT], [OPENS + RIGHT, WRONG]))
    first = [(job.tests[0].name, job.text) for job in done.jobs[:4]]
    assert first == [
        ("test_add_1", HEAD + OPENS + RIGHT),
        ("test_add_2", HEAD + OPENS + RIGHT),
        ("test_add_1", HEAD + WRONG),
        ("test_add_2", HEAD + WRONG),
    ]
    assert {(job.target, job.target_lines) for job in done.jobs[:2]} == {("add", (1, 4))}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("ns3t0.75d2_ln", "sgsgsgsg"),
        ("ns3t0.75d2k1_ln", "sgsgsgsg"),
        ("ns3t0.75d2k2_ln", "sggsgg"),
        ("ns3t0.75d2k3_ln", "sgggsg"),
        ("ns3t0.75d2k9_ln", "sgggg"),
    ],
)
async def test_the_signal_is_refreshed_every_k_lines(name: str, kinds: str, tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([OPENS, OPENS, RIGHT]), name)
    assert done.model.kinds == kinds
    signals = [text_of(call[0].signal).partition(HEAD)[0] for call in done.model.of_kind("g")]
    if name == "ns3t0.75d2k9_ln":
        assert len(set(signals)) == 1, "it is kept as it was"


@pytest.mark.parametrize("sample", ["", "    c = (\n", "    # nothing\n"])
async def test_an_empty_signal_is_a_plain_line_and_no_second_try(
    sample: str, tmp_path: Path
) -> None:
    done = await ran(tmp_path, Scripted([OPENS, RIGHT], [sample]))
    assert done.model.kinds == "slslsl"
    assert not done.jobs
    assert done.answer.code == HEAD + OPENS + RIGHT
    assert done.answer.extra["guided_lines"] == 0


async def test_candidates_are_cut_to_d_lines(tmp_path: Path) -> None:
    """And what is said beyond is not waited for."""
    long = "    x = 1\n\n    y = 2\n    z = 3\n    return z\n" + "    pass\n" * 50
    model = Scripted([RIGHT], [long])
    done = await ran(tmp_path, model, "ns1t0.75d2_ln")
    assert done.jobs[0].text == HEAD + "    x = 1\n\n    y = 2\n"
    assert model.n_said <= 2 * 4
    told = text_of(model.of_kind("g")[0][0].signal)
    assert "y = 2" in told
    assert "z = 3" not in told


async def test_an_open_block_runs_with_a_pass(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([RIGHT], ["    if a:\n        x = [\n"]), "ns1t0.75d2_ln")
    assert done.jobs[0].text == HEAD + "    if a:\n        pass\n"
    told = text_of(done.model.of_kind("g")[0][0].signal)
    assert "    if a:\n```" in told, "as it was written"


async def test_equal_candidates_are_run_once(tmp_path: Path) -> None:
    same = [OPENS + RIGHT, OPENS + "    return (c)  # the sum\n", OPENS + RIGHT]
    done = await ran(tmp_path, Scripted([RIGHT], same))
    assert len(done.jobs) == 2 * 2, "of each signal, one for each test"
    counted = done.answer.extra
    assert (counted["candidates"], counted["executable"], counted["distinct"]) == (6, 6, 2)


async def test_without_guidance_nothing_is_sampled_or_run(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([OPENS, RIGHT]), scales=(0.0,))
    assert done.model.kinds == "lll"
    assert not done.jobs
    assert (done.answer.rung, done.answer.extra["gamma"]) == ("draft", 0.0)


async def test_the_first_configuration_that_passes_wins(tmp_path: Path) -> None:
    model = Scripted([WRONG, OPENS, RIGHT], [WRONG])
    model.lines = [WRONG, OPENS, RIGHT]

    done = await ran(tmp_path, _ending(model, {1, 3}), "ns1t0.7d2_ln,ns1t1.2d2_lci_ln,ns1t1.5d8_ln")
    assert done.answer.code == HEAD + OPENS + RIGHT
    assert [one.code for one in done.answer.candidates] == [HEAD + WRONG, HEAD + OPENS + RIGHT]
    assert [one.visible_passed for one in done.answer.candidates] == [1, 2]
    assert done.answer.extra["configuration"] == "ns1t1.2d2_lci_ln"
    told = [(one["configuration"], one["visible_passed"]) for one in done.answer.extra["attempts"]]
    assert told == [("ns1t0.7d2_ln", 1), ("ns1t1.2d2_lci_ln", 2)]
    temperatures = [batch[0].sampling.temperature for batch in model.of_kind("s")]
    assert temperatures == [0.7, 0.7, 1.2, 1.2, 1.2]


def _ending(model: Scripted, places: set[int]) -> Scripted:
    """One whose programs end behind so many lines, and go on with the next program's."""
    is_due = set(places)
    plain = model.line

    def line(n: int) -> Iterator[Event]:
        if model.n_lines in is_due:
            is_due.discard(model.n_lines)
            yield Finished(0, StopReason.STRING)
        else:
            yield from plain(n)

    model.line = line  # type: ignore[method-assign]
    return model


async def test_where_none_passes_the_best_is_given(tmp_path: Path) -> None:
    broken = "    return None\n"
    model = _ending(Scripted([broken, WRONG, broken], [WRONG]), {1, 2, 3})
    done = await ran(tmp_path, model, "ns1t0.7d2_ln,ns1t1.2d2_ln,ns1t1.5d2_ln")
    assert done.answer.code == HEAD + WRONG
    assert (done.answer.outcome, done.answer.summary) == ("partial", "it fails")
    assert len(done.answer.extra["attempts"]) == 3


async def test_without_guidance_only_the_prompt_makes_a_difference(tmp_path: Path) -> None:
    model = _ending(Scripted([WRONG] * 4), {1, 2, 3, 4})
    names = "ns1t0.7d2_ln,ns1t1.2d2_ln,ns1t1.2d2_lci_ln,ns1t1.5d8_lci_ln"
    done = await ran(tmp_path, model, names, scales=(0.0,))
    told = [one["configuration"] for one in done.answer.extra["attempts"]]
    assert told == ["ns1t0.7d2_ln", "ns1t1.2d2_lci_ln"]


@pytest.mark.parametrize(
    ("signal", "told", "not_told"),
    [
        (Signal.TRACE, ["result = 0", "assert add(1, 2) == 3: it is not 3"], []),
        (Signal.OUTCOME, ["it is not 3 (1/2 pass)"], ["result = 0", "with a = 1"]),
        (Signal.FAILING, ["it is not 3 (1/2 pass)", "with a = 1, b = 2"], ["    result = 0"]),
    ],
)
async def test_forms_of_the_signal(
    signal: Signal, told: list[str], not_told: list[str], tmp_path: Path
) -> None:
    done = await ran(tmp_path, Scripted([RIGHT], [WRONG]), signal=signal)
    text = text_of(done.model.of_kind("g")[0][0].signal)
    assert all(one in text for one in told)
    assert not any(one in text for one in not_told)
    assert done.answer.extra["signal"] == signal.value


async def test_selection_alone(tmp_path: Path) -> None:
    """The line of the candidate that passes most, and no decoding of its own."""
    model = Scripted([WRONG], [WRONG, OPENS + RIGHT, OPENS + WRONG])
    done = await ran(tmp_path, model, signal=Signal.NONE, effort=Effort(max_tokens=2))
    assert done.model.kinds == "ss"
    assert done.answer.code == HEAD + OPENS * 2, "the script says the same again"
    assert done.answer.rung == "guide"
    assert done.answer.extra["gamma"] == 0.0


async def test_selection_ends_with_the_candidate(tmp_path: Path) -> None:
    model = Scripted([], [OPENS + RIGHT])
    done = await ran(tmp_path, model, "ns1t0.7d8k8_ln", signal=Signal.NONE)
    assert model.kinds == "s"
    assert done.answer.code == HEAD + OPENS + RIGHT


async def test_equal_passes_are_decided_by_probability(tmp_path: Path) -> None:
    """The scripted samples are less probable the later they come."""
    model = Scripted([], ["    return a + b\n", OPENS + RIGHT])
    done = await ran(tmp_path, model, "ns2t0.7d8k8_ln", signal=Signal.NONE)
    assert done.answer.code == HEAD + "    return a + b\n"


async def test_selection_without_candidates_writes_a_plain_line(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([OPENS, RIGHT], [""]), signal=Signal.NONE)
    assert done.model.kinds == "slslsl"
    assert done.answer.code == HEAD + OPENS + RIGHT


async def test_where_the_problem_has_no_tests(tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([RIGHT]), f"{NAME},ns3t1.2d2_ln", visible=None)
    assert done.model.kinds == "ll"
    assert (done.answer.outcome, len(done.answer.candidates)) == ("", 1)


async def test_the_budget_ends_it(tmp_path: Path) -> None:
    """2 for the 10 tokens that a request reads, 1 for a line: 2 + 6 of the samples, 2 + 1, 2 + …"""
    effort = Effort(budget=12)
    model = Scripted([OPENS, RIGHT], [OPENS + RIGHT])
    done = await ran(tmp_path, model, f"{NAME},ns3t1.2d2_ln", effort=effort)
    assert done.model.kinds == "sgs"
    assert done.answer.stopped_early
    assert done.answer.code == HEAD + OPENS
    assert len(done.answer.extra["attempts"]) == 1


async def test_a_program_has_its_own_bound(tmp_path: Path) -> None:
    effort = Effort(max_tokens=2)
    done = await ran(tmp_path, Scripted([OPENS] * 9, [OPENS]), effort=effort)
    assert done.model.kinds == "sgsg"
    assert done.answer.code == HEAD + OPENS * 2
    assert [call[0].stop.max_tokens for call in done.model.of_kind("g")] == [2, 1]
    assert not done.answer.stopped_early


async def test_selected_lines_count_too(tmp_path: Path) -> None:
    model = Scripted([], [OPENS + RIGHT])
    done = await ran(tmp_path, model, signal=Signal.NONE, effort=Effort(max_tokens=3))
    assert done.answer.extra["tokens"] == 3


async def test_in_words_the_whole_program_is_written(tmp_path: Path) -> None:
    program = ["import math\n", "def add(a, b):\n", "    return a + b\n", "print(add(1, 2))\n"]
    model = Scripted(program, ["def add(a, b):\n    return a - b\n"])
    done = await ran(tmp_path, model, problem=WORDS)
    assert done.answer.code == "".join(program[:3])
    lines = [call[0] for call in model.calls if not call[0].sampling.temperature]
    prompts = [text_of(one.prompt) for one in lines]
    assert "Add two numbers." in prompts[0]
    assert prompts[0].endswith("```python\n")
    assert prompts[2].endswith("".join(program[:2]))
    indents = [one.stop.min_indent for one in lines]
    assert indents == [None, None, 1, 1, 1], "the function ends, what stands above it does not"


@pytest.mark.parametrize(("form", "strings"), [(FORM, ("```",)), (PromptForm(), ())])
async def test_where_lines_end(form: PromptForm, strings: tuple[str, ...], tmp_path: Path) -> None:
    done = await ran(tmp_path, Scripted([RIGHT], form=form))
    stops = [one.stop for call in done.model.calls for one in call]
    assert {stop.strings for stop in stops} == {strings}
    assert {stop.min_indent for stop in stops} == {1}
    assert all("def " in stop.dedents for stop in stops)


async def test_lines_that_a_candidate_has_are_counted(tmp_path: Path) -> None:
    model = Scripted([OPENS, RIGHT], [OPENS + RIGHT])
    done = await ran(tmp_path, model)
    counted = done.answer.extra
    assert counted["lines"] == 2
    assert counted["guided_lines"] == 2
    assert counted["lines_as_candidate"] == 1, "the samples always begin with the first line"


async def test_code_below_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no place for code below"):
        await ran(tmp_path, Scripted(), problem=replace(BODY, after="    return c\n"))


@pytest.mark.parametrize(
    ("names", "scales", "signal", "label", "gamma", "n"),
    [
        (["ns3t0.75d5k1_lci_ln"], [], Signal.TRACE, "ns3t0.75d5k1_lci_ln", 1.0, 1),
        (["ns2t0.75d2_ln"], [3.0], Signal.TRACE, "ns2t0.75d2_ln", 3.0, 1),
        (["ns2t0.75d2_ln"], [0.0], Signal.TRACE, "ns2t0.75d2_ln", 0.0, 1),
        (["ns2t0.75d2_ln"], [0.5, 1.0], Signal.TRACE, "ns2t0.75d2_ln_g0.5-1", 1.0, 2),
        (["ns2t0.75d2_ln"], [], Signal.OUTCOME, "ns2t0.75d2_ln_outcome", 1.0, 1),
        (["ns2t0.75d2_ln"], [], Signal.FAILING, "ns2t0.75d2_ln_failing", 1.0, 1),
        (["ns2t0.75d2_ln"], [3.0], Signal.NONE, "ns2t0.75d2_ln_selection", 0.0, 1),
        (["ns2t1d2_ln", "ns2t1d3_ln"], [], Signal.TRACE, "ns2t1d2_ln+ns2t1d3_ln", 1.0, 2),
        (["ns2t1d2_ln", "ns2t1d2_ln"], [], Signal.TRACE, "ns2t1d2_ln", 1.0, 1),
        (["published"], [1.0], Signal.TRACE, "eg-cfg-published", 1.0, 48),
        (["published"], [], Signal.TRACE, "eg-cfg-published_g0-0.5-1-3", 3.0, 192),
    ],
)
def test_grids_and_their_names(
    names: list[str], scales: list[float], signal: Signal, label: str, gamma: float, n: int
) -> None:
    """Grids that make a difference have different names."""
    grid = grid_of(names, scales, signal)
    arm = eg_cfg(grid)
    assert (arm.config(Effort()), arm.gamma) == (label, gamma)
    assert len(grid.configurations) == n
    assert arm.config(Effort(budget=900)) == f"{label}_b900"
    told = arm.configuration(Effort())
    assert told["signal"] == signal.value
    json.dumps(told)


@pytest.mark.parametrize(
    ("names", "scales", "message"),
    [
        ([], [], "no configuration"),
        (["best"], [], "'best' is no configuration's name"),
        ([NAME], [-1.0], "from 0 on"),
        (["published"], [-1.0], "from 0 on"),
    ],
)
def test_what_is_no_grid(names: list[str], scales: list[float], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        grid_of(names, scales, Signal.TRACE)


def test_a_grid_is_the_arms() -> None:
    grid = grid_of([NAME], [0.5], Signal.TRACE)
    greedy, guided = with_grid(arms_named(["greedy", "eg-cfg"]), grid)
    assert greedy is ARMS["greedy"]
    assert (guided.name, guided.label, guided.gamma, guided.needs_tests) == (
        "eg-cfg", NAME, 0.5, True,
    )  # fmt: skip


DOUBLE = {
    "task_id": "HumanEval/0",
    "prompt": 'def double(n: int) -> int:\n    """Twice the number.\n    >>> double(2)\n    4\n    """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * n\n",
    "test": "def check(candidate):\n    assert candidate(3) == 6\n    assert candidate(-1) == -2\n",
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config", "best"], "'best' is no configuration's name"),
        (["--gammas", "1,much"], "'1,much' are no numbers"),
        (["--gammas", "-1"], "from 0 on"),
    ],
)
def test_options_that_make_no_sense(options: list[str], message: str, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(DOUBLE) + "\n")
    command = ["bench", "run", "humaneval", "--data", str(data), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--arms", "eg-cfg", *options])
    assert done.exit_code == 1
    assert message in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_with_the_real_model_and_sandbox(tmp_path: Path) -> None:
    data, out = tmp_path / "data.jsonl", tmp_path / "out"
    data.write_text(json.dumps(DOUBLE) + "\n")
    command = ["bench", "run", "humaneval", "--data", str(data), "--out", str(out)]
    command += ["--arms", "eg-cfg", "--config", "ns2t0.75d2_ln", "--gammas", "0.5"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    (path,) = out.rglob("task_id=*.json")
    folder, name = path.parts[-2:]
    assert (folder, name) == ("ns2t0.75d2_ln", "task_id=HumanEval%2F0_gamma=0.5.json")
    result = json.loads(path.read_text())
    assert (result["arm"], result["gamma"], result["rung"]) == ("eg-cfg", 0.5, "guide")
    assert result["passed"], "a 0.5B model can double"
    assert result["outcome"] == "verified"
    extra = result["extra"]
    assert extra["guided_lines"] > 0
    assert extra["candidates"] >= 2
    assert result["stats"]["runs"] >= extra["signals"]
    assert result["stats"]["output_tokens"] > extra["tokens"] > 0
