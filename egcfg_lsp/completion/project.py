"""Which project a file belongs to, and which of the project's files may be read.

What Git ignores, what the user excludes, what is named like a secret, environments, build outputs
and links are never read. Does not cover Git's own global ignore file (`core.excludesFile`), or
encodings other than UTF-8.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pathspec import GitIgnoreSpec, Pattern
from tree_sitter import Node

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
MAX_FILE_BYTES = 1 << 20
MAX_KEPT_CHARACTERS = 32_000_000
"""Of the texts that `Project.read` keeps; the least recently used go first."""
MAX_SYNTAXES = 16
"""Syntax trees of buffers that are kept."""
SKIPPED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "site-packages", "build",
    "dist", ".eggs", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".direnv",
    ".ipynb_checkpoints",
})  # fmt: skip
"""Besides every folder with a `pyvenv.cfg`."""
SECRETS = (
    ".env*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "id_rsa*",
    "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".htpasswd", ".pypirc",
    ".npmrc", "credentials*", ".credentials*", "secrets.*", ".secrets*", "secrets/", ".ssh/",
    ".gnupg/", ".aws/",
)  # fmt: skip
"""Names of files and folders that are never read, in Gitignore's syntax; case does not matter."""


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


class Project:
    """The files of a project as they were at the last `refresh`; texts and facts as they are now.

    `refresh` may be called from any thread, also while another one reads. Nothing here raises on
    unreadable folders or files that vanish. Fulfils `source.oracle.Sources`.
    """

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        """`exclude` are patterns of the user's settings, in Gitignore's syntax."""
        self.root = root
        self._real_root = Path(os.path.realpath(root))
        self._excluded = _spec(exclude)
        self._scanning = threading.Lock()
        self._rules_above: tuple[object, _Rules | None] = (None, None)
        self._folders: dict[str, _Folder] = {}
        self._config_stamps: tuple[_Stamp | None, ...] = ()
        self._config = PytestConfig()
        self._files: dict[Path, None] = {}
        self._test_files: tuple[Path, ...] = ()
        self._facts: dict[Path, tuple[_Stamp, Facts | None]] = {}
        self._texts: OrderedDict[Path, tuple[_Stamp, str | None]] = OrderedDict()
        self._n_characters = 0
        self._syntaxes: OrderedDict[Path, Syntax] = OrderedDict()

    def refresh(self) -> None:
        """Find files that appeared or went: one or two `stat` a known folder, a listing of each changed."""
        with self._scanning:
            folders = self._scan()
            stamps = tuple(_stamp(self.root / name) for name in CONFIG_FILES)
            if folders == self._folders and stamps == self._config_stamps:
                return
            if stamps != self._config_stamps:
                self._config = read_pytest_config(lambda name: _read(self.root / name))
            paths = (Path(folder, name) for folder, it in folders.items() for name in it.files)
            files = dict.fromkeys(islice(paths, MAX_FILES))
            self._files, self._folders, self._config_stamps = files, folders, stamps
            self._test_files = collected_files(files, self.root, self._config)
            self._facts = {path: kept for path, kept in self._facts.items() if path in files}

    def files(self) -> tuple[Path, ...]:
        """Python files that may be read, those nearest to the root first."""
        return tuple(self._files)

    def test_files(self) -> tuple[Path, ...]:
        """Those of `files` that the project's pytest would collect."""
        return self._test_files

    @property
    def config(self) -> PytestConfig:
        return self._config

    def version(self) -> int:
        """Changes when a known test file, a `conftest.py` or pytest's configuration is written, and
        with a `refresh` that finds that one has come or gone."""
        conftests = (path for path in self._files if path.name == "conftest.py")
        paths = (*self._test_files, *conftests, *(self.root / name for name in CONFIG_FILES))
        return hash(tuple((str(path), _stamp(path)) for path in paths))

    def is_private(self, path: Path) -> bool:
        """Whether a file is named like a secret, or excluded by the user: nothing is done with it.

        A link counts under both its names. What lies outside of the project is private.
        """
        real = Path(os.path.realpath(path))
        if not path.is_relative_to(self.root) or not real.is_relative_to(self._real_root):
            return True
        names = (
            path.relative_to(self.root).as_posix(),
            real.relative_to(self._real_root).as_posix(),
        )
        return any(_is_secret(name) or self._excluded.match_file(name) for name in names)

    def is_excluded(self, path: Path) -> bool:
        """Whether a file may not be read: private, ignored by Git, or in a skipped folder."""
        if self.is_private(path):
            return True
        real = self.root / Path(os.path.realpath(path)).relative_to(self._real_root)
        return any(name not in self._files and self._is_ignored(name) for name in {path, real})

    def read(self, path: Path) -> str | None:
        """The text of a file; None if it is excluded, absent, over `MAX_FILE_BYTES` or not UTF-8."""
        return None if self.is_excluded(path) else self._text(path)

    def text(self, path: Path) -> str | None:
        """The text of one of `files`, as it is on disk; None for any other."""
        return self._text(path) if path in self._files else None

    def facts(self, path: Path) -> Facts | None:
        """What one of `files` says, as it is on disk; None for any other."""
        stamp = _stamp(path) if path in self._files else None
        if stamp is None:
            return None
        known = self._facts.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        text = self._text(path)
        facts = None if text is None else facts_of(parse(text))
        self._facts[path] = (stamp, facts)
        return facts

    def _text(self, path: Path) -> str | None:
        stamp = _stamp(path)
        if stamp is None:
            return None
        known = self._texts.get(path)
        if known is not None and known[0] == stamp:
            with suppress(KeyError):  # another thread may have let go of it
                self._texts.move_to_end(path)
            return known[1]
        text = _read(path)
        with self._scanning:
            self._n_characters += len(text or "") - len((known and known[1]) or "")
            self._texts[path] = (stamp, text)
            self._texts.move_to_end(path)
            while self._n_characters > MAX_KEPT_CHARACTERS:
                _, (_, oldest) = self._texts.popitem(last=False)
                self._n_characters -= len(oldest or "")
        return text

    def module(self, path: Path, text: str) -> Node:
        """The syntax tree of a buffer, from the last one of that file where little has changed."""
        syntax = reparse(self._syntaxes.get(path), text)
        with self._scanning:
            self._syntaxes[path] = syntax
            self._syntaxes.move_to_end(path)
            while len(self._syntaxes) > MAX_SYNTAXES:
                self._syntaxes.popitem(last=False)
        return syntax.root

    def _scan(self) -> dict[str, _Folder]:
        """All folders that may be read, breadth first; what is unchanged is taken over."""
        found: dict[str, _Folder] = {}
        pending = deque([(str(self.root), self._rules_from_above())])
        n_files = 0
        while pending and len(found) < MAX_FOLDERS and n_files < MAX_FILES:
            path, rules = pending.popleft()
            stamps = (_stamp(Path(path)), _stamp(Path(path, ".gitignore")))
            folder = self._folders.get(path)
            is_same = folder is not None and folder.rules_above is rules
            if folder is None or not is_same or stamps[0] is None or folder.stamps != stamps:
                folder = self._list(path, rules, stamps)
            found[path] = folder
            n_files += len(folder.files)
            pending += [(f"{path}{os.sep}{name}", folder.rules) for name in folder.folders]
        return found

    def _list(self, path: str, rules_above: _Rules | None, stamps: _FolderStamps) -> _Folder:
        own = _read(Path(path, ".gitignore")) if stamps[1] is not None else None
        rules = _Rules(path, _spec(own.splitlines()), rules_above) if own else rules_above
        files, folders, is_venv = [], [], False
        prefix = os.path.relpath(path, self.root).replace(os.sep, "/") + "/"
        prefix = "" if prefix == "./" else prefix
        for entry in _entries(path):
            name, is_folder = entry.name, _is_folder(entry)
            is_venv |= name == "pyvenv.cfg"
            if is_folder is None or not (is_folder or name.endswith(".py")):
                continue
            relative = prefix + name + ("/" if is_folder else "")
            if (is_folder and name in SKIPPED_FOLDERS) or _is_secret(relative):
                continue
            if self._excluded.match_file(relative) or _ignores(rules, entry.path, is_folder):
                continue
            if is_folder:
                folders.append(name)
            elif _is_small(entry):
                files.append(name)
        if is_venv:
            files, folders = [], []
        # A change within the clock's grain of this listing would leave the folder's time as it is.
        is_settled = stamps[0] is not None and time.time_ns() - stamps[0][0] > _CLOCK_GRAIN_NS
        kept = stamps if is_settled else (None, None)
        return _Folder(kept, rules_above, rules, tuple(sorted(files)), tuple(sorted(folders)))

    def _rules_from_above(self) -> _Rules | None:
        """Rules of the repository around the root; the same object while nothing changed."""
        repository = next((f for f in (self.root, *self.root.parents) if _is_repository(f)), None)
        if repository is None:
            return None
        between = [f for f in reversed(self.root.parents) if f.is_relative_to(repository)]
        sources = [(repository, repository / ".git" / "info" / "exclude")]
        sources += [(folder, folder / ".gitignore") for folder in between]
        stamps = tuple((source, _stamp(source)) for _, source in sources)
        if self._rules_above[0] != stamps:
            rules: _Rules | None = None
            for folder, source in sources:
                if text := _read(source):
                    rules = _Rules(str(folder), _spec(text.splitlines()), rules)
            # A project is read even if the repository around it ignores all of it.
            if any(_ignores(rules, str(folder), True) for folder in (*between[1:], self.root)):
                rules = None
            self._rules_above = (stamps, rules)
        return self._rules_above[1]

    def _is_ignored(self, path: Path) -> bool:
        """Whether a folder on the way to a file is skipped or ignored by Git, or the file is."""
        rules, place = self._rules_from_above(), self.root
        parts = path.relative_to(self.root).parts
        for i, part in enumerate(parts):
            text = _read(place / ".gitignore")
            rules = _Rules(str(place), _spec(text.splitlines()), rules) if text else rules
            place /= part
            is_folder = i < len(parts) - 1
            if is_folder and (part in SKIPPED_FOLDERS or _stamp(place / "pyvenv.cfg") is not None):
                return True
            if _ignores(rules, str(place), is_folder):
                return True
        return False


