"""When not to ask, where to stop, what not to show. The cursor is `|`; in its place goes the text."""

from __future__ import annotations

import re

import pytest

from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.filters import (
    Place,
    Trigger,
    drops,
    period,
    popup_contradicts,
    rejects_trigger,
    says_the_same,
    stops,
)
from tests.support.cursor import at_cursor

AUTOMATIC, ASKED = Trigger(is_automatic=True), Trigger(is_automatic=False)


def place_at(marked: str, indent_unit: str = "    ") -> Place:
    text, offset = at_cursor(marked)
    return Place(text[:offset], text[offset:], indent_unit)


def test_causes_have_stable_names_and_a_text() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cause.value) for cause in Cause)
    assert all(cause.text and not cause.text.endswith(".") for cause in Cause)
    assert len({cause.text for cause in Cause}) == len(Cause)
    assert Cause("word-right-of-cursor") is Cause.WORD_RIGHT
    assert f"{Cause.WORD_RIGHT}" == "word-right-of-cursor"
    assert Cause.WORD_RIGHT.text == "word characters right of the cursor"


@pytest.mark.parametrize(
    ("marked", "line_before", "line_after", "above", "below"),
    [
        ("|", "", "", "", ""),
        ("a|b", "a", "b", "", ""),
        ("a\nb|c\nd", "b", "c", "a", "d"),
        ("a  \n\n \t\n  b|\n\n\t\nd \ne", "  b", "", "a", "d"),
        ("\n\n|\n\n", "", "", "", ""),
        ("ä\n\tü|é\nñ", "\tü", "é", "ä", "ñ"),
    ],
)
def test_place(marked: str, line_before: str, line_after: str, above: str, below: str) -> None:
    place = place_at(marked)
    found = (place.line_before, place.line_after, place.above, place.below)
    assert found == (line_before, line_after, above, below)


@pytest.mark.parametrize(
    ("marked", "n", "lines"),
    [
        ("x|", 2, ()),
        ("x|y\n", 2, ()),
        ("x|\na\n\n  b \nc", 2, ("a", "  b")),
        ("x|\na\n", 9, ("a",)),
        ("x|\na", 0, ()),
    ],
)
def test_lines_below(marked: str, n: int, lines: tuple[str, ...]) -> None:
    assert place_at(marked).lines_below(n) == lines


# Triggers.


@pytest.mark.parametrize(
    ("marked", "trigger", "cause"),
    [
        ("|", AUTOMATIC, None),
        ("x = |\ny", AUTOMATIC, None),
        ("f(|)", AUTOMATIC, None),
        ("x| y", AUTOMATIC, None),
        ("x|y", AUTOMATIC, Cause.WORD_RIGHT),
        ("|_y", ASKED, Cause.WORD_RIGHT),
        ("x.|größe", AUTOMATIC, Cause.WORD_RIGHT),
        ("x|é", AUTOMATIC, Cause.WORD_RIGHT),
        ("x|1", AUTOMATIC, Cause.WORD_RIGHT),
        ("f(|(a, b, c))", AUTOMATIC, None),
        ("f(|(a, b, cd))", AUTOMATIC, Cause.TOO_MUCH_RIGHT),
        ("f(|(a, b, cd))", ASKED, None),
        ("f(|)  )  ]  }  :  ,  )  )  )  ", AUTOMATIC, None),
        ("f(| = = = = = = = = =", AUTOMATIC, Cause.TOO_MUCH_RIGHT),
        ("f(|\t.a\t.b\t.c\t.d", AUTOMATIC, None),
        ("x = |  # what it is", AUTOMATIC, Cause.TOO_MUCH_RIGHT),
        ("x|", Trigger(True, just_accepted=True), Cause.JUST_ACCEPTED),
        ("x|", Trigger(False, just_accepted=True), None),
        ("'x|'", Trigger(True, "string"), Cause.IN_STRING),
        ("'x|'", Trigger(False, "string"), None),
        ("'x|'", Trigger(True, "string", allows_strings=True), None),
        ('"""x|', Trigger(True, "docstring"), Cause.IN_STRING),
        ("# x|", Trigger(True, "comment"), Cause.IN_COMMENT),
        ("# x|", Trigger(False, "comment"), None),
        ("# x|", Trigger(True, "comment", allows_strings=True), None),
        ("# x|y", Trigger(True, "comment", allows_strings=True), Cause.WORD_RIGHT),
    ],
)
def test_rejects_trigger(marked: str, trigger: Trigger, cause: Cause | None) -> None:
    assert rejects_trigger(place_at(marked), trigger) is cause


