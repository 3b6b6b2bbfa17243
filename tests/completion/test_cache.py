"""Rung 0 with a scripted model: what is answered without it, and what is computed ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from egcfg_lsp.completion import Outcome, Request, Update, requests
from egcfg_lsp.completion.cache import Completion, Completions
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.engine import Tools
from egcfg_lsp.execution import RunResult, Status
from egcfg_lsp.model import ModelError
from egcfg_lsp.settings import Settings
from tests.support.cursor import at_cursor
from tests.support.scripted import ScriptedModel, ScriptedSandbox, passes_if

SETTINGS = Settings(trusted=True, speculate=False, highest_rung="verify")
OPEN = "def add(a, b):\n    |\n"


def request_at(marked: str, project: Path, **changes: Any) -> Request:
    text, offset = at_cursor(marked)
    return replace(Request(text, offset, project / "calc.py", project, SETTINGS), **changes)


class Recorder:
    def __init__(self, model: ScriptedModel, sandbox: ScriptedSandbox | None = None) -> None:
        self.updates: list[Update] = []
        self.done = asyncio.Event()
        self.completions = Completions(Tools(model, sandbox or ScriptedSandbox()), self.keep)

    def keep(self, completion: Completion) -> None:
        self.updates.append(completion.update)
        if completion.update.done:
            self.done.set()

    async def until_done(self) -> None:
        async with asyncio.timeout(5):
            await self.done.wait()


async def test_cache_answers_again_and_while_typing_through(project: Path) -> None:
    model = ScriptedModel()
    recorder = Recorder(model)
    await recorder.completions.first(request_at(OPEN, project))
    await recorder.until_done()
    for marked, rest in (
        (OPEN, "return a + b"),
        ("def add(a, b):\n    return|\n", " a + b"),
        ("def add(a, b):\n    return a +|\n", " b"),
        ("def add(a, b):\n    re|\n", "turn a + b"),
        (OPEN, "return a + b"),
        ("def add(a, b):\n  |\n", "  return a + b"),
    ):
        update = await recorder.completions.first(request_at(marked, project))
        assert [s.text for s in update.suggestions] == [rest]
        assert update.suggestions[0].outcome is Outcome.VERIFIED
    assert len(model.prompts) == 1


@pytest.mark.parametrize(
    "marked",
    ["def add(a, b):\n    x|\n", "def add(a, b):\n    |\nx = 1\n", "def mul(a, b):\n    |\n",
     "def add(a, b):\n    return a + b|\n"],
)  # fmt: skip
async def test_cache_does_not_answer_for_another_place(marked: str, project: Path) -> None:
    model = ScriptedModel()
    recorder = Recorder(model)
    await recorder.completions.first(request_at(OPEN, project))
    await recorder.until_done()
    await recorder.completions.first(request_at(marked, project))
    assert len(model.prompts) == 2


async def settle(recorder: Recorder, request: Request) -> Update:
    """The last update of a request's completion."""
    recorder.done.clear()
    await recorder.completions.first(request)
    await recorder.until_done()
    return recorder.updates[-1]


async def test_changed_tests_have_the_same_draft_run_again(project: Path) -> None:
    model, sandbox = ScriptedModel(), ScriptedSandbox()
    recorder = Recorder(model, sandbox)
    first = await settle(recorder, request_at(OPEN, project))
    assert first.suggestions[0].outcome is Outcome.VERIFIED
    (project / "tests" / "calc_test.py").write_text("from calc import add\n")
    sandbox.answer = passes_if("something else")
    again = await settle(recorder, request_at(OPEN, project))
    assert again.suggestions[0].text == "return a + b"
    assert again.suggestions[0].outcome is Outcome.FAILS
    assert len(model.prompts) == 1


async def test_unsaved_buffer_that_changes_has_the_same_draft_run_again(project: Path) -> None:
    model, sandbox = ScriptedModel(), ScriptedSandbox()
    recorder = Recorder(model, sandbox)
    request = request_at(OPEN, project)
    await settle(recorder, request)
    sandbox.answer = passes_if("something else")
    again = await settle(recorder, replace(request, overlays={project / "other.py": "X = 1\n"}))
    assert again.suggestions[0].outcome is Outcome.FAILS
    assert len(model.prompts) == 1


