"""What prompts are made of. Knows nothing of model families or of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Marker(StrEnum):
    """Control tokens by role; which text stands for a role is the family's matter.

    None of them belongs to an answer: a model that writes one has left the text it was asked for.
    """

    FIM_PREFIX = "fim_prefix"
    FIM_SUFFIX = "fim_suffix"
    FIM_MIDDLE = "fim_middle"
    FIM_END = "fim_end"
    FILE_SEPARATOR = "file_separator"
    REPOSITORY = "repository"


@dataclass(frozen=True)
class Control:
    """Text of the model's own chat template: control tokens are recognised in it."""

    text: str


PromptPart = Marker | Control | str
"""A plain `str` never becomes a control token."""


@dataclass(frozen=True)
class Prompt:
    parts: tuple[PromptPart, ...]


@dataclass(frozen=True)
class PromptForm:
    """How a model wants its prompts: plain data, made where the model is loaded."""

    family: str = ""
    """A name of `FAMILIES`; empty where the family is not known."""
    markers: frozenset[Marker] = frozenset()
    """The control tokens its vocabulary has."""
    chat: tuple[str, str] | None = None
    """The model's chat template around one message of the user: control text before and after it."""
