"""The module's text with another target, without touching what nobody asks for."""

from __future__ import annotations

from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.execution.runner.swap import Lines, Place

ABOVE, BELOW = "import os\n\n\n", "\n\ndef after():\n    return 1\n"
STUB = "def add(a, b):\n    raise NotImplementedError\n"
FIRST = ABOVE.count("\n") + 1


def place() -> Place:
    return Place("calc.py", ABOVE + STUB + BELOW, FIRST, FIRST + 1)


@given(
    body=st.lists(st.sampled_from(["    a = 1\n", "\n", "    return a\n"]), max_size=6),
    i=st.integers(-20, 20),
    j=st.integers(-20, 20) | st.none(),
)
def test_lines_are_those_of_the_text(body: list[str], i: int, j: int | None) -> None:
    function = "".join(["def add(a, b):\n", *body])
    expected = (ABOVE + function + BELOW).splitlines(keepends=True)
    lines = Lines(place(), function)
    assert list(lines) == expected
    assert (len(lines), lines.n_more) == (len(expected), len(body) - 1)
    assert lines[i:j] == expected[i:j]
    assert lines[j::-1] == expected[j::-1]
    if -len(expected) <= i < len(expected):
        assert lines[i] == expected[i]
    else:
        with pytest.raises(IndexError):
            lines[i]


def test_code_stands_where_the_text_has_it() -> None:
    there = place()
    function = "def add(a, b):\n    c = [x for x in a]\n    return c\n"
    module = there.compile(Lines(there, function))
    (code,) = (one for one in module.co_consts if isinstance(one, CodeType))
    assert code.co_firstlineno == FIRST
    lines = {line for _, _, line in code.co_lines() if line is not None}
    assert lines == {FIRST, FIRST + 1, FIRST + 2}


def test_an_error_has_the_line_of_the_text() -> None:
    there = place()
    with pytest.raises(SyntaxError) as caught:
        there.compile(Lines(there, "def add(a, b):\n    a = 1\n    return (\n"))
    assert caught.value.lineno == FIRST + 2
