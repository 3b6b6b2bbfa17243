from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from egcfg_lsp.execution.interpreter import (
    InterpreterError,
    find_interpreter,
    has_pytest,
    installation_folders,
)


def make_venv(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)


def test_environment_of_the_project_comes_first(tmp_path: Path) -> None:
    make_venv(tmp_path / ".venv")
    found = find_interpreter(tmp_path, None, {"VIRTUAL_ENV": sys.prefix})
    assert found.path == tmp_path / ".venv" / "bin" / "python"
    base = Path(sys.base_prefix).resolve()
    assert tmp_path / ".venv" in found.folders
    assert (base == Path("/usr")) is not (base / "lib" in found.folders)
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


def installation(folder: Path) -> Path:
    """A folder that looks like one of Python, with other things in it."""
    (folder / "lib" / "python3.11").mkdir(parents=True)
    (folder / "lib" / "python3.11" / "os.py").touch()
    (folder / "bin").mkdir()
    (folder / "bin" / "python3.11").touch(mode=0o755)
    (folder / "share" / "keyrings").mkdir(parents=True)
    return folder


def test_of_an_installation_only_the_parts_are_seen_that_are_pythons(tmp_path: Path) -> None:
    local = installation(tmp_path / ".local")
    (tmp_path / "link").symlink_to(local)
    for chosen in (local / "bin" / "python3.11", tmp_path / "link" / "bin" / "python3.11"):
        found = find_interpreter(tmp_path, str(chosen), {})
        assert found.folders == (local / "bin", local / "lib")


def test_an_environment_cannot_name_any_folder_as_its_installation(tmp_path: Path) -> None:
    environment, secrets = tmp_path / "project" / ".venv", tmp_path / "secrets"
    (secrets / "bin").mkdir(parents=True)
    (environment / "bin").mkdir(parents=True)
    (secrets / "bin" / "python").touch(mode=0o755)
    (environment / "bin" / "python").symlink_to(secrets / "bin" / "python")
    (environment / "pyvenv.cfg").write_text(f"home = {secrets / 'bin'}\n")
    assert find_interpreter(tmp_path / "project", None, {}).folders == (environment,)


@pytest.mark.parametrize("prefix", ["/", "/usr", "/no/such"])
def test_folders_of_the_system_are_seen_anyway(prefix: str) -> None:
    assert installation_folders(Path(prefix)) == []
