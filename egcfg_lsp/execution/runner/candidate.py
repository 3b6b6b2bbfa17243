"""Buffers in the place of their files: the candidate, and what else is not saved in the editor.

Everything that imports such a file as source sees the text, with no compiled copy of the file; so do
`linecache`, tracebacks and `inspect`. What opens the file itself sees the file. A file that does not
exist cannot be imported, whatever is served for it.
"""

from __future__ import annotations

import importlib.machinery
import linecache
import os
from typing import Any, Dict, Mapping, Sequence

from .paths import names_of, real_path

Texts = Dict[str, Sequence[str]]
"""Lines by real path; a text that is put in later is seen by what is imported later."""


def serve(texts: Mapping[str, bytes]) -> Texts:
    """From now on, for this process; call it once, with all files that will ever have a text."""
    served: Texts = {}
    names = {name for path in texts for name in names_of(path)}
    loader: Any = importlib.machinery.SourceFileLoader
    original_data, original_stats = loader.get_data, loader.path_stats

    def text_of(place: str) -> Any:
        # Resolving a path asks the kernel for each of its parts: only where a name is the same.
        if os.path.basename(place) not in names:
            return None
        lines = served.get(real_path(place))
        return None if lines is None else "".join(lines).encode()

    def get_data(self: Any, place: str) -> bytes:
        text = text_of(place)
        data: bytes = original_data(self, place) if text is None else text
        return data

    def path_stats(self: Any, place: str) -> Any:
        if text_of(place) is not None:
            raise OSError("no compiled copy is looked for")
        return original_stats(self, place)

    loader.get_data, loader.path_stats = get_data, path_stats
    for path, text in texts.items():
        replace(served, path, text.decode("utf-8", "replace").splitlines(True))
    return served


def replace(served: Texts, path: str, lines: Sequence[str]) -> None:
    """Serve a text from now on, and its lines to what shows source lines."""
    served[real_path(path)] = lines
    shown: Any = lines  # whoever asks may not want a list, but nothing is made of it yet
    for name in {path, real_path(path)}:
        linecache.cache[name] = (len(lines), None, shown, name)
