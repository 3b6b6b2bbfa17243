"""Which project a file belongs to, and which of the project's files may be read.

What Git ignores, what the user excludes, what is named like a secret, environments, build outputs
and links are never read. Patterns are written by strangers: what is too much or too complicated of
them excludes more than it says, never less. Does not cover Git's own global ignore file
(`core.excludesFile`), `info/exclude` of repositories below the root, or encodings other than UTF-8.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
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
MAX_PATTERNS, MAX_PATTERN_LENGTH = 2_000, 1_000
"""Of one `.gitignore` or of the user's exclusions: more of them exclude everything; characters of a
pattern: a longer one does so, too."""
MAX_WILDCARDS = 3
"""Of a pattern, the last one at its end: matching takes time to the power of those before it."""
SKIPPED_FOLDERS = frozenset({
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "site-packages", "build",
    "dist", ".eggs", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".direnv",
    ".ipynb_checkpoints",
})  # fmt: skip
"""Besides every folder with a `pyvenv.cfg`."""
SECRETS = (
    ".env*", "*.env", "*.env.*", ".flaskenv", "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*",
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg",
    "*.pgp", "*.asc", "*.age", "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc",
    "_netrc", ".git-credentials", ".pgpass", ".my.cnf", ".htpasswd", ".pypirc", ".npmrc", ".s3cfg",
    ".boto", ".dockercfg", ".dockerconfigjson", ".vault-token", ".vault_pass*", "kubeconfig*",
    "*.kubeconfig", "credentials*", ".credentials*", "client_secret*", "service_account*.json",
    "service-account*.json", "secret.*", "secrets", "secrets.*", ".secret*", ".ssh", ".gnupg", ".aws",
    ".azure", ".gcloud", ".kube", ".docker",
)  # fmt: skip
"""Names of files and folders that are never read, as shells match them; case does not matter.

