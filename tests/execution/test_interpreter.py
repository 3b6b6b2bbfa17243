from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from egcfg_lsp.execution.interpreter import InterpreterError, find_interpreter, has_pytest


def make_venv(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)


def test_environment_of_the_project_comes_first(tmp_path: Path) -> None:
    make_venv(tmp_path / ".venv")
    found = find_interpreter(tmp_path, None, {"VIRTUAL_ENV": sys.prefix})
    assert found.path == tmp_path / ".venv" / "bin" / "python"
    assert Path(sys.base_prefix).resolve() in [prefix.resolve() for prefix in found.prefixes]
    assert not has_pytest(found)
    assert not found.is_ours


def test_active_environment_then_our_own(tmp_path: Path) -> None:
    active = find_interpreter(tmp_path, None, {"VIRTUAL_ENV": sys.prefix})
    assert active.found == "VIRTUAL_ENV"
    ours = find_interpreter(tmp_path, None, {})
    assert ours.is_ours
    assert has_pytest(ours)


def test_choice_of_the_user(tmp_path: Path) -> None:
    assert find_interpreter(tmp_path, sys.executable, {}).path == Path(sys.executable)
    with pytest.raises(InterpreterError, match="does not exist"):
        find_interpreter(tmp_path, "/no/such/python", {})
