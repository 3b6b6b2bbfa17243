"""Which project a file belongs to, which files a project has, and what they say while they change.

What may be read of it is `exclusion`'s matter; links, and files that are too large, are none of its
files.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from tree_sitter import Node

from egcfg_lsp.completion.exclusion import ENVIRONMENT, RULES, SKIPPED_FOLDERS, Exclusions, settled
from egcfg_lsp.completion.ignored import Rules
from egcfg_lsp.completion.stamps import Stamp, Stamps, place_of_folder, stamp_of
from egcfg_lsp.completion.texts import MAX_FILE_BYTES, Texts, read_text_file
from egcfg_lsp.source.facts import Facts, facts_of
from egcfg_lsp.source.parse import Syntax, parse, reparse
from egcfg_lsp.source.pytest_config import (
    CONFIG_FILES,
    PytestConfig,
    collected_files,
    read_pytest_config,
)

MARKERS = (
    "pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", "requirements.txt", ".git",
)  # fmt: skip
MAX_FILES, MAX_FOLDERS = 5_000, 5_000
"""Python files that are known, folders that are visited: those nearest to the root."""
MAX_ENTRIES = 20_000
"""Of one folder that are looked at."""
MAX_SYNTAXES = 16
"""Syntax trees of buffers that are kept."""
MAX_ROUNDS = 8
"""Scans of one `refresh` under watch: folders may come faster than they are found."""


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


@lru_cache(maxsize=8)
def project_at(root: Path, exclude: tuple[str, ...] = ()) -> Project:
    """The one `Project` of a root and the user's exclusions."""
    return Project(root, exclude)


class Watch(Protocol):
    """Sees what happens in folders, not below them, and tells `Project.changed`."""

    @property
    def is_alive(self) -> bool:
        """Whether it still tells."""
        ...

    def watch(self, folders: Collection[str]) -> frozenset[str]:
        """Watch these folders and no others; those that were not watched before are returned.

        One that cannot be watched because it is gone is left out. Raises OSError where watching
        has to end.
        """
        ...


