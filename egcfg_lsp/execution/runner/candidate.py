"""The candidate's text in the place of its module's file, where nothing can be mounted there.

Everything that imports the file as source sees the text, with no compiled copy of the file; so do
`linecache`, tracebacks and `inspect`. What opens the file itself sees the file.
"""

from __future__ import annotations

import importlib.machinery
import linecache
import os
from typing import Any, Callable


def serve(path: str, text: bytes) -> None:
    """From now on, for this process."""
    is_served = same_file(path)
    loader: Any = importlib.machinery.SourceFileLoader
    original_data, original_stats = loader.get_data, loader.path_stats

    def get_data(self: Any, place: str) -> bytes:
        data: bytes = text if is_served(place) else original_data(self, place)
        return data

    def path_stats(self: Any, place: str) -> Any:
        if is_served(place):
            raise OSError("no compiled copy is looked for")
        return original_stats(self, place)

    loader.get_data, loader.path_stats = get_data, path_stats
    lines = text.decode("utf-8", "replace").splitlines(True)
    for name in {path, os.path.realpath(path)}:
        linecache.cache[name] = (len(text), None, lines, name)


def same_file(path: str) -> Callable[[str], bool]:
    """Whether a path leads to that file."""
    real = os.path.realpath(path)
    name = os.path.basename(real)

    def is_same(place: str) -> bool:
        return os.path.basename(place) == name and os.path.realpath(place) == real

    return is_same
