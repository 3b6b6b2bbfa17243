"""The two prompts of EG-CFG (arXiv 2506.10948), in words of our own: each with and without a signal.

One shows three solved problems, the other asks for long code: many short lines, one step a line, so
that a trace has something to show. The answer has begun; the prompt ends where it goes on. Does not
know how a signal is made (`guidance/signal.py`), nor code below the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from egcfg_lsp.prompt.parts import Prompt, PromptForm
from egcfg_lsp.prompt.program import answering, fenced


class Style(StrEnum):
    FEW_SHOT = "few-shot"
    LONG_CODE = "long-code"


@dataclass(frozen=True)
class ProgramTask:
    """What is asked for: in words, or as the head of a function whose docstring says it."""

    text: str
    """In words; empty where `before` says it."""
    before: str
    """The beginning of the program, whole lines; empty where nothing is given."""
    entry_point: str
    tests: str
    """Source that the program has to pass; may be empty."""


def published_prompt(
    task: ProgramTask, style: Style, so_far: str, signal: str, form: PromptForm
) -> Prompt:
    """Asks for the rest of an answer that has begun with `so_far`, which is whole lines.

    `so_far` begins with `task.before`. `signal`: candidates for its next lines with what their runs
    showed; empty: the prompt without a signal. Where the model was not trained to chat, the same
    text as comments above the program.
    """
    question = "\n\n".join(part for part in _question(task, style, signal) if part)
    if form.chat is None:
        return Prompt((_commented(question) + so_far,))
    return answering(form.chat, question, so_far)


def _question(task: ProgramTask, style: Style, signal: str) -> list[str]:
    opening = _SOLVED if style is Style.FEW_SHOT else _LONG_CODE
    return [
        opening,
        f"{_PROBLEM if style is Style.FEW_SHOT else ''}{_wanted(task)}",
        f"Tests:\n{fenced(task.tests)}" if task.tests else "",
        f"{_SIGNAL}\n\n{signal.strip()}\n\n{_BEHIND_SIGNAL}" if signal else "",
        "Answer with the finished program in one block of Python code.",
    ]


def _wanted(task: ProgramTask) -> str:
    if not task.text:
        return (
            f"Finish this function, so that it does what its docstring says:\n{fenced(task.before)}"
        )
    if task.entry_point in task.tests:
        return task.text
    return f"{task.text} Name the function `{task.entry_point}`."


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


_PROBLEM = "Problem: "
_LONG_CODE = """\
Solve the problem below in Python, in long code:
- one small step a line, and many short lines rather than few long ones;
- a name of its own for every value on the way, and no call within the arguments of another call;
- plain `for` and `while` loops with `if` blocks; no comprehension, no generator expression, no \
lambda, no conditional expression;
- each block on lines of its own, and one statement a line;
- no comments."""

_SIGNAL = """\
The answer has been begun. These are ways in which it might go on, and what was seen when each was \
executed; some are wrong, and some do not yet reach the end:"""
_BEHIND_SIGNAL = """\
Use what was seen as evidence. Keep what leads to the right result, do not copy a way that is wrong, \
and write code for every input, without the values above and without comments about them."""

_SOLVED = """\
Solve the last problem as the first three were solved.

Problem: Write a function that gives the length of the longest run of equal neighbours in a list.
Tests:
```python
assert longest_run([4, 4, 1, 1, 1, 4]) == 3
assert longest_run([]) == 0
```
```python
def longest_run(values):
    best = 0
    length = 0
    for i, value in enumerate(values):
        if i > 0 and value == values[i - 1]:
            length += 1
        else:
            length = 1
        best = max(best, length)
    return best
```

Problem: Write a function that turns round each word of a text; words are parted by single spaces.
Tests:
```python
assert turned_words("stop the car") == "pots eht rac"
```
```python
def turned_words(text):
    words = []
    for word in text.split(" "):
        words.append(word[::-1])
    return " ".join(words)
```

Problem: Write a function that counts the steps from a number down to zero, halving even numbers and \
taking one from odd numbers.
Tests:
```python
assert steps_to_zero(14) == 6
assert steps_to_zero(8) == 4
```
```python
def steps_to_zero(number):
    steps = 0
    while number > 0:
        if number % 2 == 0:
            number //= 2
        else:
            number -= 1
        steps += 1
    return steps
```"""
