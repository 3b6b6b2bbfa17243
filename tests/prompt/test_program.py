"""Prompts for whole programs: what is in them, and that text stays text."""

from __future__ import annotations

import pytest

from egcfg_lsp.prompt import Control, PromptForm
from egcfg_lsp.prompt.program import program_prompt, rest_prompt

CHAT = PromptForm(chat=("<|user|>", "<|assistant|>"))
PLAIN = PromptForm()
BEFORE = 'def add(a, b):\n    """The sum."""\n'
TEST = "assert add(1, 2) == 3\n"


def test_rest_of_a_program_in_a_chat() -> None:
    before, question, after, answer = rest_prompt(BEFORE, "", CHAT).parts
    assert (before, after) == (Control("<|user|>"), Control("<|assistant|>"))
    assert isinstance(question, str)
    assert f"```python\n{BEFORE}```" in question
    assert "pass" not in question
    assert answer == f"```python\n{BEFORE}", "the answer goes on behind what stands there"


def test_program_in_a_chat() -> None:
    _, question, _, answer = program_prompt("Add two numbers.", "add", TEST, CHAT).parts
    assert isinstance(question, str)
    assert question.startswith("Add two numbers.\n")
    assert f"```python\n{TEST}```" in question
    assert answer == "```python\n"


@pytest.mark.parametrize(("tests", "is_named"), [("", True), (TEST, False)])
def test_the_name_is_told_where_no_test_does(tests: str, is_named: bool) -> None:
    (_, question, *_) = program_prompt("Add two numbers.", "add", tests, CHAT).parts
    assert ("`add`" in str(question)) is is_named


def test_tests_go_into_the_question() -> None:
    (_, question, *_) = rest_prompt(BEFORE, TEST, CHAT).parts
    assert f"```python\n{TEST}```" in str(question)


def test_without_a_chat_template_the_program_goes_on() -> None:
    assert rest_prompt(BEFORE, "", PLAIN).parts == (BEFORE,)
    assert rest_prompt(BEFORE, TEST, PLAIN).parts == (f"# {TEST}{BEFORE}",)
    assert program_prompt("Add\ntwo numbers.", "add", TEST, PLAIN).parts == (
        f"# Add\n# two numbers.\n# {TEST}",
    )


def test_a_signal_stands_behind_the_question() -> None:
    """All before it is the same with it and without, and is read once for both."""
    _, plain, _, answer = rest_prompt(BEFORE, TEST, CHAT).parts
    _, told, _, told_answer = rest_prompt(BEFORE, TEST, CHAT, "Way 1: no").parts
    assert str(told).startswith(f"{plain}\n\n")
    assert str(told).endswith("\n\nWay 1: no")
    assert told_answer == answer
    assert rest_prompt(BEFORE, "", PLAIN, "Way 1:\nno").parts == (f"# Way 1:\n# no\n{BEFORE}",)


def test_half_a_line_is_not_in_the_question_but_in_the_answer() -> None:
    before = f"{BEFORE}    ret"
    _, question, _, answer = rest_prompt(before, "", CHAT).parts
    assert f"```python\n{BEFORE}```" in str(question)
    assert answer == f"```python\n{before}"