@pytest.mark.parametrize(
    ("selected", "text", "contradicts"),
    [
        ("print", "print(x)", False),
        ("print", "print", False),
        ("", "x", False),
        ("print", "pri", True),
        ("print", "property", True),
        ("Print", "print(x)", True),
        ("größe", "größer", False),
    ],
)
def test_popup_contradicts(selected: str, text: str, contradicts: bool) -> None:
    cause = Cause.POPUP_CONTRADICTS if contradicts else None
    assert popup_contradicts(selected, text) is cause


# Stops.


def check_stop(marked: str, lines: list[str], cause: Cause | None) -> None:
    """The model's last line gives the cause, the ones before it none."""
    place = place_at(marked)
    for i, line in enumerate(lines):
        expected = cause if i == len(lines) - 1 else None
        assert stops(line, lines[:i], place) is expected, (i, line)


@pytest.mark.parametrize(
    ("marked", "lines", "cause"),
    [
        ("|", ["x = 1\n", "x = 1\n", "x = 1\n"], Cause.REPEATED_LINE),
        ("|", ["x = 1\n", "\n", "x = 1\n", "\n", "x = 1"], Cause.REPEATED_LINE),
        ("    |", ["x = 1\n", "    x = 1\n", "    x = 1\n"], Cause.REPEATED_LINE),
        ("|", ["x = 1\n", "x = 1\n", "y = 1\n", "x = 1\n"], None),
        ("|", ["f(\n", "  [\n", "    [\n", "    ]\n", "  ]\n", ")\n"], None),
        ("|", ["a()\n", "b()\n"] * 3, Cause.REPEATED_LINE),
        ("    |", ["a()\n", "    b()\n", *["    a()\n", "    b()\n"] * 2], Cause.REPEATED_LINE),
        ("|", [*["a()\n", "b()\n"] * 2, "a()\n", "c()\n"], None),
        ("|", ["\n", "\n", "\n", "\n"], None),
        ("x|", ["\n", "x\n"], None),
        ("|", ["ä\n"] * 3, Cause.REPEATED_LINE),
    ],
)
def test_stops_at_repeated_lines(marked: str, lines: list[str], cause: Cause | None) -> None:
    check_stop(marked, lines, cause)


@pytest.mark.parametrize(
    ("marked", "lines", "cause"),
    [
        ("|", ["```python\n"], Cause.CODE_FENCE),
        ("x = |", ["1\n", "   ```"], Cause.CODE_FENCE),
        ("def f():\n    '''|", ["Like this:\n", "    ```\n", "    x\n"], None),
        ("|", ["'''\n", "```\n", "'''\n", "```\n"], Cause.CODE_FENCE),
        ("|", ["x = '```'\n"], None),
        ("|", ["`\n"], None),
        ("|", ["# pkg/calc.py\n"], Cause.ECHOES_PROMPT),
        ("    |", ["#calc.py\n"], Cause.ECHOES_PROMPT),
        ("|", ["#tests\\test_calc.pyi\n"], Cause.ECHOES_PROMPT),
        ("|", ["calc.py:\n"], Cause.ECHOES_PROMPT),
        ("|", ["# see calc.py\n"], None),
        ("|", ["# calc.python\n"], None),
        ("|", ["calc.py\n"], None),
        ("|", ["x = 1<|fim_suffix|>\n"], Cause.ECHOES_PROMPT),
        ("|", ["<｜fim▁begin｜>"], Cause.ECHOES_PROMPT),
        ("|", ["<fim_middle>"], Cause.ECHOES_PROMPT),
        ("|", ["<repo_name>calc\n"], Cause.ECHOES_PROMPT),
        ("|", ["x = a <b | c> d\n"], None),
        ("|", ["x = a<b|c>d\n"], None),
        ("END = '<fim_middle>'\n|", ["x = '<fim_middle>'\n"], None),
    ],
)
def test_stops_outside_of_code(marked: str, lines: list[str], cause: Cause | None) -> None:
    check_stop(marked, lines, cause)


