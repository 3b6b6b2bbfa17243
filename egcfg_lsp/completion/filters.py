"""What keeps noise away: when not to ask, where to stop the model, which text not to show.

Pure functions that name their cause. Making a text fit its place is `fit`. Does not cover what only
execution can tell, or ranking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.source.brackets import CLOSER_OF, Scope, scan, scope_at
from egcfg_lsp.source.lines import indent_of

MAX_RIGHT = 8
"""Visible characters right of the cursor up to which a suggestion comes without being asked for."""
MIN_LENGTH_FRESH = 4
"""Characters, outer white space left out, below which a text on a fresh line is mostly noise."""
SIMILARITY = 0.9
"""Ratio of matching characters above which two lines say the same."""
MIN_VISIBLE_SIMILAR = 8
"""Visible characters from which two lines can be similar without being equal."""
MAX_COMPARED = 400
"""Longer texts say the same only if they are equal: comparing takes the square of their length."""
SUFFIX_SIMILARITY, SUFFIX_LINES = 0.95, 5
"""Ratio above which the first lines of a text stand below already; how many are compared."""
TAIL_TOKENS, MIN_PERIODS = (10, 30, 45, 60), 3
"""A text runs in circles if that many of its last tokens repeat at least that often."""

_CLOSERS = re.compile(r"""[)\]}'":,;\s]*""")
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w+|([^\w\s])\1*")
_MARKER = re.compile(
    r"<[|｜][^|｜<>]+[|｜]>|</?fim[_-]\w+>|<file_sep>|<repo_name>|<PRE>|<SUF>|<MID>"
)
_HEADER = re.compile(r"#\s*[\w./\\-]+\.pyi?:?|[\w./\\-]+\.pyi?:")


@dataclass(frozen=True)
class Place:
    """The text on both sides of the cursor, LF line ends."""

    before: str
    after: str
    indent_unit: str = "    "
    """One level of indentation: a tab, or spaces."""

    @cached_property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.before[self.before.rfind("\n") + 1 :]

    @cached_property
    def line_after(self) -> str:
        """The cursor's line from the cursor, without its end."""
        return self.after.partition("\n")[0]

    @cached_property
    def above(self) -> str:
        """The nearest line above with text on it, without its end."""
        end = self.before.rfind("\n")
        while end >= 0:
            start = self.before.rfind("\n", 0, end) + 1
            if line := self.before[start:end].rstrip():
                return line
            end = start - 1
        return ""

    @cached_property
    def below(self) -> str:
        """The nearest line below with text on it, without its end."""
        return next(iter(self.lines_below(1)), "")

    @cached_property
    def scope(self) -> Scope:
        """What is open at the cursor."""
        return scope_at(self.before)

    def lines_below(self, n: int) -> tuple[str, ...]:
        """The first `n` lines below the cursor's with text on them, trailing white space left out."""
        lines: list[str] = []
        start = self.after.find("\n") + 1
        while start and len(lines) < n:
            end = self.after.find("\n", start)
            if line := self.after[start : end if end >= 0 else None].rstrip():
                lines.append(line)
            start = end + 1
        return tuple(lines)


@dataclass(frozen=True)
class Trigger:
    """How a suggestion comes to be asked for, and where the cursor stands."""

    is_automatic: bool
    """Asked for by typing, not by the user's command."""
    surroundings: str = "code"
    """`code`, `string`, `docstring` or `comment`."""
    just_accepted: bool = False
    """Nothing was typed since a suggestion was accepted."""
    allows_strings: bool = False
    """The user wants suggestions in strings and comments without asking."""


def rejects_trigger(place: Place, trigger: Trigger) -> Cause | None:
    """Why the model should not be asked."""
    if trigger.is_automatic and trigger.just_accepted:
        return Cause.JUST_ACCEPTED
    return (
        word_right(place)
        or (too_much_right(place) if trigger.is_automatic else None)
        or in_text(trigger)
    )


