"""The whole way in Neovim: the real server, the real model, the real sandbox.

What the model says is not asserted, only that it is shown, judged and inserted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.neovim.nvim_driver import REPOSITORY, SERVER, neovim

pytestmark = [pytest.mark.editors, pytest.mark.model]

SECONDS = 120
STATE = "return require('egcfg').status().state"
PING = """
local client = vim.lsp.get_clients({ name = "egcfg" })[1]
client:request_sync("workspace/executeCommand", { command = "ping" }, 5000)
"""
"""Behind the answer, whatever it is, all has arrived that the server had told before."""


@pytest.mark.usefixtures("default_model")
def test_suggests_runs_the_tests_and_accepts(tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    shutil.copytree(REPOSITORY / "examples", examples)
    with neovim(tmp_path) as nvim:
        nvim.setup(cmd=[str(SERVER)], trust=[str(examples)])
        nvim.edit(examples / "shop" / "pricing.py")
        nvim.keys("Go")
        nvim.wait(lambda: nvim.ghost().text, "ghost text", SECONDS)
        nvim.wait(lambda: nvim.ghost().summary[:1] in ("✓", "✗"), "the outcome", SECONDS)
        nvim.wait(lambda: nvim.lua(STATE) == "ready", "nothing better is looked for", SECONDS)
        nvim.lua(PING)
        ghost = nvim.ghost()
        nvim.wait(lambda: ghost.summary in nvim.screen.text(), "the outcome on screen")
        before = nvim.text()
        nvim.keys("<Tab>")
        nvim.wait(lambda: nvim.text() == before + ghost.text, "the suggestion in the buffer")
        assert nvim.messages() == ""