@pytest.mark.parametrize(
    ("marked", "lines", "cause"),
    [
        ("    |\n    return x\n", ["return x\n"], Cause.REPEATS_BELOW),
        ("    ret|\n\n\n    return x\n", ["urn x\n"], Cause.REPEATS_BELOW),
        ("    |\n    return x", ["y = x\n", "    return x\n"], Cause.REPEATS_BELOW),
        ("\t|\n\treturn x\n", ["return x"], Cause.REPEATS_BELOW),
        ("        |\n    return x\n", ["return x\n"], None),
        ("    f(|)\n    f(a, b)\n", ["a, b\n"], Cause.REPEATS_BELOW),
        ("|\ntotal(a, b,c)\n", ["total( a, b, c,)\n"], Cause.REPEATS_BELOW),
        ("|\nf(a)\n", ["f(a,)\n"], None),
        ("|\nf(a)\n", ["f( a )\n"], Cause.REPEATS_BELOW),
        (
            "|\nparser.add_argument('-b', type=int)\n",
            ["parser.add_argument('-a', type=int)\n"],
            None,
        ),
        ("|\n", ["x\n"], None),
        ("|", ["x\n"], None),
        ("|\n\n", ["\n"], None),
    ],
)
def test_stops_at_the_line_below(marked: str, lines: list[str], cause: Cause | None) -> None:
    check_stop(marked, lines, cause)


@pytest.mark.parametrize(
    ("marked", "lines", "cause"),
    [
        ("f(|", ["a)\n"], None),
        ("f(|", ["a))\n"], Cause.UNMATCHED_CLOSER),
        ("f(|", ["a]\n"], Cause.UNMATCHED_CLOSER),
        ("f(g(|))", ["a))\n"], None),
        ("f(|)", ["a))\n"], None),
        ("f(|)]", ["a)]\n"], None),
        ("f(|)", ["a)\n", "g()]\n"], Cause.UNMATCHED_CLOSER),
        ("f(|)", ["a)\n", "b)\n"], Cause.UNMATCHED_CLOSER),
        ("f(\n    |\n)\n", ["a,\n", "    b,\n", ")]\n"], Cause.UNMATCHED_CLOSER),
        ("f(\n    |\n", ["a,\n", ")\n"], None),
        ("def g(\n\ndef f():\n    |", ["x)\n"], Cause.UNMATCHED_CLOSER),
        ("|", ["x = ')'  # )\n"], None),
        ("x = '|", ["a) b' + c)\n"], Cause.UNMATCHED_CLOSER),
        ("# (|", ["a)\n", "b)\n"], Cause.UNMATCHED_CLOSER),
        ("'''(|", ["a))\n", "]\n"], None),
        ("x = '''(|", ["a)'''\n", "y = ]\n"], Cause.UNMATCHED_CLOSER),
        ("|", [")\n"], Cause.UNMATCHED_CLOSER),
    ],
)
def test_stops_at_unmatched_closers(marked: str, lines: list[str], cause: Cause | None) -> None:
    check_stop(marked, lines, cause)


# Drops.


@pytest.mark.parametrize(
    ("marked", "text", "cause"),
    [
        ("|", "", Cause.NOTHING_TO_ADD),
        ("f(|)", " \n\t\n ", Cause.NOTHING_TO_ADD),
        ("|", "x", Cause.TOO_SHORT),
        ("    |\n", "x =", Cause.TOO_SHORT),
        ("\t|", "\ti\n", Cause.TOO_SHORT),
        ("    |", "i = 0", None),
        ("|", "ää", Cause.TOO_SHORT),
        ("    |", "pass", None),
        ("    |", "...", None),
        ("return |", "0", None),
        ("return |", "i", None),
        ("x = |", "[]", None),
        ("f(|", "x)", None),
        ("f(|)", "x", None),
        ("f(\n    a\n|", ")", None),
        ("x = [\n    |\n]", "1,", None),
        ("'''The sum.\n    |", "'''", None),
        ("x = a + \\\n    |", "b", None),
    ],
)
def test_drops_what_is_too_short(marked: str, text: str, cause: Cause | None) -> None:
    assert drops(text, place_at(marked)) is cause


def test_what_was_asked_for_may_be_short() -> None:
    assert drops("x", place_at("|"), is_automatic=False) is None
    assert drops(" ", place_at("|"), is_automatic=False) is Cause.NOTHING_TO_ADD


@pytest.mark.parametrize(
    ("marked", "text", "cause"),
    [
        ("    x = f(x)\n    |", "x = f(x)", Cause.REPEATS_ABOVE),
        ("    x = f(x)\n    |", "x = f(x)\n    return x", Cause.REPEATS_ABOVE),
        ("    x = f(x)\n\n    x = |", "f(x)", Cause.REPEATS_ABOVE),
        ("f(x)\nf(|)", "x", Cause.REPEATS_ABOVE),
        ("    x = f(x)|", "\n    x = f(x)", Cause.REPEATS_ABOVE),
        ("y = 1\nx = f(x)|", "\ny = 1", None),
        ("x = total(a, b)\n|", "x = total(a,b,)", Cause.REPEATS_ABOVE),
        ("x1 = total(a, b, first)\n|", "x2 = total(a, b, first)", None),
        ("assert f(1, 2, 'long') == 3\n|", "assert f(1, 2, 'long') == 4", None),
        ("    if x:\n        return 0\n    |", "return 0", None),
        ("f(\n    [\n    ]\n    |", "]", None),
        ("|", "x = 1", None),
    ],
)
def test_drops_what_rewrites_the_line_above(marked: str, text: str, cause: Cause | None) -> None:
    assert drops(text, place_at(marked)) is cause


