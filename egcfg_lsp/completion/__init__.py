"""From a cursor to suggestions: the words of the ladder. Knows no editor and no protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.model import Token
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.edit import in_line_ends_of


class Outcome(StrEnum):
    """What execution says of a suggestion, best first."""

    VERIFIED = "verified"
    PARTIAL = "partial"
    RUNS = "runs"
    UNVERIFIED = "unverified"
    FAILS = "fails"


class Rung(StrEnum):
    """A step of the ladder."""

    DRAFT = "draft"
    VERIFY = "verify"
    EXPLORE = "explore"
    GUIDE = "guide"


@dataclass(frozen=True)
class Written:
    """What the model wrote, before anything of it was cut or changed."""

    text: str = ""
    tokens: tuple[Token, ...] = ()

    @property
    def mean_log_probability(self) -> float:
        """Natural logarithm, per token; 0 without tokens."""
        logs = [token.log_probability for token in self.tokens]
        return sum(logs) / len(logs) if logs else 0.0


@dataclass(frozen=True)
class Suggestion:
    """Text to insert at the cursor of its request, LF line ends."""

    id: str
    text: str
    replaces: int = 0
    """Code points right of the cursor, on its line, that the text takes the place of."""
    outcome: Outcome = Outcome.UNVERIFIED
    summary: str = ""
    """One line for people."""
    removes: tuple[int, int] | None = None
    """Lines, 0-based and the end exclusive, of the buffer with the suggestion accepted that have to go
    then: the placeholder body (`pass`, `...`) below the cursor in its function."""
    rung: Rung = Rung.DRAFT
    """The one that made the text."""
    written: Written = field(default=Written(), compare=False, repr=False)
    """The model's answer that it was made of."""


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
    is_automatic: bool = False
    """Asked for by typing, not by the user's command."""
    just_accepted: bool = False
    """Nothing was typed since a suggestion was accepted here."""
    applies_edits: bool = True
    """Whether accepting can remove lines below the cursor."""
    selected: tuple[int, str] | None = None
    """The completion popup's selected item: the offset where it would begin, and its text."""
    overlays: Mapping[Path, str] = field(default_factory=dict, hash=False)
    """Other buffers of the project that are not saved."""

    @property
    def before(self) -> str:
        return self.text[: self.offset]

    @property
    def after(self) -> str:
        return self.text[self.offset :]

    @property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.text[self.text.rfind("\n", 0, self.offset) + 1 : self.offset]

    def accepting(self, suggestion: Suggestion) -> Request:
        """The same with a suggestion accepted, the cursor behind it."""
        before = self.before + in_line_ends_of(self.text, suggestion.text)
        after = self.after[suggestion.replaces :]
        return replace(self, text=before + after, offset=len(before), selected=None)


@dataclass(frozen=True)
class Drop:
    """A continuation that is not suggested, or a request that the model was not asked for."""

    cause: Cause
    text: str = ""


@dataclass(frozen=True)
class Considered:
    """One candidate on the way of a completion, for people who want to know."""

    rung: Rung
    origin: str
    """How it came about: `the most probable text`, `token 7 of the draft another one (margin 0.31)`."""
    text: str
    outcome: Outcome | None = None
    """None: it was not run."""
    summary: str = ""
    """What its run said, or why there was none."""
    mean_log_probability: float = 0.0
    score: float = 0.0
    """By which it was ranked among those of its outcome."""


@dataclass(frozen=True)
class Update:
    """What is known at one moment of a completion; each one replaces the one before."""

    suggestions: tuple[Suggestion, ...] = ()
    drops: tuple[Drop, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the request: `first_line`, `draft`, `run`, `explore`, `guide`, as far as they are
    reached."""
    considered: tuple[Considered, ...] = ()
    """All candidates up to now, in the order they were made."""
    is_transient: bool = False
    """Whether another run may well say something else: no verdict was reached."""
    done: bool = False
    signal: str = ""
    """What the model was told of failed candidates, where decoding was guided."""
    notes: tuple[str, ...] = ()
    """Why a rung was not climbed, or not as far as it goes; for people."""
