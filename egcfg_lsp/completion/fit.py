"""Makes the model's text fit its place: no more of it than belongs there, and nothing twice.

Only cuts text, changes indentation, or lets the text take the place of what it makes redundant right
of the cursor. Does not judge whether the text is worth showing: that is `filters`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.filters import Place, is_closers
from egcfg_lsp.source.brackets import Scope, by_line, scan
from egcfg_lsp.source.lines import indent_of, opens_block

TAB_COLUMNS = 4
"""Spaces that a tab is worth where a model writes spaces into a file that indents by tabs."""

_LEADING_CLOSERS = re.compile(r"\s*([)\]}]*)")
_TRAILING_CLOSER = re.compile(r"[)\]}]([:,]?)$")


@dataclass(frozen=True)
class Fitted:
    """A text for the cursor."""

    text: str
    replaces: int = 0
    """Code points right of the cursor, on its line, whose place it takes."""


def fit(text: str, place: Place, *, one_line: bool) -> Fitted:
    """The text as it can be accepted; fitting that again gives the same.

    With `one_line`, or where code stands right of the cursor, it ends with its first line. The
    insides of triple-quoted strings stay as they are, but for white space at the text's end.
    """
    text = _without_later_lines(text, place, one_line=one_line)
    text = _without_doubled_space(text, place)
    text = _without_trailing_space(_in_units(text, place), place)
    while True:  # what was cut may uncover more; each turn but the last one shortens the text
        fitted = _beside(text, place)
        fitted = _without_lines_below(fitted, place)
        fitted = _without_closers_below(fitted, place)
        shorter = _without_trailing_space(fitted.text, place)
        if shorter == text:
            return fitted
        text = shorter


def misfits(fitted: Fitted, place: Place) -> Cause | None:
    """Accepting it would take the opener from a closing bracket right of the cursor or below."""
    below = "\n" + _closers_below(place)
    now = scan(place.line_after + below, place.scope)
    then = scan(fitted.text + _rest(fitted, place) + below, place.scope)
    return Cause.DOES_NOT_FIT if len(then.unmatched) > len(now.unmatched) else None


def _without_later_lines(text: str, place: Place, *, one_line: bool) -> str:
    if not is_closers(place.line_after):
        return text.partition("\n")[0]
    if one_line:
        visible = text.lstrip()
        return text[: len(text) - len(visible)] + visible.partition("\n")[0]
    return text


def _without_doubled_space(text: str, place: Place) -> str:
    """The text without leading white space where the cursor's line has it already."""
    before = place.line_before
    if before[-1:] not in (" ", "\t") or place.scope.quote:
        return text
    if not before.strip() and _may_go_deeper(place):
        return text
    return text.lstrip(" \t")


def _may_go_deeper(place: Place) -> bool:
    """Whether the code on a blank line may begin further right than its cursor stands."""
    opens = opens_block(place.above)
    return place.scope.is_open or (opens and indent_of(place.line_before) <= indent_of(place.above))


def _without_trailing_space(text: str, place: Place) -> str:
    """The text without white space where a line or the text ends and it means nothing."""
    end = text.rstrip()
    lines = [
        line if len(after.quote) == 3 else line.rstrip()
        for _, line, after in by_line(end, place.scope)
    ]
    right = place.line_after[:1]
    is_glued = right not in (")", "]", "}", ":", ",", ";") and bool(right.strip())
    if is_glued and end and not place.scope.quote:
        lines[-1] += text[len(end) :].partition("\n")[0]
    return "\n".join(lines)


# What stands right of the cursor.


def _beside(text: str, place: Place) -> Fitted:
    """The text without its end, or in place of the line's, where both say the same."""
    after = place.line_after
    tail = after.rstrip()
    as_is = Fitted(text)
    if not tail:
        return as_is
    cuts = [Fitted(text[:-n]) for n in _overlaps(text, tail)]
    widened = [Fitted(text, n) for n in range(1, len(tail) + 1)] if is_closers(tail) else []
    choices = (as_is, *widened, *cuts) if "\n" in text else (as_is, *cuts, *widened)
    return next((fitted for fitted in choices if _joins(fitted, place)), as_is)


def _overlaps(text: str, tail: str) -> Iterator[int]:
    """Lengths of the text's ends that the tail begins with; of its whole only, if it is code."""
    for right in dict.fromkeys((tail, tail.lstrip())):
        least = 1 if is_closers(right) else len(right)
        yield from (n for n in range(len(right), least - 1, -1) if _ends_in(text, right[:n]))


def _ends_in(text: str, end: str) -> bool:
    """Whether the text ends so, and not in the middle of a word."""
    splits_word = end[:1].isalnum() and text[: -len(end)][-1:].isalnum()
    return text.endswith(end) and not splits_word


def _joins(fitted: Fitted, place: Place) -> bool:
    """Whether the cursor's line ends in the scope that it ends in now, and says nothing twice."""
    rest = _rest(fitted, place)
    now = scan(place.line_after, place.scope)
    return scan(fitted.text + rest, place.scope) == now and not _is_doubled(
        fitted.text, rest.strip(), place.scope, now.brackets
    )


