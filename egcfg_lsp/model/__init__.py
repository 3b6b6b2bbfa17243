"""Language models. `LanguageModel` is the seam: what the ladder knows of a model is this protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from egcfg_lsp.prompt import Marker, Prompt


class ModelError(Exception):
    """The model cannot answer; the message is for people and says what to do where that is known."""


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model is."""

    description: str
    """Family, size and quantisation as llama.cpp describes them."""
    markers: frozenset[Marker]
    """The control tokens its vocabulary has."""
    n_context: int
    """Tokens, prompt and answer together."""
    gpu: bool
    load_seconds: float


@dataclass(frozen=True)
class Line:
    """Generated text up to and with its line end; only the last one of an answer may lack it."""

    text: str
    n_tokens: int


class LanguageModel(Protocol):
    async def info(self) -> ModelInfo:
        """What the model is; loads it if need be. Raises ModelError."""
        ...

    def lines(self, prompt: Prompt, max_tokens: int) -> AsyncGenerator[Line]:
        """Greedy continuation, line by line; closing the generator stops the decoding.

        Raises ModelError.
        """
        ...

    async def close(self) -> None: ...
