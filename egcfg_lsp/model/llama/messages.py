"""What client and worker say to each other: frames of a 4-byte big-endian length and a JSON message.

Lines cross this border, logits never do.
"""

from __future__ import annotations

from dataclasses import dataclass

from cattrs.preconf.json import make_converter
from cattrs.strategies import configure_tagged_union

from egcfg_lsp.model import ModelInfo
from egcfg_lsp.prompt import Marker, PromptPart

HEADER_BYTES = 4


@dataclass(frozen=True)
class Generate:
    request: int
    parts: tuple[PromptPart, ...]
    max_tokens: int


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
    text: str
    n_tokens: int


@dataclass(frozen=True)
class Ended:
    """The answer is complete, was cancelled, or failed (`error` is then not empty)."""

    request: int
    n_read: int
    """Prompt tokens read."""
    n_reused: int
    """Prompt tokens found in the KV cache."""
    error: str = ""


ToWorker = Generate | Cancel
FromWorker = Loaded | LoadFailed | GeneratedLine | Ended

_converter = make_converter()
_converter.register_unstructure_hook_func(
    lambda cls: cls == PromptPart,
    lambda part: {"marker": part.value} if isinstance(part, Marker) else part,
)
_converter.register_structure_hook_func(
    lambda cls: cls == PromptPart,
    lambda part, _: Marker(part["marker"]) if isinstance(part, dict) else str(part),
)
configure_tagged_union(ToWorker, _converter)
configure_tagged_union(FromWorker, _converter)


def encode(message: ToWorker | FromWorker) -> bytes:
    """One frame."""
    union = ToWorker if isinstance(message, Generate | Cancel) else FromWorker
    body = _converter.dumps(message, unstructure_as=union).encode()
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def decode_to_worker(body: bytes) -> ToWorker:
    return _converter.loads(body, ToWorker)  # type: ignore[arg-type]


def decode_from_worker(body: bytes) -> FromWorker:
    return _converter.loads(body, FromWorker)  # type: ignore[arg-type]