def _is_doubled(text: str, rest: str, scope: Scope, brackets: str) -> bool:
    """Whether the text says what the line's rest says, which neither opens nor closes a bracket.

    A colon is said by any line of the text that ends where `brackets` are open.
    """
    alone = scan(rest)
    if not rest or alone.brackets or alone.unmatched or alone.quote:
        return False
    if rest == ":":
        lines = by_line(text, scope)
        return any(
            line.rstrip().endswith(":") and end.brackets == brackets for _, line, end in lines
        )
    return _ends_in(text.rstrip(), rest)


def _rest(fitted: Fitted, place: Place) -> str:
    return place.line_after[fitted.replaces :]


# What stands below.


def _without_lines_below(fitted: Fitted, place: Place) -> Fitted:
    """The text without its last lines if they are the next ones below; its first line stays."""
    lines = fitted.text.split("\n")
    if len(lines) < 2 or _rest(fitted, place).strip():
        return fitted
    rows = [row for row, line in enumerate(lines) if line.strip()]
    now = scan(place.line_after, place.scope)
    for n in range(len(rows) - 1, 0, -1):
        shorter = Fitted("\n".join(lines[: rows[-n]]).rstrip(), fitted.replaces)
        then = scan(shorter.text, place.scope)
        if (then.brackets, then.quote) == (now.brackets, now.quote) and (
            tuple(lines[row].rstrip() for row in rows[-n:]) == place.lines_below(n)
        ):
            return _without_lines_below(shorter, place)
    return fitted


def _without_closers_below(fitted: Fitted, place: Place) -> Fitted:
    """The text without the closers at its end that the line below has for the same brackets."""
    closers = _closers_below(place)
    if not closers:
        return fitted
    behind = place.below.lstrip()[len(closers) :]
    shorter = fitted
    while misfits(shorter, place):
        match = _TRAILING_CLOSER.search(shorter.text)
        if match is None or not behind.startswith(match[1]):
            return fitted
        shorter = Fitted(shorter.text[: match.start()].rstrip(), fitted.replaces)
    return shorter


def _closers_below(place: Place) -> str:
    match = _LEADING_CLOSERS.match(place.below)
    return match[1] if match is not None else ""


# Indentation.


@dataclass(frozen=True)
class _Level:
    """A block's indentation as the model wrote it, and as the file has it."""

    columns: int
    white: str


def _in_units(text: str, place: Place) -> str:
    """The lines after the first with one unit of the file's indentation for a level of the model's.

    Levels are counted from the cursor's line, or from the line above if the text begins with the
    indentation. Lines in brackets keep their distance to the statement's first line.
    """
    unit = place.indent_unit
    is_fresh = not place.line_before.strip() and text[:1] in (" ", "\t") and not place.scope.is_open
    margin = _white(place.above if is_fresh else place.line_before)
    levels = [_Level(_columns(margin, unit), margin)]
    opens = is_fresh and opens_block(place.above)
    lines: list[str] = []
    for start, line, end in by_line(text, place.scope):
        whole = line if lines else place.line_before + line
        is_comment = whole.lstrip().startswith("#")
        if whole.strip() and not start.quote and (lines or is_fresh):
            white = _white(whole)
            reached = list(levels) if is_comment or start.is_open else levels
            new = _white_for(_columns(white, unit), reached, unit, opens and not start.is_open)
            whole = new + whole[len(white) :]
        if whole.strip() and not is_comment:
            opens = not end.is_open and opens_block(whole)
        lines.append(whole if lines else _behind(place.line_before, whole, line))
    return "\n".join(lines)


def _behind(line_before: str, whole: str, line: str) -> str:
    """The cursor's line without what stands left of the cursor; `line` if that has changed."""
    return whole[len(line_before) :] if whole.startswith(line_before) else line


def _white_for(columns: int, levels: list[_Level], unit: str, opens: bool) -> str:
    """The indentation for a line that the model indented by `columns`; brings `levels` up to it."""
    while levels and levels[-1].columns > columns:
        levels.pop()
    if not levels:
        white = _spaces(columns, unit)
    elif opens and columns > levels[-1].columns:
        white = levels[-1].white + unit
    else:
        white = levels[-1].white + _spaces(columns - levels[-1].columns, unit)
    levels.append(_Level(columns, white))
    return white


def _white(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _columns(white: str, unit: str) -> int:
    """Of an indentation, a tab being worth one unit."""
    return white.count(" ") + white.count("\t") * _width(unit)


def _spaces(columns: int, unit: str) -> str:
    """White space of so many columns: tabs where the file has tabs and they come out even."""
    n_units, left = divmod(columns, _width(unit))
    return unit * n_units if not left else " " * columns


def _width(unit: str) -> int:
    return TAB_COLUMNS if unit == "\t" else len(unit)
