"""What client and worker say to each other: frames of a 4-byte big-endian length and a JSON message.

Lines cross this border, logits never do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cattrs.preconf.json import make_converter
from cattrs.strategies import configure_tagged_union

from egcfg_lsp.model import Continuation, Finished, Line, ModelInfo, Priority, Token, Usage
from egcfg_lsp.prompt import Control, Marker, Prompt, PromptPart
from egcfg_lsp.settings import ModelOptions

HEADER_BYTES = 4


@dataclass(frozen=True)
class Generate:
    request: int
    priority: Priority
    continuations: tuple[Continuation, ...]


@dataclass(frozen=True)
class Score:
    request: int
    priority: Priority
    prompt: Prompt
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    request: int
    priority: Priority
    prompt: Prompt


@dataclass(frozen=True)
class Cancel:
    request: int


@dataclass(frozen=True)
class Loaded:
    info: ModelInfo


@dataclass(frozen=True)
class LoadFailed:
    message: str


@dataclass(frozen=True)
class GeneratedLine:
    request: int
    line: Line


@dataclass(frozen=True)
class GeneratedEnd:
    request: int
    finished: Finished


@dataclass(frozen=True)
class Used:
    request: int
    usage: Usage


@dataclass(frozen=True)
class Scored:
    request: int
    log_probabilities: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Working:
    """A sign of life, once a second while there is work."""


@dataclass(frozen=True)
class Ended:
    """A request is carried out, or failed (`error` is then not empty)."""

    request: int
    usage: Usage
    error: str = ""


WorkRequest = Generate | Score | Read
ToWorker = Generate | Score | Read | Cancel
FromWorker = Loaded | LoadFailed | GeneratedLine | GeneratedEnd | Used | Scored | Working | Ended

_converter = make_converter()


def _to_json(part: PromptPart) -> object:
    if isinstance(part, Marker):
        return {"marker": part.value}
    return {"control": part.text} if isinstance(part, Control) else part


def _from_json(part: object, _: object) -> PromptPart:
    if not isinstance(part, dict):
        return str(part)
    return Marker(part["marker"]) if "marker" in part else Control(part["control"])


def _token_to_json(token: Token) -> list[float | None]:
    """A list, since there are many; null for the infinite margin, which JSON has no number for."""
    margin = token.margin if math.isfinite(token.margin) else None
    return [token.id, token.log_probability, token.end, token.runner_up, margin]


def _token_from_json(values: Sequence[Any], _: object) -> Token:
    id_, log_probability, end, runner_up, margin = values
    return Token(id_, log_probability, end, runner_up, math.inf if margin is None else margin)


_converter.register_unstructure_hook(Token, _token_to_json)
_converter.register_structure_hook(Token, _token_from_json)
_converter.register_unstructure_hook_func(lambda cls: cls == PromptPart, _to_json)
_converter.register_structure_hook_func(lambda cls: cls == PromptPart, _from_json)
configure_tagged_union(ToWorker, _converter)
configure_tagged_union(FromWorker, _converter)


def encode(message: ToWorker | FromWorker) -> bytes:
    """One frame."""
    union = ToWorker if isinstance(message, ToWorker) else FromWorker
    body = _converter.dumps(message, unstructure_as=union).encode()
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def decode_to_worker(body: bytes) -> ToWorker:
    return _converter.loads(body, ToWorker)  # type: ignore[arg-type]


def decode_from_worker(body: bytes) -> FromWorker:
    return _converter.loads(body, FromWorker)  # type: ignore[arg-type]


def encode_options(options: ModelOptions) -> str:
    """The options a worker is started with, as one argument."""
    return _converter.dumps(options, unstructure_as=ModelOptions)


def decode_options(text: str) -> ModelOptions:
    return _converter.loads(text, ModelOptions)
