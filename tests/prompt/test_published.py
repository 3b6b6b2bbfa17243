"""The prompts of EG-CFG: what is in them, what stays out, and that their examples are solved."""

from __future__ import annotations

import re

import pytest

from egcfg_lsp.prompt import Control, PromptForm
from egcfg_lsp.prompt.published import ProgramTask, Style, published_prompt

CHAT = PromptForm(chat=("<|user|>", "<|assistant|>"))
PLAIN = PromptForm()
HEAD = 'def add(a, b):\n    """The sum."""\n'
TEST = "assert add(1, 2) == 3\n"
GIVEN = ProgramTask("", HEAD, "add", "")
WORDS = ProgramTask("Add two numbers.", "", "add", TEST)
SIGNAL = "Way 1:\n    c = a - b\nadd(1, 2): c = -1\n"


def question(task: ProgramTask, style: Style, signal: str = "") -> str:
    said = published_prompt(task, style, task.before, signal, CHAT).parts[1]
    assert isinstance(said, str)
    return said


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("signal", ["", SIGNAL])
@pytest.mark.parametrize("task", [GIVEN, WORDS])
def test_the_answer_goes_on_behind_the_solution_so_far(
    style: Style, signal: str, task: ProgramTask
) -> None:
    so_far = f"{HEAD}    c = a + b\n"
    parts = published_prompt(task, style, so_far, signal, CHAT).parts
    assert (parts[0], parts[2]) == (Control("<|user|>"), Control("<|assistant|>"))
    assert parts[3] == f"```python\n{so_far}"
    assert "c = a + b" not in str(parts[1])


@pytest.mark.parametrize("style", Style)
def test_what_is_wanted(style: Style) -> None:
    assert f"```python\n{HEAD}```" in question(GIVEN, style)
    assert "Add two numbers." in question(WORDS, style)
    assert f"```python\n{TEST}```" in question(WORDS, style)


@pytest.mark.parametrize(("tests", "is_named"), [("", True), (TEST, False)])
def test_the_name_is_told_where_no_test_does(tests: str, is_named: bool) -> None:
    task = ProgramTask("Add two numbers.", "", "add", tests)
    assert ("`add`" in question(task, Style.FEW_SHOT)) is is_named


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("task", [GIVEN, WORDS])
def test_a_signal_is_all_that_is_added(style: Style, task: ProgramTask) -> None:
    plain, guided = question(task, style), question(task, style, SIGNAL)
    assert SIGNAL.strip() in guided
    before, _, _ = guided.partition("The answer has been begun.")
    assert plain.startswith(before), "what both prompts share is read once"
    assert plain.rpartition("\n\n")[2] == guided.rpartition("\n\n")[2]


def test_the_styles_differ() -> None:
    few, long = question(WORDS, Style.FEW_SHOT), question(WORDS, Style.LONG_CODE)
    assert few.count("Problem: ") == 4
    assert "Problem: " not in long
    for word in ("one small step a line", "no comprehension", "long code"):
        assert word in long
        assert word not in few


def test_the_three_examples_are_solved_and_in_plain_steps() -> None:
    blocks = re.findall(r"```python\n(.*?)```", question(GIVEN, Style.FEW_SHOT), re.DOTALL)
    tests, solutions = blocks[0:6:2], blocks[1:6:2]
    assert len(solutions) == 3
    for test, solution in zip(tests, solutions, strict=True):
        exec(solution + test, {})
        with pytest.raises(AssertionError):
            exec(re.sub(r"return .+", "return None", solution) + test, {})


@pytest.mark.parametrize("style", Style)
def test_without_a_chat_template_the_program_goes_on(style: Style) -> None:
    (text,) = published_prompt(GIVEN, style, HEAD, SIGNAL, PLAIN).parts
    assert isinstance(text, str)
    assert text.endswith(HEAD)
    space: dict[str, object] = {}
    exec(text.removesuffix(HEAD), space)
    assert space.keys() == {"__builtins__"}, "all above the program is comments"
    assert "#     c = a - b\n" in text