`credentials*` costs a suite like `credentials_test.py`, which tends to hold some."""


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


def read_text_file(path: Path) -> str | None:
    """The text of a file; None if it is no regular one, unreadable, over `MAX_FILE_BYTES` or not
    UTF-8."""
    return _read(path, errors="strict")


class Project:
    """The files of a project as they were at the last `refresh`; texts and facts as they are now.

    May be used from several threads. Nothing here raises on unreadable folders or files that
    vanish. Fulfils `source.oracle.Sources`.
    """

    def __init__(self, root: Path, exclude: Sequence[str] = ()) -> None:
        """`exclude` are patterns of the user's settings, in Gitignore's syntax."""
        self.root = root
        self._real_root = Path(os.path.realpath(root))
        self._excluded = _spec(exclude)
        self._scanning = threading.Lock()
        """Held by `refresh`, which replaces what it has found and changes none of it."""
        self._keeping = threading.Lock()
        """Held for a moment, where something is kept: `_rules`, `_facts`, `_texts`, `_syntaxes`."""
        self._rules: dict[str, _Rules] = {}
        self._rules_around: tuple[_Rules | None, _Rules | None] = (None, None)
        self._folders: dict[str, _Folder] = {}
        self._config_stamps: tuple[_Stamp | None, ...] = ()
        self._config = PytestConfig()
        self._files: dict[Path, None] = {}
        self._watched: tuple[str, ...] = self._config_files()
        self._test_files: tuple[Path, ...] = ()
        self._facts: dict[Path, tuple[_Stamp, Facts | None]] = {}
        self._texts: OrderedDict[Path, tuple[_Stamp, str | None]] = OrderedDict()
        self._n_characters = 0
        self._syntaxes: OrderedDict[Path, Syntax] = OrderedDict()

    def refresh(self) -> None:
        """Find files that appeared or went: one or two `stat` a known folder, a listing of each changed."""
        with self._scanning:
            folders = self._scan()
            stamps = tuple(map(_stamp, self._config_files()))
            if folders == self._folders and stamps == self._config_stamps:
                return
            if stamps != self._config_stamps:
                self._config = read_pytest_config(lambda name: read_text_file(self.root / name))
            paths = (Path(folder, name) for folder, it in folders.items() for name in it.files)
            files = dict.fromkeys(islice(paths, MAX_FILES))
            self._files, self._folders, self._config_stamps = files, folders, stamps
            self._watched = (*map(str, files), *self._config_files())
            self._test_files = collected_files(files, self.root, self._config)
            with self._keeping:
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

    def version(self, beside: Path | None = None) -> int:
        """Changes when one of `files` or pytest's configuration is written, and with a `refresh` that
        finds that one has come or gone; not when `beside` is written, whose buffer stands for it.

        One `stat` a file: belongs into a thread.
        """
        watched = self._watched
        ours = None if beside is None else str(beside)
        stamps = tuple(None if path == ours else _stamp(path) for path in watched)
        return hash((watched, stamps))

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
        stamp = _stamp(path)
        if stamp is None:
            return None
        with self._keeping:
            known = self._texts.get(path)
            if known is not None and known[0] == stamp:
                self._texts.move_to_end(path)
                return known[1]
        text = read_text_file(path)
        with self._keeping:
            _, replaced = self._texts.pop(path, (None, None))
            self._texts[path] = (stamp, text)
            self._n_characters += len(text or "") - len(replaced or "")
            while self._n_characters > MAX_KEPT_CHARACTERS:
                _, (_, oldest) = self._texts.popitem(last=False)
                self._n_characters -= len(oldest or "")
        return text

    def _config_files(self) -> tuple[str, ...]:
        return tuple(str(self.root / name) for name in CONFIG_FILES)

    def _scan(self) -> dict[str, _Folder]:
        """All folders that may be read, breadth first; what is unchanged is taken over."""
        found: dict[str, _Folder] = {}
        pending = deque([(str(self.root), self._rules_from_above())])
        n_files = 0
        while pending and len(found) < MAX_FOLDERS and n_files < MAX_FILES:
            path, rules = pending.popleft()
            rules = self._rules_in(path, rules)
            stamp, folder = _stamp(path), self._folders.get(path)
            is_known = folder is not None and folder.rules is rules
            if folder is None or not is_known or stamp is None or folder.stamp != stamp:
                folder = self._list(path, rules, stamp)
            found[path] = folder
            n_files += len(folder.files)
            pending += [(f"{path}{os.sep}{name}", rules) for name in folder.folders]
        return found

    def _list(self, path: str, rules: _Rules | None, stamp: _Stamp | None) -> _Folder:
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
        return _Folder(_settled(stamp), rules, tuple(sorted(files)), tuple(sorted(folders)))

    def _rules_from_above(self) -> _Rules | None:
        """Rules of the repository around the root; the same object while nothing changed."""
        repository = next((f for f in (self.root, *self.root.parents) if _is_repository(f)), None)
        if repository is None:
            return None
        rules = self._rules_from(_exclude_file(repository), str(repository), None)
        between = [f for f in reversed(self.root.parents) if f.is_relative_to(repository)]
        for folder in between:
            rules = self._rules_in(str(folder), rules)
        known = self._rules_around
        if known[0] is not rules:
            # A project is read even if the repository around it ignores all of it.
            hides_all = any(_ignores(rules, str(f), True) for f in (*between[1:], self.root))
            self._rules_around = known = (rules, None if hides_all else rules)
        return known[1]

    def _rules_in(self, folder: str, above: _Rules | None) -> _Rules | None:
        return self._rules_from(f"{folder}{os.sep}.gitignore", folder, above)

    def _rules_from(self, source: str, folder: str, above: _Rules | None) -> _Rules | None:
        """What a file of patterns says about a folder; the same object while nothing changed."""
        stamp = _stamp(source)
        if stamp is None:
            return above
        rules = self._rules.get(source)
        if rules is None or rules.stamp != stamp or rules.above is not above:
            rules = _Rules(folder, _spec(_pattern_lines(source)), above, _settled(stamp))
            with self._keeping:
                if len(self._rules) > 2 * MAX_FOLDERS:
                    self._rules.clear()
                self._rules[source] = rules
        return rules

    def _is_ignored(self, path: Path) -> bool:
        """Whether a folder on the way to a file is skipped or ignored by Git, or the file is."""
        rules, place = self._rules_from_above(), str(self.root)
        parts = path.relative_to(self.root).parts
        for i, part in enumerate(parts):
            rules = self._rules_in(place, rules)
            place = f"{place}{os.sep}{part}"
            is_folder = i < len(parts) - 1
            if is_folder and (part in SKIPPED_FOLDERS or _stamp(f"{place}{os.sep}pyvenv.cfg")):
                return True
            if _ignores(rules, place, is_folder):
                return True
        return False


_Stamp = tuple[int, int]
"""Time of the last change (nanoseconds) and size (bytes)."""
_CLOCK_GRAIN_NS = 50_000_000
_PIECE = re.compile(
    r"\\.|\[[!^]?\]?[^\]/]*\]|(?P<folders>(?<![^/])\*\*(?![^/]))|(?P<star>\*+)|.", re.DOTALL
)
"""Of a pattern; within a name, more stars than one are one star."""
_SLASH = "ps_d"
"""The group in a pattern's expression that is the slash behind a folder that the pattern names."""


