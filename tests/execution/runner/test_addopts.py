"""What of a project's `addopts` is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.execution.runner.addopts import addopts_of, kept


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("--import-mode=importlib -ra -q", "--import-mode importlib"),
        ("--import-mode importlib --cov=x --cov-report term -n auto", "--import-mode importlib"),
        ("-p no:warnings -p xdist -pno:cov -p pytest_cov", "-p no:warnings -p no:cov"),
        ("-p no_such_module_at_all", ""),
        ("-W error -Wignore::Warning --strict-markers", "-W error -W ignore::Warning"),
        ("-x --maxfail=1 --reruns 3 -k slow -m 'not slow' --lf -s", ""),
        ("--ds=project.settings", ""),
        ("-W", "-W "),
    ],
)  # fmt: skip
def test_kept(given: str, wanted: str) -> None:
    import shlex

    assert " ".join(kept(shlex.split(given))) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = --noconftest\n    -W error\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--noconftest -W error'\n"),
        ("pyproject.toml", "[tool.pytest]\naddopts = ['--noconftest', '-W', 'error']\n"),
        ("tox.ini", "[pytest]\naddopts = --noconftest -W error\n"),
        ("setup.cfg", "[tool:pytest]\naddopts = --noconftest -W error\n"),
        ("sub/pytest.ini", "[pytest]\naddopts = --noconftest -W error\n"),
    ],
)
def test_configurations(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(text)
    (tmp_path / "setup.cfg").touch()
    wanted = ["--noconftest", "-W", "error"]
    assert addopts_of(str(tmp_path), [str(tmp_path / "sub" / "test_x.py")]) == wanted


def test_broken_configurations_are_none(tmp_path: Path) -> None:
    for text in ("[pytest\n", "[pytest]\naddopts = 'open\n", "\x00", "[pytest]\naddopts = 3\n"):
        (tmp_path / "pytest.ini").write_text(text)
        assert addopts_of(str(tmp_path), [str(tmp_path / "test_x.py")]) == []
