"""From a cursor to suggestions: the words of the ladder. Knows no editor and no protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from egcfg_lsp.settings import Settings


class Outcome(StrEnum):
    """What execution says of a suggestion, best first."""

    VERIFIED = "verified"
    PARTIAL = "partial"
    RUNS = "runs"
    UNVERIFIED = "unverified"
    FAILS = "fails"


@dataclass(frozen=True)
class Request:
    """A snapshot: the buffer and the cursor as they were, and the settings then in force."""

    text: str
    offset: int
    """The cursor, in code points."""
    path: Path | None
    """The file of the buffer; None while it has none."""
    root: Path | None
    """The project of the file; None outside of any."""
    settings: Settings = field(default_factory=Settings)

    @property
    def before(self) -> str:
        return self.text[: self.offset]

    @property
    def after(self) -> str:
        return self.text[self.offset :]


@dataclass(frozen=True)
class Suggestion:
    """Text to insert at the cursor of its request, LF line ends."""

    id: str
    text: str
    outcome: Outcome = Outcome.UNVERIFIED
    summary: str = ""
    """One line for people."""


@dataclass(frozen=True)
class Drop:
    """A continuation that is not suggested, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Update:
    """What is known at one moment of a completion; each one replaces the one before."""

    suggestions: tuple[Suggestion, ...] = ()
    drops: tuple[Drop, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the request: `first_line`, `draft`, `run`, as far as they are reached."""
    done: bool = False