async def test_change_far_away_has_the_same_draft_run_again(project: Path) -> None:
    model, sandbox = ScriptedModel(), ScriptedSandbox()
    recorder = Recorder(model, sandbox)
    far = "x = 1\n" * 400
    await settle(recorder, request_at(f"a = 1\n{far}{OPEN}", project))
    n_jobs = len(sandbox.jobs)
    update = await settle(recorder, request_at(f"b = 2\n{far}{OPEN}", project))
    assert update.suggestions[0].outcome is Outcome.VERIFIED
    assert len(sandbox.jobs) == 2 * n_jobs
    assert sandbox.jobs[-1].text.startswith("b = 2")
    assert len(model.prompts) == 1


async def test_bracket_closed_by_the_editor_keeps_the_suggestion(project: Path) -> None:
    model = ScriptedModel(["    return sum([a, b])\n"])
    recorder = Recorder(model, ScriptedSandbox(passes_if("sum([a, b])")))
    await settle(recorder, request_at(OPEN, project))
    for marked, rest in (
        ("def add(a, b):\n    return sum(|)\n", "[a, b]"),
        ("def add(a, b):\n    return sum([|])\n", "a, b"),
    ):
        update = await recorder.completions.first(request_at(marked, project))
        assert [s.text for s in update.suggestions] == [rest]
        assert update.suggestions[0].outcome is Outcome.VERIFIED
    assert len(model.prompts) == 1


async def test_request_without_an_answer_yet_is_awaited(project: Path) -> None:
    model = ScriptedModel(delay_seconds=0.1)
    recorder = Recorder(model)
    first = asyncio.create_task(recorder.completions.first(request_at(OPEN, project)))
    await asyncio.sleep(0.05)
    typed = request_at("def add(a, b):\n    ret|\n", project)
    recorder.completions.stop_unless_fits(typed)
    update = await recorder.completions.first(typed)
    assert update.suggestions[0].text == "urn a + b"
    assert (await first).suggestions
    assert len(model.prompts) == 1


async def test_awaited_request_that_turns_out_otherwise_is_asked_anew(project: Path) -> None:
    model = ScriptedModel(delay_seconds=0.1)
    recorder = Recorder(model)
    first = asyncio.create_task(recorder.completions.first(request_at(OPEN, project)))
    await asyncio.sleep(0.05)
    model.lines_to_say = ["    yield 1\n"]
    typed = request_at("def add(a, b):\n    yi|\n", project)
    recorder.completions.stop_unless_fits(typed)
    await recorder.completions.first(typed)
    assert len(model.prompts) == 2
    first.cancel()


