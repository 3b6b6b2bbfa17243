"""The ring of chunks: what is kept, what goes, what is worth showing."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.completion.ring import CHUNK_LINES, Chunk, Ring, chunk_around, similarity

HERE = Path("a.py")


def chunk(*names: str, path: Path = HERE) -> Chunk:
    return Chunk(path, "".join(f"{name} = 1\n" for name in names))


def kept(ring: Ring, context: str = "") -> list[str]:
    return [c.text.split(" ")[0] for c in ring.newest(context)]


def test_newest_first_and_the_oldest_goes() -> None:
    ring = Ring()
    for name in "abcd":
        ring.insert(chunk(f"{name}1", f"{name}2", f"{name}3"), 3)
    assert kept(ring) == ["d1", "c1", "b1"]
    ring.insert(chunk("e1", "e2", "e3"), 0)
    assert kept(ring) == []


def test_a_similar_chunk_replaces_the_old_one() -> None:
    ring = Ring()
    ring.insert(chunk(*"abcdefghijk"), 9)
    ring.insert(chunk("x", "y", "z"), 9)
    ring.insert(chunk("n", *"bcdefghijk"), 9)
    assert kept(ring) == ["n", "x"]


def test_what_stands_in_the_context_is_left_out() -> None:
    ring = Ring()
    ring.insert(chunk("a", "b", "c", "d"), 9)
    assert kept(ring, "a = 1\nb = 1\nother\n  c = 1\n") == []
    assert kept(ring, "a = 1\nb = 1\nother = 1\nmore = 1\n") == ["a"]


@pytest.mark.parametrize("text", ["", "\n\n\n", "a = 1\na = 1\na = 1\n"])
def test_a_chunk_with_next_to_nothing_is_not_kept(text: str) -> None:
    ring = Ring()
    ring.insert(Chunk(HERE, text), 9)
    assert kept(ring) == []


def test_similarity() -> None:
    assert similarity(chunk("a", "b"), chunk("b", "a", "c")) == 1.0
    assert similarity(chunk("a", "b"), chunk("c", "b", "d")) == 0.5
    assert similarity(chunk("a"), Chunk(HERE, "\n")) == 0.0


@pytest.mark.parametrize(
    ("line", "first", "last"), [(0, 0, 63), (100, 68, 131), (199, 136, 199), (999, 136, 199)]
)
def test_chunk_around_a_line(line: int, first: int, last: int) -> None:
    text = "".join(f"{i}\r\n" for i in range(200))
    lines = chunk_around(HERE, text, line).text.split("\n")
    assert (lines[0], lines[-2], len(lines) - 1) == (str(first), str(last), CHUNK_LINES)


def test_chunk_of_a_short_file_is_all_of_it() -> None:
    assert chunk_around(HERE, "a\nb\n", 1).text == "a\nb\n"
