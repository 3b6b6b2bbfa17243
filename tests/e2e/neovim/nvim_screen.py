"""A user interface for a running Neovim that keeps every frame it was sent.

Speaks the RPC protocol's `ext_linegrid`; knows no multigrid, no popup menu and no mouse.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

WIDTH, HEIGHT = 200, 24
ATTACH_REQUEST_ID = 1


@dataclass(frozen=True)
class Cell:
    text: str = " "
    highlight: int = 0


@dataclass
class Screen:
    """The grid as Neovim last flushed it, and the text of all frames before."""

    width: int = WIDTH
    height: int = HEIGHT
    cells: list[list[Cell]] = field(default_factory=list)
    """Rows of cells; a wide character is followed by a cell of empty text."""
    highlights: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Attributes by id: `foreground` and `background` as 0xRRGGBB, `bold`, `italic`, …"""
    default_colours: tuple[int, int] = (0xFFFFFF, 0x000000)
    cursor: tuple[int, int] = (0, 0)
    frames: list[str] = field(default_factory=list)
    """One text per flush, rows joined by newlines."""

    def __post_init__(self) -> None:
        self._clear()

    def apply(self, name: str, args: list[Any]) -> None:
        if name == "grid_resize":
            _, self.width, self.height = args
            self._clear()
        elif name == "grid_clear":
            self._clear()
        elif name == "grid_line":
            self._draw_line(args[1], args[2], args[3])
        elif name == "grid_scroll":
            self._scroll(*args[1:6])
        elif name == "grid_cursor_goto":
            self.cursor = (args[1], args[2])
        elif name == "hl_attr_define":
            self.highlights[args[0]] = args[1]
        elif name == "default_colors_set":
            self.default_colours = (args[0], args[1])
        elif name == "flush":
            self.frames.append(self.text())

    def text(self) -> str:
        return "\n".join("".join(cell.text for cell in row).rstrip() for row in self.cells)

    def _clear(self) -> None:
        self.cells = [[Cell()] * self.width for _ in range(self.height)]

    def _draw_line(self, row: int, column: int, runs: list[list[Any]]) -> None:
        highlight = 0
        for run in runs:
            if len(run) > 1:
                highlight = run[1]
            for _ in range(run[2] if len(run) > 2 else 1):
                self.cells[row][column] = Cell(run[0], highlight)
                column += 1

    def _scroll(self, top: int, bottom: int, left: int, right: int, rows: int) -> None:
        source = [row[:] for row in self.cells]
        for row in range(top, bottom):
            if top <= row + rows < bottom:
                self.cells[row][left:right] = source[row + rows][left:right]


class AttachedScreen:
    """Attaches to the Neovim that listens at `path`; a thread reads until `close()` or its end."""

    def __init__(self, path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.screen = Screen(width, height)
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        options = {"rgb": True, "ext_linegrid": True}
        request = [0, ATTACH_REQUEST_ID, "nvim_ui_attach", [width, height, options]]
        self._socket.sendall(msgpack.packb(request))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def frames(self) -> list[str]:
        with self._lock:
            return list(self.screen.frames)

    def text(self) -> str:
        """The last complete frame."""
        frames = self.frames()
        return frames[-1] if frames else ""

    def close(self) -> None:
        with suppress(OSError):  # Neovim ended first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._socket.close()

    def _read(self) -> None:
        unpacker = msgpack.Unpacker(raw=False, unicode_errors="replace", strict_map_key=False)
        while chunk := self._socket.recv(1 << 16):
            unpacker.feed(chunk)
            for message in unpacker:
                if message[0] == 2 and message[1] == "redraw":
                    with self._lock:
                        self._redraw(message[2])

    def _redraw(self, batches: list[list[Any]]) -> None:
        for name, *calls in batches:
            for args in calls:
                self.screen.apply(name, args)
