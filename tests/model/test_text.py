"""Lines of generated text and its end, from tables of pieces; what a scope follows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from egcfg_lsp.model import Line, Stop, StopReason, Token
from egcfg_lsp.model.llama.text import GeneratedText
from egcfg_lsp.source.brackets import NOTHING_OPEN, scan

BUDGET, DEDENT, END = StopReason.BUDGET, StopReason.DEDENT, StopReason.END
LINE_END, STRING, SUFFIX = StopReason.LINE_END, StopReason.STRING, StopReason.SUFFIX

FREE = Stop(1000)
BLOCK = Stop(1000, min_indent=4)
HELPERS = Stop(1000, min_indent=4, dedents=("def ", "@"))
ONE_LINE = Stop(1000, at_line_end=True)


def generated(
    pieces: Sequence[str | bytes], stop: Stop, *, starts_line: bool
) -> tuple[list[str], StopReason | None, list[int]]:
    """Lines, reason, and after how many tokens each line came; the model ends after the last piece."""
    text = GeneratedText(stop, index=3, starts_line=starts_line)
    lines, after, n = [], [], 0
    for n, piece in enumerate(pieces, start=1):
        new = text.push(piece if isinstance(piece, bytes) else piece.encode(), Token(0, -0.5))
        lines += new
        after += [n] * len(new)
        if text.reason is not None:
            break
    else:
        new = text.end()
        lines += new
        after += [n + 1] * len(new)
    assert all(line.index == 3 for line in lines)
    return [line.text for line in lines], text.reason, after


def check(
    pieces: Sequence[str | bytes],
    stop: Stop,
    lines: list[str],
    reason: StopReason,
    *,
    starts_line: bool = True,
) -> None:
    assert generated(pieces, stop, starts_line=starts_line)[:2] == (lines, reason)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        (["return", " x"], ["return x"]),
        (["return", " x", "\n"], ["return x\n"]),
        (["a\nb", "\nc"], ["a\n", "b\n", "c"]),
        (["a\n\n\nb"], ["a\n", "\n", "\n", "b"]),
        (["\n", "\n"], ["\n", "\n"]),
        (["", "a", ""], ["a"]),
        (["a\r", "\nb"], ["a\r\n", "b"]),
        (["a\x0cb\u2028c\x85", "\n"], ["a\x0cb\u2028c\x85\n"]),
        ([b"\xc3", b"\xa9", "\n"], ["é\n"]),
        ([b"\xf0\x9d", b"\x84", b"\x9ex"], ["𝄞x"]),
        ([b"a\xc3", "\n"], ["a\ufffd\n"]),
        ([b"a\xf0\x9d"], ["a\ufffd"]),
        ([b"\xff\n"], ["\ufffd\n"]),
    ],
)
def test_lines_are_cut_at_line_feeds_only(pieces: list[str | bytes], lines: list[str]) -> None:
    check(pieces, FREE, lines, END)


def test_a_line_comes_with_the_token_that_ends_it() -> None:
    _, _, after = generated(["a", "\n", "b", "c\nd\n", "e"], FREE, starts_line=True)
    assert after == [2, 4, 4, 6]


def test_each_token_is_scored_in_the_line_it_ended_in() -> None:
    text = GeneratedText(FREE, index=0, starts_line=True)
    scored = [
        (line.text, line.log_probabilities)
        for i, piece in enumerate((b"a", b"b\nc", b"\n\n", b"\xc3", b"\xa9"))
        for line in text.push(piece, Token(0, -float(i)))
    ]
    scored += [(line.text, line.log_probabilities) for line in text.end()]
    assert scored == [("ab\n", (0, -1)), ("c\n", (-2,)), ("\n", ()), ("é", (-3, -4))]


@pytest.mark.parametrize(
    ("pieces", "stop", "in_lines", "behind"),
    [
        (["a", "b\n", "c"], FREE, [[1, 3], [4]], [4]),
        (["a", "\n"], FREE, [[1, 2]], [2]),
        (["", "a\nb", "", "\n"], FREE, [[0, 3], [3, 4]], [4]),
        ([b"\xf0\x9d", b"\x84\x9e", b"\xc3\xa9\n"], FREE, [[0, 1, 3]], [3]),
        (["    a\n", "  ", "b"], BLOCK, [[6]], [8, 9]),
        (["a\n", "b", "c"], Stop(3), [[2]], [3, 4]),
        (["a", "\n"], ONE_LINE, [[1, 2]], []),
        (["a", "#b"], Stop(9, strings=("#",)), [[1, 3]], []),
        (["a\n", "#b"], Stop(9, strings=("#",)), [[2]], [4]),
    ],
)
def test_tokens_tell_where_they_end_and_the_last_ones_come_with_the_end(
    pieces: list[str | bytes], stop: Stop, in_lines: list[list[int]], behind: list[int]
) -> None:
    text = GeneratedText(stop, index=3, starts_line=True)
    lines: list[Line] = []
    for i, piece in enumerate(pieces):
        token = Token(i, -1.0, runner_up=7, margin=0.5)
        lines += text.push(piece if isinstance(piece, bytes) else piece.encode(), token)
        if text.reason is not None:
            break
    else:
        lines += text.end(Token(9, -2.0))
    assert [[token.end for token in line.tokens] for line in lines] == in_lines
    end = text.finished
    assert (end.index, end.reason, [token.end for token in end.tokens]) == (3, text.reason, behind)
    tokens = [token for line in lines for token in line.tokens] + list(end.tokens)
    assert [(t.runner_up, t.margin) for t in tokens if t.id < 9] == [(7, 0.5)] * len(pieces)


@pytest.mark.parametrize(
    ("pieces", "lines", "reason"),
    [
        (["return x", "\n", "y"], ["return x\n"], LINE_END),
        (["\n", "\n", "    x", "\n"], ["\n", "\n", "    x\n"], LINE_END),
        (["  \n\t\nx\ny\n"], ["  \n", "\t\n", "x\n"], LINE_END),
        (["x"], ["x"], END),
    ],
)
def test_one_line_is_the_first_with_text(
    pieces: list[str], lines: list[str], reason: StopReason
) -> None:
    for starts_line in (True, False):
        check(pieces, ONE_LINE, lines, reason, starts_line=starts_line)


@pytest.mark.parametrize(
    ("pieces", "lines", "reason"),
    [
        (["    a\n", "b"], ["    a\n"], DEDENT),
        (["    a\n", "  ", "b"], ["    a\n"], DEDENT),
        (["    a\n", "def", " f():\n"], ["    a\n"], DEDENT),
        (["    a\nb\n    c\n"], ["    a\n"], DEDENT),
        (["b"], [], DEDENT),
        (["    a\n        b\n    c\n"], ["    a\n", "        b\n", "    c\n"], END),
        (["    a\n", "\n", "  \n", "    b"], ["    a\n", "\n", "  \n", "    b"], END),
        (["    a\n", "\n", "b"], ["    a\n", "\n"], DEDENT),
        (["\ta\n", "\tb\n", "   x"], ["\ta\n", "\tb\n"], DEDENT),
        (["  \ta\n", "   b"], ["  \ta\n"], DEDENT),
        (["    a\n", "# unindented comment\n"], ["    a\n"], DEDENT),
        (["    a  # (\n", "b"], ["    a  # (\n"], DEDENT),
        (["    f(\n", "1,\n", ")\n", "b"], ["    f(\n", "1,\n", ")\n"], DEDENT),
        (["    x = [{\n}\n", "]\n", "b"], ["    x = [{\n", "}\n", "]\n"], DEDENT),
        (["    '''\n", "text\n", "'''\n", "b"], ["    '''\n", "text\n", "'''\n"], DEDENT),
        (["    x = 1 + \\\n", "2\n", "b"], ["    x = 1 + \\\n", "2\n"], DEDENT),
        (["    x = '('\n", "b"], ["    x = '('\n"], DEDENT),
        (["    x = ')'; f(\n", "b)"], ["    x = ')'; f(\n", "b)"], END),
    ],
)
def test_a_block_ends_before_a_line_that_is_indented_less(
    pieces: list[str], lines: list[str], reason: StopReason
) -> None:
    check(pieces, BLOCK, lines, reason)
    check(list("".join(pieces)), BLOCK, lines, reason)


def test_a_dedent_is_seen_at_its_first_character() -> None:
    text = GeneratedText(BLOCK, index=0, starts_line=True)
    for piece in (b"    a", b"\n", b" ", b" "):
        text.push(piece, Token(0, 0))
        assert text.reason is None
    text.push(b"x", Token(0, 0))
    assert text.reason is DEDENT


def test_the_rest_of_the_line_at_the_cursor_is_no_dedent() -> None:
    """The first line stands behind what is typed, unless the cursor stands at a line's start."""
    for pieces, lines, reason in (
        (["turn x\n", "    y\n", "z"], ["turn x\n", "    y\n"], DEDENT),
        (["x"], ["x"], END),
        (["\n", "x"], ["\n"], DEDENT),
    ):
        check(pieces, BLOCK, lines, reason, starts_line=False)
    check(["turn x\n"], BLOCK, [], DEDENT, starts_line=True)