def word_right(place: Place) -> Cause | None:
    """The cursor stands in a word, or before one."""
    return Cause.WORD_RIGHT if _WORD.match(place.line_after) else None


def too_much_right(place: Place) -> Cause | None:
    """More stands right of the cursor than what editors close by themselves."""
    is_much = _n_visible(place.line_after) > MAX_RIGHT and not is_closers(place.line_after)
    return Cause.TOO_MUCH_RIGHT if is_much else None


def in_text(trigger: Trigger) -> Cause | None:
    """The cursor stands in text for people, and nobody asked."""
    if not trigger.is_automatic or trigger.allows_strings:
        return None
    if trigger.surroundings == "comment":
        return Cause.IN_COMMENT
    return Cause.IN_STRING if trigger.surroundings in ("string", "docstring") else None


def popup_contradicts(selected: str, text: str) -> Cause | None:
    """The completion popup's selected item and the suggestion do not agree.

    `selected` is the item's text; `text` is what would stand from the start of the item's range if
    the suggestion were accepted.
    """
    return None if text.startswith(selected) else Cause.POPUP_CONTRADICTS


def stops(line: str, earlier: Sequence[str], place: Place) -> Cause | None:
    """Why the model's text ends before `line`, which follows the lines `earlier` of the same text."""
    if not line.strip():
        return None
    whole = line if earlier else place.line_before + line
    scope = scan("".join(other.rstrip("\n") + "\n" for other in earlier), place.scope)
    return (
        code_fence(line, scope)
        or echoes_prompt(line, place)
        or repeated_line([place.line_before + "".join(earlier[:1]), *earlier[1:]], whole)
        or stands_below(whole, place, is_first=not earlier)
        or unmatched_closer(line, scope, "" if earlier else place.line_after)
    )


def code_fence(line: str, scope: Scope) -> Cause | None:
    """A Markdown fence outside of strings."""
    is_fence = line.lstrip().startswith("```") and not scope.quote
    return Cause.CODE_FENCE if is_fence else None


def echoes_prompt(line: str, place: Place) -> Cause | None:
    """A file's header or a marker as prompts have them, unless the buffer has it, too."""
    marker = _MARKER.search(line)
    if marker is not None and marker.group() not in place.before + place.after:
        return Cause.ECHOES_PROMPT
    return Cause.ECHOES_PROMPT if _HEADER.fullmatch(line.strip()) else None


def repeated_line(earlier: Sequence[str], line: str) -> Cause | None:
    """The third time in a row that this line comes, or this line and the one before it."""
    lines = [other.rstrip() for other in (*earlier, line) if other.strip()]
    is_repeated = any(
        len(lines) >= 3 * period and lines[-3 * period :] == lines[-period:] * 3
        for period in (1, 2)
    )
    return Cause.REPEATED_LINE if is_repeated else None


def stands_below(whole: str, place: Place, *, is_first: bool) -> Cause | None:
    """The line, from its indentation, says what the nearest line below says."""
    candidates = (whole, whole.rstrip("\n") + place.line_after) if is_first else (whole,)
    is_below = any(says_the_same(candidate, place.below) for candidate in candidates)
    return Cause.REPEATS_BELOW if is_below else None


def unmatched_closer(line: str, scope: Scope, line_after: str) -> Cause | None:
    """The line closes what is not open, and what does not stand right of the cursor either."""
    unmatched = scan(line, scope).unmatched[len(scope.unmatched) :]
    right = "".join(char for char in line_after if char in CLOSER_OF.values())
    return None if right.endswith(unmatched) else Cause.UNMATCHED_CLOSER


def drops(text: str, place: Place, *, is_automatic: bool = True) -> Cause | None:
    """Why a text, fitted to its place, should not be shown."""
    if not text.strip():
        return Cause.NOTHING_TO_ADD
    return (
        (too_short(text, place) if is_automatic else None)
        or repeats_above(text, place)
        or repeats_below(text, place)
        or repeated_tail(text)
        or resembles_suffix(text, place)
    )


