"""An earlier suggestion at a later cursor: it fits where it leads to the same buffer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.completion.reuse import after_accepting, may_fit, remaining, window_of
from tests.support.cursor import at_cursor

HEAD, FOOT = "x = 1\n", "\ny = 2\n"


def request_at(marked: str) -> Request:
    text, offset = at_cursor(HEAD + marked + FOOT)
    return Request(text, offset, None, None)


@pytest.mark.parametrize(
    ("then", "text", "replaces", "now", "left", "left_replaces"),
    [
        ("ret|", "urn a", 0, "ret|", "urn a", 0),
        ("ret|", "urn a", 0, "retur|", "n a", 0),
        ("ret|", "urn a", 0, "return a|", None, 0),
        ("ret|", "urn a", 0, "retx|", None, 0),
        ("ret|", "urn a", 0, "r|", "eturn a", 0),
        ("ret|", "urn a", 0, "|", "return a", 0),
        ("ret|", "urn a", 0, "rx|", None, 0),
        ("a\nret|", "urn a", 0, "a|", None, 0),
        ("ret|", "urn a\n    b", 0, "return a\n   |", " b", 0),
        ("ret|", "urn a\n    b", 0, "return a\r\n   |", " b", 0),
        ("r|", "f(x)", 0, "rf(|)", "x", 0),
        ("r|", "f(x) + 1", 0, "rf(|)", "x) + 1", 1),
        ("r|", "f([x])", 0, "rf([|])", "x", 0),
        ("r|", "f([x], y)", 0, "rf([|])", "x], y)", 2),
        ("r|", "f('a')", 0, "rf('|')", "a", 0),
        ("r|", "f(x)\n    g(y)", 0, "rf(|)", "x)\n    g(y)", 1),
        ("r(|)", "a, b", 0, "r(a|)", ", b", 0),
        ("r(|)", "a, b", 0, "r(a, b)|", None, 0),
        ("r(|)", "a, b) + 1", 1, "r(a, |)", "b) + 1", 1),
        ("r(|)", "a, b) + 1", 1, "r(a, b)|", " + 1", 0),
        ("r(|)", "f(a)) + 1", 1, "r(f(|))", "a)) + 1", 2),
        ("r(|)", "f(a)", 0, "r(f(|))", "a", 0),
        ("r(|)", "a, b", 0, "|)", "r(a, b", 0),
        ("r|", "f(x)", 0, "rf(| z", None, 0),
        ("r|", "f(x)", 0, "rf|;", None, 0),
    ],
)
def test_remaining(
    then: str, text: str, replaces: int, now: str, left: str | None, left_replaces: int
) -> None:
    first, later = request_at(then), request_at(now)
    rest = remaining(first, Suggestion("s", text, replaces), later)
    assert rest == (None if left is None else Suggestion("s", left, left_replaces))
    if rest is not None:
        assert accepted(later, rest) == accepted(first, Suggestion("s", text, replaces))


def accepted(request: Request, suggestion: Suggestion) -> str:
    text = request.before + suggestion.text + request.after[suggestion.replaces :]
    return text.replace("\r\n", "\n")


PIECES = st.text("ab()['\n ", max_size=6)


@given(PIECES, PIECES, st.integers(0, 3), PIECES, PIECES, st.integers(0, 8), PIECES, st.text(")]'"))
def test_what_remains_leads_to_the_same_buffer(
    before: str, text: str, replaces: int, after: str, rest: str, n: int, typed: str, closers: str
) -> None:
    first = Request(before + closers + after, len(before), None, None)
    suggestion = Suggestion("s", text, min(replaces, len(closers)))
    goal = accepted(first, suggestion)
    for now_before in (goal[:n], before + typed, before[: len(before) - n]):
        for now_after in (closers + after, after, ")" + closers + after, rest):
            now = Request(now_before + now_after, len(now_before), None, None)
            left = remaining(first, suggestion, now)
            if left is not None:
                assert accepted(now, left) == goal


@pytest.mark.parametrize(
    ("then", "now", "fits"),
    [
        ("ret|", "retu|", True),
        ("ret|", "ret|", True),
        ("ret|", "re|", False),
        ("ret|", "ret\n|", False),
        ("ret|", "ret|x", False),
    ],
)
def test_may_fit(then: str, now: str, fits: bool) -> None:
    assert may_fit(request_at(then), request_at(now)) is fits


def test_window_is_blind_to_what_is_far_away() -> None:
    far = "z = 0\n" * 1000
    text, offset = at_cursor(HEAD + "ret|" + FOOT)
    near = [
        window_of(Request(f"{head}{far}{text}{far}{foot}", len(head + far) + offset, None, None))
        for head, foot in (("", ""), ("import a\n", ""), ("", "\nq = 1\n"))
    ]
    assert near[0] == near[1] == near[2]
    assert near[0] != window_of(request_at("retu|"))


@pytest.mark.parametrize(
    ("marked", "text", "line"),
    [
        ("def f():\n  |\n", "if x:", "    "),
        ("def f():\n    |\n", "if x:", "        "),
        ("def f():\n\t|\n", "if x:", "\t\t"),
        ("def f():\n    |\n", "x = 1", "    "),
        ("def f():\n    |\n", "return x", None),
        ("def f(|)\n", "x", None),
    ],
)
def test_where_the_user_stands_after_accepting(marked: str, text: str, line: str | None) -> None:
    head, offset = at_cursor(f"def g():\n{_unit(marked)}pass\n\n\n{marked}")
    then = Request(head, offset, None, None)
    after = after_accepting(then, Suggestion("s", text))
    assert (None if after is None else after.line_before) == line


def _unit(marked: str) -> str:
    white = marked.partition("\n")[2].partition("|")[0]
    return white or "    "
