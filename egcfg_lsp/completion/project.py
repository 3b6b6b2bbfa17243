"""Which project a file belongs to."""

from __future__ import annotations

from pathlib import Path

MARKERS = (
    "pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", "requirements.txt", ".git",
)  # fmt: skip


def project_root(path: Path, workspace: Path | None = None) -> Path:
    """The nearest folder above a file with a project's marker, not above `workspace`.

    Without a marker: the workspace, else the file's own folder.
    """
    for folder in path.parents:
        if any((folder / marker).exists() for marker in MARKERS):
            return folder
        if folder == workspace:
            return folder
    return path.parent