def too_short(text: str, place: Place) -> Cause | None:
    """A few characters on a fresh line, where they neither go on with something nor close it."""
    if place.line_before.strip() or place.scope.is_open or text.strip() == "...":
        return None
    return Cause.TOO_SHORT if len(text.strip()) < MIN_LENGTH_FRESH else None


def repeats_above(text: str, place: Place) -> Cause | None:
    """The first new line says what the line above it says; lines without a word may."""
    first, *rest = text.split("\n")
    goes_on_below = not first.strip() and bool(place.line_before.strip())
    above = place.line_before if goes_on_below else place.above
    is_above = any(
        says_the_same(whole, above) and _WORD.search(whole)
        for whole in _first_wholes(first, rest, place)
    )
    return Cause.REPEATS_ABOVE if is_above else None


def repeats_below(text: str, place: Place) -> Cause | None:
    """The first new line says what the nearest line below says."""
    first, *rest = text.split("\n")
    is_below = any(says_the_same(w, place.below) for w in _first_wholes(first, rest, place))
    return Cause.REPEATS_BELOW if is_below else None


def repeated_tail(text: str) -> Cause | None:
    """The text ends in the same few tokens again and again."""
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    is_repeated = any(
        n <= len(tokens) and period(tokens[-n:]) * MIN_PERIODS <= n for n in TAIL_TOKENS
    )
    return Cause.REPEATED_TAIL if is_repeated else None


def resembles_suffix(text: str, place: Place) -> Cause | None:
    """The first lines, two at least, stand below already but for a few characters."""
    first, *rest = text.split("\n")
    lines = [line for line in (place.line_before + first, *rest) if line.strip()][:SUFFIX_LINES]
    below = place.lines_below(len(lines))
    if len(below) < 2:
        return None
    ours, theirs = "\n".join(lines[: len(below)]), "\n".join(below)
    is_alike = len(lines) > 1 and _are_similar(ours, theirs, SUFFIX_SIMILARITY)
    return Cause.RESEMBLES_SUFFIX if is_alike else None


def is_closers(text: str) -> bool:
    """Whether a line's rest is only what ends something: brackets, quotes, colon, comma, white space."""
    return _CLOSERS.fullmatch(text) is not None


def says_the_same(line: str, other: str) -> bool:
    """Whether two lines of one indentation are equal, or nearly so, ignoring white space.

    Lines that differ by one word in place of another are parallel code, however long they are.
    """
    if not line.strip() or indent_of(line) != indent_of(other):
        return False
    return _visible(line) == _visible(other) or (
        min(_n_visible(line), _n_visible(other)) >= MIN_VISIBLE_SIMILAR
        and _are_similar(line, other, SIMILARITY)
    )


def period(tokens: Sequence[str]) -> int:
    """The least p > 0 with `tokens[i] == tokens[i + p]` wherever both exist (Knuth, Morris, Pratt)."""
    border = [0] * len(tokens)
    length = 0
    for i in range(1, len(tokens)):
        while length and tokens[i] != tokens[length]:
            length = border[length - 1]
        length += tokens[i] == tokens[length]
        border[i] = length
    return len(tokens) - length


def _first_wholes(first: str, rest: Sequence[str], place: Place) -> Iterator[str]:
    """The first new line from its indentation; the cursor's line also with what stands right of it."""
    if first.strip():
        yield place.line_before + first
        if not rest:
            yield place.line_before + first + place.line_after
    else:
        yield next((line for line in rest if line.strip()), "")


def _are_similar(text: str, other: str, ratio: float) -> bool:
    words, other_words = _WORD.findall(text), _WORD.findall(other)
    if len(words) == len(other_words) and words != other_words:
        return False
    ours, theirs = _visible(text), _visible(other)
    if max(len(ours), len(theirs)) > MAX_COMPARED:
        return ours == theirs
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    return matcher.quick_ratio() > ratio and matcher.ratio() > ratio


def _visible(text: str) -> str:
    return "".join(text.split())


def _n_visible(text: str) -> int:
    return len(_visible(text))
