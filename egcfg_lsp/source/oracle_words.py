"""How much the words of a test have in common with a function's name.

For what tests reach by other names: a filter named in a template, a handler found by `getattr`. A
guess: knows nothing of what a test calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from egcfg_lsp.source.facts import Function
from egcfg_lsp.source.oracle_mentions import Subject


@dataclass(frozen=True, order=True)
class Likeness:
    """How little a test has in common with a function; the least is the best."""

    in_name: int
    """Words of the function's name that the test's name has, negative."""
    in_text: int
    """Those that its text has, negative; never 0."""
    of_classes: int
    """Words of the classes around the function that its text has, negative."""
    size: int
    """Characters of its text."""


def words_of(name: str) -> frozenset[str]:
    """The telling words of a name in any case: `do_first` has `first`, `HTTPError` `http` and `error`."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)
    return frozenset(w.lower() for w in words if len(w) >= _MIN_LENGTH) - _EVERYWHERE


def likeness(test: Function, subject: Subject) -> Likeness | None:
    """None where they have no word in common."""
    words = words_of(subject.name)
    name, text = test.name.lower(), test.source.lower()
    n_in_text = _n_in(words, text)
    if not n_in_text:
        return None
    around = frozenset(word for owner in subject.classes for word in words_of(owner))
    return Likeness(-_n_in(words, name), -n_in_text, -_n_in(around, text), len(text))


_MIN_LENGTH = 3
_EVERYWHERE = frozenset({
    "add", "async", "base", "call", "for", "get", "has", "init", "make", "new", "repr", "self", "set",
    "str", "sync", "test", "the",
})  # fmt: skip


def _n_in(words: Iterable[str], text: str) -> int:
    return sum(word in text for word in words)
