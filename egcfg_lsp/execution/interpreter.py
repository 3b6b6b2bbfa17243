"""Finding the project's Python by looking at files; nothing of the workspace is executed here."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_PARTS = ("bin", "lib", "lib64", "share/zoneinfo")


@dataclass(frozen=True)
class Interpreter:
    path: Path
    """Not resolved: a virtual environment is known by the path it is started with."""
    found: str
    """Where it comes from, for people."""
    folders: tuple[Path, ...]
    """What it needs besides the system's: its environment, and parts of the installation behind."""
    is_ours: bool = False
    """egcfg-lsp's own Python: its packages are not the project's, nor are their pytest plugins."""


class InterpreterError(Exception):
    """No such interpreter; the message is for people."""


def find_interpreter(
    root: Path, chosen: str | None, environment: Mapping[str, str] = os.environ
) -> Interpreter:
    """The user's choice, the project's `.venv` or `venv`, the active environment, or our own Python.

    Raises InterpreterError if the user's choice does not exist.
    """
    if chosen is not None:
        path = Path(chosen).expanduser()
        path = path if path.is_absolute() or not path.parts[1:] else root / path
        located = shutil.which(path)
        if located is None:
            raise InterpreterError(f"the interpreter {chosen} of the settings does not exist")
        return _interpreter(Path(located), "the settings")
    places = [(root / name, f"{name} of the project") for name in (".venv", "venv")]
    active = ((environment.get(name), name) for name in ("VIRTUAL_ENV", "CONDA_PREFIX"))
    places += [(Path(folder), name) for folder, name in active if folder]
    for folder, found in places:
        path = _python_of(folder)
        if path.is_file():
            return _interpreter(path, found)
    ours = _interpreter(Path(sys.executable), "egcfg-lsp's own, the project has no environment")
    return replace(ours, is_ours=True)


def has_pytest(interpreter: Interpreter) -> bool:
    """Whether a `pytest` folder lies in the interpreter's own packages, as far as files tell."""
    patterns = ("lib/python3*/site-packages/pytest", "lib/python3*/dist-packages/pytest")
    return any(any(interpreter.path.parent.parent.glob(pattern)) for pattern in patterns)


def installation_folders(prefix: Path) -> list[Path]:
    """What a Python needs of its installation; nothing of a folder that is none, or the system's.

    Environments are files of a workspace: what they name may be any folder of the user's, and an
    installation may share its folder with other things (`~/.local`).
    """
    prefix = prefix.resolve()
    if prefix in (Path("/"), Path("/usr")) or not any(prefix.glob("lib*/python3*/os.py")):
        return []
    return [prefix / part for part in _PARTS if (prefix / part).is_dir()]


def _python_of(environment: Path) -> Path:
    if os.name == "nt":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def _interpreter(path: Path, found: str) -> Interpreter:
    path = path.absolute()
    prefix = path.parent.parent
    is_environment = (prefix / "pyvenv.cfg").is_file() or (prefix / "conda-meta").is_dir()
    folders = [prefix] if is_environment else []
    bases = [prefix, path.resolve().parent.parent]
    if (home := _base_home(prefix)) is not None:
        bases.append(home.parent)
    folders += [folder for base in bases for folder in installation_folders(base)]
    return Interpreter(path, found, tuple(dict.fromkeys(folders)))


def _base_home(prefix: Path) -> Path | None:
    """The `home` of a virtual environment: the folder of the Python it was made with."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return Path(value.strip())
    return None
