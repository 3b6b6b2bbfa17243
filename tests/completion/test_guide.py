"""Rung 4: when decoding is guided, by what, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.completion import Outcome, Request, Rung, Suggestion, Update
from egcfg_lsp.completion.candidates import Rated
from egcfg_lsp.completion.engine import Tools, ladder
from egcfg_lsp.completion.guide import STRENGTHS, attempts, signal_of
from egcfg_lsp.completion.policy import Situation, reason_not_to_guide
from egcfg_lsp.execution import RunResult, Status, TestResult
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.guidance.strength import adapted
from egcfg_lsp.model import Continuation, ModelInfo, Stop
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.prompt import Control, Prompt
from egcfg_lsp.settings import Settings
from egcfg_lsp.trace import parse
from tests.support.cursor import at_cursor
from tests.support.scripted import INFO, ScriptedModel, ScriptedSandbox, passes_if
from tests.trace.traces import frame, record

SETTINGS = Settings(trusted=True, highest_rung="guide")
OPEN = "def add(a, b):\n    'Sum.'\n    |\n"


class ChattingModel(ScriptedModel):
    async def info(self) -> ModelInfo:
        return replace(INFO, form=replace(INFO.form, chat=("<user>", "<assistant>")))


def said(asked: Continuation, begun: str) -> Sequence[str]:
    """Guided, `a + b`; else something else each time."""
    if asked.signal is not None:
        return ["    return a + b\n"]
    return [f"    return a - {asked.sampling.seed}\n"]


async def climb(
    project: Path,
    model: ScriptedModel,
    sandbox: ScriptedSandbox,
    marked: str = OPEN,
    settings: Settings = SETTINGS,
) -> list[Update]:
    text, offset = at_cursor(marked)
    request = Request(text, offset, project / "calc.py", project, settings)
    return [update async for update in ladder(request, Tools(model, sandbox))]


def guided(model: ScriptedModel) -> list[Continuation]:
    return [asked for asked in model.continuations if asked.signal is not None]


async def test_where_all_that_was_tried_fails_decoding_is_guided(project: Path) -> None:
    model = ChattingModel(answer=said)
    updates = await climb(project, model, ScriptedSandbox())
    best = updates[-1].suggestions[0]
    assert (best.text, best.rung) == ("return a + b", Rung.GUIDE)
    assert best.outcome is Outcome.VERIFIED
    assert "guide" in updates[-1].timings
    assert updates[-1].considered[-1].origin.startswith("guided, γ ")


async def test_both_questions_are_the_same_but_for_what_is_told(project: Path) -> None:
    model = ChattingModel(answer=said)
    updates = await climb(project, model, ScriptedSandbox(passes_if("never")))
    asked = guided(model)
    assert len(asked) == len(STRENGTHS)
    for one in asked:
        assert one.signal is not None
        (user, question, _, answer), told = one.prompt.parts, one.signal.parts
        assert (told[0], told[2], told[3]) == (user, one.prompt.parts[2], answer)
        assert str(told[1]).startswith(str(question))
        assert str(told[1]).endswith(updates[-1].signal)
        assert one.plausibility == SETTINGS.plausibility
    assert updates[-1].signal.startswith("Way 1:")
    assert "add(1, 2) → None, want 3" in updates[-1].signal
    assert Control("<user>") in asked[0].prompt.parts


@pytest.mark.parametrize(
    ("passing", "marked", "settings", "chats"),
    [
        ("return a - 0", OPEN, SETTINGS, True),  # the draft passes
        ("return a - 3", OPEN, SETTINGS, True),  # a sample does
        ("never", "def add(a, b):\n    |\n    return c\n", SETTINGS, True),
        ("never", OPEN, replace(SETTINGS, highest_rung="explore"), True),
        ("never", OPEN, replace(SETTINGS, signal_tokens=0), True),
        ("never", OPEN, SETTINGS, False),
    ],
)
async def test_where_decoding_is_not_guided(
    passing: str, marked: str, settings: Settings, chats: bool, project: Path
) -> None:
    model = (ChattingModel if chats else ScriptedModel)(answer=said)
    updates = await climb(project, model, ScriptedSandbox(passes_if(passing)), marked, settings)
    assert guided(model) == []
    assert updates[-1].signal == ""
    assert "guide" not in updates[-1].timings


async def test_what_passes_without_proof_is_not_followed_up(project: Path) -> None:
    """A sample passes the tests, but one of its lines never ran: that is a pass."""

    def run(job: object) -> RunResult:
        text = getattr(job, "text", "")
        if "a - 3" in text:
            return RunResult(Status.PASSED, 3, 3, missed_lines=(3,))
        return passes_if("never")(job)  # type: ignore[arg-type]

    model = ChattingModel(answer=said)
    updates = await climb(project, model, ScriptedSandbox(run))
    assert updates[-1].suggestions[0].text == "return a - 3"
    assert guided(model) == []


@pytest.mark.parametrize(
    ("situation", "is_guided"),
    [
        (Situation(to_the_end=True), True),
        (Situation(to_the_end=False), False),
        (Situation(to_the_end=True, is_flaky=True), False),
        (Situation(to_the_end=True, tests_are_slow=True), False),
        (Situation(to_the_end=True, on_battery=True), False),
    ],
)
def test_reason_not_to_guide(situation: Situation, is_guided: bool) -> None:
    assert (reason_not_to_guide(situation, SETTINGS) is None) is is_guided


def rated(i: int, returned: str) -> Rated:
    """A candidate that failed as others do that return the same."""
    trace = parse(record(frames=[frame(end=["return", returned])]))
    shown = Suggestion(f"s{i}", f"return {i}", outcome=Outcome.FAILS)
    tests = (TestResult("test_a.py::test_total", "failed", 0.01),)
    return Rated(shown, RunResult(Status.FAILED, 0, 1, tests=tests), trace)


def test_signal_is_of_the_best_within_its_budget() -> None:
    those = [rated(1, "7"), rated(2, "8"), rated(3, "9")]
    signal = signal_of(those, SETTINGS)
    assert "return 1" in signal.text
    assert "return 2" in signal.text
    assert "return 3" not in signal.text
    assert "items = []" in signal.text
    assert signal.richness == 1.0
    assert len(signal.text) <= 3 * SETTINGS.signal_tokens
    short = signal_of(those, replace(SETTINGS, signal_tokens=len(signal.text) // 3 - 1)).text
    assert "return 1" in short
    assert "return 2" not in short
    alike = signal_of([rated(1, "7"), rated(2, "7"), rated(3, "7")], SETTINGS)
    assert alike.richness == 0.5


def test_strengths_follow_the_evidence() -> None:
    asked = Continuation(Prompt(("a",)), Stop(9))
    signal = signal_of([rated(1, "7"), rated(2, "7")], SETTINGS)
    made = attempts(asked, Prompt(("b",)), signal, replace(SETTINGS, guidance_scale=2.0))
    gammas = [one.asked.guidance_scale for one in made]
    assert gammas == [adapted(2.0, signal.richness) * share for share, _ in STRENGTHS]
    assert [one.asked.sampling.temperature for one in made] == [heat for _, heat in STRENGTHS]
    assert {one.asked.signal for one in made} == {Prompt(("b",))}


@pytest.mark.model
async def test_real_model_and_sandbox(default_model: Path, tmp_path: Path) -> None:
    """Tests that nothing can pass: every rung is climbed, and what failed is told to the model."""
    marked = "def weeks(days):\n    '''Whole weeks in so many days.'''\n    |\n"
    text, offset = at_cursor(marked)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "calc.py").write_text(text)
    (tmp_path / "test_calc.py").write_text(
        "from calc import weeks\n\n\n"
        "def test_it():\n    assert weeks(14) == 2\n    assert weeks(14) == 3\n"
    )
    request = Request(text, offset, tmp_path / "calc.py", tmp_path, SETTINGS)
    model, pool = LlamaModel(default_model), Pool()
    try:
        updates = [update async for update in ladder(request, Tools(model, pool))]
    finally:
        await pool.close()
        await model.close()
    last = updates[-1]
    assert "want 3" in last.signal or "want 2" in last.signal
    assert last.suggestions[0].outcome is Outcome.FAILS
    rungs = [one.rung for one in last.considered]
    assert rungs == sorted(rungs, key=list(Rung).index)
    assert rungs.count(Rung.GUIDE) == len(STRENGTHS)
    assert list(last.timings) == ["first_line", "draft", "run", "explore", "guide"]
