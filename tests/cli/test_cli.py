"""The command line as a user runs it; once with the real model and the real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import egcfg_lsp
from egcfg_lsp.cli.complete import PlaceError, read_request

EXAMPLES = Path(egcfg_lsp.__file__).parents[1] / "examples"
PLACE = f"{EXAMPLES / 'shop' / 'pricing.py'}:8"


def egcfg(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "egcfg_lsp", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_complete_runs_the_suggestion_against_the_tests() -> None:
    done = egcfg("complete", PLACE, "--trust")
    assert done.returncode == 0, done.stderr
    *code, summary = done.stdout.strip("\n").split("\n")
    assert any("return" in line for line in code)
    assert all(line.startswith("    ") for line in code)
    assert summary.startswith(("✓ 3/3", "✗ "))


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_complete_as_json() -> None:
    done = egcfg("complete", PLACE, "--json")
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    (suggestion,) = value["suggestions"]
    assert set(suggestion) == {"id", "text", "range", "outcome", "summary"}
    assert suggestion["range"]["start"] == {"line": 8, "column": 5}
    assert suggestion["outcome"] == "unverified"
    assert suggestion["summary"] == "⊘ not run: the workspace is not trusted"
    assert value["drops"] == []
    assert set(value["timings"]) == {"first_line", "draft"}
    assert value["candidates"] == []


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_complete_explains_its_way(tmp_path: Path) -> None:
    """The draft, `text.split()[-1]`, has no answer to an empty text; another candidate has."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "calc.py").write_text("def last_word(text):\n    return \n")
    (tmp_path / "test_calc.py").write_text(
        "from calc import last_word\n\n\n"
        "def test_it():\n    assert last_word('a b c') == 'c'\n    assert last_word('') == ''\n"
    )
    place = f"{tmp_path / 'calc.py'}:2"
    done = egcfg("complete", place, "--trust", "--explain")
    assert done.returncode == 0, done.stderr
    shown, way = done.stdout.split(" 1  draft", 1)
    draft, failure, better, summary = shown.strip("\n").split("\n")
    assert draft.startswith("    return ")
    assert failure.startswith("✗ 0/1 · last_word('') raised IndexError")
    assert better.startswith("    return ")
    assert better != draft
    assert summary == "✓ 1/1"
    assert "the most probable text" in way
    assert "another one (margin" in way
    assert way.count("← shown") == 1
    value = json.loads(egcfg("complete", place, "--trust", "--json").stdout)
    assert [one["outcome"] for one in value["suggestions"][:1]] == ["verified"]
    told = {(one["rung"], one["outcome"]) for one in value["candidates"]}
    assert {("draft", "fails"), ("explore", "verified")} <= told
    assert set(value["timings"]) == {"first_line", "draft", "run", "explore"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nothing.py", "no PATH:LINE"),
        ("nothing.py:1", "cannot read"),
        (f"{EXAMPLES}:1", "cannot read"),
        (f"{EXAMPLES / 'shop' / 'pricing.py'}:999", "lines, not 999"),
        (f"{EXAMPLES / 'shop' / 'pricing.py'}:0", "lines, not 0"),
        (f"{EXAMPLES / 'shop' / 'pricing.py'}:8:99", "columns 1 to 5"),
    ],
)
def test_bad_places_are_clear_errors(place: str, message: str) -> None:
    with pytest.raises(PlaceError, match=message):
        read_request(place)


def test_place_in_a_crlf_file(tmp_path: Path) -> None:
    path = tmp_path / "crlf.py"
    path.write_bytes("def f():\r\n    é = 1\r\n".encode())
    request = read_request(f"{path}:2")
    assert request.before == "def f():\r\n    é = 1"
    assert request.after == "\r\n"


def test_errors_go_to_stderr_with_status_1(tmp_path: Path) -> None:
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe\x00")
    done = egcfg("complete", f"{binary}:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("is not UTF-8\n")
    as_json = egcfg("complete", PLACE, "--json", "--model", "nothing")
    assert as_json.returncode == 1
    assert "unknown model 'nothing'" in json.loads(as_json.stdout)["error"]


def test_missing_model_is_told_by_every_command(tmp_path: Path) -> None:
    for command in (("complete", PLACE), ("models", "path"), ("doctor",)):
        done = egcfg(*command, XDG_CACHE_HOME=str(tmp_path))
        assert done.returncode == 1
        assert "egcfg-lsp models pull" in done.stdout + done.stderr


@pytest.mark.parametrize("columns", ["80", "120"])
def test_models_list(columns: str) -> None:
    done = egcfg("models", "list", COLUMNS=columns)
    assert done.returncode == 0
    assert "qwen2.5-coder-0.5b" in done.stdout
    assert "Apache-2.0" in done.stdout


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_models_pull_and_path_agree() -> None:
    pulled, path = egcfg("models", "pull"), egcfg("models", "path")
    assert pulled.returncode == path.returncode == 0
    assert pulled.stdout == path.stdout
    assert Path(path.stdout.strip()).is_file()


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_doctor(tmp_path: Path) -> None:
    done = egcfg("doctor", str(tmp_path), "--json")
    assert done.returncode == 0, done.stdout
    findings = json.loads(done.stdout)
    assert [finding["check"] for finding in findings] == [
        "egcfg-lsp", "model", "sandbox", "interpreter",
    ]  # fmt: skip
    assert {finding["state"] for finding in findings} == {"ok"}
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    failed = egcfg("doctor", str(tmp_path), "--model", str(broken))
    assert failed.returncode == 1
    assert "cannot load" in failed.stdout


def test_version() -> None:
    assert egcfg("--version").stdout == f"{egcfg_lsp.__version__}\n"
