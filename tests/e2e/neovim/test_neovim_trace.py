"""*Explain trace* in Neovim: the real server and sandbox with a scripted model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.neovim.nvim_driver import REPOSITORY, Neovim, neovim

pytestmark = pytest.mark.editors

SERVER = [sys.executable, str(REPOSITORY / "tests" / "lsp" / "scripted_server.py")]
LINES = ["    tax = TAX_RATES[country]\n", "    return sum(n * p for n, p in items) * (1 + tax)\n"]
SECONDS = 60


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    return shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")


@pytest.fixture
def nvim(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Neovim]:
    monkeypatch.setenv("EGCFG_SCRIPT", json.dumps({"lines": LINES, "kernel": True}))
    with neovim(tmp_path, 170, 30) as nvim:
        start(nvim, examples)
        yield nvim


def start(nvim: Neovim, examples: Path, trust: bool = True) -> None:
    nvim.api.command(f"cd {examples}")
    nvim.setup(cmd=SERVER, trust=[str(examples)] if trust else [])
    nvim.edit(Path("shop/pricing.py"))
    clients = "return #vim.lsp.get_clients({ name = 'egcfg', bufnr = 0 })"
    nvim.wait(lambda: nvim.lua(clients) > 0, "the server is attached", SECONDS)


def page(nvim: Neovim) -> str:
    """The scratch buffer's text; empty while there is none."""
    lines: list[Any] = nvim.lua(
        """
        for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
          if vim.bo[bufnr].filetype == "markdown" then
            return vim.api.nvim_buf_get_lines(bufnr, 0, -1, true)
          end
        end
        return {}
        """
    )
    return "\n".join(lines)


def test_of_the_suggestion_shown(nvim: Neovim) -> None:
    nvim.keys("Go")
    nvim.wait(lambda: nvim.ghost().summary.startswith("✗ 2/3"), "the outcome", SECONDS)
    nvim.keys("<M-e>")
    nvim.wait(lambda: "KeyError" in page(nvim), "the trace", SECONDS)
    text = page(nvim)
    assert text.startswith("# Trace of `total`")
    assert "tax = TAX_RATES[country]" in text
    assert nvim.mode() == "i", "typing goes on"
    assert nvim.ghost().summary.startswith("✗ 2/3")
    nvim.wait(lambda: "Trace of total" in nvim.screen.text(), "it is on the screen")


def test_of_the_function_by_command_and_code_action(nvim: Neovim) -> None:
    nvim.keys("Goreturn 0<Esc>")
    nvim.api.command("Egcfg trace")
    nvim.wait(lambda: "return 0" in page(nvim), "the trace", SECONDS)
    assert nvim.lua("return #vim.api.nvim_list_wins()") == 2
    nvim.keys("A  # one<Esc>")
    nvim.lua("vim.lsp.buf.code_action({ apply = true })")
    nvim.wait(lambda: "# one" in page(nvim), "the trace by the code action", SECONDS)
    assert nvim.lua("return #vim.api.nvim_list_wins()") == 2, "the same window"
    assert nvim.text().endswith("return 0  # one"), "the cursor stays in the code"
    nvim.keys("<C-w>lq")
    nvim.wait(lambda: nvim.lua("return #vim.api.nvim_list_wins()") == 1, "closed by q")
    nvim.api.command("Egcfg trace")
    nvim.wait(lambda: "# one" in page(nvim), "and opened again", SECONDS)


def test_nothing_is_run_without_trust(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGCFG_SCRIPT", json.dumps({"lines": LINES, "kernel": True}))
    with neovim(tmp_path) as nvim:
        start(nvim, examples, trust=False)
        nvim.keys("Goreturn 0<Esc>")
        nvim.api.command("Egcfg trace")
        nvim.wait(lambda: "the workspace is not trusted" in nvim.messages(), "the reason", SECONDS)
        assert page(nvim) == ""