@pytest.mark.parametrize(
    ("pieces", "lines", "reason"),
    [
        (["a\n", "return x", "\n", "b"], ["a\n"], SUFFIX),
        (["a\n", "return x  \n"], ["a\n"], SUFFIX),
        (["a\n", "return x"], ["a\n"], END),
        (["a\n", "  return x\n"], ["a\n", "  return x\n"], END),
        (["a\n", "return x + 1\n"], ["a\n", "return x + 1\n"], END),
        (["a\n", "\n", "return x\n"], ["a\n", "\n"], SUFFIX),
    ],
)
def test_stops_before_the_first_line_below_the_cursor(
    pieces: list[str], lines: list[str], reason: StopReason
) -> None:
    check(pieces, Stop(1000, suffix_line="return x\n"), lines, reason)


def test_the_line_at_the_cursor_may_end_like_the_one_below() -> None:
    check([")\n", ")\n"], Stop(9, suffix_line=")"), [")\n"], SUFFIX, starts_line=False)
    check([")\n", ")\n"], Stop(9, suffix_line=")"), [], SUFFIX)


def test_no_suffix_line_is_no_stop_at_blank_lines() -> None:
    for suffix_line in ("", "\n", "   "):
        check(["a\n", "\n", "  \n"], Stop(9, suffix_line=suffix_line), ["a\n", "\n", "  \n"], END)


