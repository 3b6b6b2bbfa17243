"""Open documents as lists of lines: a change costs what it touches, whatever the file's length.

pygls' own document splits and joins the whole text for every change, and takes form feeds and
U+2028 for line ends. Also a notebook's cells seen as one module. Does not read files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from lsprotocol import types
from pygls import uris
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


def open_document(workspace: Workspace, uri: str) -> LineDocument | None:
    """The document that the client has open under a URI; pygls keeps them by unquoted URIs."""
    document = workspace.text_documents.get(unquote(uri))
    return document if isinstance(document, LineDocument) else None


def document_at(workspace: Workspace, uri: str) -> LineDocument:
    """The open document, or the file as it is on disk."""
    document = workspace.get_text_document(uri)
    assert isinstance(document, LineDocument), "made by `Documents`"
    return document


def path_of(workspace: Workspace, uri: str) -> Path | None:
    """The file of a document, a cell's notebook; None for one that is no file."""
    notebook = workspace.get_notebook_document(cell_uri=uri)
    return _file_path(uri if notebook is None else notebook.uri)


def folders_of(workspace: Workspace) -> list[Path]:
    paths = (_file_path(folder.uri) for folder in workspace.folders.values())
    return [path for path in paths if path is not None]


def folder_of(workspace: Workspace, path: Path | None) -> Path | None:
    """The innermost workspace folder with a file; None outside of all."""
    if path is None:
        return None
    inside = [folder for folder in folders_of(workspace) if path.is_relative_to(folder)]
    return max(inside, key=lambda folder: len(folder.parts), default=None)


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


def module_of(workspace: Workspace, uri: str) -> Module:
    """What is completed as one module: the document, or all code cells of its notebook.

    Cells that the client does not sync are left out.
    """
    notebook = workspace.get_notebook_document(cell_uri=uri)
    if notebook is None:
        return Module(document_at(workspace, uri).source, 0)
    code = (cell for cell in notebook.cells if cell.kind == types.NotebookCellKind.Code)
    synced = ((cell.document, open_document(workspace, cell.document)) for cell in code)
    texts = ((cell, document.source) for cell, document in synced if document is not None)
    return module_of_cells(texts, uri)


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


def _file_path(uri: str) -> Path | None:
    path = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return None if path is None or "\0" in path else Path(path)
