"""What of a project is never read: what Git ignores, what the user excludes, secrets by their names,
environments, build outputs.

Reads the files of patterns, and those that have changed again; what a pattern or a name says is
`ignored`'s matter. Does not cover Git's own global ignore file (`core.excludesFile`) or
`info/exclude` of repositories below the root.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

from egcfg_lsp.completion.ignored import Rules, ignores, is_secret, spec_of
from egcfg_lsp.completion.stamps import Stamp, stamp_of
from egcfg_lsp.completion.texts import read_text_file

SKIPPED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "site-packages", "build",
    "dist", ".eggs", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".direnv",
    ".ipynb_checkpoints",
})  # fmt: skip
"""Besides every folder with an `ENVIRONMENT`."""
RULES, ENVIRONMENT = ".gitignore", "pyvenv.cfg"
"""Files that say what is excluded: by patterns, by being there."""
MAX_RULES = 10_000
"""Files of patterns that are kept: more than a scan comes to, which is one a folder at most."""
CLOCK_GRAIN_NS = 50_000_000
"""Two changes of a file within this time may leave it with the same stamp."""


class Exclusions:
    """What lies below a root and may not be read.

    May be used from several threads. Nothing here raises on what is unreadable or vanishes.
    """

    def __init__(self, root: Path, exclude: Iterable[str] = ()) -> None:
        """`exclude` are patterns of the user's settings, in Gitignore's syntax."""
        self._root = root
        self._real_root = Path(os.path.realpath(root))
        self._excluded = spec_of(exclude)
        self._keeping = threading.Lock()
        """Held for a moment, where something is kept in `_rules`."""
        self._rules: dict[str, Rules] = {}
        self._rules_around: tuple[Rules | None, Rules | None] = (None, None)

    def is_private(self, path: Path) -> bool:
        """Whether a file is named like a secret, or excluded by the user: nothing is done with it.

        A link counts under both its names. What lies outside of the root is private.
        """
        real = Path(os.path.realpath(path))
        if not path.is_relative_to(self._root) or not real.is_relative_to(self._real_root):
            return True
        names = (
            path.relative_to(self._root).as_posix(),
            real.relative_to(self._real_root).as_posix(),
        )
        return any(is_secret(name) or self._excluded.match_file(name) for name in names)

    def is_excluded(self, path: Path, found: Container[Path] = ()) -> bool:
        """Whether a file may not be read: private, ignored by Git, or in a skipped folder.

        `found` are files that a scan has come to: not ignored.
        """
        if self.is_private(path):
            return True
        real = self._root / Path(os.path.realpath(path)).relative_to(self._real_root)
        return any(name not in found and self._is_ignored(name) for name in {path, real})

    def hides(self, path: str, relative: str, rules: Rules | None, *, is_folder: bool) -> bool:
        """Whether a scan leaves out what it has come to, under the rules of its folder.

        `relative` is its name below the root, with slashes. Not whether a folder is an environment.
        """
        if is_folder:
            if relative.rpartition("/")[2] in SKIPPED_FOLDERS:
                return True
            relative += "/"
        if is_secret(relative) or self._excluded.match_file(relative):
            return True
        return ignores(rules, path, is_folder)

    def rules_around(self) -> Rules | None:
        """Rules of the repository around the root; the same object while nothing changed."""
        repository = next((f for f in (self._root, *self._root.parents) if _is_repository(f)), None)
        if repository is None:
            return None
        rules = self._rules_from(_exclude_file(repository), str(repository), None)
        between = [f for f in reversed(self._root.parents) if f.is_relative_to(repository)]
        for folder in between:
            rules = self.rules_in(str(folder), rules)
        known = self._rules_around
        if known[0] is not rules:
            # A project is read even if the repository around it ignores all of it.
            hides_all = any(ignores(rules, str(f), True) for f in (*between[1:], self._root))
            self._rules_around = known = (rules, None if hides_all else rules)
        return known[1]

    def rules_in(self, folder: str, above: Rules | None) -> Rules | None:
        """Rules for what a folder holds; the same object while nothing changed."""
        return self._rules_from(f"{folder}{os.sep}{RULES}", folder, above)

    def _rules_from(self, source: str, folder: str, above: Rules | None) -> Rules | None:
        """What a file of patterns says about a folder."""
        stamp = stamp_of(source)
        if stamp is None:
            return above
        rules = self._rules.get(source)
        if rules is None or rules.stamp != stamp or rules.above is not above:
            rules = Rules(folder, spec_of(_pattern_lines(source)), above, settled(stamp))
            with self._keeping:
                if len(self._rules) > MAX_RULES:
                    self._rules.clear()
                self._rules[source] = rules
        return rules

    def _is_ignored(self, path: Path) -> bool:
        """Whether a folder on the way to a file is skipped or ignored by Git, or the file is."""
        rules, place = self.rules_around(), str(self._root)
        parts = path.relative_to(self._root).parts
        for i, part in enumerate(parts):
            rules = self.rules_in(place, rules)
            place = f"{place}{os.sep}{part}"
            is_folder = i < len(parts) - 1
            if is_folder and (part in SKIPPED_FOLDERS or stamp_of(f"{place}{os.sep}{ENVIRONMENT}")):
                return True
            if ignores(rules, place, is_folder):
                return True
        return False


def settled(stamp: Stamp | None) -> Stamp | None:
    """The stamp, if another change now could not leave it as it is."""
    is_settled = stamp is not None and abs(time.time_ns() - stamp[0]) > CLOCK_GRAIN_NS
    return stamp if is_settled else None


def _pattern_lines(source: str) -> list[str]:
    """The lines of a file of patterns; one that excludes everything if it cannot be read."""
    path = Path(source)
    if not path.is_file():
        return []
    text = read_text_file(path, errors="surrogateescape")  # as names of files are decoded
    return ["*"] if text is None else text.split("\n")


def _exclude_file(repository: Path) -> str:
    """The repository's own file of patterns. In worktrees and submodules `.git` names its place."""
    git = repository / ".git"
    place = read_text_file(git)
    if place is not None and place.startswith("gitdir:"):
        git = repository / place.removeprefix("gitdir:").strip()
        git /= (read_text_file(git / "commondir") or "").strip()
    return str(git / "info" / "exclude")


def _is_repository(folder: Path) -> bool:
    with suppress(OSError):
        return (folder / ".git").exists()
    return False