_Stamp = tuple[int, int]
"""Time of the last change (nanoseconds) and size (bytes)."""
_FolderStamps = tuple[_Stamp | None, _Stamp | None]
"""Of a folder and of the `.gitignore` in it."""
_CLOCK_GRAIN_NS = 50_000_000
_SLASH = "ps_d"
"""The group in a pattern's expression that is the slash behind a folder that the pattern names."""


@dataclass(frozen=True, eq=False)
class _Rules:
    """What a `.gitignore` says, over what those above it say."""

    folder: str
    spec: GitIgnoreSpec
    above: _Rules | None


@dataclass(frozen=True)
class _Folder:
    stamps: _FolderStamps
    """When it was listed; of nothing where it must be listed again."""
    rules_above: _Rules | None
    rules: _Rules | None
    """Its own `.gitignore` included."""
    files: tuple[str, ...]
    folders: tuple[str, ...]


def _ignores(rules: _Rules | None, path: str, is_folder: bool) -> bool:
    """Whether Git ignores a path, no folder above which is ignored: the nearest rule decides."""
    while rules is not None:
        relative = path[len(rules.folder) :].replace(os.sep, "/").lstrip("/")
        for pattern in reversed(rules.spec.patterns):
            if pattern.include is not None and _matches(pattern, relative, is_folder):
                return pattern.include
        rules = rules.above
    return False


