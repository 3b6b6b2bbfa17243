"""`egcfg-lsp models` as a user runs it, in a cache folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAME = "qwen2.5-coder-0.5b"
FILE = f"{NAME}-instruct-q4_k_m.gguf"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "egcfg-lsp" / "models"
    folder.mkdir(parents=True)
    return folder


def models(
    *arguments: str, cache: Path | None = None, answer: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {"XDG_CACHE_HOME": str(cache.parents[1])} if cache is not None else {}
    return subprocess.run(
        [sys.executable, "-m", "egcfg_lsp", "models", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        input=answer,
        env={**os.environ, "COLUMNS": "160", **environment},
    )


def test_list_says_what_a_model_needs(cache: Path) -> None:
    done = models("list", cache=cache)
    assert done.returncode == 0
    (row,) = (line for line in done.stdout.splitlines() if NAME in line)
    for cell in ("491 MB", "Apache-2.0", "any laptop; 2 GB RAM", " no "):
        assert cell in row


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_verify_of_whole_models() -> None:
    for arguments in ((), (NAME,)):
        done = models("verify", *arguments)
        assert done.returncode == 0, done.stdout
        assert f"{NAME}: ok\n" in done.stdout


def test_verify_of_damaged_and_missing_ones(cache: Path) -> None:
    assert models("verify", cache=cache).stdout.startswith("no model is downloaded")
    missing = models("verify", NAME, cache=cache)
    assert missing.returncode == 1
    assert missing.stdout == f"{NAME}: missing: run `egcfg-lsp models pull {NAME}`\n"
    (cache / FILE).write_bytes(b"GGUF")
    damaged = models("verify", cache=cache)
    assert damaged.returncode == 1
    assert damaged.stdout == (
        f"{NAME}: damaged: delete {cache / FILE} and run `egcfg-lsp models pull {NAME}`\n"
    )
    unknown = models("verify", "gpt", cache=cache)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "unknown model 'gpt'" in unknown.stderr


def test_prune_asks_first(cache: Path) -> None:
    assert models("prune", cache=cache).stdout == "nothing to delete\n"
    for name in (f"{FILE}.partial", "old.gguf"):
        (cache / name).write_bytes(b"x" * 2_000_000)
    for answer, status in (("n\n", 0), ("", 1)):
        done = models("prune", cache=cache, answer=answer)
        assert done.returncode == status
        assert f"      2 MB  {cache / 'old.gguf'}" in done.stdout
        assert "Delete 2 files, 4 MB?" in done.stdout
        assert len(list(cache.iterdir())) == 2
    done = models("prune", cache=cache, answer="y\n")
    assert done.returncode == 0
    assert done.stdout.endswith("deleted 2 files, 4 MB\n")
    assert list(cache.iterdir()) == []


def test_prune_with_yes_does_not_ask(cache: Path) -> None:
    (cache / f"{FILE}.lock").touch()
    done = models("prune", "--yes", cache=cache)
    assert done.returncode == 0
    assert "?" not in done.stdout
    assert done.stdout.endswith("deleted 1 file, 0 MB\n")
    assert list(cache.iterdir()) == []
