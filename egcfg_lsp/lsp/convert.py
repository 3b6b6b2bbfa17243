"""Between LSP's positions and the core's offsets (code points), in the client's position encoding."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types
from pygls import uris
from pygls.workspace import PositionCodec

from egcfg_lsp.source.lines import split_lines


def offset_at(text: str, position: types.Position, codec: PositionCodec) -> int:
    """The offset of a position; one past a line's or the text's end is taken as that end."""
    lines = split_lines(text)
    if position.line >= len(lines):
        return len(text)
    line = lines[position.line]
    content = line.removesuffix("\n").removesuffix("\r")
    there = codec.position_from_client_units(
        [content], types.Position(line=0, character=position.character)
    )
    before = sum(len(other) for other in lines[: position.line])
    return before + min(there.character, len(content))


def path_of(uri: str) -> Path | None:
    """The file of a document; None for one that is no file."""
    if not uri.startswith("file:"):
        return None
    path = uris.to_fs_path(uri)
    return Path(path) if path is not None else None
