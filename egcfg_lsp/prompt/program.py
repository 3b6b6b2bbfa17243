"""The prompt that asks for a whole program, or for the rest of one: a task in words, not a cursor.

Where the model was trained to chat, a chat whose answer has begun; else a plain continuation.
Does not cover code below the gap: that is `fim`.
"""

from __future__ import annotations

from egcfg_lsp.prompt.fim import CHAT_FENCE
from egcfg_lsp.prompt.parts import Control, Prompt, PromptForm


def rest_prompt(before: str, tests: str, form: PromptForm) -> Prompt:
    """Asks for the rest of a program that begins with `before`, which ends with a line end.

    `tests`: source that it has to pass, beyond what its docstring shows; may be empty.
    """
    if form.chat is None:
        return Prompt((_commented(tests) + before,))
    question = (
        "Finish this Python function, so that it does what its docstring says:\n\n"
        f"{_fenced(before)}\n\n{_passing(tests)}Answer with the finished code in one block."
    )
    return _answering(form.chat, question, before)


def program_prompt(text: str, entry_point: str, tests: str, form: PromptForm) -> Prompt:
    """Asks for a program that does what `text` says; `tests` may be empty."""
    name = "" if entry_point in tests else f"Name the function `{entry_point}`.\n\n"
    if form.chat is None:
        return Prompt((_commented(f"{text}\n{name}") + _commented(tests),))
    question = f"{text}\n\n{name}{_passing(tests)}Answer with one block of Python code."
    return _answering(form.chat, question, "")


def _passing(tests: str) -> str:
    return f"Your code has to pass:\n\n{_fenced(tests)}\n\n" if tests else ""


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines() if line.strip())


def _answering(chat: tuple[str, str], question: str, so_far: str) -> Prompt:
    control_before, control_after = chat
    answer = f"{CHAT_FENCE}python\n{so_far}"
    return Prompt((Control(control_before), question, Control(control_after), answer))


def _fenced(code: str) -> str:
    end = "" if code.endswith("\n") else "\n"
    return f"{CHAT_FENCE}python\n{code}{end}{CHAT_FENCE}"