@pytest.mark.parametrize(
    ("pieces", "lines", "reason"),
    [
        (["a\n", "```", "\nb"], ["a\n"], STRING),
        (["a\n", "``", "`"], ["a\n"], STRING),
        (["a\nb", " ``", "`c\n"], ["a\n", "b "], STRING),
        (["```"], [], STRING),
        (["a``\n", "`"], ["a``\n", "`"], END),
        (["x<e", "n", "d>y```"], ["x"], STRING),
        (["a```<end>"], ["a"], STRING),
        (["a<end>```"], ["a"], STRING),
        (["a\nb\nc```"], ["a\n", "b\n", "c"], STRING),
    ],
)
def test_stops_before_a_string_that_may_be_split(
    pieces: list[str], lines: list[str], reason: StopReason
) -> None:
    stop = Stop(1000, strings=("", "```", "<end>"))
    check(pieces, stop, lines, reason)
    check(list("".join(pieces)), stop, lines, reason)


@pytest.mark.parametrize(
    ("pieces", "stop", "lines", "reason"),
    [
        (["a\nb```"], Stop(9, at_line_end=True, strings=("```",)), ["a\n"], LINE_END),
        (["    a\nb\nc```"], Stop(9, min_indent=4, strings=("```",)), ["    a\n"], DEDENT),
        (["    a\nb```"], Stop(9, min_indent=4, strings=("```",)), ["    a\n"], DEDENT),
        (["    a\n```"], Stop(9, min_indent=4, strings=("```",)), ["    a\n"], STRING),
        (["a\nx\n```"], Stop(9, suffix_line="x", strings=("```",)), ["a\n"], SUFFIX),
        (["    a\nb"], Stop(1, min_indent=4), ["    a\n"], DEDENT),
        (
            ["    a\n", "d", "ef", " b():\n", "    c"],
            HELPERS,
            ["    a\n", "def b():\n", "    c"],
            END,
        ),
        (["    a\n", "d", "el", " b\n"], HELPERS, ["    a\n"], DEDENT),
        (["    a\n", "def"], HELPERS, ["    a\n"], END),
        (["    a\ndefine\n"], HELPERS, ["    a\n"], DEDENT),
        (
            ["    a\n", "@b\n", "def c():\n", "x"],
            HELPERS,
            ["    a\n", "@b\n", "def c():\n"],
            DEDENT,
        ),
        (["a\n"], Stop(1, at_line_end=True), ["a\n"], LINE_END),
        (["b\n"], Stop(9, at_line_end=True, min_indent=4), [], DEDENT),
    ],
)
def test_the_condition_that_is_met_first_counts(
    pieces: list[str], stop: Stop, lines: list[str], reason: StopReason
) -> None:
    check(pieces, stop, lines, reason)


