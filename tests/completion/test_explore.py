"""Rung 3: which other candidates are tried, which of them are shown, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.completion import Outcome, Request, Rung, Suggestion, Update, Written
from egcfg_lsp.completion.branches import branches, n_uncertain
from egcfg_lsp.completion.candidates import MAX_SHOWN, Candidates, Rated, ranked
from egcfg_lsp.completion.engine import Tools, ladder
from egcfg_lsp.completion.policy import (
    BODY,
    LINE,
    Plan,
    Situation,
    is_worth_exploring,
    plan,
)
from egcfg_lsp.execution import Ending, Job, RunResult, Status, TestResult
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.guidance.scores import Weights
from egcfg_lsp.model import Continuation, ModelError, ModelInfo, Token
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.prompt import Control
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.brackets import NOTHING_OPEN, Scope
from egcfg_lsp.trace import parse
from tests.support.cursor import at_cursor
from tests.support.scripted import END, INFO, ScriptedModel, ScriptedSandbox, passes_if
from tests.trace.traces import frame, record

SETTINGS = Settings(trusted=True)
OPEN = "def add(a, b):\n    |\n"
LINE_ONLY = "def add(a, b):\n    |\n    return c\n"
MINUS = ["    return a", " - ", "b\n"]
RUNNERS_UP = {" - ": (" + ", 0.3), "return a": ("return b", 1.0)}


def request_at(marked: str, project: Path, **changes: object) -> Request:
    text, offset = at_cursor(marked)
    request = Request(text, offset, project / "calc.py", project, SETTINGS)
    return replace(request, **changes)  # type: ignore[arg-type]


async def climb(
    marked: str, project: Path, model: ScriptedModel, sandbox: ScriptedSandbox, **changes: object
) -> list[Update]:
    request = request_at(marked, project, **changes)
    return [update async for update in ladder(request, Tools(model, sandbox))]


def result_of(text: str, n_passed: dict[str, int], n_tests: int = 3) -> RunResult:
    """Of a module that holds one of the texts, so many tests pass; else none."""
    passed = max((n for part, n in n_passed.items() if part in text), default=0)
    status = Status.PASSED if passed == n_tests else Status.FAILED
    return RunResult(status, passed, n_tests, "" if status is Status.PASSED else f"{passed} pass")


def passing(**n_passed: int) -> Callable[[Job], RunResult]:
    """By a character between `a` and `b`: `plus=3` is `a + b`."""
    signs = {"plus": "a + b", "minus": "a - b", "times": "a * b", "over": "a / b"}
    return lambda job: result_of(job.text, {signs[name]: n for name, n in n_passed.items()})


async def test_a_branch_that_passes_takes_the_place_of_a_draft_that_fails(project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    updates = await climb(OPEN, project, model, ScriptedSandbox())
    shown = [(u.suggestions[0].text, u.suggestions[0].outcome) for u in updates]
    assert shown[-1] == ("return a + b", Outcome.VERIFIED)
    assert ("return a - b", Outcome.FAILS) in shown[:-1]
    best, *others = updates[-1].suggestions
    assert best.rung is Rung.EXPLORE
    assert best.summary == "✓ 3/3"
    assert ("return a - b", Rung.DRAFT) in [(other.text, other.rung) for other in others]
    assert len({s.id for s in updates[-1].suggestions}) == len(updates[-1].suggestions)
    assert [u.done for u in updates] == [False] * (len(updates) - 1) + [True]
    assert list(updates[-1].timings) == ["first_line", "draft", "run", "explore"]


async def test_branches_begin_where_the_draft_was_least_certain(project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    await climb(OPEN, project, model, ScriptedSandbox(passes_if("never")))
    _, first, second, *samples = model.continuations
    texts = ["".join(model._texts[token.id] for token in c.begins) for c in (first, second)]
    assert texts == ["return a + ", "return b"]
    assert first.begins[-1].log_probability == pytest.approx(-1.3)
    assert [c.begins for c in samples] == [()] * BODY.n_samples
    heats = [c.sampling.temperature for c in samples]
    assert heats == [BODY.temperatures[i % 3] for i in range(BODY.n_samples)]
    assert len({c.sampling.seed for c in samples}) == BODY.n_samples


class ChattingModel(ScriptedModel):
    async def info(self) -> ModelInfo:
        form = replace(INFO.form, chat=("<user>", "<assistant>"))
        return replace(INFO, form=form)


@pytest.mark.parametrize(
    ("marked", "asks"),
    [
        ("import os\n\n\ndef add(a, b):\n    'Sum.'\n    |\n\n\nx = 1\n", True),
        ("def add(a, b):\n    |\n    return c\n", False),  # one line is wanted
    ],
)
async def test_other_bodies_are_asked_for_in_words_too(
    marked: str, asks: bool, project: Path
) -> None:
    model = ChattingModel(MINUS)
    await climb(marked, project, model, ScriptedSandbox(passes_if("never")))
    worded = [c for c in model.continuations if Control("<user>") in c.prompt.parts]
    if not asks:
        assert worded == []
        return
    _, question, _, answer = worded[0].prompt.parts
    assert "def add(a, b):\n    'Sum.'\n```" in str(question)
    assert "assert add(1, 2) == 3" in str(question)
    assert "x = 1" not in str(question)
    assert answer == "```python\nimport os\n\n\ndef add(a, b):\n    'Sum.'\n    "
    assert [c.sampling.temperature > 0 for c in worded] == [False, True, True, True]
    assert all(c.stop == worded[0].stop for c in worded)
    assert (worded[0].stop.min_indent, worded[0].stop.strings) == (1, ("```",))


async def test_nothing_is_decoded_or_run_behind_the_first_verified(project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    sandbox = ScriptedSandbox()
    updates = await climb(OPEN, project, model, sandbox)
    assert model.endings == ["complete", "stopped"]
    assert not any("return b" in job.text for job in sandbox.jobs)
    assert [one.text for one in updates[-1].considered] == ["return a - b", "return a + b"]


async def test_a_draft_that_passes_is_not_followed_up(project: Path) -> None:
    model = ScriptedModel(["    return a", " + ", "b\n"], runners_up={" + ": (" - ", 0.1)})
    updates = await climb(OPEN, project, model, ScriptedSandbox())
    assert updates[-1].suggestions[0].outcome is Outcome.VERIFIED
    assert len(model.continuations) == 1


@pytest.mark.parametrize(
    ("result", "explores"),
    [
        (RunResult(Status.FAILED, 0, 3), True),
        (RunResult(Status.FAILED, 2, 3), True),
        (RunResult(Status.INCONCLUSIVE, reason="r", ending=Ending.FUEL), True),
        (RunResult(Status.INCONCLUSIVE, reason="r", ending=Ending.TIMEOUT), True),
        (RunResult(Status.INCONCLUSIVE, reason="r", ending=Ending.BLOCKED), False),
        (RunResult(Status.INCONCLUSIVE, reason="r", ending=Ending.ERROR), False),
        (RunResult(Status.PASSED, 3, 3, missed_lines=(2,)), False),
        (RunResult(Status.PASSED, 3, 3), False),
    ],
)  # fmt: skip
async def test_what_is_followed_up(result: RunResult, explores: bool, project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    await climb(OPEN, project, model, ScriptedSandbox(lambda _: result))
    assert (len(model.continuations) > 1) is explores


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        (
            {"settings": replace(SETTINGS, highest_rung="verify")},
            ("explore: switched off (`highestRung`)", "guide: switched off (`highestRung`)"),
        ),
        ({"settings": Settings()}, ()),  # the summary says it
        ({"root": None}, ()),
    ],
)
async def test_where_nothing_may_be_tried(
    changes: dict[str, object], notes: tuple[str, ...], project: Path
) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    updates = await climb(OPEN, project, model, ScriptedSandbox(), **changes)
    assert len(model.continuations) == 1
    assert updates[-1].notes == notes


@pytest.mark.parametrize(
    ("passed", "texts"),
    [
        # Another text is shown only if it is better.
        ({"minus": 0, "plus": 0, "times": 0}, ["a - b", "a * b", "a + b"]),
        ({"minus": 1, "plus": 1, "times": 1}, ["a - b", "a * b", "a + b"]),
        ({"minus": 1, "plus": 2, "times": 1}, ["a + b", "a - b", "a * b"]),
        ({"minus": 2, "plus": 1, "times": 1}, ["a - b", "a * b", "a + b"]),
        ({"minus": 0, "plus": 1, "times": 2}, ["a * b", "a + b", "a - b"]),
        ({"minus": 0, "plus": 2, "times": 3}, ["a * b", "a + b", "a - b"]),
    ],
)
async def test_order_of_what_is_shown(
    passed: dict[str, int], texts: list[str], project: Path
) -> None:
    second_sample = {"n": 0}

    def answer(asked: Continuation, begun: str) -> list[str]:
        if asked.sampling.temperature:
            second_sample["n"] += 1
            return ["    return a", " * ", "b\n"]
        return ["b\n"] if begun else MINUS

    model = ScriptedModel(answer=answer, runners_up={" - ": (" + ", 0.3)})
    updates = await climb(OPEN, project, model, ScriptedSandbox(passing(**passed)))
    assert [s.text for s in updates[-1].suggestions] == [f"return {text}" for text in texts]


async def test_behind_a_batch_with_a_pass_there_is_no_other(project: Path) -> None:
    """A branch passes, but one of its lines never ran: better than the draft, and no more is asked."""

    def run(job: Job) -> RunResult:
        if "a + b" in job.text:
            return RunResult(Status.PASSED, 3, 3, missed_lines=(2,))
        return result_of(job.text, {"a - b": 2, "return b": 2})

    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    updates = await climb(OPEN, project, model, ScriptedSandbox(run))
    best = updates[-1].suggestions[0]
    assert (best.text, best.outcome) == ("return a + b", Outcome.UNVERIFIED)
    assert best.summary == "⊘ 3/3 pass, but line 2 never ran"
    assert [c.sampling.temperature for c in model.continuations] == [0.0] * 3


async def test_a_model_that_fails_in_the_search_loses_nothing(project: Path) -> None:
    def answer(asked: Continuation, begun: str) -> list[str]:
        if asked.sampling.temperature:
            raise ModelError("the model worker died")
        return ["b\n"] if begun else MINUS

    model = ScriptedModel(answer=answer, runners_up={" - ": (" + ", 0.3)})
    updates = await climb(OPEN, project, model, ScriptedSandbox(passing(minus=0, plus=1)))
    assert updates[-1].done
    assert updates[-1].suggestions[0].text == "return a + b"
    assert updates[-1].suggestions[0].outcome is Outcome.PARTIAL
    assert updates[-1].notes[0] == "explore: ended: the model worker died"


async def test_an_endless_draft_may_be_asked_again_unless_something_better_is_found(
    project: Path,
) -> None:
    def run(job: Job) -> RunResult:
        if "a - b" in job.text:
            return RunResult(Status.INCONCLUSIVE, reason="r", ending=Ending.TIMEOUT)
        return passes_if("a + b")(job)

    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    updates = await climb(OPEN, project, model, ScriptedSandbox(run))
    assert [update.is_transient for update in updates if update.considered] == [True, False, False]
    assert updates[-1].suggestions[0].outcome is Outcome.VERIFIED


async def test_what_says_the_same_is_run_once_and_told(project: Path) -> None:
    samples = iter(["a * b  # twice\n", "a * b\n", *["a - b\n"] * 9])

    def answer(asked: Continuation, begun: str) -> list[str]:
        return [f"    return {next(samples)}"] if asked.sampling.temperature else MINUS

    sandbox = ScriptedSandbox(passes_if("never"))
    updates = await climb(OPEN, project, ScriptedModel(answer=answer), sandbox)
    assert len(sandbox.jobs) == 2
    told = [one.summary for one in updates[-1].considered]
    assert told[2] == "says the same as: sampled at 0.6"
    assert told[3] == "says the same as: the most probable text"


async def test_what_a_filter_drops_is_told_and_not_run(project: Path) -> None:
    def answer(asked: Continuation, begun: str) -> list[str]:
        return ["    <|fim_middle|>\n"] if asked.sampling.temperature else MINUS

    sandbox = ScriptedSandbox(passes_if("never"))
    updates = await climb(OPEN, project, ScriptedModel(answer=answer), sandbox)
    assert len(sandbox.jobs) == 1
    assert {one.outcome for one in updates[-1].considered[1:]} == {None}
    assert all(one.summary for one in updates[-1].considered)


@pytest.mark.parametrize(
    ("marked", "text"),
    [
        (OPEN, "return a + b"),
        ("def add(a, b):\n    'Sum.'\n    |\n", "return a + b"),
        ("def add(a, b):\n    |\n    pass\n", "return a + b"),
        ("def add(a, b):\n    c = 1\n    |\n", None),  # it has a body, and the model is content
        ("def add(a, b):\n    |\n    return 1\n", None),
    ],
)
async def test_where_the_model_adds_nothing_to_a_function_without_a_body(
    marked: str, text: str | None, project: Path
) -> None:
    def answer(asked: Continuation, begun: str) -> list[str]:
        return [" + b\n"] if begun else ["    return a - b\n"] if asked.sampling.temperature else []

    model = ScriptedModel(answer=answer, runners_up={END: ("    return a", 0.4)})
    updates = await climb(marked, project, model, ScriptedSandbox())
    assert [s.text for s in updates[-1].suggestions] == ([] if text is None else [text])
    assert all(u.suggestions == () for u in updates[:-2])
    assert bool(updates[-1].drops) is (text is None)


async def test_what_fails_is_not_shown_where_there_was_no_draft(project: Path) -> None:
    def answer(asked: Continuation, begun: str) -> list[str]:
        return ["    return a - b\n"] if asked.sampling.temperature else []

    updates = await climb(OPEN, project, ScriptedModel(answer=answer), ScriptedSandbox())
    assert [update.suggestions for update in updates] == [()] * len(updates)
    assert updates[-1].considered[0].outcome is Outcome.FAILS
    silent = ScriptedSandbox(lambda _: RunResult(Status.INCONCLUSIVE, reason="r", compiles=False))
    updates = await climb(OPEN, project, ScriptedModel(answer=answer), silent)
    assert [update.suggestions for update in updates] == [()] * len(updates)
    missed = ScriptedSandbox(lambda _: RunResult(Status.PASSED, 3, 3, missed_lines=(2,)))
    updates = await climb(OPEN, project, ScriptedModel(answer=answer), missed)
    assert updates[-1].suggestions[0].summary == "⊘ 3/3 pass, but line 2 never ran"


async def test_closing_the_ladder_stops_the_search(project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP, delay_seconds=0.01)
    updates = ladder(
        request_at(OPEN, project), Tools(model, ScriptedSandbox(passes_if("return a + b")))
    )
    async with aclosing(updates):
        async for update in updates:
            if update.considered:
                break
        assert len(model.continuations) == 1
    assert model.endings == ["complete"]


async def test_a_draft_known_by_its_text_alone_is_written_again(project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    request = request_at(OPEN, project)
    tools = Tools(model, ScriptedSandbox())
    known = Suggestion("s0", "return a - b")
    updates = [update async for update in ladder(request, tools, known)]
    assert updates[-1].suggestions[0].text == "return a + b"
    assert [len(c.begins) for c in model.continuations][:2] == [0, 2]


async def test_a_draft_known_with_its_tokens_is_not(project: Path) -> None:
    model = ScriptedModel(MINUS, runners_up=RUNNERS_UP)
    tokens = tuple(
        replace(model.token(text), end=end)
        for text, end in (("return a", 8), (" - ", 11), ("b\n", 13))
    )
    known = Suggestion("s0", "return a - b", written=Written("return a - b\n", tokens))
    tools = Tools(model, ScriptedSandbox())
    updates = [update async for update in ladder(request_at(OPEN, project), tools, known)]
    assert updates[-1].suggestions[0].text == "return a + b"
    assert len(model.continuations[0].begins) == 2


def tokens_of(*texts: str) -> Written:
    """An answer of these tokens, the n-th of which has a margin of n, and n + 100 beside it."""

    def tokens() -> Iterator[Token]:
        end = 0
        for i, text in enumerate(texts):
            end += len(text)
            yield Token(i, -1.0, end, i + 100, float(i))

    return Written("".join(texts), tuple(tokens()))


@pytest.mark.parametrize(
    ("texts", "scope", "forked"),
    [
        (["x", " =", " 1", "\n"], NOTHING_OPEN, [0, 1, 2, 3]),
        (["x", " #", " a", " b", "\n", "y"], NOTHING_OPEN, [0, 1, 4, 5]),
        (["x ", "#", " a", "\n"], NOTHING_OPEN, [0, 1, 3]),
        (['"""', "doc", '"""', "\n", "y"], NOTHING_OPEN, [0, 3, 4]),
        (["doc", '"""', "\n", "y"], Scope(quote='"""'), [0, 2, 3]),
        ([" more", "\n", "y"], Scope(in_comment=True), [0, 1, 2]),
        (["'", "#", "'", "\n"], NOTHING_OPEN, [0, 1, 2, 3]),
    ],
)
def test_branches_leave_comments_and_docstrings_alone(
    texts: list[str], scope: Scope, forked: list[int]
) -> None:
    written = tokens_of(*texts)
    found = branches(written, scope)
    assert [branch.number - 1 for branch in found] == forked
    for branch in found:
        *before, other = branch.tokens
        i = len(before)
        assert tuple(before) == written.tokens[:i]
        assert (other.id, other.log_probability) == (i + 100, -1.0 - i)
    assert n_uncertain(written, scope, 2.0) == len([i for i in forked if i < 2])


def test_the_least_certain_token_comes_first() -> None:
    tokens = (Token(1, -1.0, 1, 7, 0.5), Token(2, -1.0, 2, None), Token(3, -1.0, 3, 8, 0.1))
    assert [branch.margin for branch in branches(Written("abc", tokens))] == [0.1, 0.5]


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (Situation(to_the_end=False, n_uncertain=9), LINE),
        (Situation(to_the_end=True, n_uncertain=9), BODY),
        (Situation(to_the_end=False, n_uncertain=3), replace(LINE, n_branches=3)),
        (Situation(to_the_end=False, n_uncertain=0), replace(LINE, n_branches=2)),
        (
            Situation(to_the_end=True, n_uncertain=9, tests_are_slow=True),
            replace(BODY, n_branches=2, n_samples=0, why="the tests are slow"),
        ),
        (
            Situation(to_the_end=True, n_uncertain=9, trims=False),
            replace(BODY, n_branches=0, why="the model cannot go back to a prefix"),
        ),
        (
            Situation(to_the_end=True, n_uncertain=9, on_battery=True),
            replace(BODY, n_samples=0, why="on battery"),
        ),
        (
            Situation(to_the_end=False, n_uncertain=0, on_gpu=True),
            replace(LINE, n_branches=18, n_samples=6),
        ),
        (
            Situation(to_the_end=True, n_uncertain=9, is_flaky=True),
            Plan(why="a test is flaky: what passes would say little"),
        ),
    ],
)
def test_plan(situation: Situation, expected: Plan) -> None:
    assert plan(situation, SETTINGS) == expected


def test_plan_when_switched_off() -> None:
    off = replace(SETTINGS, highest_rung="verify")
    assert plan(Situation(to_the_end=True), off).is_empty


@pytest.mark.parametrize(
    ("outcome", "is_endless", "expected"),
    [
        (Outcome.VERIFIED, False, False),
        (Outcome.PARTIAL, False, True),
        (Outcome.RUNS, False, False),
        (Outcome.UNVERIFIED, False, False),
        (Outcome.UNVERIFIED, True, True),
        (Outcome.FAILS, False, True),
    ],
)
def test_is_worth_exploring(outcome: Outcome, is_endless: bool, expected: bool) -> None:
    assert is_worth_exploring(outcome, is_endless=is_endless) is expected


@pytest.mark.parametrize(
    ("head", "one", "other", "same"),
    [
        ("def f(a):\n    ", "return a", "return a  # it is", True),
        ("def f(a):\n    ", "return (a)", "return a", True),
        ("    def f(a):\n        ", "x = a\n\n        return x", "x = a\n        return x", True),
        ("def f(a):\n    ", "return '#'", "return '#a'", False),
        ("def f(a):\n    ", "return a", "return b", False),
        ("def f(a):\n    ", "if a:", "if  a:", False),  # nothing that could be parsed
        ("def f(a):\n    ", "if a:", "if a:", True),
    ],
)
def test_what_is_new(head: str, one: str, other: str, same: bool) -> None:
    candidates = Candidates(head)
    assert candidates.is_new(one, "one", Rung.EXPLORE)
    assert candidates.is_new(other, "other", Rung.EXPLORE) is not same
    assert [told.summary for told in candidates.considered] == ["says the same as: one"] * same


SAID = {
    "verified": (Outcome.VERIFIED, Status.PASSED, 3),
    "2/3": (Outcome.PARTIAL, Status.FAILED, 2),
    "1/3": (Outcome.PARTIAL, Status.FAILED, 1),
    "passes": (Outcome.UNVERIFIED, Status.PASSED, 3),
    "fails": (Outcome.FAILS, Status.FAILED, 0),
    "silent": (Outcome.UNVERIFIED, Status.INCONCLUSIVE, 0),
}


@pytest.mark.parametrize(
    ("logs", "results", "order"),
    [
        # Of the same outcome: the more probable.
        ((-1.0, -2.0, -0.5), ("fails", "fails", "fails"), [0, 2, 1]),
        # Then what passes more.
        ((-1.0, -0.1, -2.0), ("fails", "1/3", "2/3"), [2, 1, 0]),
        ((-1.0, -0.1, -2.0), ("2/3", "1/3", "1/3"), [0, 1, 2]),
        ((-1.0, -0.1, -9.0), ("fails", "2/3", "verified"), [2, 1, 0]),
        # What passes but proves nothing is better than what fails, that of which no test spoke is not.
        ((-1.0, -9.0), ("fails", "passes"), [1, 0]),
        ((-1.0, -9.0, -1.0), ("2/3", "passes", "verified"), [2, 1, 0]),
        ((-9.0, -1.0), ("fails", "silent"), [0, 1]),
        ((-1.0, -9.0), ("silent", "fails"), [1, 0]),
    ],
)
def test_ranked(logs: tuple[float, ...], results: tuple[str, ...], order: list[int]) -> None:
    rated = []
    for i, (log, said) in enumerate(zip(logs, results, strict=True)):
        outcome, status, n_passed = SAID[said]
        written = Written("x", (Token(0, log),))
        rated.append(
            Rated(
                Suggestion(f"s{i}", f"x{i}", outcome=outcome, written=written),
                RunResult(status, n_passed, 3, tests=(TestResult("t", said, 0.01),)),
            )
        )
    assert [int(one.suggestion.id[1]) for one in ranked(rated, Weights())] == order


@pytest.mark.model
async def test_real_model_and_sandbox(default_model: Path, tmp_path: Path) -> None:
    """`text.split()[-1]` is what the model writes first, and has no answer to an empty text."""
    marked = "def last_word(text):\n    return |\n"
    text, offset = at_cursor(marked)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "calc.py").write_text(text)
    (tmp_path / "test_calc.py").write_text(
        "from calc import last_word\n\n\n"
        "def test_it():\n    assert last_word('a b c') == 'c'\n    assert last_word('') == ''\n"
    )
    request = Request(text, offset, tmp_path / "calc.py", tmp_path, SETTINGS)
    model, pool = LlamaModel(default_model), Pool()
    try:
        updates = [update async for update in ladder(request, Tools(model, pool))]
    finally:
        await pool.close()
        await model.close()
    draft = next(u.suggestions[0] for u in updates if u.considered)
    assert (draft.outcome, draft.rung) == (Outcome.FAILS, Rung.DRAFT)
    assert "IndexError" in draft.summary
    best = updates[-1].suggestions[0]
    assert (best.outcome, best.rung, best.summary) == (Outcome.VERIFIED, Rung.EXPLORE, "✓ 1/1")
    body = f"def last_word(text):\n    return {best.text}\n"
    scope: dict[str, Callable[[str], str]] = {}
    exec(body, scope)  # what the sandbox has run before
    assert [scope["last_word"](words) for words in ("a b c", "")] == ["c", ""]


@pytest.mark.parametrize(
    ("outcome", "status", "has_passed", "is_shown"),
    [
        (Outcome.VERIFIED, Status.PASSED, True, True),
        (Outcome.UNVERIFIED, Status.PASSED, True, True),
        (Outcome.PARTIAL, Status.FAILED, False, True),
        (Outcome.FAILS, Status.PASSED, False, False),  # passed by exchange, and fails when imported
        (Outcome.RUNS, Status.FAILED, False, False),
        (Outcome.UNVERIFIED, Status.INCONCLUSIVE, False, False),
    ],
)
def test_what_counts_as_a_pass(
    outcome: Outcome, status: Status, has_passed: bool, is_shown: bool
) -> None:
    candidates = Candidates("def f(a):\n    ")
    candidates.rated.append(Rated(Suggestion("s0", "x", outcome=outcome), RunResult(status, 3, 3)))
    assert candidates.has_passed is has_passed
    assert bool(candidates.passing()) is is_shown


def test_the_draft_stays_among_those_that_are_shown() -> None:
    candidates = Candidates("def f(a):\n    ")
    for i in range(MAX_SHOWN + 3):
        shown = Suggestion(f"s{i}", f"x{i}", outcome=Outcome.PARTIAL if i else Outcome.FAILS)
        candidates.rated.append(Rated(shown, RunResult(Status.FAILED, i, 99)))
    ids = [one.id for one in candidates.shown()]
    assert ids == ["s7", "s6", "s5", "s4", "s0"]


def test_of_what_behaves_alike_the_better_one_is_shown() -> None:
    def rated(i: int, log: float, returned: str) -> Rated:
        trace = record(frames=[frame(end=["return", returned])])
        written = Written("x", (Token(0, log),))
        shown = Suggestion(f"s{i}", f"x{i}", outcome=Outcome.FAILS, written=written)
        tests = (TestResult("t", "failed", 0.01),)
        return Rated(shown, RunResult(Status.FAILED, 0, 1, tests=tests), parse(trace))

    those = [rated(0, -1.0, "1"), rated(1, -0.5, "1"), rated(2, -0.9, "2"), rated(3, -0.2, "2")]
    assert [one.suggestion.id for one in ranked(those, Weights())] == ["s0", "s3"]
