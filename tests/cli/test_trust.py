"""`egcfg-lsp trust` and `egcfg-lsp log`, and what `complete` makes of the answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from egcfg_lsp.cli import app
from egcfg_lsp.cli.complete import read_request, with_settings, with_trust
from egcfg_lsp.execution_log import Entry, append, default_path
from egcfg_lsp.trust import Answer, TrustFile

ENTRY = Entry("2025-01-01T00:00:00.000+00:00", "A", "failed", 0.25, "/p", "m.py", ("t",), "f() → 1")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def egcfg(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status, result.output
    return result.output


def test_answers_are_added_taken_back_and_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    assert egcfg("trust", "list") == ""
    assert egcfg("trust", "add", str(folder)) == f"trusted: {folder}\n"
    assert egcfg("trust", "list") == f"trusted  {folder}\n"
    assert egcfg("trust", "remove", str(folder)) == f"refused: {folder}\n"
    assert json.loads(egcfg("trust", "list", "--json")) == {str(folder): "refused"}
    egcfg("trust", "forget", str(folder))
    assert "nothing is remembered" in egcfg("trust", "forget", str(folder), status=1)
    assert egcfg("trust", "list") == ""


@pytest.mark.parametrize(
    ("folder", "problem"),
    [("/", "whole file system"), ("~", "whole home folder"), ("/not/there", "is no folder")],
)
def test_what_cannot_be_trusted(folder: str, problem: str) -> None:
    assert problem in egcfg("trust", "add", str(Path(folder).expanduser()), status=1)


def test_a_damaged_file_is_told_by_all_of_them(tmp_path: Path) -> None:
    path = TrustFile().path
    path.parent.mkdir(parents=True)
    path.write_text("{")
    for name in ("list", "add", "remove", "forget"):
        arguments = [name] if name == "list" else [name, str(tmp_path)]
        assert "is damaged" in egcfg("trust", *arguments, status=1)


@pytest.mark.parametrize(
    ("answer", "trusted", "expected"),
    [
        (None, None, False),
        (None, True, True),
        (Answer.TRUSTED, None, True),
        (Answer.TRUSTED, False, False),
        (Answer.REFUSED, None, False),
        (Answer.REFUSED, True, True),
    ],
)
def test_who_lets_complete_run_the_tests(
    project: Path, answer: Answer | None, trusted: bool | None, expected: bool
) -> None:
    if answer is not None:
        TrustFile().remember(project, answer)
    (project / "pyproject.toml").write_text(f'[tool.egcfg]\ntrust = ["{project}"]\ntrusted = true')
    request = with_settings(read_request(f"{project / 'calc.py'}:2"), {"trusted": trusted})
    assert with_trust(request).settings.trusted is expected


def test_the_log_is_shown() -> None:
    assert egcfg("log") == ""
    for i in range(3):
        append(default_path(), replace(ENTRY, reason=f"f() → {i}"))
    assert egcfg("log", "--path") == f"{default_path()}\n"
    assert egcfg("log", "-n", "2") == "".join(
        f"{ENTRY.time} tier A failed 0.250 s · /p: m.py · 1 test · f() → {i}\n" for i in (1, 2)
    )
    assert [json.loads(line)["reason"] for line in egcfg("log", "--json").splitlines()] == [
        "f() → 0", "f() → 1", "f() → 2",
    ]  # fmt: skip


def test_the_log_does_not_steer_a_terminal() -> None:
    append(default_path(), replace(ENTRY, project="/\x1b]0;x\a", reason="\x1b[2J\x9b\u202e"))
    assert egcfg("log").rstrip("\n").isprintable()


def test_a_log_that_cannot_be_read() -> None:
    default_path().mkdir(parents=True)
    assert "cannot read" in egcfg("log", status=1)
