"""The prompt that asks for a whole program, or for the rest of one: a task in words, not a cursor.

Where the model was trained to chat, a chat whose answer has begun; else a plain continuation.
Does not cover code below the gap: that is `fim`.
"""

from __future__ import annotations

from egcfg_lsp.prompt.fim import CHAT_FENCE
from egcfg_lsp.prompt.parts import Control, Prompt, PromptForm


def rest_prompt(before: str, tests: str, form: PromptForm, signal: str = "") -> Prompt:
    """Asks for the rest of a program that begins with `before`, in a new line or on the last one's.

    `tests`: source that it has to pass, beyond what its docstring shows; may be empty. `signal`:
    what was tried and what came of it; stands last, so that all before it is read once for the
    prompts with it and without.
    """
    if form.chat is None:
        return Prompt((_commented(tests) + _commented(signal) + before,))
    question = (
        "Finish this Python function, so that it does what its docstring says:\n\n"
        f"{fenced(_whole_lines(before))}\n\n{_passing(tests)}"
        "Answer with the finished code in one block."
    )
    if signal:
        question += f"\n\n{_TRIED}\n\n{signal}"
    return answering(form.chat, question, before)


def program_prompt(text: str, entry_point: str, tests: str, form: PromptForm) -> Prompt:
    """Asks for a program that does what `text` says; `tests` may be empty."""
    name = "" if entry_point in tests else f"Name the function `{entry_point}`.\n\n"
    if form.chat is None:
        return Prompt((_commented(f"{text}\n{name}") + _commented(tests),))
    question = f"{text}\n\n{name}{_passing(tests)}Answer with one block of Python code."
    return answering(form.chat, question, "")


def _whole_lines(text: str) -> str:
    return text[: text.rfind("\n") + 1] or text


def _passing(tests: str) -> str:
    return f"Your code has to pass:\n\n{fenced(tests)}\n\n" if tests else ""


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines() if line.strip())


def answering(chat: tuple[str, str], question: str, so_far: str) -> Prompt:
    """A chat whose answer, a block of code, has begun with `so_far`."""
    control_before, control_after = chat
    answer = f"{CHAT_FENCE}python\n{so_far}"
    return Prompt((Control(control_before), question, Control(control_after), answer))


def fenced(code: str) -> str:
    end = "" if code.endswith("\n") else "\n"
    return f"{CHAT_FENCE}python\n{code}{end}{CHAT_FENCE}"


_TRIED = (
    "These ways were tried, and are wrong, as their runs show. Write another one, without comments "
    "about them:"
)
