"""The words of a benchmark: a problem, the tests that judge it, what a judge says. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Visible(StrEnum):
    """Which of a problem's tests guide: they are in the prompt or on disk, and may be run."""

    DOCSTRING = "docstring"
    """The examples that the docstring shows."""
    FIRST = "first"
    """The first of the data set's own asserts."""
    ALL = "all"
    """The data set's own tests, those that judge among them."""
    NONE = "none"


@dataclass(frozen=True)
class Suite:
    """Source that judges a program by calling its function.

    Either a `check(candidate)`, which is called, or statements that are executed and name the
    function.
    """

    name: str
    """For people, as it stands in results: `HumanEval's check(candidate)`."""
    source: str
    setup: str = ""
    """The data set's own code that the tests need: executed before them, in their process."""


@dataclass(frozen=True)
class Problem:
    """A program with a gap; `before + reference + after` is a right program."""

    dataset: str
    """`HumanEval`, `MBPP`, `HumanEval-SingleLineInfilling`, …"""
    task_id: str
    """As the data set writes it, a number as its digits: `HumanEval/0`, `11`."""
    entry_point: str
    """The function under test."""
    text: str
    """What is wanted, in words; empty where `before` says it."""
    before: str
    """The program above the gap, ending with a line end; where the gap is in mid-line, with the
    beginning of that line."""
    reference: str
    """What stood in the gap."""
    after: str
    """The program below the gap; empty where the gap is the rest of it."""
    examples: tuple[str, ...]
    """The docstring's examples as asserts, one statement each."""
    tests: Suite
    """The data set's own."""

    @property
    def gap_ends_line(self) -> bool:
        """Whether what stands below the gap begins a line, so that the gap's last line ends in it."""
        return self.reference.endswith("\n")


@dataclass(frozen=True)
class AssertResult:
    """One execution of one assert, or the error that ended the tests."""

    result: bool
    time: float
    """Seconds since the one before."""
    error: str = ""
    """One line."""


@dataclass(frozen=True)
class Judgement:
    passed: bool | None
    """None: nothing can be said: the sandbox blocked an action or does not work, or the tests cannot
    be executed."""
    results: tuple[AssertResult, ...] = ()
    """In the order of their execution, the first `judge.MAX_RESULTS`."""
    n_passed: int = 0
    n_tests: int = 0
    """Asserts that were executed, those beyond `results` too."""
    reason: str = ""
    """Why it did not pass, one line."""
    seconds: float = 0.0
