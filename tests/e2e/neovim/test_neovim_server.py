"""Neovim with the real server, whose model and sandbox are scripted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.neovim.nvim_driver import REPOSITORY, neovim

pytestmark = pytest.mark.editors

SCRIPTED_MODEL = [sys.executable, str(REPOSITORY / "tests" / "lsp" / "scripted_server.py")]
SECONDS = 30


@pytest.mark.parametrize("placeholder", ["pass", "...", "raise NotImplementedError"])
def test_accepting_removes_the_placeholder(
    project: Path, tmp_path: Path, placeholder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGCFG_SCRIPT", json.dumps({"passes_if": "a + b\n\n\ndef other"}))
    body = f"def add(a, b):\n    {placeholder}\n\n\ndef other():\n    pass\n"
    (project / "calc.py").write_text(body)
    with neovim(tmp_path) as nvim:
        nvim.setup(cmd=SCRIPTED_MODEL, trust=[str(project)])
        nvim.edit(project / "calc.py")
        nvim.keys("o")
        nvim.wait(lambda: nvim.ghost().summary == "✓ 3/3", "verified without it", SECONDS)
        nvim.keys("<Tab>")
        wanted = body.replace(placeholder, "return a + b", 1).splitlines()
        nvim.wait(lambda: nvim.lines() == wanted, "the placeholder is gone", SECONDS)
        assert nvim.messages() == ""


def test_typing_through_a_bracket_that_the_editor_closes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = {"lines": ["    return sum([a, b]) + 0\n"], "passes_if": "sum([a, b]) + 0"}
    monkeypatch.setenv("EGCFG_SCRIPT", json.dumps(script))
    with neovim(tmp_path) as nvim:
        nvim.setup(cmd=SCRIPTED_MODEL, trust=[str(project)])
        nvim.edit(project / "calc.py")
        nvim.lua("vim.keymap.set('i', '(', '()<Left>')")
        nvim.keys("jA")
        nvim.wait(lambda: nvim.ghost().summary == "✓ 3/3", "verified", SECONDS)
        nvim.keys("return sum(")
        nvim.wait(lambda: nvim.lines()[1] == "    return sum()", "typed", SECONDS)
        nvim.wait(lambda: nvim.ghost().summary == "✓ 3/3", "still verified", SECONDS)
        nvim.wait(lambda: "sum([a, b]) + 0 ✓ 3/3" in nvim.screen.text(), "on screen", SECONDS)
        nvim.keys("<Tab>")
        nvim.wait(lambda: nvim.lines()[1] == "    return sum([a, b]) + 0", "inserted", SECONDS)


def test_the_others_of_a_draft_that_fails(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = {
        "lines": ["    return a", " - ", "b\n"],
        "runners_up": {"return a": ("return b", 0.1), " - ": (" + ", 0.2)},
        "delay": 0.2,
    }
    monkeypatch.setenv("EGCFG_SCRIPT", json.dumps(script))
    failed = "✗ 0/3 · add(1, 2) → None, want 3"
    with neovim(tmp_path) as nvim:
        nvim.setup(cmd=SCRIPTED_MODEL, trust=[str(project)])
        nvim.edit(project / "calc.py")
        nvim.keys("jA")
        nvim.wait(lambda: nvim.ghost().summary == failed, "the draft fails", SECONDS)
        assert nvim.ghost().text == "return a - b"
        nvim.wait_for_ghost("return a + b", SECONDS)
        nvim.wait_for_summary("✓ 3/3", SECONDS)
        for text, summary in [
            ("return a - b", f"2/3 · {failed}"),
            ("return b - b", f"3/3 · {failed}"),
        ]:
            nvim.keys("<M-]>")
            nvim.wait_for_ghost(text)
            nvim.wait_for_summary(summary)
        nvim.keys("<M-[>")
        nvim.wait_for_ghost("return a - b")
        nvim.keys("return a")
        nvim.wait_for_ghost(" - b")
        nvim.wait_for_summary(f"2/2 · {failed}", SECONDS)
        nvim.keys("<Tab>")
        nvim.wait(lambda: nvim.lines()[1] == "    return a - b", "inserted", SECONDS)
        assert nvim.messages() == ""


QUESTION = "run the tests of"
SELECT = """
vim.ui.select = function(actions, options, on_choice)
  _G.asked = { options.prompt, options.format_item(actions[1]), vim.api.nvim_get_mode().mode }
  on_choice(actions[1])
end
"""


def test_trust_is_asked_for_once_and_not_while_typing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGCFG_SCRIPT", "{}")
    with neovim(tmp_path) as nvim:
        nvim.lua(SELECT)
        nvim.setup(cmd=SCRIPTED_MODEL)
        nvim.edit(project / "calc.py")
        nvim.keys("jA")
        nvim.wait(lambda: "not trusted" in nvim.ghost().summary, "not run", SECONDS)
        nvim.keys("x<BS>")
        nvim.wait(lambda: "not trusted" in nvim.ghost().summary, "typing goes on", SECONDS)
        assert nvim.lua("return _G.asked") is None
        nvim.keys("<Esc>")
        nvim.wait(lambda: nvim.lua("return _G.asked"), "asked", SECONDS)
        prompt, first, mode = nvim.lua("return _G.asked")
        assert QUESTION in prompt
        assert (first, mode) == ("Trust", "n")
        nvim.wait(lambda: nvim.lua("return require('egcfg').status().trusted"), "trusted", SECONDS)
        nvim.keys("A")
        nvim.wait(lambda: nvim.ghost().summary == "✓ 3/3", "verified", SECONDS)


def test_trust_is_taken_back_and_the_log_is_opened(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGCFG_SCRIPT", "{}")
    with neovim(tmp_path) as nvim:
        nvim.setup(cmd=SCRIPTED_MODEL, trust=[str(project)])
        nvim.edit(project / "calc.py")
        nvim.keys("jA")
        nvim.wait(lambda: nvim.ghost().summary == "✓ 3/3", "verified", SECONDS)
        nvim.keys("<Esc><Cmd>Egcfg untrust<CR>")
        nvim.wait(lambda: "are not run any more" in nvim.messages(), "taken back", SECONDS)
        nvim.keys("A")
        nvim.wait(lambda: "not trusted" in nvim.ghost().summary, "not run", SECONDS)
        nvim.keys("<Esc><Cmd>Egcfg log<CR>")
        nvim.wait(lambda: nvim.text().startswith('{"time": '), "the log", SECONDS)
        outcomes = [json.loads(line)["outcome"] for line in nvim.lines()]
        assert outcomes == ["passed", "passed", "failed"]
