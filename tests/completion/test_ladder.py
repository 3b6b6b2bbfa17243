"""The ladder with a scripted model and sandbox: what is drafted, what is run, what is said of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from egcfg_lsp.completion import Outcome, Request, Update, engine
from egcfg_lsp.completion.engine import Tools, ladder
from egcfg_lsp.completion.verdicts import judge
from egcfg_lsp.execution import Ending, RunResult, Status, TestResult
from egcfg_lsp.prompt import Marker
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.edit import without_lines
from tests.support.cursor import at_cursor
from tests.support.scripted import ScriptedModel, ScriptedSandbox, passes_if

TRUSTED = Settings(trusted=True, highest_rung="verify")
OPEN = "def add(a, b):\n    |\n"


def request_at(marked: str, project: Path, settings: Settings = TRUSTED) -> Request:
    text, offset = at_cursor(marked)
    return Request(text, offset, project / "calc.py", project, settings)


def said(**outcomes: str) -> tuple[TestResult, ...]:
    return tuple(TestResult(f"test_calc.py::{name}", one, 0.0) for name, one in outcomes.items())


async def climb(request: Request, model: ScriptedModel, sandbox: ScriptedSandbox) -> list[Update]:
    return [update async for update in ladder(request, Tools(model, sandbox))]


@pytest.mark.parametrize(
    ("marked", "lines", "text"),
    [
        (
            OPEN,
            ["    x = a\n", "    return x + b\n", "\n", "def g():\n"],
            "x = a\n    return x + b",
        ),
        (OPEN, ["\n", "    return a\n"], "return a"),
        (OPEN, ["    x = a\n", "    \n", "    return x\n"], "x = a\n\n    return x"),
        ("def add(a, b):\n|", ["    return a\n", "x = 1\n"], "    return a"),
        ("def add(a, b):\n    ret|", ["urn a\n", "\n", "x = 1\n"], "urn a"),
        ("def add(a, b):\n    |\n    return x\n", ["    x = a\n", "    y = b\n"], "x = a"),
        ("def add(a, b):\n    return max(|)\n", ["a, b)\n"], "a, b"),
        ("def add(a, b):\n    '''d'''|\n", ["\n", "    return a\n"], "\n    return a"),
        ("def add(a, b):\n    |\n    pass\n", ["    return a\n", "    # x\n"], "return a\n    # x"),
        (OPEN, ["    x = 1\n"] * 9, "x = 1\n    x = 1"),
        (OPEN, ["    return a\n", "```\n", "    text\n"], "return a"),
        ("x = 1\n|\n", ["y = 2\n", "z = 3\n"], "y = 2"),
        (OPEN, ["return a\n"], "return a"),
        ("def add(a, b):\n|", ["class X:\n"], None),
        (OPEN, [], None),
        ("def add(a, b):\n\t|\n", ["\treturn a\n"], "return a"),
    ],
)
async def test_what_is_suggested(
    marked: str, lines: list[str], text: str | None, project: Path
) -> None:
    model = ScriptedModel(lines_to_say=lines)
    update = (await climb(request_at(marked, project), model, ScriptedSandbox()))[-1]
    assert update.done
    assert [s.text for s in update.suggestions] == ([] if text is None else [text])
    assert (update.drops == ()) is (text is not None)


async def test_lines_are_streamed_under_one_id(project: Path) -> None:
    model = ScriptedModel(lines_to_say=["    x = a\n", "    return x + b\n"])
    updates = await climb(request_at(OPEN, project), model, ScriptedSandbox())
    assert [u.suggestions[0].text for u in updates][:2] == ["x = a", "x = a\n    return x + b"]
    assert len({u.suggestions[0].id for u in updates}) == 1
    assert updates[-2].suggestions[0].summary == "running 2 tests…"
    assert list(updates[-1].timings) == ["first_line", "draft", "run"]


async def test_run_sees_the_buffer_with_the_text_as_shown(project: Path) -> None:
    sandbox = ScriptedSandbox(passes_if("return a + b"))
    marked = "import os\r\ndef add(a, b):\r\n    |\r\n    pass\r\n"
    model = ScriptedModel(["    s = a\n", "    return a + b\n"])
    updates = await climb(request_at(marked, project), model, sandbox)
    job, again, control = sandbox.jobs
    assert (again.text, again.fresh, again.seed) == (job.text, True, 1)
    assert (job.target, job.target_lines) == ("add", (2, 4))
    assert job.text == "import os\r\ndef add(a, b):\r\n    s = a\r\n    return a + b\r\n"
    assert (job.first_line, job.last_line) == (3, 4)
    assert control.text == marked.replace("|", "")
    assert control.stop_early
    assert [test.name for test in job.tests] == ["test_small", "test_zero"]
    assert updates[-1].suggestions[0].outcome is Outcome.VERIFIED


@pytest.mark.parametrize(
    ("request_change", "summary"),
    [
        ({"settings": Settings()}, "⊘ not run: the workspace is not trusted"),
        ({"path": None}, "⊘ no tests found for this function"),
        ({"root": None}, "⊘ no tests found for this function"),
        ({"root": Path("/elsewhere")}, "⊘ no tests found for this function"),
        (
            {"settings": replace(TRUSTED, interpreter="/no/python")},
            "⊘ not run: the interpreter /no/python of the settings does not exist",
        ),
    ],
)
async def test_what_is_not_run_says_why(
    request_change: dict[str, object], summary: str, project: Path
) -> None:
    sandbox = ScriptedSandbox()
    request = replace(request_at(OPEN, project), **request_change)  # type: ignore[arg-type]
    updates = await climb(request, ScriptedModel(), sandbox)
    assert updates[-1].suggestions[0].summary == summary
    assert updates[-1].suggestions[0].outcome is Outcome.UNVERIFIED
    assert sandbox.jobs == []


@pytest.mark.parametrize(
    ("result", "control", "outcome", "summary"),
    [
        (RunResult(Status.PASSED, 3, 3), RunResult(Status.FAILED, 2, 3), "verified", "✓ 3/3"),
        (RunResult(Status.PASSED, 3, 3), RunResult(Status.PASSED, 3, 3), "unverified",
         "⊘ 3/3 pass, with or without it"),
        (RunResult(Status.PASSED, 3, 3), RunResult(Status.INCONCLUSIVE, reason="r"), "unverified",
         "⊘ 3/3 pass; without it: r"),
        (RunResult(Status.PASSED, 3, 3), RunResult(Status.INCONCLUSIVE, compiles=False), "verified",
         "✓ 3/3"),
        (
            RunResult(Status.PASSED, 1, 1, tests=said(a="passed", b="error")),
            RunResult(Status.FAILED, 1, 2, tests=said(a="passed", b="failed")),
            "unverified",
            "⊘ 1/1 pass, with or without it",
        ),
        (
            RunResult(Status.PASSED, 1, 1, tests=said(a="passed", b="error")),
            RunResult(Status.FAILED, 0, 2, tests=said(a="failed", b="failed")),
            "verified",
            "✓ 1/1",
        ),
        (RunResult(Status.PASSED, 3, 3, missed_lines=(4,)), RunResult(Status.FAILED), "unverified",
         "⊘ 3/3 pass, but line 4 never ran"),
        (RunResult(Status.FAILED, 2, 3, "f(1) → 2, want 3"), RunResult(Status.FAILED), "partial",
         "✗ 2/3 · f(1) → 2, want 3"),
        (RunResult(Status.FAILED, 0, 3, "boom"), RunResult(Status.FAILED), "fails", "✗ 0/3 · boom"),
        (RunResult(Status.INCONCLUSIVE, reason="no result within 3 s"), RunResult(Status.FAILED),
         "unverified", "⊘ no result within 3 s"),
        (
            RunResult(Status.INCONCLUSIVE, reason="no result within 3 s", ending=Ending.TIMEOUT),
            RunResult(Status.FAILED),
            "unverified",
            "⏱ no result within 3 s",
        ),
        (
            RunResult(
                Status.INCONCLUSIVE,
                reason="the sandbox blocked the test (no network, PermissionError: x)",
                ending=Ending.BLOCKED,
            ),
            RunResult(Status.FAILED),
            "unverified",
            "⊘ needs network",
        ),
    ],
)  # fmt: skip
def test_judge(result: RunResult, control: RunResult, outcome: str, summary: str) -> None:
    assert judge(result, control)[:2] == (outcome, summary)


async def test_slow_tests_wait_for_a_pause(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox, waits = ScriptedSandbox(), []

    async def wait(seconds: float) -> None:
        waits.append((seconds, len(sandbox.jobs)))

    monkeypatch.setattr(engine, "asyncio", SimpleNamespace(sleep=wait, to_thread=asyncio.to_thread))
    tools = Tools(ScriptedModel(), sandbox)
    known = TestResult("tests/test_calc.py::test_small", "passed", 0.2)
    for is_slow in (False, True):
        updates = [one async for one in ladder(request_at(OPEN, project), tools)]
        announced = [u.suggestions[0].summary for u in updates if u.suggestions]
        assert ("2 slow tests to run…" in announced) is is_slow
        assert ("running 2 tests…" in announced) is not is_slow
        tools.history.note(sandbox.jobs[-1].tests, RunResult(Status.PASSED, tests=(known,)))
    assert [seconds for seconds, _ in waits] == [engine.IDLE_SECONDS]
    assert waits[0][1] < len(sandbox.jobs)


async def test_tests_are_in_the_prompt_and_placeholders_are_not(project: Path) -> None:
    model = ScriptedModel()
    marked = "def add(a, b):\n    |\n    raise NotImplementedError\n\n\nprint(1)\n"
    await climb(request_at(marked, project), model, ScriptedSandbox())
    (prompt,) = model.prompts
    text = "".join(p for p in prompt.parts if isinstance(p, str) and not isinstance(p, Marker))
    assert "assert add(1, 2) == 3" in text
    assert "NotImplementedError" not in text
    assert "print(1)" in text


async def test_closing_the_ladder_stops_the_model(project: Path) -> None:
    model = ScriptedModel(["    x = 1\n"] + ["    x += 1\n", "    x += 2\n"] * 50)
    updates = ladder(request_at(OPEN, project), Tools(model, ScriptedSandbox()))
    async for _ in updates:
        break
    await updates.aclose()
    assert model.endings == ["stopped"]


async def test_failing_run_needs_no_control(project: Path) -> None:
    sandbox = ScriptedSandbox(passes_if("never"))
    updates = await climb(request_at(OPEN, project), ScriptedModel(), sandbox)
    assert len(sandbox.jobs) == 1
    assert updates[-1].suggestions[0].outcome is Outcome.FAILS


@pytest.mark.parametrize(
    ("result", "outcome", "summary"),
    [
        (RunResult(Status.FAILED, 0, 3, "x"), "runs", "→ runs; its block has no body yet"),
        (RunResult(Status.PASSED, 3, 3), "runs", "→ runs; its block has no body yet"),
        (RunResult(Status.FAILED, 0, 3, "NameError", raised=True), "unverified",
         "⊘ unfinished: its block has no body yet"),
        (RunResult(Status.FAILED, 0, 3, missed_lines=(2,)), "unverified",
         "⊘ unfinished: its block has no body yet"),
        (RunResult(Status.INCONCLUSIVE, reason="no result"), "unverified", "⊘ no result"),
    ],
)  # fmt: skip
async def test_open_block_is_run_with_a_body_and_never_verified(
    result: RunResult, outcome: str, summary: str, project: Path
) -> None:
    sandbox = ScriptedSandbox(lambda _: result)
    marked = "def add(a, b):\n    |\n    return a\n"
    updates = await climb(request_at(marked, project), ScriptedModel(["    if a:\n"]), sandbox)
    shown = updates[-1].suggestions[0]
    assert (shown.text, shown.outcome, shown.summary) == ("if a:", outcome, summary)
    (job,) = sandbox.jobs
    assert job.text == "def add(a, b):\n    if a:\n        pass\n    return a\n"


NESTED = ["    class C:\n", "        def k(self):\n", "            self.x = 1\n"]


@pytest.mark.parametrize("lines", [["    return a\n"], NESTED])
async def test_run_sees_exactly_what_accepting_leads_to(lines: list[str], project: Path) -> None:
    sandbox = ScriptedSandbox()
    marked = "def add(a, b):\n    |\n    raise NotImplementedError\n\n\nx = 1\n"
    request = request_at(marked, project)
    updates = await climb(request, ScriptedModel(lines), sandbox)
    shown = updates[-1].suggestions[0]
    assert shown.removes is not None
    assert without_lines(request.accepting(shown).text, *shown.removes) == sandbox.jobs[0].text
    assert "NotImplementedError" not in sandbox.jobs[0].text


async def test_placeholder_stays_where_the_client_cannot_remove_it(project: Path) -> None:
    sandbox = ScriptedSandbox()
    marked = "def add(a, b):\n    |\n    raise NotImplementedError\n"
    request = replace(request_at(marked, project), applies_edits=False)
    model = ScriptedModel(["    x = a\n", "    return x + b\n"])
    shown = (await climb(request, model, sandbox))[-1].suggestions[0]
    assert (shown.text, shown.removes) == ("x = a", None)
    assert "NotImplementedError" in sandbox.jobs[0].text