@pytest.mark.parametrize(
    ("max_tokens", "lines"),
    [
        (1, []),
        (2, ["a\n"]),
        (3, ["a\n"]),
        (4, ["a\n"]),
        (5, ["a\n", "bc\n"]),
        (6, ["a\n", "bc\n"]),
    ],
)
def test_the_budget_gives_no_half_line(max_tokens: int, lines: list[str]) -> None:
    check(["a", "\n", "b", "c", "\n", "d"], Stop(max_tokens), lines, BUDGET)


@given(st.lists(st.sampled_from(["x", " ", "\n", "(", "é", "    ", "#", "'''"])), st.booleans())
@example([" ", "x", " "], True)
@settings(max_examples=100, deadline=None)
def test_cutting_into_tokens_changes_nothing(pieces: list[str], starts_line: bool) -> None:
    """Byte by byte, as it comes, and all at once: the same lines and the same end."""
    whole = "".join(pieces).encode()
    cuts: list[list[str | bytes]] = [
        [*pieces],
        [whole[i : i + 1] for i in range(len(whole))],
        [whole],
    ]
    for stop in (FREE, BLOCK, ONE_LINE, Stop(1000, suffix_line="x", strings=("xx",))):
        results = [generated(cut, stop, starts_line=starts_line)[:2] for cut in cuts]
        assert results[0] == results[1] == results[2]
    # A stop string that arrives in parts may first be seen as a dedent; the lines are the same.
    stop = Stop(1000, min_indent=4, strings=("x ",))
    lines_of_cuts = [generated(cut, stop, starts_line=starts_line)[0] for cut in cuts]
    assert lines_of_cuts[0] == lines_of_cuts[1] == lines_of_cuts[2]
    lines, reason, _ = generated(pieces, FREE, starts_line=starts_line)
    assert ("".join(lines).encode(), reason) == (whole, END)


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("x = 1\n", False),
        ("f(\n", True),
        ("f(\n)\n", False),
        ("f([{\n)\n", True),
        ("f([{\n}])\n", False),
        (")\n", False),
        (")\nf(\n", True),
        ("'('\n", False),
        ('"\\"("\n', False),
        ("'it\\'s ('\n", False),
        ("# (\n", False),
        ("# '''\n", False),
        ("f()  # it's [\n", False),
        ("'''\n", True),
        ("'''\n'''\n", False),
        ("\"\"\"\n'''\n", True),
        ('"""\n\'\'\'\n"""\n', False),
        ("'''one line'''\n", False),
        ("'''\n(\n'''\n", False),
        ("'''\n\\'''\n", True),
        ("'''\n# '''\n", False),
        ('x = \'"""\'\n', False),
        ("'never closed (\n", False),
        ("''\n", False),
        ("x = 1 + \\\n", True),
        ("x = 1 + \\\n2\n", False),
        ("x = 1  # \\\n", False),
        ("f(  # (\n)\n", False),
        ("f('''(''', \"[\")\n", False),
    ],
)
def test_scope_is_open_in_brackets_strings_and_continued_lines(text: str, is_open: bool) -> None:
    scope = NOTHING_OPEN
    for line in text.splitlines(keepends=True):
        scope = scan(line, scope)
    assert scope.is_open == is_open
