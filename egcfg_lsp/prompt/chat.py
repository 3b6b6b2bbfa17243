"""Chat prompts from the jinja template that a model file carries.

The template comes from a download and is not trusted: it runs in jinja2's sandbox, and what it
writes is bounded, but not the time and memory it takes: run it in a process that may be killed.
It never sees what the messages say, only stand-ins, so no message can become a control token.
Does not cover tools, images or reasoning.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NoReturn

from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from egcfg_lsp.prompt.parts import Control, PromptPart

MAX_TEMPLATE_CHARACTERS = 200_000
MAX_CONTROL_CHARACTERS = 100_000
"""What a template may write around the messages; long ones describe tools that are not used here."""
_REASONING = re.compile(r"<think(ing)?>\s*\Z")


class ChatTemplateError(ValueError):
    """The model's chat template cannot be used; the message says why, for people."""


@dataclass(frozen=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


def around_question(template: str, *, bos: str, eos: str) -> tuple[str, str]:
    """What the template writes before and after the only message, the user's, up to the answer.

    Raises ChatTemplateError.
    """
    parts = chat_parts(template, [Message("user", "?")], bos=bos, eos=eos)
    question = parts.index("?")
    before, after = parts[:question], parts[question + 1 :]
    return _control_text(before), _control_text(after)


def chat_parts(
    template: str, messages: Sequence[Message], *, bos: str, eos: str, answer_so_far: str = ""
) -> tuple[PromptPart, ...]:
    """The prompt for an answer that begins with `answer_so_far`, which is not shown to the template.

    A template that refuses a system message gets it at the head of the next one. Raises
    ChatTemplateError when it is broken, writes too much, or loses or alters a message.
    """
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise ChatTemplateError("its chat template is too long")
    try:
        parts = _rendered(template, messages, bos, eos)
    except ChatTemplateError:
        if messages[0].role != "system" or len(messages) < 2:
            raise
        system, first, *others = messages
        merged = Message(first.role, f"{system.content}\n\n{first.content}")
        parts = _rendered(template, [merged, *others], bos, eos)
    if isinstance(parts[-1], Control) and _REASONING.search(parts[-1].text):
        parts[-1] = Control(parts[-1].text + "\n</think>\n\n")  # the answer is wanted at once
    return (*parts, answer_so_far) if answer_so_far else tuple(parts)


def _rendered(template: str, messages: Sequence[Message], bos: str, eos: str) -> list[PromptPart]:
    stand_ins = {f"S{secrets.token_hex(16)}": message.content for message in messages}
    values = {
        "messages": [
            {"role": message.role, "content": stand_in}
            for message, stand_in in zip(messages, stand_ins, strict=True)
        ],
        "bos_token": bos,
        "eos_token": eos,
        "add_generation_prompt": True,
        "enable_thinking": False,
        "tools": None,
        "documents": None,
    }
    text = _run(template, values)
    pieces = re.split(f"({'|'.join(stand_ins)})", text)
    if [piece for piece in pieces if piece in stand_ins] != list(stand_ins):
        raise ChatTemplateError("its chat template loses or repeats a message")
    parts: list[PromptPart] = [
        stand_ins[piece] if piece in stand_ins else Control(piece) for piece in pieces if piece
    ]
    return parts


def _run(template: str, values: Mapping[str, object]) -> str:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now}
    environment.filters["tojson"] = _to_json
    chunks, room = [], MAX_CONTROL_CHARACTERS
    try:
        for chunk in environment.from_string(template).generate(values):
            chunks.append(chunk)
            room -= len(chunk)
            if room < 0:
                raise ChatTemplateError("its chat template writes too much")
    except ChatTemplateError:
        raise
    except Exception as error:  # a template can raise whatever an expression of it can
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ChatTemplateError(f"its chat template fails: {reason}") from error
    return "".join(chunks)


class _Generation(Extension):
    """`{% generation %}`: marks the assistant's text for training; its body is written as it is."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> str:
        return str(caller())


def _refuse(message: object) -> NoReturn:
    raise TemplateError(str(message))


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _to_json(value: object, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=options.get("indent"))


def _control_text(parts: Sequence[PromptPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Control))
