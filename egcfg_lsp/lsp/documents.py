"""Open documents as lists of lines: a change costs what it touches, whatever the file's length.

pygls' own document splits and joins the whole text for every change, and takes form feeds and
U+2028 for line ends. Also a notebook's cells seen as one module. Does not read files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import PositionCodec, TextDocument, Workspace

CELL_GAP = "\n\n"
"""What stands between two cells that are read as one module."""


class LineDocument(TextDocument):
    """A text document whose lines end with LF or CRLF only.

    Positions outside a line or the text are taken as their ends, in the client's encoding.
    """

    _lines: list[str] | None = None
    """The text split at LF; a CR before one stays with its line."""
    _text: str | None = None

    @property
    def source(self) -> str:
        if self._lines is None:
            return super().source
        if self._text is None:
            self._text = "\n".join(self._lines)
        return self._text

    def offset_at(self, position: types.Position) -> int:
        """The offset in code points."""
        lines = self._split()
        row, column = self._locate(position)
        return sum(map(len, lines[:row])) + row + column

    def _apply_incremental_change(self, change: types.TextDocumentContentChangePartial) -> None:
        lines = self._split()
        first, start = self._locate(change.range.start)
        last, end = self._locate(change.range.end)
        if (last, end) < (first, start):
            last, end = first, start
        text = lines[first][:start] + change.text + lines[last][end:]
        lines[first : last + 1] = text.split("\n")
        self._text = None

    def _apply_full_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        self._lines, self._text = change.text.split("\n"), change.text

    def _split(self) -> list[str]:
        if self._lines is None:
            self._text = super().source
            self._lines = self._text.split("\n")
        return self._lines

    def _locate(self, position: types.Position) -> tuple[int, int]:
        """Row and column in code points."""
        lines = self._split()
        if position.line >= len(lines):
            return len(lines) - 1, len(lines[-1])
        row, line = position.line, lines[position.line]
        content = line.removesuffix("\r") if row + 1 < len(lines) else line
        return row, code_points(content, position.character, self.position_codec)


def code_points(content: str, units: int, codec: PositionCodec) -> int:
    """How many code points of a line make up so many of the client's units; at most all of them.

    A unit in the middle of a character is taken as the character's start.
    """
    if content.isascii():
        return min(units, len(content))
    n_units = 0
    for i, character in enumerate(content):
        n_units += codec.client_num_units(character)
        if n_units > units:
            return i
    return len(content)


class Documents(Workspace):
    """pygls' workspace with documents of our own."""

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> LineDocument:
        return LineDocument(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=types.TextDocumentSyncKind.Incremental,
            position_codec=self.position_codec,
        )


def install(server: LanguageServer) -> None:
    """Put `Documents` in the place of pygls' workspace, at `initialize`, before any is open."""
    plain = server.workspace
    server.protocol._workspace = Documents(
        plain.root_uri,
        types.TextDocumentSyncKind.Incremental,
        list(plain.folders.values()),
        plain.position_encoding,
    )


@dataclass(frozen=True)
class Module:
    """Text that is completed as one Python module, and where a document's own text begins in it."""

    text: str
    start: int
    """Offset, code points."""


def module_of_cells(cells: Iterable[tuple[str, str]], uri: str) -> Module:
    """The code cells of a notebook, given as (uri, text) in their order, as one module.

    IPython's magics become comments of the same length; a cell in another language (`%%bash`) is
    left out unless it is the one at hand.
    """
    text, start = "", 0
    for cell_uri, source in cells:
        if cell_uri == uri:
            start = len(text)
        elif source.lstrip().startswith("%%"):
            continue
        text += _without_magics(source) + CELL_GAP
    return Module(text.removesuffix(CELL_GAP), start)


def _without_magics(source: str) -> str:
    lines = source.split("\n")
    return "\n".join("#" + line[1:] if line[:1] in ("%", "!", "?") else line for line in lines)
