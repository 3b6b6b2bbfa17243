"""Recorded typing sessions: functions of `project/reading.py`, typed again key by key.

A session names spans of lines. They are cut out of the file first, then typed back where they stood,
from the end of the line above, some keys a visit. A line end and the indentation behind it are one
key, as in an editor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.completion import Request
from egcfg_lsp.source.lines import split_lines

PROJECT = Path(__file__).parent / "project"
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Session:
    spans: tuple[tuple[int, int], ...]
    """First and last line of each, 1-based, in the order of the file."""
    visits: tuple[int, ...]
    """Numbers of spans; one comes again after the last."""
    keys_a_visit: int


@dataclass
class _Typing:
    """One span on its way back."""

    keys: list[str]
    left: str = ""
    right: str = ""
    """What an editor that closes brackets has put right of the cursor."""


def recorded(name: str) -> Session:
    """A session of `project/sessions.json`."""
    raw = json.loads((PROJECT / "sessions.json").read_text())["sessions"][name]
    spans = tuple((first, last) for first, last in raw["spans"])
    return Session(spans, tuple(raw["visits"]), raw["keys_a_visit"])


def requests(session: Session, n_keys: int, *, closes_brackets: bool = False) -> Iterator[Request]:
    """What the editor asks after each key; ends early when everything is typed."""
    path = PROJECT / json.loads((PROJECT / "sessions.json").read_text())["file"]
    between, typings = _cut(split_lines(path.read_text()), session.spans)
    n_typed = 0
    while n_typed < n_keys and any(typing.keys for typing in typings):
        for number in session.visits:
            for key in _taken(typings[number].keys, session.keys_a_visit):
                if n_typed == n_keys:
                    return
                _type(typings[number], key, closes_brackets)
                n_typed += 1
                before, after = _around(between, typings, number)
                yield Request(before + after, len(before), path, PROJECT)


def _cut(lines: Sequence[str], spans: Sequence[tuple[int, int]]) -> tuple[list[str], list[_Typing]]:
    """The texts around the spans, and the spans as keys."""
    between, typings, end = [], [], 0
    for first, last in spans:
        between.append("".join(lines[end : first - 1]).removesuffix("\n"))
        text = "\n" + "".join(lines[first - 1 : last]).removesuffix("\n")
        typings.append(_Typing(re.findall(r"\n *|.", text)))
        lines = [*lines[: last - 1], "\n", *lines[last:]]
        end = last - 1
    return [*between, "".join(lines[end:])], typings


def _around(between: Sequence[str], typings: Sequence[_Typing], number: int) -> tuple[str, str]:
    """The file before and after the cursor in a span."""
    before = after = ""
    for i, typing in enumerate(typings):
        if i <= number:
            before += between[i] + typing.left
        else:
            after += between[i] + typing.left + typing.right
        if i < number:
            before += typing.right
    return before, typings[number].right + after + between[-1]


def _taken(keys: list[str], n: int) -> list[str]:
    taken = keys[:n]
    del keys[:n]
    return taken


def _type(typing: _Typing, key: str, closes_brackets: bool) -> None:
    typing.left += key
    if not closes_brackets:
        return
    if typing.right.startswith(key):
        typing.right = typing.right.removeprefix(key)
    elif key in _CLOSERS:
        typing.right = _CLOSERS[key] + typing.right
    elif key in ('"', "'"):
        typing.right = key + typing.right
