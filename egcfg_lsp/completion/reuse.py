"""What an earlier suggestion still says at a later cursor. Pure.

A suggestion is the buffer it leads to: it fits a later request if some text at the new cursor leads
to the very same buffer. So it survives being typed through, backspaces on its line, and brackets
that the editor closes or that are typed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.source.lines import indent_unit_of

CLOSERS = frozenset(")]}'\"")
MAX_CLOSERS = 8
"""More closed at once than this is no auto-closing."""
_ENDS_BLOCK = re.compile(r"\s*(return|raise|pass|break|continue)\b|\s*$")
TAIL_CHARACTERS, HEAD_CHARACTERS = 1500, 500
UNIT_CHARACTERS = 4000
"""Of a file, in which its unit of indentation is looked for."""


@dataclass(frozen=True)
class Window:
    """What a draft mostly depends on: two requests with the same window have the same draft."""

    path: Path | None
    before: str
    after: str


def window_of(request: Request) -> Window:
    return Window(request.path, request.before[-TAIL_CHARACTERS:], request.after[:HEAD_CHARACTERS])


def remaining(then: Request, suggestion: Suggestion, now: Request) -> Suggestion | None:
    """What is left of a suggestion made for `then`; None if it does not lead to the same buffer.

    None as well where all of it has been typed.
    """
    changed = _changed_closers(then.after, now.after)
    if changed is None:
        return None
    gone, come = changed
    n_common_replaced = max(0, suggestion.replaces - len(gone))
    text = _behind(then.before, suggestion.text + gone[suggestion.replaces :], now.before)
    if text is None:
        return None
    replaces = len(come) + n_common_replaced
    ends_there = "\n" not in text and text.endswith(come)
    if come and not n_common_replaced and ends_there:
        text, replaces = text.removesuffix(come), 0
    return replace(suggestion, text=text, replaces=replaces) if text else None


def may_fit(then: Request, now: Request) -> bool:
    """Whether a completion that has no text yet may turn out to fit: its line was typed on."""
    if not now.before.startswith(then.before) or now.after != then.after:
        return False
    return "\n" not in now.before[len(then.before) :]


def after_accepting(then: Request, suggestion: Suggestion) -> Request | None:
    """Where the user probably stands next: the suggestion accepted, Enter pressed.

    None where nobody can tell: something stands right of the cursor, or the block has ended.
    """
    request = then.accepting(suggestion)
    line = request.line_before
    if request.after.partition("\n")[0].strip() or _ENDS_BLOCK.match(line):
        return None
    indent = line[: len(line) - len(line.lstrip())]
    if line.rstrip().endswith(":"):
        indent += indent_unit_of(then.text[:UNIT_CHARACTERS])
    return request.accepting(Suggestion("", "\n" + indent))


def _behind(before: str, text: str, now: str) -> str | None:
    """What of `before` + `text` stands behind `now`; the cursor stays on its line going back."""
    if now.startswith(before):
        typed = now[len(before) :].replace("\r\n", "\n")
        return text[len(typed) :] if text.startswith(typed) else None
    deleted = before[len(now) :]
    return deleted + text if before.startswith(now) and "\n" not in deleted else None


def _changed_closers(then: str, now: str) -> tuple[str, str] | None:
    """Closers right of the cursor that have gone, and that have come; None if more has changed."""
    if then == now:
        return "", ""
    n_more = len(now) - len(then)
    gone, come = then[: max(0, -n_more)], now[: max(0, n_more)]
    changed = gone + come
    if not changed or len(changed) > MAX_CLOSERS or not CLOSERS.issuperset(changed):
        return None
    return (gone, come) if now[len(come) :] == then[len(gone) :] else None
