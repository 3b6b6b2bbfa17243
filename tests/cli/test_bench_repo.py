"""`egcfg-lsp bench repo` as a user runs it, without a model and with a scripted one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from egcfg_lsp.bench import BenchModel
from egcfg_lsp.cli import app
from egcfg_lsp.cli import bench_repo as command
from tests.support.scripted import ScriptedModel

FILES = {
    "PKG-INFO": "Name: sums\nVersion: 0.1\n",
    "sums.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n",
    "test_sums.py": "from sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def bench(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output, and what went to stderr."""
    done = CliRunner().invoke(app, ["bench", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_without_a_model(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("repo", str(project), "--no-model", "--deadline", "60")
    status, text, errors = bench(*arguments, "--out", str(out), "--json")
    assert status == 0, errors
    (row,) = json.loads(text)["rows"]
    assert row["project"] == "sums 0.1"
    assert (row["verified"]["hits"], row["verified"]["n"]) == (1, 1)
    assert (row["with_tests"]["hits"], row["with_tests"]["n"]) == (1, 2)
    assert row["first_run_seconds"]["n"] == 1
    assert bench("report", str(out), "--json")[1] == text
    status, table, errors = bench(*arguments)
    assert status == 0, errors
    assert "sums 0.1" in table
    assert {path.name for path in tmp_path.iterdir()} == {"project", "out"}
    assert {path.name for path in project.iterdir()} == set(FILES), "nothing is written there"


@pytest.mark.parametrize(("answer", "n_right"), [("a + b", 1), ("a * b", 0)])
def test_with_a_model(
    answer: str, n_right: int, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel([f"    return {answer}\n"])
    monkeypatch.setattr(command, "bench_model", lambda _: BenchModel("scripted", "0" * 64))
    monkeypatch.setattr(command, "model_file", Path)
    monkeypatch.setattr(command, "LlamaModel", lambda _: model)
    status, text, errors = bench("repo", str(project), "--remove", "body", "--json")
    assert status == 0, errors
    (row,) = json.loads(text)["rows"]
    assert (row["passed"]["hits"], row["passed"]["n"]) == (n_right, 1)
    assert (row["precision"]["hits"], row["precision"]["n"]) == (n_right, n_right)
    assert model.endings[-1] == "closed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{tmp}/nowhere",), "is no folder"),
        (("{tmp}/empty",), "holds no Python files"),
        (("{tmp}/project", "--out", "{tmp}"), "is not empty and holds no benchmark results"),
    ],
)
def test_errors_are_one_message(
    arguments: tuple[str, ...], message: str, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    filled = [part.format(tmp=tmp_path) for part in arguments]
    status, text, errors = bench("repo", *filled, "--no-model")
    assert (status, text) == (1, "")
    assert errors.splitlines()[-1].startswith("error: ")
    assert message in errors


def test_results_of_one_folder_are_of_one_kind(project: Path, tmp_path: Path) -> None:
    arguments = ("repo", str(project), "--no-model", "--out", str(tmp_path / "out"))
    assert bench(*arguments)[0] == 0
    status, _, errors = bench(*arguments, "--remove", "body")
    assert status == 1
    assert "another configuration" in errors
