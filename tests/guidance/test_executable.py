"""Continuations that end anywhere, as programs; and which of them count as the same."""

from __future__ import annotations

import pytest

from egcfg_lsp.guidance.executable import executable, normalised

HEAD = "def f(a, b):\n"


@pytest.mark.parametrize(
    ("continuation", "kept", "body"),
    [
        pytest.param("    return a\n", "    return a\n", "    return a\n", id="whole"),
        pytest.param("    return a", "    return a", "    return a", id="without a line end"),
        pytest.param(
            "    if a:\n",
            "    if a:\n",
            "    if a:\n        pass\n",
            id="the header stays, and its test runs",
        ),
        pytest.param(
            "    for x in a:\n        if x:\n",
            "    for x in a:\n        if x:\n",
            "    for x in a:\n        if x:\n            pass\n",
            id="two open blocks",
        ),
        pytest.param(
            "    try:\n        c = a\n",
            "    try:\n        c = a\n",
            "    try:\n        c = a\n    finally: pass\n",
            id="try",
        ),
        pytest.param(
            "    c = 1\n    d = [a,\n", "    c = 1\n", "    c = 1\n", id="an open bracket goes"
        ),
        pytest.param(
            "    c = 1\n\n    d = [a,\n        b,\n",
            "    c = 1\n",
            "    c = 1\n",
            id="with all its lines, and what is blank above",
        ),
        pytest.param('    c = 1\n    d = """x\n  y\n', "    c = 1\n", "    c = 1\n", id="string"),
        pytest.param("    c = 1\n    d = a +\n", "    c = 1\n", "    c = 1\n", id="half a line"),
        pytest.param("    c = 1\n  d = 2\n", "    c = 1\n", "    c = 1\n", id="indentation"),
        pytest.param("    c = 1\n    break\n", "    c = 1\n", "    c = 1\n", id="no loop"),
        pytest.param(
            "    if a:\n        c = [\n",
            "    if a:\n",
            "    if a:\n        pass\n",
            id="a block whose only line goes",
        ),
        pytest.param(
            "    c = 1\n    # then\n",
            "    c = 1\n    # then\n",
            "    c = 1\n    # then\n",
            id="a comment stays",
        ),
    ],
)
def test_made_to_compile(continuation: str, kept: str, body: str) -> None:
    made = executable(HEAD, continuation)
    assert made is not None
    assert (made.kept, made.text) == (kept, HEAD + body)
    assert executable(HEAD, made.kept) == made


@pytest.mark.parametrize("continuation", ["", "\n\n", "    # only\n", "    c = (\n", "  )\n"])
def test_nothing_that_could_run(continuation: str) -> None:
    assert executable(HEAD, continuation) is None


@pytest.mark.parametrize(
    ("before", "continuation"),
    [
        ("", "def f(a, b):\n    return a\n"),
        ("", "import os\n\n\ndef g():\n    return 1\n"),
        ("import os\n\n\ndef helper(x):\n    return x\n\n\n" + HEAD, "    return helper(a)\n"),
        (HEAD, '    s = "a & b"\n    step = s\n    return step\n'),
    ],
)
def test_programs_with_imports_helpers_and_odd_text_stay_as_they_are(
    before: str, continuation: str
) -> None:
    made = executable(before, continuation)
    assert made is not None
    assert (made.text, made.kept) == (before + continuation, continuation)


@pytest.mark.parametrize(
    ("n", "kept"),
    [
        (1, "    c = 1\n"),
        (2, "    c = 1\n\n    d = 2\n"),
        (3, "    c = 1\n\n    d = 2\n    return c\n"),
        (9, "    c = 1\n\n    d = 2\n    return c\n"),
        (None, "    c = 1\n\n    d = 2\n    return c\n"),
    ],
)
def test_the_horizon_counts_lines_that_are_not_blank(n: int | None, kept: str) -> None:
    made = executable(HEAD, "    c = 1\n\n    d = 2\n    return c\n", n)
    assert made is not None
    assert made.kept == kept


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ("    return a+b\n", "    return a + b  # the sum\n", True),
        ("    return (a + b)\n", "    return a + b\n", True),
        ("    c = 'x'\n", '    c = "x"\n', True),
        ("    if a:\n        return b\n", "    if a: return b\n", True),
        ("    return a + b\n", "    return b + a\n", False),
        ("    if a:\n", "    if a:\n        pass\n", True),
    ],
)
def test_equal_programs_have_equal_keys(one: str, other: str, are_equal: bool) -> None:
    made, also = executable(HEAD, one), executable(HEAD, other)
    assert made is not None
    assert also is not None
    assert (made.key == also.key) is are_equal


def test_what_is_broken_stays_text() -> None:
    assert normalised("a = (\n") == "a = (\n"
    assert normalised("a\0") == "a\0"


def test_nothing_is_executed_and_no_warning_is_shown(recwarn: pytest.WarningsRecorder) -> None:
    made = executable("raise SystemExit\n", "print(1 is 1, '\\d')\n")
    assert made is not None
    assert not recwarn.list