def _matches(pattern: Pattern, relative: str, is_folder: bool) -> bool:
    """Whether a pattern matches the path itself.

    For `pathspec` it also matches what lies below a folder that it matches, and a folder all of
    which it matches. For Git such a pattern says nothing once the folder is not ignored.
    """
    found = pattern.match_file(relative)
    if found is not None and found.match.groupdict().get(_SLASH) is None:
        return True
    found = pattern.match_file(relative + "/") if is_folder else None
    return found is not None and found.match.groupdict().get(_SLASH) is not None and (
        found.match.end(_SLASH) == len(relative) + 1
    )  # fmt: skip


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """The patterns of some lines; those that are none do not count, as in Git."""
    valid = []
    for line in lines:
        with suppress(ValueError):
            GitIgnoreSpec.from_lines([line])
            valid.append(line)
    return GitIgnoreSpec.from_lines(valid)


_SECRETS = _spec(SECRETS)


def _is_secret(relative: str) -> bool:
    return bool(_SECRETS.match_file(relative.lower()))


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


def _is_small(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_size <= MAX_FILE_BYTES
    except OSError:
        return False


def _is_repository(folder: Path) -> bool:
    with suppress(OSError):
        return (folder / ".git").exists()
    return False


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 -- half the time of Path.stat, and called by thousands
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def _read(path: Path) -> str | None:
    """The text of a regular file; None if it is absent, too large or not UTF-8."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return None
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return None
