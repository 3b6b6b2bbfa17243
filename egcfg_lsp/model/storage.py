"""The models folder: which of its files are whole, and which are left over.

Knows nothing of how a file is fetched (`pull`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from egcfg_lsp.model.catalogue import CatalogueModel, catalogue, models_folder

CHUNK_BYTES = 1 << 20
PARTIAL, LOCK = ".partial", ".lock"
"""What a running pull puts behind the name of the file it fetches; it holds the lock all the time."""


class State(StrEnum):
    OK = "ok"
    DAMAGED = "damaged"
    MISSING = "missing"


@dataclass(frozen=True)
class Leftover:
    """A file, or a link, that no downloaded model needs."""

    path: Path
    bytes: int
    """Of a link its own size, not that of what it points at."""


def verify(entry: CatalogueModel, on_bytes: Callable[[int], None] = lambda _: None) -> State:
    """Whether the model's file is the one of the catalogue; reads all of it unless its size is wrong.

    `on_bytes` is told the total of bytes read so far.
    """
    if not entry.path.is_file():
        return State.MISSING
    digest, n_bytes = hashlib.sha256(), 0
    if not entry.is_pulled:
        return State.DAMAGED
    with entry.path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            n_bytes += len(chunk)
            on_bytes(n_bytes)
    return State.OK if digest.hexdigest() == entry.sha256 else State.DAMAGED


def leftovers() -> list[Leftover]:
    """Files in the models folder that belong to no downloaded model and to no running pull.

    Folders in it are not ours and are left alone; links are never followed.
    """
    return [
        Leftover(path, path.lstat().st_size)
        for model_file, paths in sorted(_unneeded_by_model().items())
        if not _is_locked(model_file)
        for path in sorted(paths)
    ]


def delete(unwanted: Sequence[Leftover]) -> list[Leftover]:
    """Delete what is still left over and in use by no pull; tells which ones that were.

    Raises OSError where the folder may not be written.
    """
    deleted: list[Leftover] = []
    for model_file, paths in _unneeded_by_model().items():
        chosen = [leftover for leftover in unwanted if leftover.path in paths]
        if not chosen:
            continue
        lock_file = lock_of(model_file)
        if lock_file.is_symlink():
            lock_file.unlink()
        with suppress(Timeout), FileLock(lock_file).acquire(timeout=0):
            for leftover in chosen:
                if leftover.path != lock_file:
                    leftover.path.unlink(missing_ok=True)
            with suppress(PermissionError):  # Windows: a lock file goes when it is released
                lock_file.unlink(missing_ok=True)
            deleted += chosen
    return deleted


def lock_of(model_file: Path) -> Path:
    return model_file.with_name(model_file.name + LOCK)


def partial_of(model_file: Path) -> Path:
    return model_file.with_name(model_file.name + PARTIAL)


def _unneeded_by_model() -> dict[Path, set[Path]]:
    """The files in the folder that no downloaded model needs, by the model file they were made for."""
    folder = models_folder()
    needed = {entry.path for entry in catalogue().values() if entry.is_pulled}
    by_model: dict[Path, set[Path]] = {}
    for path in _files(folder) if folder.is_dir() else ():
        if path not in needed:
            name = path.name.removesuffix(LOCK).removesuffix(PARTIAL)
            by_model.setdefault(folder / name, set()).add(path)
    return by_model


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_symlink() or path.is_file())


def _is_locked(model_file: Path) -> bool:
    lock_file = lock_of(model_file)
    if lock_file.is_symlink() or not lock_file.exists():
        return False
    try:
        with FileLock(lock_file).acquire(timeout=0):
            return False
    except Timeout:
        return True
