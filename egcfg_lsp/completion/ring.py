"""A ring of chunks: pieces of the files the user was in lately, as context for other places.

Bounded in chunks and lines. Knows no exclusion: a caller asks `Project.is_excluded` when it inserts
and again when it uses a chunk. After llama.vim's ring: similar chunks replace each other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.source.lines import split_lines

CHUNK_LINES = 64
SAME, ALIKE = 0.9, 0.5
"""Similarity above which a new chunk replaces an old one; above which a chunk tells nothing new."""
MIN_LINES = 3
"""With text on them; a shorter chunk is not worth its place."""


@dataclass(frozen=True)
class Chunk:
    path: Path
    text: str

    @property
    def lines(self) -> frozenset[str]:
        return frozenset(line.strip() for line in self.text.split("\n")) - {""}


class Ring:
    """Must be used from one thread."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[Chunk, None] = OrderedDict()

    def insert(self, chunk: Chunk, capacity: int) -> None:
        """Keep a chunk as the newest; those it nearly repeats go, then the oldest over `capacity`."""
        if len(chunk.lines) >= MIN_LINES:
            for other in [c for c in self._chunks if similarity(c, chunk) > SAME]:
                del self._chunks[other]
            self._chunks[chunk] = None
        while len(self._chunks) > capacity:
            self._chunks.popitem(last=False)

    def newest(self, context: str) -> list[Chunk]:
        """The chunks that tell something new beside a context, newest first."""
        here = Chunk(Path(), context)
        return [chunk for chunk in reversed(self._chunks) if similarity(chunk, here) <= ALIKE]


def similarity(a: Chunk, b: Chunk) -> float:
    """Lines in common over the lines of the smaller one, 0 to 1; order and repeats do not count."""
    smaller = min(len(a.lines), len(b.lines))
    return len(a.lines & b.lines) / smaller if smaller else 0.0


def chunk_around(path: Path, text: str, line: int) -> Chunk:
    """The `CHUNK_LINES` lines around a line of a file, or all of it if it is shorter."""
    lines = split_lines(text)
    start = max(0, min(line - CHUNK_LINES // 2, len(lines) - CHUNK_LINES))
    chunk = "".join(lines[start : start + CHUNK_LINES])
    return Chunk(path, chunk.replace("\r\n", "\n"))
