"""Real paths, each asked of the kernel once in a process: nothing moves while a run goes on."""

from __future__ import annotations

import os
from functools import lru_cache


@lru_cache(maxsize=4096)
def real_path(path: str) -> str:
    return os.path.realpath(path)
