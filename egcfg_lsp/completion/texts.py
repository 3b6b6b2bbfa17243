"""Text files, read under bounds and kept while they stay the same. Whether one may be read is
`exclusion`'s matter. Does not cover encodings other than UTF-8.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from egcfg_lsp.completion.stamps import Stamp

MAX_FILE_BYTES = 1 << 20
MAX_KEPT_CHARACTERS = 32_000_000
"""Of the texts that `Texts` keeps; the least recently used go first."""


def read_text_file(path: Path, *, errors: str = "strict") -> str | None:
    """The text of a file; None if it is no regular one, unreadable, over `MAX_FILE_BYTES` or not
    UTF-8, unless `errors` (as of `open`) makes something of that."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return None
        with path.open(encoding="utf-8-sig", errors=errors) as file:
            text = file.read(MAX_FILE_BYTES + 1)  # files that the system makes up have no size
    except (OSError, ValueError):
        return None
    return text if len(text) <= MAX_FILE_BYTES else None


class Texts:
    """The texts of files that were read before. May be used from several threads."""

    def __init__(self) -> None:
        self._keeping = threading.Lock()
        self._kept: OrderedDict[Path, tuple[Stamp, str | None]] = OrderedDict()
        self._n_characters = 0

    def read(self, path: Path, stamp: Stamp) -> str | None:
        """What `read_text_file` says, or has said of a file with this stamp."""
        with self._keeping:
            known = self._kept.get(path)
            if known is not None and known[0] == stamp:
                self._kept.move_to_end(path)
                return known[1]
        text = read_text_file(path)
        with self._keeping:
            _, replaced = self._kept.pop(path, (None, None))
            self._kept[path] = (stamp, text)
            self._n_characters += len(text or "") - len(replaced or "")
            while self._n_characters > MAX_KEPT_CHARACTERS:
                _, (_, oldest) = self._kept.popitem(last=False)
                self._n_characters -= len(oldest or "")
        return text
