"""Which brackets, string and comment Python text has opened and not closed: a scanner of broken code.

Resumable: the scope at a cursor and the text to come give the scope behind it. An f-string counts as
a string as a whole. Does not know what stands right of the text, and checks no other syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CLOSER_OF = {"(": ")", "[": "]", "{": "}"}
_CODE = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<joined>\\\n)
      | (?P<quote>'''|\"\"\"|'|")
      | (?P<bracket>[()\[\]{}])
      | (?P<statement>^[ \t]*(?:async[ ]+(?:def|with)|assert|break|class|continue|def|del|elif
          |except|finally|global|import|nonlocal|pass|raise|return|try|while|with)\b)""",
    re.VERBOSE | re.MULTILINE,
)
"""What matters outside of strings. `statement`: no expression has these words at a line's start."""
_STRING_BODY = {
    "'": re.compile(r"(?:[^'\\\n]|\\.)*+", re.DOTALL),
    '"': re.compile(r'(?:[^"\\\n]|\\.)*+', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\]|\\.|'(?!''))*+", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\]|\\.|"(?!""))*+', re.DOTALL),
}
_TOP_LEVEL = re.compile(r"^(?:(?:async +)?def +\w+ *[(\[]|class +\w+ *[(\[:])", re.MULTILINE)


@dataclass(frozen=True)
class Scope:
    """What is open at the end of a text."""

    brackets: str = ""
    """Opening brackets, the outermost first."""
    quote: str = ""
    """The delimiter of the open string; one of a single character ends at the line's end."""
    unmatched: str = ""
    """Closing brackets met that closed nothing, or a bracket of another kind."""
    in_comment: bool = False
    continues: bool = False
    """The line above ends in a backslash, and nothing but white space has followed."""

    @property
    def is_open(self) -> bool:
        """Whether the indentation of a line that starts here means nothing."""
        return bool(self.brackets) or len(self.quote) == 3 or self.continues


NOTHING_OPEN = Scope()


def scan(text: str, scope: Scope = NOTHING_OPEN) -> Scope:
    """The scope behind `text` (LF line ends), which begins in `scope`.

    A statement's keyword at a line's start closes all brackets: they were left open by mistake.
    """
    brackets, unmatched, quote = list(scope.brackets), scope.unmatched, scope.quote
    in_comment, joined_at = scope.in_comment, 0 if scope.continues else -1
    at = 0
    if in_comment and "\n" in text:
        at, in_comment = text.index("\n"), False
    while not in_comment and at < len(text):
        if quote:
            at, quote = _behind_string(text, at, quote)
            continue
        match = _CODE.search(text, at)
        if match is None:
            break
        at = match.end()
        lexeme = match.group()
        if match.lastgroup == "comment":
            in_comment = at == len(text)
        elif match.lastgroup == "joined":
            joined_at = at
        elif match.lastgroup == "quote":
            quote = lexeme
        elif match.lastgroup == "statement":
            brackets.clear()
        elif lexeme in CLOSER_OF:
            brackets.append(lexeme)
        elif brackets and CLOSER_OF[brackets[-1]] == lexeme:
            brackets.pop()
        else:
            unmatched += lexeme
    continues = joined_at >= 0 and "\n" not in text[joined_at:] and not text[joined_at:].strip()
    return Scope("".join(brackets), quote, unmatched, in_comment, continues)


def prose(text: str, scope: Scope = NOTHING_OPEN) -> Iterator[tuple[int, int]]:
    """Offsets of comments and of strings in triple quotes, as far as they lie in `text`.

    The second of a pair is that behind the last character.
    """
    at, quote = 0, scope.quote
    if scope.in_comment:
        at = len(text) if "\n" not in text else text.index("\n")
        yield 0, at
    start = 0
    while at < len(text):
        if quote:
            was, (at, quote) = quote, _behind_string(text, at, quote)
            if len(was) == 3:
                yield start, at
            continue
        match = _CODE.search(text, at)
        if match is None:
            return
        start, at = match.span()
        if match.lastgroup == "comment":
            yield start, at
        elif match.lastgroup == "quote":
            quote = match.group()


def scope_at(before: str) -> Scope:
    """The scope at the end of a buffer's part before the cursor.

    Reads from the last function or class at the left margin: what was left open above it is over.
    """
    starts = [match.start() for match in _TOP_LEVEL.finditer(before)]
    scope = scan(before[starts[-1] :] if starts else before)
    return Scope(scope.brackets, scope.quote, "", scope.in_comment, scope.continues)


def by_line(text: str, scope: Scope) -> Iterator[tuple[Scope, str, Scope]]:
    """Each line without its end, between the scopes at its start and behind its end."""
    *lines, last = text.split("\n")
    for line in lines:
        end = scan(line + "\n", scope)
        yield scope, line, end
        scope = end
    yield scope, last, scan(last, scope)


def _behind_string(text: str, at: int, quote: str) -> tuple[int, str]:
    """Where the string ends that is open at `at`, and its quote if it does not end."""
    body = _STRING_BODY[quote].match(text, at)
    assert body is not None, "the pattern matches nothing, too"
    end = body.end()
    if text.startswith(quote, end):
        return end + len(quote), ""
    if len(quote) == 1 and text.startswith("\n", end):
        return end, ""
    return len(text), quote
