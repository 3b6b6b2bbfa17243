"""Removing what a run has left behind, whatever it has done to it."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import List, Optional


def remove_tree(folder: Path) -> None:
    """Remove what a run has left, however deep it lies and whatever rights it has given itself.

    Folders are moved up rather than followed down: a path may be longer than the system allows.
    """
    while subfolders := _emptied(folder, None):
        for subfolder in subfolders:
            _emptied(subfolder, folder)
            subfolder.rmdir()
    folder.rmdir()


def _emptied(folder: Path, other: Optional[Path]) -> List[Path]:
    """The folders in a folder, which is left without files; they move to the other one if given."""
    folder.chmod(stat.S_IRWXU)
    subfolders = []
    for entry in [*os.scandir(folder)]:
        path = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            path.unlink()
            continue
        if other is not None:
            path.chmod(stat.S_IRWXU)
            path = path.rename(other / secrets.token_hex(8))
        subfolders.append(path)
    return subfolders
