"""Where the cursor stands in an infilling problem, and what an editor has put right of it.

Brackets and quotes are followed on the cursor's line only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from egcfg_lsp.bench.problems import Problem
from egcfg_lsp.source.brackets import CLOSER_OF, scan


class Position(StrEnum):
    START = "start"
    """At the line's start, its indentation not given."""
    MIDDLE = "mid-line"
    """Behind a typed character at least, and before one that is missing."""
    CLOSED = "auto-closed"
    """In mid-line, where the editor has closed what the typed part left open, and more is missing."""


@dataclass(frozen=True)
class Cursor:
    position: Position
    typed: str
    """Of the line, left of the cursor."""
    right: str = ""
    """Of the line, right of the cursor."""


def cursors(problem: Problem, seed: int) -> Iterator[Cursor]:
    """One at each position that the line has; a seed's cuts do not depend on other problems."""
    yield Cursor(Position.START, "")
    line = problem.reference.rstrip()
    indent = len(line) - len(line.lstrip())
    cuts = range(indent + 1, len(line))
    if cuts:
        cut = _chance(problem, seed, Position.MIDDLE).choice(cuts)
        yield Cursor(Position.MIDDLE, line[:cut])
    if closers(line):
        return
    if inside := [cut for cut in cuts if closers(line[:cut]) not in ("", line[cut:])]:
        cut = _chance(problem, seed, Position.CLOSED).choice(inside)
        yield Cursor(Position.CLOSED, line[:cut], closers(line[:cut]))


def closers(typed: str) -> str:
    """What closes the brackets and the string that a part of a line leaves open."""
    scope = scan(typed)
    return scope.quote + "".join(CLOSER_OF[bracket] for bracket in reversed(scope.brackets))


def _chance(problem: Problem, seed: int, position: Position) -> random.Random:
    return random.Random(f"{seed} {position} {problem.task_id}")
