"""Real paths, each asked of the kernel once in a process: nothing moves while a run goes on."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import FrozenSet


@lru_cache(maxsize=4096)
def real_path(path: str) -> str:
    return os.path.realpath(path)


@lru_cache(maxsize=256)
def names_of(path: str) -> FrozenSet[str]:
    """What a file is called without its folder: as it was named, and where that leads."""
    return frozenset((os.path.basename(path), os.path.basename(real_path(path))))


def is_file(filename: str, path: str) -> bool:
    """Whether a name is that of a file; the kernel is asked only where they are called the same."""
    return os.path.basename(filename) in names_of(path) and real_path(filename) == real_path(path)
