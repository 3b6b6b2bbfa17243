"""What becomes of the model's text. Places have the cursor at `|`; so do results, at the text's end.

A result is the whole buffer as it is after accepting, so that nothing can go missing unseen.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.filters import Place
from egcfg_lsp.completion.fit import Fitted, fit, misfits
from egcfg_lsp.source.brackets import NOTHING_OPEN, scan
from tests.support.cursor import at_cursor

CLOSER = {"(": ")", "[": "]", "{": "}"}


def place_at(marked: str, indent_unit: str = "    ") -> Place:
    text, offset = at_cursor(marked)
    return Place(text[:offset], text[offset:], indent_unit)


def accepted(fitted: Fitted, place: Place) -> str:
    return place.before + fitted.text + "|" + place.after[fitted.replaces :]


def check(
    marked: str, text: str, result: str, indent_unit: str = "    ", *, one_line: bool = False
) -> None:
    place = place_at(marked, indent_unit)
    fitted = fit(text, place, one_line=one_line)
    assert accepted(fitted, place) == result
    assert fit(fitted.text, place, one_line=one_line) == fitted
    assert 0 <= fitted.replaces <= len(place.line_after)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("x = |", "1", "x = 1|"),
        ("x = |\n\ny", "f(a)\nz = 2", "x = f(a)\nz = 2|\n\ny"),
        ("|", "", "|"),
        ("|\n", "größe = «ä»", "größe = «ä»|\n"),
        ("x = f(|", "a,\n  b", "x = f(a,\n  b|"),
    ],
)
def test_what_fits_stays(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("    |", "x = 1\n    y = 2", "    x = 1|"),
        ("f(|)", "a,\n  b", "f(a,|)"),
        ("'''d'''|", "\n    x = 1\n    y = 2", "'''d'''\n    x = 1|"),
        ("|", "\n\n  x\n  y", "\n\n  x|"),
        ("|", "x = 1\n", "x = 1|"),
        ("|", "\n", "|"),
    ],
)
def test_one_line(marked: str, text: str, result: str) -> None:
    check(marked, text, result, one_line=True)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("f(| + 1)", "a\nb", "f(a| + 1)"),
        ("f(|)", "a,\n  b", "f(a,\n  b|)"),
        ("x = |  # sum", "a\nb = 1", "x = a|  # sum"),
        ("if |:", "x:\n    y", "if x:\n    y|"),
        ("f(|, b)", "\na", "f(|, b)"),
        ("f(|)", "a", "f(a|)"),
    ],
)
def test_one_line_where_code_stands_right(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("x = |", " 1", "x = 1|"),
        ("x =|", " 1", "x = 1|"),
        ("x =\t|", "  1", "x =\t1|"),
        ("x = ' |'", " a", "x = '  a|'"),
        ("    x\n    |", "    y", "    x\n    y|"),
        ("if x:\n    |", "    y\n    z", "if x:\n    y\n    z|"),
        ("    if x:\n    |", "    y", "    if x:\n        y|"),
        ("if x:\n|", "    y", "if x:\n    y|"),
        ("f(\n    |", "    a", "f(\n        a|"),
        ("    |", "\n    x", "    \n    x|"),
        ("|", " x", " x|"),
    ],
)
def test_doubled_leading_space(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("|", "x = 1  \n", "x = 1|"),
        ("|", "x = 1 \t\n   \ny = 2\n\n\n", "x = 1\n\ny = 2|"),
        ("x = |", "'''a  \n  b  \n'''  \ny  ", "x = '''a  \n  b  \n'''\ny|"),
        ("'''|", "a  \n b  ", "'''a  \n b|"),
        ("x = | + 1", "a ", "x = a| + 1"),
        ("f(|'b')", "a, ", "f(a, |'b')"),
        ("f(|)", "a ", "f(a|)"),
        ("x = '|'", "a ", "x = 'a|'"),
        ("|", " \t", "|"),
    ],
)
def test_trailing_space(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("f(|)", "a, b", "f(a, b|)"),
        ("f(|)", "a, b)", "f(a, b|)"),
        ("f(|)", "g(a)", "f(g(a)|)"),
        ("f(|)", "g(a))", "f(g(a)|)"),
        ("f(g(|))", "a))", "f(g(a|))"),
        ("f(g(|))", "a), b", "f(g(a), b|)"),
        ("f(g(|))", "a), b)", "f(g(a), b)|"),
        ("f(|)", ")", "f(|)"),
        ("f(|)", "a) + g(b)", "f(a) + g(b|)"),
        ("f(|)", "a)[0]", "f(a)[0]|"),
        ("f(|),", "a),", "f(a|),"),
        ("f( | )", "a )", "f( a| )"),
        ("x = '|'", "a'", "x = 'a|'"),
        ("f('|')", "a', b", "f('a', b|)"),
        ("f('|')", "a', 'b')", "f('a', 'b|')"),
        ("f('|')", "a', b)", "f('a', b)|"),
        ("f(|, b)", "a, b)", "f(a|, b)"),
        ("f(|, b)", "g(a, b)", "f(g(a, b)|, b)"),
        ("x = |[0]", "xs[0]", "x = xs|[0]"),
        ("x = | + (y)", "z + (y)", "x = z| + (y)"),
        ("x = | == 1", "a== 1", "x = a| == 1"),
        ("x = | x", "max", "x = max| x"),
        ("x = |  # sum", "a  # sum", "x = a|  # sum"),
        ("größe(|)", "ü)", "größe(ü|)"),
        ("# see f(|)", "a)", "# see f(a)|)"),
        ("|)", "a, b)", "a, b|)"),
    ],
)
def test_right_of_the_cursor(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("if x|:", " > 1:", "if x > 1|:"),
        ("if |:", "x:\n    y = 1", "if x:\n    y = 1|"),
        ("def f(|):", "a) -> int:", "def f(a) -> int:|"),
        ("def f(|):", "a):\n    return a", "def f(a):\n    return a|"),
        ("def f(|)", "a):\n    return a", "def f(a):\n    return a|"),
        ("def f(|)", "\n    a,\n):\n    return a", "def f(\n    a,\n):\n    return a|"),
        ("x = f(|)", "\n    a,\n)", "x = f(\n    a,\n)|"),
        ("x = [|]", "\n    1,\n    2,\n", "x = [\n    1,\n    2,|]"),
        ("{'a': |}", "{'b': 1}}\ny = 2", "{'a': {'b': 1}}\ny = 2|"),
    ],
)
def test_colons_and_several_lines(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("f(\n    |\n)", "a, b)", "f(\n    a, b|\n)"),
        ("f(\n    |\n)", "a,\n    b,\n)", "f(\n    a,\n    b,|\n)"),
        ("f(\n    |\n),", "a),", "f(\n    a|\n),"),
        ("f(\n    g(|\n)", "a\n    )", "f(\n    g(a\n    )|\n)"),
        ("f(\n    g(|)\n)", "a))", "f(\n    g(a|)\n)"),
        ("f([\n    |\n])", "1])", "f([\n    1|\n])"),
        ("f(\n    |\n)", "a)\nx = g(b", "f(\n    a)\nx = g(b|\n)"),
        ("f(\n    |\n)", "a) + b", "f(\n    a) + b|\n)"),
        ("|\n)", "f(a)", "f(a)|\n)"),
        ("x = {\n\t|\n}\n", "'a': {}}", "x = {\n\t'a': {}|\n}\n"),
    ],
)
def test_closers_below(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("marked", "text", "result"),
    [
        ("|\nb = 2\nc = 3\n", "a = 1\nb = 2\nc = 3", "a = 1|\nb = 2\nc = 3\n"),
        ("|\n\nb = 2\n\nc = 3", "a = 1\n\nb = 2\nc = 3", "a = 1|\n\nb = 2\n\nc = 3"),
        ("|\nb = 2\nc = 3\n", "a = 1\nb = 2", "a = 1|\nb = 2\nc = 3\n"),
        ("|\nb = 2\n", "a = 1\nb = 2\nb = 2", "a = 1|\nb = 2\n"),
        ("|\nb = 2\n", "b = 2", "b = 2|\nb = 2\n"),
        ("|\nb = 2\n", "b = 2\nb = 2", "b = 2|\nb = 2\n"),
        ("|\nb = 2\n", "a = 1\nb = 2\nd = 4", "a = 1\nb = 2\nd = 4|\nb = 2\n"),
        (
            "    if x:\n        |\n    return 0",
            "y()\n        return 0",
            "    if x:\n        y()\n        return 0|\n    return 0",
        ),
        ("x|\n  y", "\n  y", "x\n  y|\n  y"),
        ('"""The sum.|\n"""', '\n\nOf all.\n"""', '"""The sum.\n\nOf all.|\n"""'),
        ("|\n]\n", "x = [\n    1,\n]", "x = [\n    1,\n]|\n]\n"),
        ("f(\n    |\n    b,\n)", "a,\n    b,\n)", "f(\n    a,|\n    b,\n)"),
    ],
)
def test_lines_below(marked: str, text: str, result: str) -> None:
    check(marked, text, result)


