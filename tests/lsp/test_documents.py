"""Documents under edits: the same text as a plain string gets, in every position encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec

from egcfg_lsp.lsp.documents import LineDocument, Module, code_points, module_of_cells

ENCODINGS = tuple(types.PositionEncodingKind)
ALPHABET = "ab \n\r\t\f\u2028é𝄞"
UNIT_BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


def document(text: str, encoding: types.PositionEncodingKind) -> LineDocument:
    return LineDocument("file:///a.py", text, 1, position_codec=PositionCodec(encoding))


def units(text: str, encoding: types.PositionEncodingKind) -> int:
    suffix = "" if encoding == "utf-8" else "-le"
    return len(text.encode(encoding.value + suffix)) // UNIT_BYTES[encoding.value]


def position(text: str, offset: int, encoding: types.PositionEncodingKind) -> types.Position:
    before = text[:offset]
    line = before.rpartition("\n")[2]
    return types.Position(line=before.count("\n"), character=units(line, encoding))


@given(
    st.text(ALPHABET, max_size=30),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.text(ALPHABET, max_size=6))),
    st.sampled_from(ENCODINGS),
)
def test_edits_agree_with_a_plain_string(
    text: str, edits: list[tuple[int, int, str]], encoding: types.PositionEncodingKind
) -> None:
    buffer = document(text, encoding)
    for a, b, insert in edits:
        start, end = sorted((min(a, len(text)), min(b, len(text))))
        if "\r\n" in (text[start - 1 : start + 1], text[end - 1 : end + 1]):
            continue  # no position lies between CR and LF
        there = types.Range(
            start=position(text, start, encoding), end=position(text, end, encoding)
        )
        assert buffer.offset_at(there.end) == end
        buffer.apply_change(types.TextDocumentContentChangePartial(range=there, text=insert))
        text = text[:start] + insert + text[end:]
        assert buffer.source == text


@pytest.mark.parametrize(
    ("text", "line", "character", "offset"),
    [
        ("", 0, 0, 0),
        ("", 5, 5, 0),
        ("ab\ncd", 0, 99, 2),
        ("ab\r\ncd", 0, 99, 2),
        ("ab\ncd", 1, 1, 4),
        ("ab\ncd", 9, 0, 5),
        ("ab\n", 1, 0, 3),
        ("a\fb\u2028c\nd", 1, 0, 6),
        ("𝄞x", 0, 2, 1),
        ("𝄞x", 0, 1, 0),
        ("𝄞x", 0, 3, 2),
    ],
)
def test_positions_in_utf_16(text: str, line: int, character: int, offset: int) -> None:
    buffer = document(text, types.PositionEncodingKind.Utf16)
    assert buffer.offset_at(types.Position(line=line, character=character)) == offset


def test_whole_document_change() -> None:
    buffer = document("a\nb", types.PositionEncodingKind.Utf16)
    buffer.apply_change(types.TextDocumentContentChangeWholeDocument(text="x\r\ny"))
    assert buffer.source == "x\r\ny"
    assert buffer.offset_at(types.Position(line=1, character=1)) == 4


def test_range_that_ends_before_it_starts_inserts() -> None:
    buffer = document("abc", types.PositionEncodingKind.Utf16)
    there = types.Range(types.Position(0, 2), types.Position(0, 1))
    buffer.apply_change(types.TextDocumentContentChangePartial(range=there, text="X"))
    assert buffer.source == "abXc"


def test_code_points_in_utf_8() -> None:
    codec = PositionCodec(types.PositionEncodingKind.Utf8)
    assert [code_points("éa", n, codec) for n in range(5)] == [0, 0, 1, 2, 2]


CELLS = [
    ("c:1", "import math"),
    ("c:2", "%%bash\nls"),
    ("c:3", "%matplotlib inline\n!ls\nx = 1"),
    ("c:4", "def f():\n    "),
]


@pytest.mark.parametrize(
    ("uri", "text", "start"),
    [
        (
            "c:4",
            "import math\n\n#matplotlib inline\n#ls\nx = 1\n\ndef f():\n    ",
            len("import math\n\n#matplotlib inline\n#ls\nx = 1\n\n"),
        ),
        ("c:1", "import math\n\n#matplotlib inline\n#ls\nx = 1\n\ndef f():\n    ", 0),
        (
            "c:2",
            "import math\n\n#%bash\nls\n\n#matplotlib inline\n#ls\nx = 1\n\ndef f():\n    ",
            len("import math\n\n"),
        ),
    ],
)
def test_cells_are_one_module(uri: str, text: str, start: int) -> None:
    assert module_of_cells(CELLS, uri) == Module(text, start)