@dataclass(frozen=True, eq=False)
class _Rules:
    """What a `.gitignore` says, over what those above it say."""

    folder: str
    spec: GitIgnoreSpec
    above: _Rules | None
    stamp: _Stamp | None
    """Of the file they were read from; None where it must be read again."""


@dataclass(frozen=True)
class _Folder:
    stamp: _Stamp | None
    """When it was listed; None where it must be listed again."""
    rules: _Rules | None
    """Its own `.gitignore` included."""
    files: tuple[str, ...]
    folders: tuple[str, ...]


def _ignores(rules: _Rules | None, path: str, is_folder: bool) -> bool:
    """Whether Git ignores a path, no folder above which is ignored: the nearest rule decides."""
    while rules is not None:
        relative = path[len(rules.folder) :].replace(os.sep, "/").lstrip("/")
        for pattern in reversed(rules.spec.patterns):
            if _matches(pattern, relative, is_folder):
                return bool(pattern.include)
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
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    specs = []
    for line in lines if len(lines) <= MAX_PATTERNS else ["*"]:
        if (bounded := _bounded(line)) is not None:
            with suppress(ValueError, re.error):
                specs.append(GitIgnoreSpec.from_lines([bounded]))
    return GitIgnoreSpec(
        [pattern for spec in specs for pattern in spec.patterns if pattern.include is not None]
    )


def _bounded(line: str) -> str | None:
    """A pattern that excludes at least what the line's does, and is matched fast; see `MAX_WILDCARDS`.

    None for a negated one that is too complicated: it would bring back more than it says.
    """
    mark = "!" if line.startswith("!") else ""
    pattern = line.removeprefix("!")
    if len(pattern) > MAX_PATTERN_LENGTH:
        return None if mark else "*"
    kept, n_wildcards = mark, 0
    for piece in _PIECE.finditer(pattern):
        kept += "*" if piece["star"] else piece[0]
        is_leading = piece["folders"] and piece.start() == 0  # as good as absent
        n_wildcards += piece.lastgroup is not None and not is_leading
        if n_wildcards == MAX_WILDCARDS:
            rest = pattern[piece.end() :]
            is_its_end = rest.strip() in ("", "/")
            return kept + rest if is_its_end else None if mark else kept
    return kept


def _pattern_lines(source: str) -> list[str]:
    """The lines of a file of patterns; one that excludes everything if it cannot be read."""
    path = Path(source)
    if not path.is_file():
        return []
    text = _read(path, errors="surrogateescape")  # as names of files are decoded
    return ["*"] if text is None else text.split("\n")


def _exclude_file(repository: Path) -> str:
    """The repository's own file of patterns. In worktrees and submodules `.git` names its place."""
    git = repository / ".git"
    place = read_text_file(git)
    if place is not None and place.startswith("gitdir:"):
        git = repository / place.removeprefix("gitdir:").strip()
        git /= (read_text_file(git / "commondir") or "").strip()
    return str(git / "info" / "exclude")


_SECRET = re.compile("|".join(map(translate, SECRETS)))


def _is_secret(relative: str) -> bool:
    return any(map(_SECRET.match, relative.lower().split("/")))


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


def _stamp(path: str | Path) -> _Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 -- half the time of Path.stat, and called by thousands
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def _settled(stamp: _Stamp | None) -> _Stamp | None:
    """The stamp, if another change now could not leave it as it is."""
    is_settled = stamp is not None and abs(time.time_ns() - stamp[0]) > _CLOCK_GRAIN_NS
    return stamp if is_settled else None


def _read(path: Path, *, errors: str) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return None
        with path.open(encoding="utf-8-sig", errors=errors) as file:
            text = file.read(MAX_FILE_BYTES + 1)  # files that the system makes up have no size
    except (OSError, ValueError):
        return None
    return text if len(text) <= MAX_FILE_BYTES else None