@pytest.mark.parametrize(
    ("unit", "marked", "text", "result"),
    [
        ("\t", "\t|", "if x:\n        y\n    z", "\tif x:\n\t\ty\n\tz|"),
        ("\t", "\t|", "if x:\n\t\ty\n\tz", "\tif x:\n\t\ty\n\tz|"),
        ("\t", "\t|", "if x:\n\t    y", "\tif x:\n\t\ty|"),
        ("\t", "\t|", "f(a,\n      b)\n    x", "\tf(a,\n\t  b)\n\tx|"),
        ("\t", "\tx = 1|", "\n    y = 2\nz", "\tx = 1\n\ty = 2\nz|"),
        ("\t", "def f():\n|", "    if x:\n        y", "def f():\n\tif x:\n\t\ty|"),
        ("\t", "def f():|", "\n    x\n    y", "def f():\n\tx\n\ty|"),
        ("  ", "  |", "if x:\n      y\n  z", "  if x:\n    y\n  z|"),
        ("  ", "  |", "if x:\n    y\n  z", "  if x:\n    y\n  z|"),
        ("  ", "def f():\n|", "    if x:\n        y\n    z", "def f():\n  if x:\n    y\n  z|"),
        (
            "  ",
            "  |",
            "if x:\n      if y:\n          z\n      w",
            "  if x:\n    if y:\n      z\n    w|",
        ),
        ("  ", "  if x:\n    |", "y\n  else:\n      z", "  if x:\n    y\n  else:\n    z|"),
        ("    ", "    |", "if x:\n\t\ty", "    if x:\n        y|"),
        ("    ", "    |", "if x:\n      y", "    if x:\n        y|"),
        ("    ", "    |", "if x:\n      # note\n      y", "    if x:\n        # note\n        y|"),
        ("    ", "    |", "if x:\n# note\n      y", "    if x:\n# note\n        y|"),
        ("    ", "    |", "x = f(a,\n          b)", "    x = f(a,\n          b)|"),
        ("    ", "    |", "x = a + \\\n      b\n    c", "    x = a + \\\n      b\n    c|"),
        (
            "    ",
            "|",
            "if x:\n  y = '''\n  a\n b'''\n  z",
            "if x:\n    y = '''\n  a\n b'''\n    z|",
        ),
        ("    ", "    '''|", "a\n  b\n      c", "    '''a\n  b\n      c|"),
        ("    ", "  |", "x: int\n  y", "  x: int\n  y|"),
        (
            "    ",
            "|",
            "if x:\n\n  if y:\n    z\n\n  w\nv",
            "if x:\n\n    if y:\n        z\n\n    w\nv|",
        ),
    ],
)
def test_indentation(unit: str, marked: str, text: str, result: str) -> None:
    check(marked, text, result, unit)