async def test_model_is_asked_after_the_wait_only(project: Path) -> None:
    model = ScriptedModel()
    recorder = Recorder(model)
    request = request_at(OPEN, project)
    asked = asyncio.create_task(recorder.completions.first(request, wait_seconds=30))
    await asyncio.sleep(0.1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert model.prompts == []
    await settle(recorder, request)
    async with asyncio.timeout(1):
        known = await recorder.completions.first(request, wait_seconds=30)
    assert known.suggestions, "what is known is answered at once"


@pytest.mark.parametrize(
    ("marked", "changes", "cause"),
    [
        (OPEN, {"settings": Settings(enabled=False)}, Cause.DISABLED),
        (OPEN, {"settings": Settings(exclude=("calc.py",))}, Cause.EXCLUDED),
        ("def add(a, b):\n    a|b\n", {}, Cause.WORD_RIGHT),
        ("def add(a, b):\n    # so |\n", {}, Cause.IN_COMMENT),
        ("def add(a, b):\n    x = 'so |'\n", {}, Cause.IN_STRING),
        (OPEN, {"just_accepted": True}, Cause.JUST_ACCEPTED),
    ],
)
async def test_model_is_not_asked(
    marked: str, changes: dict[str, Any], cause: Cause, project: Path
) -> None:
    model = ScriptedModel()
    recorder = Recorder(model)
    request = request_at(marked, project, is_automatic=True, **changes)
    update = await recorder.completions.first(request)
    assert (update.suggestions, update.done) == ((), True)
    assert [drop.cause for drop in update.drops] == [cause]
    assert model.prompts == []


async def test_asking_for_it_gets_past_what_is_only_a_habit(project: Path) -> None:
    recorder = Recorder(ScriptedModel(["x = 1 in words\n"]))
    marked = "def add(a, b):\n    # so |\n"
    automatic = request_at(marked, project, is_automatic=True)
    assert not (await recorder.completions.first(automatic)).suggestions
    assert (await recorder.completions.first(request_at(marked, project))).suggestions
    wanted = replace(SETTINGS, in_strings=True)
    habit = request_at(marked, project, is_automatic=True, settings=wanted)
    assert (await recorder.completions.first(habit)).suggestions


async def test_selected_item_of_the_popup_must_agree(project: Path) -> None:
    recorder = Recorder(ScriptedModel(["urn a + b\n"]))
    marked = "def add(a, b):\n    ret|\n"
    start = marked.index("ret")
    for selected, n_shown in (("return", 1), ("retry", 0), ("return", 1)):
        request = request_at(marked, project, selected=(start, selected))
        update = await recorder.completions.first(request)
        assert len(update.suggestions) == n_shown
        assert [d.cause for d in update.drops] == [Cause.POPUP_CONTRADICTS] * (1 - n_shown)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


BELOW = "def add(a, b):\n    |\n    return a\n"


async def test_next_line_is_drafted_before_it_is_asked_for(project: Path) -> None:
    model = ScriptedModel(["    x = a * b\n"])
    recorder = Recorder(model, ScriptedSandbox(passes_if("y = a + b")))
    ahead = replace(SETTINGS, speculate=True)
    await settle(recorder, request_at(BELOW, project, settings=ahead))
    model.lines_to_say = ["    y = a + b\n"]
    await until(lambda: len(model.endings) == 2)
    await asyncio.sleep(0.05)
    model.lines_to_say = ["    never = 1\n"]
    after = "def add(a, b):\n    x = a * b\n    |\n    return a\n"
    update = await settle(recorder, request_at(after, project, settings=ahead))
    assert update.suggestions[0].text == "y = a + b"
    assert update.suggestions[0].outcome is Outcome.VERIFIED, "run when it is shown"


async def test_looking_ahead_stops_when_something_is_asked_for(project: Path) -> None:
    model = ScriptedModel(["    x = a * b\n"])
    recorder = Recorder(model)
    ahead = replace(SETTINGS, speculate=True)
    await settle(recorder, request_at(BELOW, project, settings=ahead))
    model.delay_seconds = 30
    await until(lambda: len(model.prompts) == 2)
    model.delay_seconds = 0
    await settle(recorder, request_at("def mul(a, b):\n    |\n", project, settings=ahead))
    assert "stopped" in model.endings
    await recorder.completions.close()


async def test_without_the_setting_nothing_is_computed_ahead(project: Path) -> None:
    model = ScriptedModel(["    x = a * b\n"])
    recorder = Recorder(model)
    await settle(recorder, request_at(BELOW, project))
    await asyncio.sleep(0.1)
    assert len(model.prompts) == 1


async def test_request_that_fits_joins_the_completion_under_way(project: Path) -> None:
    model = ScriptedModel(["    x = a\n", "    return x + b\n"], delay_seconds=0.1)
    recorder = Recorder(model)
    await recorder.completions.first(request_at(OPEN, project))
    typed = request_at("def add(a, b):\n    x =|\n", project)
    recorder.completions.stop_unless_fits(typed)
    update = await recorder.completions.first(typed)
    assert update.suggestions[0].text.startswith(" a")
    await recorder.until_done()
    assert model.endings == ["complete"]


async def test_request_that_does_not_fit_stops_the_completion_under_way(project: Path) -> None:
    model = ScriptedModel(["    x = a\n", "    return x + b\n"], delay_seconds=0.1)
    recorder = Recorder(model)
    await recorder.completions.first(request_at(OPEN, project))
    await recorder.completions.first(request_at("def add(a, b):\n    y|\n", project))
    assert model.endings[0] == "stopped"


async def test_cache_is_bounded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egcfg_lsp.completion.cache.MAX_CHARACTERS", 3 * len(OPEN))
    recorder = Recorder(ScriptedModel())
    for name in "abcdef":
        recorder.done.clear()
        await recorder.completions.first(request_at(OPEN.replace("add", f"ad{name}"), project))
        await recorder.until_done()
    assert 1 <= len(recorder.completions._known) <= 3


async def test_model_error_is_raised_and_not_cached(project: Path) -> None:
    model = ScriptedModel(error="no memory")
    recorder = Recorder(model)
    for _ in range(2):
        with pytest.raises(ModelError, match="no memory"):
            await recorder.completions.first(request_at(OPEN, project))
    model.error = ""
    assert (await recorder.completions.first(request_at(OPEN, project))).suggestions
    assert len(model.prompts) == 3


async def test_completion_stopped_before_it_began_is_asked_anew(project: Path) -> None:
    model = ScriptedModel()
    recorder = Recorder(model)
    request = request_at(OPEN, project)
    version = await asyncio.to_thread(requests.tests_version, request)
    stillborn = recorder.completions._start(request, version)
    recorder.completions.stop_unless_fits(None)
    assert stillborn.is_stopped
    async with asyncio.timeout(5):
        assert (await recorder.completions.first(request)).suggestions


async def test_who_waits_for_a_stopped_completion_hears_no_error(project: Path) -> None:
    recorder = Recorder(ScriptedModel(delay_seconds=30))
    waiting = asyncio.create_task(recorder.completions.first(request_at(OPEN, project)))
    while recorder.completions._current is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    recorder.completions.stop_unless_fits(None)
    update = await waiting
    assert [drop.cause for drop in update.drops] == [Cause.SUPERSEDED]


async def test_no_verdict_is_tried_again_on_request(project: Path) -> None:
    sandbox = ScriptedSandbox(lambda _: RunResult(Status.INCONCLUSIVE, reason="no result"))
    recorder = Recorder(ScriptedModel(), sandbox)
    await settle(recorder, request_at(OPEN, project, is_automatic=True))
    known = await recorder.completions.first(request_at(OPEN, project, is_automatic=True))
    assert known.suggestions[0].summary == "⊘ no result"
    sandbox.answer = passes_if("return a + b")
    again = await settle(recorder, request_at(OPEN, project))
    assert again.suggestions[0].outcome is Outcome.VERIFIED


async def test_changed_import_has_the_same_draft_run_again(project: Path) -> None:
    (project / "helpers.py").write_text("RATE = 1\n")
    recorder = Recorder(ScriptedModel(), sandbox := ScriptedSandbox())
    await settle(recorder, request_at(OPEN, project))
    n_jobs = len(sandbox.jobs)
    (project / "helpers.py").write_text("RATE = 1 / 0\n")
    await settle(recorder, request_at(OPEN, project))
    assert len(sandbox.jobs) == 2 * n_jobs


async def test_newest_fitting_completion_made_left_of_the_cursor_wins(project: Path) -> None:
    model = ScriptedModel(["    return sum([a, b])\n"])
    recorder = Recorder(model, ScriptedSandbox(passes_if("sum([a, b])")))
    await settle(recorder, request_at(OPEN, project))
    model.lines_to_say = [" + 1\n"]
    await settle(recorder, request_at("def add(a, b):\n    return sum()|\n", project))
    back = await recorder.completions.first(
        request_at("def add(a, b):\n    return sum(|)\n", project)
    )
    assert back.suggestions[0].text == "[a, b]"