@pytest.mark.parametrize(
    ("marked", "text", "cause"),
    [
        ("    |\n    return x\n", "return x", Cause.REPEATS_BELOW),
        ("    |\n\n    return x", "return x\n    y = 1", Cause.REPEATS_BELOW),
        ("    return |\n    return xs[0]\n", "xs[ 0 ]", Cause.REPEATS_BELOW),
        ("def f():|\n    return x\n", "\n    return x", Cause.REPEATS_BELOW),
        ("        |\n    return x\n", "return x", None),
        ("    |\n    return x\n", "return y", None),
        ("|", "return x", None),
        ("\t|\n\treturn é\n", "return é", Cause.REPEATS_BELOW),
    ],
)
def test_drops_the_line_below(marked: str, text: str, cause: Cause | None) -> None:
    assert drops(text, place_at(marked)) is cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("x = [" + "0, " * 5, Cause.REPEATED_TAIL),
        ("x = [" + "0, " * 4, None),
        ("x = [0, 0, 0, 0, 0, 0, 0]", None),
        ("a(x) " * 10, Cause.REPEATED_TAIL),
        ("f(a, b, c)\ng(a, b, d)\nh(a, b, e)", None),
        ("x = 1  # " + "-" * 60, None),
        ("x = " + "a1 b2 c3 d4 e5 f6 g7 h8 i9 j0 " * 3, Cause.REPEATED_TAIL),
        ("x = " + "a1 b2 c3 d4 e5 f6 g7 h8 i9 j0 " * 2, None),
        ("ä ö " * 5, Cause.REPEATED_TAIL),
        ("x", None),
    ],
)
def test_drops_what_runs_in_circles(text: str, cause: Cause | None) -> None:
    assert drops(text, place_at("y = |"), is_automatic=False) is cause


@pytest.mark.parametrize(
    ("tokens", "least"), [("a", 1), ("aaaa", 1), ("abab", 2), ("ababa", 2), ("abcd", 4), ("aab", 3)]
)
def test_period(tokens: str, least: int) -> None:
    assert period(tokens) == least


BELOW = "|\nif x:\n    total += rows[0].amount\nreturn total\n"


@pytest.mark.parametrize(
    ("marked", "text", "cause"),
    [
        (BELOW, "if (x):\n    total += rows[0].amount\nreturn total", Cause.RESEMBLES_SUFFIX),
        (
            BELOW,
            "if (x):\n\n    total += rows[0].amount\nreturn total\n\ny = 1",
            Cause.RESEMBLES_SUFFIX,
        ),
        (BELOW, "if (x):\n    total += rows[0].price\nreturn total", None),
        (BELOW, "if y:\n    total += rows[0].amount\nreturn total", None),
        (BELOW, "if (x): y", None),
        ("|\nif x:\n", "if (x):\n    total += rows[0].amount", None),
        ("|", "if (x):\n    total += rows[0].amount", None),
        ("i|\n\nif x:\n\ttotal += prices[0]\n", "f x :\n\ttotal +=prices[0],", Cause.REPEATS_BELOW),
        (
            "if |\n\nif x:\n\tthe_total += prices[0]\n",
            "(x):\n\tthe_total += prices[0]",
            Cause.RESEMBLES_SUFFIX,
        ),
    ],
)
def test_drops_what_resembles_the_suffix(marked: str, text: str, cause: Cause | None) -> None:
    assert drops(text, place_at(marked)) is cause


@pytest.mark.parametrize(
    ("line", "other", "same"),
    [
        ("return x", "return x", True),
        ("return x", "return  x ", True),
        ("return x", "    return x", False),
        ("", "", False),
        ("a", "a", True),
        ("f(a)", "f(a,)", False),
        ("value = f(a, b)", "value = f(a, b,)", True),
        ("value1 = f(a, b, c, d)", "value2 = f(a, b, c, d)", False),
        ("value = f(a, b, c, d)", "value = f(a, b, c, d)  # the value of f", False),
        ("x" * 500 + "(", "x" * 500, False),
        ("\tx = 1", "\tx = 1", True),
    ],
)
def test_says_the_same(line: str, other: str, same: bool) -> None:
    assert says_the_same(line, other) is same
    assert says_the_same(other, line) is same


# What benchmarks still use.
