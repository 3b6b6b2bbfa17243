"""The Neovim plugin against the scripted server: drawing, typing, accepting, and what goes wrong.

The real server and model: test_neovim_real.py.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.neovim.nvim_driver import Ghost, Neovim, neovim, wait_until

pytestmark = pytest.mark.editors

SOURCE = "def add(a, b):\n    \n"
ANCHOR = "def add(a, b):\n    "
UNTRUSTED = "⊘ not run: the workspace is not trusted"


def suggestion(text: str, outcome: str = "unverified", summary: str = "", id: str = "a") -> Any:
    return {"id": id, "text": text, "outcome": outcome, "summary": summary or "running 3 tests…"}


RUNNING = [suggestion("return a + b")]
VERIFIED = [suggestion("return a + b", "verified", "✓ 3/3")]
SEVERAL = [
    suggestion("return a + b", "partial", "✗ 2/3", id="b"),
    suggestion("return a - b", "fails", "✗ 0/3", id="a"),
    suggestion("return b", "fails", "✗ 0/3 · add(0, 1) → 2", id="c"),
]
BETTER = suggestion("return sum((a, b))", "verified", "✓ 3/3", id="d")
TWO_LINES = [suggestion("total = a + b\n    return total")]
TWO_LINES_VERIFIED = [suggestion("total = a + b\n    return total", "verified", "✓ 3/3")]


def position(line: int, character: int) -> dict[str, int]:
    return {"line": line, "character": character}


@dataclass
class Session:
    """A Neovim whose plugin talks to the stand-in."""

    nvim: Neovim
    folder: Path

    @property
    def log_path(self) -> Path:
        return self.folder / "log.jsonl"

    def start(
        self,
        *steps: list[Any],
        source: str = SOURCE,
        anchor: str = ANCHOR,
        trust: list[str] | None = None,
        script: dict[str, Any] | None = None,
        await_server: bool = True,
        insert: bool = True,
        **options: Any,
    ) -> None:
        """Open `source` and put the cursor behind its line `anchor` ends with, in Insert mode."""
        script_path = self.folder / "script.json"
        complete = {"anchor": anchor.replace("\r\n", "\n"), "steps": list(steps)} | (script or {})
        script_path.write_text(json.dumps(complete), encoding="utf-8")
        path = self.folder / "work" / "calc.py"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.encode())
        server = Path(__file__).with_name("standin_server.py")
        command = [sys.executable, str(server), str(script_path), str(self.log_path)]
        folders = [str(self.folder / folder) for folder in (["."] if trust is None else trust)]
        self.nvim.setup(cmd=command, trust=folders, **options)
        self.nvim.edit(path)
        if await_server:
            self.nvim.wait(self.attached, "the server is attached", 30)
        if not insert:
            return
        lines_before = anchor.count("\n")
        self.nvim.api.call("cursor", [lines_before + 1, len(anchor.split("\n")[-1].encode()) + 1])
        line = self.nvim.lines()[lines_before]
        self.nvim.keys("A" if line == anchor.split("\n")[-1] else "i")

    def attached(self) -> bool:
        return bool(self.nvim.lua("return #vim.lsp.get_clients({ name = 'egcfg', bufnr = 0 }) > 0"))

    def log(self, method: str) -> list[Any]:
        """The parameters of the messages of one kind that the server saw."""
        if not self.log_path.exists():
            return []
        entries = map(json.loads, self.log_path.read_text(encoding="utf-8").splitlines())
        return [entry["params"] for entry in entries if entry["method"] == method]

    def tell(self, method: str) -> None:
        """Have the stand-in do something now."""
        self.nvim.lua(
            "vim.lsp.get_clients({ name = 'egcfg' })[1]:notify(...)", f"standin/{method}", {}
        )

    def inject(self, suggestion: Any, at: dict[str, int], **fields: Any) -> None:
        """Have the client receive a notification; `fields` replace those of the present state."""
        at_cursor = {"start": at, "end": at}
        params = {
            "uri": self.nvim.lua("return vim.uri_from_bufnr(0)"),
            "version": self.nvim.lua("return vim.lsp.util.buf_versions[vim.fn.bufnr()]"),
            "position": at,
            "suggestions": [suggestion | {"range": fields.pop("range", at_cursor)}],
            "done": True,
        }
        self.nvim.lua(
            """
            local client = vim.lsp.get_clients({ name = 'egcfg' })[1]
            client.handlers["egcfg/suggestionsChanged"](nil, ..., { client_id = client.id })
            """,
            params | fields,
        )

    def settle(self) -> None:
        """Wait until the server has dealt with everything sent so far."""
        self.nvim.lua(
            """
            local client = vim.lsp.get_clients({ name = 'egcfg' })[1]
            client:request_sync("workspace/executeCommand", { command = "standin.ping" }, 5000)
            """
        )

    def server_pid(self) -> int:
        return int(self.log("initialize")[0]["pid"])


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with neovim(tmp_path) as nvim:
        yield Session(nvim, tmp_path)


@pytest.fixture
def nvim(session: Session) -> Neovim:
    return session.nvim


def test_draws_the_suggestion_then_its_outcome(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, VERIFIED)
    nvim.wait_for_ghost("return a + b")
    session.tell("step")
    nvim.wait_for_summary("✓ 3/3")
    assert nvim.ghost() == Ghost("return a + b", "✓ 3/3", "EgcfgVerified", (1, 4))
    assert nvim.text() == SOURCE.rstrip("\n")
    nvim.wait(lambda: "return a + b ✓ 3/3" in nvim.screen.text(), "the text on screen")


def test_asks_when_the_server_comes_up_in_insert_mode(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, await_server=False)
    nvim.wait(lambda: nvim.mode() == "i", "Insert mode")
    assert not session.log("initialize")
    nvim.wait_for_ghost("return a + b")


def test_asks_in_insert_mode_only(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, source="\n", anchor="", insert=False, debounce_ms=0)
    session.settle()
    assert session.log("inlineCompletion") == []
    nvim.keys("i")
    nvim.wait_for_ghost("return a + b")


@pytest.mark.parametrize(
    ("outcome", "group"),
    [
        ("verified", "EgcfgVerified"),
        ("partial", "EgcfgFails"),
        ("fails", "EgcfgFails"),
        ("runs", "EgcfgUnverified"),
        ("unverified", "EgcfgUnverified"),
    ],
)
def test_colours_the_outcome(session: Session, nvim: Neovim, outcome: str, group: str) -> None:
    session.start(RUNNING, [suggestion("return a + b", outcome, "said")])
    nvim.wait_for_ghost("return a + b")
    session.tell("step")
    nvim.wait_for_summary("said")
    assert nvim.ghost().summary_group == group


def test_grows_and_is_replaced_without_a_frame_lacking_ghost_text(
    session: Session, nvim: Neovim
) -> None:
    better = [suggestion("return sum((a, b))", "verified", "✓ 3/3", id="b")]
    session.start([suggestion("total = a + b")], TWO_LINES, TWO_LINES_VERIFIED, better)
    nvim.wait(lambda: "total = a + b" in nvim.screen.text(), "first line on screen")
    shown_at = len(nvim.screen.frames())
    for text, summary in [
        ("total = a + b\n    return total", "running 3 tests…"),
        ("total = a + b\n    return total", "✓ 3/3"),
        ("return sum((a, b))", "✓ 3/3"),
    ]:
        session.tell("step")
        nvim.wait_for_ghost(text)
        nvim.wait_for_summary(summary)
    nvim.wait(lambda: "return sum((a, b))" in nvim.screen.text(), "the better one on screen")
    frames = nvim.screen.frames()[shown_at:]
    assert frames
    for frame in frames:
        assert "total = a + b" in frame or "return sum((a, b))" in frame, frame


def test_typing_through_keeps_the_ghost_text_in_every_frame(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, VERIFIED)
    nvim.wait_for_ghost("return a + b")
    session.tell("step")
    nvim.wait(lambda: "return a + b ✓ 3/3" in nvim.screen.text(), "on screen")
    shown_at = len(nvim.screen.frames())
    for typed in "return":
        nvim.keys(typed)
    nvim.wait_for_ghost(" a + b")
    nvim.wait(lambda: len(session.log("inlineCompletion")) > 1, "asked again")
    session.tell("notify")
    session.settle()
    nvim.wait_for_summary("✓ 3/3")
    assert nvim.ghost() == Ghost(" a + b", "✓ 3/3", "EgcfgVerified", (1, 10))
    for frame in nvim.screen.frames()[shown_at:]:
        assert "return a + b ✓ 3/3" in frame, frame


def test_typing_through_a_line_end(session: Session, nvim: Neovim) -> None:
    session.start(TWO_LINES, script={"hold": False})
    nvim.wait_for_ghost("total = a + b\n    return total")
    nvim.api.command("setlocal autoindent")
    nvim.keys("total = a + b<CR>")
    nvim.wait_for_ghost("return total")
    nvim.keys("<Tab>")
    nvim.wait(lambda: nvim.lines()[1:] == ["    total = a + b", "    return total"], "inserted")


def test_typing_something_else_clears(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    nvim.keys("x")
    nvim.wait_for_ghost("")
    nvim.wait(lambda: "    x\n" in nvim.screen.text(), "nothing but the x on screen")


def test_backspace_into_the_indentation_clears(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    nvim.keys("<BS>")
    nvim.wait_for_ghost("")


def test_a_change_right_of_the_cursor_clears(session: Session, nvim: Neovim) -> None:
    session.start([suggestion("a, b")], source="print()\n", anchor="print(")
    nvim.wait_for_ghost("a, b")
    nvim.lua("require('egcfg').config.debounce_ms = 60000")
    nvim.keys("<Del>")
    nvim.wait_for_ghost("")


@pytest.mark.parametrize("leave", ["<Esc>", "<Up>", "<C-]>", "<Cmd>enew!<CR>", "<Cmd>bdelete!<CR>"])
def test_leaving_clears(session: Session, nvim: Neovim, leave: str) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    nvim.keys(leave)
    nvim.wait(lambda: "return a + b" not in nvim.screen.text(), "cleared")
    assert nvim.messages() == ""


def test_dismiss_lasts_until_the_text_changes(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, VERIFIED)
    nvim.wait_for_ghost("return a + b")
    nvim.keys("<C-]>")
    nvim.wait_for_ghost("")
    session.tell("step")
    session.settle()
    assert nvim.ghost().text == ""
    nvim.keys("r")
    nvim.wait_for_ghost("eturn a + b")


@pytest.mark.parametrize("leave", ["x", "<Esc>", "<Up>", "<Cmd>enew!<CR>"])
def test_leaving_cancels_the_request(session: Session, nvim: Neovim, leave: str) -> None:
    session.start(RUNNING, script={"hold": True})
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    nvim.keys(leave)
    nvim.wait(lambda: session.log("cancelled"), "the request was cancelled")
    assert nvim.ghost().text == ""
    assert nvim.messages() == ""


@pytest.mark.parametrize("leave", ["x", "<Esc>", "<Cmd>enew!<CR>"])
def test_a_stale_answer_is_dropped(session: Session, nvim: Neovim, leave: str) -> None:
    session.start(RUNNING, source="\n", anchor="", script={"hold": True, "deaf": True})
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    before = nvim.cursor_and_mode()
    nvim.keys(leave)
    nvim.wait(lambda: nvim.cursor_and_mode() != before, "left")
    session.tell("release")
    nvim.wait(lambda: session.log("answering"), "the stale answer")
    session.settle()
    assert nvim.ghost().text == ""
    assert nvim.messages() == ""


def test_a_stale_notification_is_dropped(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    better = suggestion("pass", "verified", "✓ 3/3", id="z")
    stales: list[dict[str, Any]] = [
        {"version": 99},
        {"position": position(0, 4)},
        {"uri": "file:///other.py"},
    ]
    for stale in stales:
        session.inject(better, position(1, 4), **stale)
        assert nvim.ghost().text == "return a + b"
    session.inject(better, position(1, 4))
    assert nvim.ghost().text == "pass"


def test_an_outcome_after_typing_through_holds_only_for_the_same_text(
    session: Session, nvim: Neovim
) -> None:
    session.start(RUNNING, debounce_ms=0)
    nvim.wait_for_ghost("return a + b")
    nvim.lua("require('egcfg').config.debounce_ms = 60000")
    nvim.keys("re")
    nvim.wait_for_ghost("turn a + b")
    longer = suggestion("return a + b + 1", "verified", "✓ 3/3")
    session.inject(longer, position(1, 4), version=0)
    assert nvim.ghost().summary == "running 3 tests…"
    session.inject(VERIFIED[0], position(1, 4), version=0)
    assert nvim.ghost() == Ghost("turn a + b", "✓ 3/3", "EgcfgVerified", (1, 6))


@pytest.mark.parametrize("code", [-32800, -32801])
def test_an_overtaken_request_is_no_error(session: Session, nvim: Neovim, code: int) -> None:
    session.start(RUNNING, script={"error": code})
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    session.settle()
    assert nvim.messages() == ""


def test_another_error_is_said_once(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, script={"error": -32603})
    nvim.wait(lambda: nvim.messages(), "the message")
    nvim.keys("x")
    nvim.wait(lambda: len(session.log("inlineCompletion")) > 1, "asked again")
    session.settle()
    assert nvim.messages() == "egcfg: scripted error"


def test_accept_inserts_all_lines_tells_the_server_and_undoes_in_one_step(
    session: Session, nvim: Neovim
) -> None:
    session.start(TWO_LINES)
    nvim.wait_for_ghost("total = a + b\n    return total")
    nvim.keys("<Tab>")
    nvim.wait(
        lambda: session.log("didAccept") == [["a", "unverified", "running 3 tests…"]],
        "egcfg.didAccept",
    )
    assert nvim.lines() == ["def add(a, b):", "    total = a + b", "    return total"]
    assert nvim.ghost().text == ""
    nvim.keys("  # typed<Esc>")
    nvim.wait(lambda: nvim.lines()[-1] == "    return total  # typed", "typing goes on behind it")
    nvim.keys("u")
    nvim.wait(lambda: nvim.lines()[-1] == "    return total", "undone: what was typed")
    nvim.keys("u")
    nvim.wait(lambda: nvim.text() == SOURCE.rstrip("\n"), "undone: the suggestion")


def test_no_request_follows_an_accept_until_the_text_changes(
    session: Session, nvim: Neovim
) -> None:
    session.start(RUNNING, debounce_ms=0)
    nvim.wait_for_ghost("return a + b")
    nvim.keys("<Tab>")
    nvim.wait(lambda: session.log("didAccept"), "accepted")
    session.settle()
    assert len(session.log("inlineCompletion")) == 1


def test_others_are_looked_at_in_turn_and_accepted(session: Session, nvim: Neovim) -> None:
    session.start([suggestion("return a - b")], SEVERAL)
    nvim.wait_for_ghost("return a - b")
    session.tell("step")
    nvim.wait_for_summary("✗ 2/3")
    for key, text, summary in [
        ("<M-]>", "return a - b", "2/3 · ✗ 0/3"),
        ("<M-]>", "return b", "3/3 · ✗ 0/3 · add(0, 1) → 2"),
        ("<M-]>", "return a + b", "✗ 2/3"),
        ("<M-[>", "return b", "3/3 · ✗ 0/3 · add(0, 1) → 2"),
    ]:
        nvim.keys(key)
        nvim.wait_for_ghost(text)
        assert nvim.ghost() == Ghost(text, summary, "EgcfgFails", (1, 4))
    nvim.keys("<Tab>")
    nvim.wait(
        lambda: session.log("didAccept") == [["c", "fails", "✗ 0/3 · add(0, 1) → 2"]],
        "egcfg.didAccept",
    )
    assert nvim.lines()[1] == "    return b"
    assert nvim.messages() == ""


@pytest.mark.parametrize(
    ("later", "text", "summary"),
    [
        ([BETTER, *SEVERAL], "return a - b", "3/4 · ✗ 0/3"),
        ([SEVERAL[1], SEVERAL[0]], "return a - b", "✗ 0/3"),
        ([*SEVERAL[:1], *SEVERAL[2:]], "return a + b", "✗ 2/3"),
        ([BETTER, SEVERAL[0]], "return sum((a, b))", "✓ 3/3"),
        ([], "", ""),
    ],
)
def test_a_notification_leaves_a_choice_unless_it_is_gone(
    session: Session, nvim: Neovim, later: list[Any], text: str, summary: str
) -> None:
    session.start(RUNNING, SEVERAL, later)
    nvim.wait_for_ghost("return a + b")
    session.tell("step")
    nvim.wait_for_summary("✗ 2/3")
    nvim.keys("<M-]>")
    nvim.wait_for_ghost("return a - b")
    session.tell("step")
    session.settle()
    assert (nvim.ghost().text, nvim.ghost().summary) == (text, summary)


def test_a_choice_is_typed_through_and_ends_with_another_edit(
    session: Session, nvim: Neovim
) -> None:
    session.start(SEVERAL, debounce_ms=0)
    nvim.wait_for_ghost("return a + b")
    session.tell("notify")
    session.settle()
    nvim.keys("<M-[>")
    nvim.wait_for_ghost("return b")
    n_asked = len(session.log("inlineCompletion"))
    nvim.keys("re")
    nvim.wait(lambda: len(session.log("inlineCompletion")) > n_asked, "asked again")
    session.settle()
    assert nvim.ghost() == Ghost("turn b", "✗ 0/3 · add(0, 1) → 2", "EgcfgFails", (1, 6))
    session.tell("notify")
    nvim.wait_for_summary("3/3 · ✗ 0/3 · add(0, 1) → 2")
    nvim.keys("x")
    nvim.wait_for_ghost("")
    nvim.keys("<BS>")
    nvim.wait_for_ghost("turn a + b")
    session.tell("notify")
    session.settle()
    assert nvim.ghost() == Ghost("turn a + b", "✗ 2/3", "EgcfgFails", (1, 6))


@pytest.mark.parametrize(("steps", "ghost"), [([], ""), (RUNNING, "return a + b")])
def test_the_keys_do_what_they_did_where_there_are_no_others(
    session: Session, nvim: Neovim, steps: list[Any], ghost: str
) -> None:
    nvim.api.command("inoremap <M-]> next")
    session.start(steps)
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    session.tell("notify")
    session.settle()
    assert nvim.ghost().text == ghost
    nvim.keys("<M-]>")
    nvim.wait(lambda: nvim.lines()[1] == "    next", "the mapping before")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_accepts_behind_astral_characters(session: Session, nvim: Neovim, encoding: str) -> None:
    line = 'smile = "😀é𝒳" + '
    session.start(
        [suggestion('"😀" + "b"')], source=line + "\n", anchor=line, script={"encoding": encoding}
    )
    nvim.wait_for_ghost('"😀" + "b"')
    units = {"utf-8": len(line.encode()), "utf-16": len(line.encode("utf-16-le")) // 2}
    expected = {"line": 0, "character": units.get(encoding, len(line))}
    assert session.log("inlineCompletion")[0]["position"] == expected
    session.tell("notify")
    nvim.wait_for_summary("running 3 tests…")
    nvim.keys("<Tab>!")
    nvim.wait(lambda: nvim.lines() == [line + '"😀" + "b"!'], "inserted")


def test_text_right_of_the_cursor_stays(session: Session, nvim: Neovim) -> None:
    session.start([suggestion("a, b")], source="print()  # 😀\n", anchor="print(")
    nvim.wait_for_ghost("a, b")
    session.tell("notify")
    nvim.wait(lambda: "print(a, b)  # 😀 running 3 tests…" in nvim.screen.text(), "on screen")
    nvim.keys("<Tab>!")
    nvim.wait(lambda: nvim.lines() == ["print(a, b!)  # 😀"], "inserted")


def test_a_range_that_goes_beyond_the_cursor(session: Session, nvim: Neovim) -> None:
    session.start([], source="print(x)\n", anchor="print(")
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    around = {"start": position(0, 5), "end": position(0, 8)}
    session.inject(suggestion("(a, b)"), position(0, 6), range=around)
    nvim.wait_for_ghost("a, b)")
    nvim.keys("<Tab>")
    nvim.wait(lambda: nvim.lines() == ["print(a, b)"], "inserted")


def test_ghost_text_stands_around_the_bracket_that_it_replaces(
    session: Session, nvim: Neovim
) -> None:
    session.start([], source="print()\n", anchor="print(")
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    here = {"start": position(0, 6), "end": position(0, 7)}
    session.inject(suggestion("a, b) + 1"), position(0, 6), range=here)
    nvim.wait(lambda: "print(a, b) + 1 running" in nvim.screen.text(), "on screen")
    nvim.keys("<Tab>")
    nvim.wait(lambda: nvim.lines() == ["print(a, b) + 1"], "inserted")


def test_a_crlf_file_keeps_its_line_ends(session: Session, nvim: Neovim) -> None:
    session.start(
        [suggestion("total = a + b\r\n    return total")],
        source=SOURCE.replace("\n", "\r\n"),
        script={"anchor": ANCHOR},
    )
    nvim.wait_for_ghost("total = a + b\n    return total")
    nvim.keys("<Tab><Esc>:write<CR>")
    path = session.folder / "work" / "calc.py"
    expected = b"def add(a, b):\r\n    total = a + b\r\n    return total\r\n"
    nvim.wait(lambda: path.read_bytes() == expected, "written")


def test_tabs_are_drawn_at_their_stops(session: Session, nvim: Neovim) -> None:
    session.start(
        [suggestion("if a:\n\t\treturn\tb")],
        source="def add(a, b):\n\t\n",
        anchor="def add(a, b):\n\t",
    )
    nvim.wait_for_ghost("if a:\n" + " " * 16 + "return  b")
    nvim.wait(lambda: "\n" + " " * 16 + "return  b" in nvim.screen.text(), "on screen")
    nvim.keys("<Tab>")
    nvim.wait(lambda: nvim.lines()[1:] == ["\tif a:", "\t\treturn\tb"], "inserted")


@pytest.mark.parametrize(
    ("commands", "inserted"),
    [
        ([], "\t"),
        (["inoremap <Tab> plain"], "plain"),
        (["inoremap <expr> <Tab> 'e' .. 'xpr'"], "expr"),
        (["inoremap zz two", "imap <Tab> zz"], "two"),
        (
            ["lua vim.keymap.set('i', '<Tab>', function() vim.api.nvim_paste('lua', 0, -1) end)"],
            "lua",
        ),
        (["autocmd FileType python inoremap <buffer> <Tab> own"], "own"),
    ],
)
def test_tab_without_ghost_text_does_what_it_did(
    session: Session, nvim: Neovim, commands: list[str], inserted: str
) -> None:
    for command in commands:
        nvim.api.command(command)
    session.start([], source="\n", anchor="")
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    nvim.keys("a<Tab>b<Tab>")
    nvim.wait(lambda: nvim.lines() == [f"a{inserted}b{inserted}"], f"{inserted!r} inserted")


def test_a_mapping_made_later_is_found(session: Session, nvim: Neovim) -> None:
    session.start([], source="\n", anchor="")
    nvim.wait(lambda: session.log("inlineCompletion"), "asked")
    nvim.api.command("inoremap <Tab> later")
    nvim.keys("<Tab>")
    nvim.wait(lambda: nvim.lines() == ["later"], "inserted")


def test_keys_are_given_back_on_detach(session: Session, nvim: Neovim) -> None:
    nvim.api.command("autocmd FileType python inoremap <buffer> <Tab> own")
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    nvim.lua("vim.lsp.get_clients({ name = 'egcfg' })[1]:stop(true)")
    nvim.wait_for_ghost("")
    nvim.wait(lambda: not session.attached(), "detached")
    nvim.wait(lambda: nvim.api.call("maparg", "<Tab>", "i") == "own", "the old mapping")
    assert nvim.api.call("maparg", "<C-]>", "i") == ""


def test_an_untrusted_workspace_says_so_until_it_is_trusted(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, VERIFIED, VERIFIED, trust=[])
    nvim.wait_for_ghost("return a + b")
    session.tell("step")
    nvim.wait_for_summary(UNTRUSTED)
    assert nvim.ghost().summary_group == "EgcfgUnverified"
    here = nvim.lua("return vim.uri_from_bufnr(0)")
    nvim.keys("<Cmd>Egcfg trust<CR>")
    nvim.wait(lambda: session.log("trust") == [here], "trust was sent")
    session.tell("step")
    nvim.wait_for_summary("✓ 3/3")
    nvim.keys("<Cmd>Egcfg untrust<CR>")
    nvim.wait(lambda: session.log("revokeTrust") == [here], "distrust was sent")


@pytest.mark.parametrize("trust", [[], ["work"], ["work/", "an/other"]])
def test_trusted_folders_reach_the_server(session: Session, nvim: Neovim, trust: list[str]) -> None:
    session.start(RUNNING, trust=trust)
    nvim.wait(lambda: session.log("initialize"), "initialised")
    sent = [str(session.folder / folder) for folder in trust]
    assert session.log("initialize")[0]["options"] == {"trust": sent}


def test_settings_and_capability_reach_the_server(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, model="m", interpreter="p", deadline_seconds=3)
    nvim.wait(lambda: session.log("initialize"), "initialised")
    sent = session.log("initialize")[0]
    assert sent["options"] == {
        "model": "m",
        "interpreter": "p",
        "deadlineSeconds": 3,
        "trust": [str(session.folder)],
    }
    assert sent["inlineCompletion"] is True
    assert sent["root"] == (session.folder / "work").as_uri()


def test_status(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    nvim.api.command("Egcfg status")
    told = f"egcfg: ready · stand-in · tier A: stand-in · {session.folder / 'work'} is trusted"
    assert nvim.messages() == told
    nvim.api.command("checkhealth egcfg")
    assert "ready · stand-in" in nvim.text()
    assert "tier A: stand-in" in nvim.text()
    assert "ERROR" not in nvim.text()


def test_without_auto_trigger_it_waits_to_be_asked(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING, auto_trigger=False, debounce_ms=0)
    nvim.keys("r")
    nvim.wait(lambda: nvim.lines()[1] == "    r", "typed")
    session.settle()
    assert session.log("inlineCompletion") == []
    nvim.keys("<Cmd>lua require('egcfg').trigger()<CR>")
    nvim.wait_for_ghost("eturn a + b")
    assert session.log("inlineCompletion")[0]["kind"] == 1


def test_a_missing_server_is_said_once_with_the_fix(nvim: Neovim, tmp_path: Path) -> None:
    nvim.setup(cmd=["no-such-egcfg-lsp"])
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(SOURCE)
        nvim.edit(tmp_path / name)
    messages = nvim.messages()
    assert messages.count("egcfg") > 0
    assert messages.count("`no-such-egcfg-lsp` was not found") == 1
    assert "pipx install egcfg-lsp" in messages


def test_neovim_stays_usable_when_the_server_is_killed(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    os.kill(session.server_pid(), signal.SIGKILL)
    nvim.wait_for_ghost("")
    nvim.wait(lambda: not session.attached(), "detached")
    nvim.keys("x<Tab>y<Esc>")
    nvim.wait(lambda: nvim.lines()[1:] == ["    x\ty"], "typed")
    assert len(nvim.messages().splitlines()) == 1
    assert "Client egcfg quit" in nvim.messages()
    nvim.keys(":edit!<CR>")
    nvim.wait(session.attached, "reopening the file starts it again", 30)


def test_quitting_ends_the_server(session: Session, nvim: Neovim) -> None:
    session.start(RUNNING)
    nvim.wait_for_ghost("return a + b")
    nvim.keys("<Esc>:qall!<CR>")
    nvim.process.wait(timeout=10)
    wait_until(lambda: not is_running(session.server_pid()), lambda: "the server ended")
