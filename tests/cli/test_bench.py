"""`egcfg-lsp bench` as a user runs it; what needs no model, and once with the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from egcfg_lsp.cli import app
from tests.bench.problems import data_file


def bench(*arguments: str) -> tuple[int, str]:
    """Exit status, and all that was printed."""
    done = CliRunner().invoke(app, ["bench", *arguments])
    return done.exit_code, done.output


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_run_again_and_report(tmp_path: Path) -> None:
    data, out = str(data_file(tmp_path)), str(tmp_path / "out")
    command = ("run", "infilling", "--data", data, "--out", out, "--variants", "product,no-tests")
    status, first = bench(*command, "--limit", "1")
    assert status == 0, first
    status, more = bench(*command)
    assert status == 0, more
    n_files = len(list(tmp_path.rglob("task_id=*.json")))
    status, text = bench("report", out, "--json")
    rows = json.loads(text)["rows"]
    assert sum(row["exact"]["n"] for row in rows) == n_files
    assert {row["variant"] for row in rows} == {"product", "no-tests"}
    status, text = bench(*command, "--seed", "1")
    assert status == 1
    assert "another configuration (seed: 0, not 1)" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "{tmp}"), "holds no benchmark results"),
        (("run", "infilling", "--data", "{tmp}/none.jsonl", "--out", "{tmp}/o"), "cannot read"),
        (
            ("run", "infilling", "--data", "{data}", "--out", "{tmp}/o", "--variants", "x"),
            "unknown variant x",
        ),
        (
            ("run", "infilling", "--data", "{data}", "--out", "{tmp}/o", "--model", "x"),
            "unknown model 'x'",
        ),
    ],
)
def test_errors_are_one_message(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    data = str(data_file(tmp_path))
    filled = [part.format(tmp=tmp_path, data=data) for part in arguments]
    status, text = bench(*filled)
    assert status == 1
    assert text.startswith("error: ")
    assert message in text
    assert text.count("\n") == 1
    assert not (tmp_path / "o").exists()