class Project:
    """The files of a project as they were at the last `refresh`; texts and facts as they are now.

    Looks at every folder and file for that, or, under a `Watch`, at those that it was told of.

    May be used from several threads. Nothing here raises on unreadable folders or files that
    vanish. Fulfils `source.oracle.Sources`.
    """

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        """`exclude` are patterns of the user's settings, in Gitignore's syntax."""
        self.root = root
        self._exclusions = Exclusions(root, exclude)
        self._scanning = threading.Lock()
        """Held by `refresh`, which replaces what it has found and changes none of it."""
        self._keeping = threading.Lock()
        """Held for a moment, where something is kept: `_may_have_come`, `_facts`, `_syntaxes`."""
        self._folders: dict[str, _Folder] = {}
        self._config_stamps: tuple[Stamp | None, ...] = ()
        self._config = PytestConfig()
        self._files: dict[Path, None] = {}
        self._stamps = Stamps()
        self._stamps.set_paths(self._config_files())
        self._watch: Watch | None = None
        self._on_end: Callable[[OSError], None] = lambda _: None
        self._place: tuple[int, int] | None = None
        """The folder that the root named when it was put under watch."""
        self._seen: tuple[object, ...] | None = None
        """What the last scan under watch began from; None: it has to be done again."""
        self._may_have_come: set[str] = set()
        """Files that have come or gone since the last scan, if they are any of ours."""
        self._test_files: tuple[Path, ...] = ()
        self._facts: dict[Path, tuple[Stamp, Facts | None]] = {}
        self._texts = Texts()
        self._syntaxes: OrderedDict[Path, Syntax] = OrderedDict()

    def refresh(self) -> None:
        """Find files that appeared or went: one or two `stat` a known folder, a listing of each changed.

        Under watch a few `stat` in all, unless something has come or gone.
        """
        with self._scanning:
            if self._watch is None:
                self._rescan()
                return
            try:
                self._refresh_under(self._watch)
            except OSError as error:
                self._watch = None
                self._stamps.be_told(False)
                self._rescan()
                self._on_end(error)

    def follow(self, watch: Watch, on_end: Callable[[OSError], None]) -> None:
        """From now on trust what `changed` is told by this watch, until it fails: `on_end` says why.

        Belongs into a thread.
        """
        with self._scanning:
            self._watch, self._on_end = watch, on_end
            self._place = self._seen = None
            self._stamps.be_told(True)
        self.refresh()

    def unfollow(self, watch: Watch) -> None:
        """From now on look at everything again, if this watch is still the one."""
        with self._scanning:
            if self._watch is watch:
                self._watch = None
                self._stamps.be_told(False)

    def changed(self, path: str, *, is_folder: bool, is_listing: bool) -> bool:
        """Something has happened to what a watched folder holds; whether it matters here.

        `is_listing`: it has come or gone. Returns at once.
        """
        name = os.path.basename(path)  # noqa: PTH119
        is_rule = name in (RULES, ENVIRONMENT)
        is_read = name.endswith(".py") or is_rule or name in CONFIG_FILES
        if name in SKIPPED_FOLDERS or not (is_folder or is_read):
            return False
        self._stamps.changed((path,))
        if is_folder or is_rule:
            self._seen = None
        elif is_listing:
            with self._keeping:
                self._may_have_come.add(path)
        return is_read or is_listing

    def lost_track(self) -> None:
        """The watch has missed something: look at everything once. Returns at once."""
        self._stamps.changed_all()
        self._seen = None

    def files(self) -> tuple[Path, ...]:
        """Python files that may be read, those nearest to the root first."""
        return tuple(self._files)

    def test_files(self) -> tuple[Path, ...]:
        """Those of `files` that the project's pytest would collect."""
        return self._test_files

    @property
    def config(self) -> PytestConfig:
        return self._config

    def version(self, beside: Path | None = None) -> int:
        """Changes when one of `files` or pytest's configuration is written, and with a `refresh` that
        finds that one has come or gone; not when `beside` is written, whose buffer stands for it.

        One `stat` a file, under watch one a changed file: belongs into a thread.
        """
        return self._stamps.version(None if beside is None else str(beside))

    def is_private(self, path: Path) -> bool:
        """Whether nothing is done with a file; see `Exclusions.is_private`."""
        return self._exclusions.is_private(path)

    def is_excluded(self, path: Path) -> bool:
        """Whether a file may not be read: private, ignored by Git, or in a skipped folder."""
        return self._exclusions.is_excluded(path, self._files)

    def read(self, path: Path) -> str | None:
        """The text of a file; None if it is excluded, absent, over `MAX_FILE_BYTES` or not UTF-8."""
        return None if self.is_excluded(path) else self._text(path)

    def text(self, path: Path) -> str | None:
        """The text of one of `files`, as it is on disk; None for any other."""
        return self._text(path) if path in self._files else None

    def facts(self, path: Path) -> Facts | None:
        """What one of `files` says, as it is on disk; None for any other."""
        stamp = self._stamps.of(str(path)) if path in self._files else None
        if stamp is None:
            return None
        known = self._facts.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        text = self._text(path)
        facts = None if text is None else facts_of(parse(text))
        with self._keeping:
            self._facts[path] = (stamp, facts)
        return facts

    def module(self, path: Path, text: str) -> Node:
        """The syntax tree of a buffer, from the last one of that file where little has changed."""
        syntax = reparse(self._syntaxes.get(path), text)
        with self._keeping:
            self._syntaxes[path] = syntax
            self._syntaxes.move_to_end(path)
            while len(self._syntaxes) > MAX_SYNTAXES:
                self._syntaxes.popitem(last=False)
        return syntax.root

    def _text(self, path: Path) -> str | None:
        stamp = self._stamps.of(str(path))
        return None if stamp is None else self._texts.read(path, stamp)

    def _rescan(self) -> None:
        folders = self._scan()
        stamps = tuple(map(stamp_of, self._config_files()))
        if folders == self._folders and stamps == self._config_stamps:
            return
        if stamps != self._config_stamps:
            self._config = read_pytest_config(lambda name: read_text_file(self.root / name))
        paths = chain.from_iterable(folder.files for folder in folders.values())
        files = dict.fromkeys(islice(paths, MAX_FILES))
        self._files, self._folders, self._config_stamps = files, folders, stamps
        self._stamps.set_paths((*map(str, files), *self._config_files()))
        self._test_files = collected_files(files, self.root, self._config)
        with self._keeping:
            self._facts = {path: kept for path, kept in self._facts.items() if path in files}

    def _refresh_under(self, watch: Watch) -> None:
        """Scan if something has come or gone, and watch what was found. Raises OSError."""
        if not watch.is_alive:
            raise OSError(errno.EBADF, "the watch has ended")
        start = (self._exclusions.rules_around(), *map(stamp_of, self._config_files()))
        place = place_of_folder(self.root)
        if (place, start) == (self._place, self._seen) and not self._has_come_or_gone():
            return
        if place != self._place:
            watch.watch(())
            self._place = place
        self._seen = start
        for _ in range(MAX_ROUNDS):
            self._rescan()
            unwatched = watch.watch(self._folders)
            if not unwatched:
                return
            # What happened in them before they were watched, nobody has told.
            self._folders = {f: it for f, it in self._folders.items() if f not in unwatched}
            self._stamps.changed(str(f) for f in self._files if str(f.parent) in unwatched)
        self._seen = None

    def _has_come_or_gone(self) -> bool:
        """Whether one of the files told of is none of ours and there, or one of ours and not."""
        with self._keeping:
            told, self._may_have_come = self._may_have_come, set()
        return any((Path(path) in self._files) != _is_plain_file(path) for path in told)

    def _config_files(self) -> tuple[str, ...]:
        return tuple(str(self.root / name) for name in CONFIG_FILES)

    def _scan(self) -> dict[str, _Folder]:
        """All folders that may be read, breadth first; what is unchanged is taken over."""
        found: dict[str, _Folder] = {}
        pending = deque([(str(self.root), self._exclusions.rules_around())])
        n_files = 0
        while pending and len(found) < MAX_FOLDERS and n_files < MAX_FILES:
            path, rules = pending.popleft()
            rules = self._exclusions.rules_in(path, rules)
            stamp, folder = stamp_of(path), self._folders.get(path)
            is_known = folder is not None and folder.rules is rules
            if folder is None or not is_known or stamp is None or folder.stamp != stamp:
                folder = self._list(path, rules, stamp)
            found[path] = folder
            n_files += len(folder.files)
            pending += [(f"{path}{os.sep}{name}", rules) for name in folder.folders]
        return found

    def _list(self, path: str, rules: Rules | None, stamp: Stamp | None) -> _Folder:
        files, folders, is_environment = [], [], False
        prefix = os.path.relpath(path, self.root).replace(os.sep, "/") + "/"
        prefix = "" if prefix == "./" else prefix
        for entry in _entries(path):
            name, is_folder = entry.name, _is_folder(entry)
            is_environment |= name == ENVIRONMENT
            if is_folder is None or not (is_folder or name.endswith(".py")):
                continue
            if self._exclusions.hides(entry.path, prefix + name, rules, is_folder=is_folder):
                continue
            if is_folder:
                folders.append(name)
            elif _is_small(entry):
                files.append(name)
        if is_environment:
            files, folders = [], []
        return _Folder(
            settled(stamp),
            rules,
            tuple(Path(path, name) for name in sorted(files)),
            tuple(sorted(folders)),
        )


@dataclass(frozen=True)
class _Folder:
    stamp: Stamp | None
    """When it was listed; None where it must be listed again."""
    rules: Rules | None
    """Its own `.gitignore` included."""
    files: tuple[Path, ...]
    folders: tuple[str, ...]


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(path) as entries:
        yield from islice(entries, MAX_ENTRIES)


def _is_folder(entry: os.DirEntry[str]) -> bool | None:
    """None for what is neither a folder nor a file: links too, so that none leads out or in circles."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return True
        return False if entry.is_file(follow_symlinks=False) else None
    except OSError:
        return None


def _is_plain_file(path: str) -> bool:
    """Whether it is one, and no link to one."""
    with suppress(OSError, ValueError):
        return S_ISREG(os.lstat(path).st_mode)
    return False


def _is_small(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_size <= MAX_FILE_BYTES
    except OSError:
        return False