@pytest.mark.parametrize(
    ("marked", "text", "cause"),
    [
        ("f(|)", "a", None),
        ("f(|)", "a) + g(b", None),
        ("f(|)", "[a", Cause.DOES_NOT_FIT),
        ("f(| + 1)", "a)", Cause.DOES_NOT_FIT),
        ("f(| + b)", "a) + g(", None),
        ("f(\n    |\n)", "a) + b", Cause.DOES_NOT_FIT),
        ("f(\n    |\n)", "a) + (b", None),
        ("|\n)", "f(a)", None),
        ("x = f(|", "a", None),
        ("|", "f(", None),
        ("x = '|'", "a' + f('b", None),
    ],
)
def test_misfits(marked: str, text: str, cause: Cause | None) -> None:
    place = place_at(marked)
    assert misfits(fit(text, place, one_line=False), place) is cause


CODE = st.text("ab ().[]{}'\":,\\#\n\t", max_size=40)
SIDE = st.one_of(
    CODE,
    st.lists(st.sampled_from(["  a", "if b:", "\tf(", ")", "]),", "", "'''", "a = b"])).map(
        "\n".join
    ),
)
PLACES = st.builds(Place, SIDE, SIDE, st.sampled_from(["\t", "  ", "    "]))


@given(text=SIDE, place=PLACES, one_line=st.booleans())
def test_fitting_again_changes_nothing(text: str, place: Place, one_line: bool) -> None:
    fitted = fit(text, place, one_line=one_line)
    assert 0 <= fitted.replaces <= len(place.line_after)
    assert fit(fitted.text, place, one_line=one_line) == fitted


@given(text=SIDE, before=SIDE, unit=st.sampled_from(["\t", "  ", "    "]))
def test_only_white_space_goes_where_nothing_follows(text: str, before: str, unit: str) -> None:
    fitted = fit(text, Place(before, "", unit), one_line=False)
    assert fitted.replaces == 0
    assert [line.strip() for line in fitted.text.split("\n")] == [
        line.strip() for line in text.rstrip().split("\n")
    ]


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "'s'", '")"', "0", "''"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"f({', '.join(parts)})"),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        inner.map(lambda part: f"{{'k': {part}}}"),
        st.tuples(inner, inner).map(" + ".join),
        inner.map(lambda part: f"({part})[0]"),
    ),
    max_leaves=8,
)


@given(line=EXPRESSIONS, ending=st.sampled_from(["", ":", ","]), data=st.data())
def test_what_the_editor_closed_is_closed_once(line: str, ending: str, data: st.DataObject) -> None:
    """The model writes the rest of a line whose brackets and quote the editor has closed already."""
    cut = data.draw(st.integers(0, len(line)))
    scope = scan(line[:cut])
    right = scope.quote + "".join(CLOSER[opener] for opener in reversed(scope.brackets)) + ending
    place = Place(line[:cut], right + "\n")
    fitted = fit(line[cut:] + ending, place, one_line=True)
    result = accepted(fitted, place).replace("|", "")
    assert scan(result) == NOTHING_OPEN
    assert result == line + ending + "\n"
