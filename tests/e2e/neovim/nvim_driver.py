"""Starts a headless Neovim with the plugin and drives it as a user's keys would.

Knows the plugin's extmark namespace, and nothing of its Lua internals.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynvim

from tests.e2e.neovim.nvim_screen import HEIGHT, WIDTH, AttachedScreen

REPOSITORY = Path(__file__).resolve().parents[3]
PLUGIN = REPOSITORY / "editors" / "neovim"
SERVER = Path(sys.executable).parent / "egcfg-lsp"
POLL_SECONDS = 0.01
LIFETIME_SECONDS = 400
"""A Neovim that waits for a key answers no request: after this long it is killed."""

GHOST_LUA = """
local namespace = vim.api.nvim_get_namespaces().egcfg
if not namespace then return {} end
return vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })
"""


@dataclass(frozen=True)
class Ghost:
    """What the plugin draws: `text` is the ghost text, `summary` the annotation."""

    text: str = ""
    summary: str = ""
    summary_group: str = ""
    position: tuple[int, int] = (0, 0)


def wait_until(condition: Callable[[], Any], what: Callable[[], str], seconds: float = 10) -> Any:
    """The first true value of `condition`; AssertionError saying `what()` after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what()}")
        time.sleep(POLL_SECONDS)


@dataclass
class Neovim:
    api: pynvim.Nvim
    screen: AttachedScreen
    process: subprocess.Popen[bytes]

    def lua(self, code: str, *args: Any) -> Any:
        return self.api.exec_lua(code, *args)

    def setup(self, **options: Any) -> None:
        self.lua("require('egcfg').setup(...)", options)

    def edit(self, path: Path) -> None:
        self.api.command(f"edit {path}")

    def keys(self, keys: str) -> None:
        """Type, in Neovim's `<C-x>` notation; does not wait for the effect."""
        self.api.input(keys)

    def insert_after(self, text: str) -> None:
        """Put the cursor behind the first occurrence of `text` and enter Insert mode."""
        self.keys("<Esc>")
        row, column = self.lua(
            """
            for row, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, true)) do
              local _, last = line:find(..., 1, true)
              if last then return { row, last } end
            end
            """,
            text,
        )
        at_end = column == len(self.lines()[row - 1].encode())
        self.api.call("cursor", [row, column + 1])
        self.keys("A" if at_end else "i")
        self.wait(lambda: self.mode().startswith("i"), "Insert mode")

    def mode(self) -> str:
        return str(self.api.api.get_mode()["mode"])

    def cursor_and_mode(self) -> tuple[int, list[int], str]:
        window = self.api.current.window
        return self.api.current.buffer.number, list(window.cursor), self.mode()

    def lines(self) -> list[str]:
        return list(self.api.current.buffer[:])

    def text(self) -> str:
        return "\n".join(self.lines())

    def ghost(self) -> Ghost:
        ghost = Ghost()
        for _, row, column, details in self.lua(GHOST_LUA):
            first = "".join(chunk[0] for chunk in details["virt_text"])
            if details["virt_text_pos"] == "eol":
                group = details["virt_text"][0][1]
                ghost = Ghost(ghost.text, first, group, ghost.position)
            else:
                below = ["".join(c[0] for c in line) for line in details.get("virt_lines", [])]
                text = "\n".join([first, *below])
                ghost = Ghost(text, ghost.summary, ghost.summary_group, (row, column))
        return ghost

    def messages(self) -> str:
        return str(self.api.command_output("messages")).strip()

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 10) -> Any:
        return wait_until(condition, lambda: f"{what}\n{self.describe()}", seconds)

    def wait_for_ghost(self, text: str, seconds: float = 10) -> None:
        self.wait(lambda: self.ghost().text == text, f"ghost text {text!r}", seconds)

    def wait_for_summary(self, summary: str, seconds: float = 10) -> None:
        self.wait(lambda: self.ghost().summary == summary, f"summary {summary!r}", seconds)

    def describe(self) -> str:
        return f"{self.ghost()}\n{self.screen.text()}\nmessages: {self.messages()}"


@contextmanager
def neovim(folder: Path, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Neovim]:
    """A Neovim with no configuration but the plugin on its path; its state lives in `folder`.

    The cache stays the user's: the server keeps its models there.
    """
    path = folder / "nvim.sock"
    state = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CONFIG", "DATA", "STATE")}
    process = subprocess.Popen(
        [executable(), "--headless", "--listen", str(path), "-u", "NONE", "-i", "NONE", "-n"],
        env=os.environ | state,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    watchdog = threading.Timer(LIFETIME_SECONDS, process.kill)
    watchdog.start()
    try:
        wait_until(lambda: _listens(path), lambda: "Neovim listens")
        api = pynvim.attach("socket", path=str(path))
        screen = AttachedScreen(path, width, height)
        try:
            api.exec_lua("vim.opt.rtp:prepend(...)", str(PLUGIN))
            api.command("filetype on")
            yield Neovim(api, screen, process)
        finally:
            _quit(api)
            api.close()
            screen.close()
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)


def executable() -> str:
    """The `nvim` of this Python's environment."""
    return str(Path(sys.executable).parent / "nvim")


def _listens(path: Path) -> bool:
    """Whether a connection is accepted; the file exists a moment before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _quit(api: pynvim.Nvim) -> None:
    with suppress(OSError, EOFError):  # the connection ends with Neovim
        api.command("qall!")
