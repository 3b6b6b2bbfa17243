"""What a project's pytest configuration says about which files and functions are tests.

Read from the files' text, never by running pytest. Does not cover `addopts`, plugins that collect
other files, or configuration below the project's root; a broken file counts as one without options.
"""

from __future__ import annotations

import configparser
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

CONFIG_FILES = (
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini",
    "setup.cfg",
)  # fmt: skip
"""In pytest's order: the first that configures pytest is the configuration."""


@dataclass(frozen=True)
class PytestConfig:
    """pytest's options of the same names, with pytest's defaults."""

    testpaths: tuple[str, ...] = ()
    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")
    python_classes: tuple[str, ...] = ("Test",)
    python_functions: tuple[str, ...] = ("test",)
    norecursedirs: tuple[str, ...] = (
        "*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}",
    )  # fmt: skip
    pythonpath: tuple[str, ...] = ()

    def collects_function(self, name: str) -> bool:
        return _has_prefix_or_matches(name, self.python_functions)

    def collects_class(self, name: str) -> bool:
        return _has_prefix_or_matches(name, self.python_classes)


def read_pytest_config(read: Callable[[str], str | None]) -> PytestConfig:
    """The configuration of a project; `read` gives a file of `CONFIG_FILES`, None where it is absent."""
    for name in CONFIG_FILES:
        text = read(name)
        options = None if text is None else _options(name, text)
        if options is not None:
            given = {option: _strings(options.get(option)) for option in _OPTIONS}
            return PytestConfig(**{k: v for k, v in given.items() if v is not None})
    return PytestConfig()


def collected_files(files: Iterable[Path], root: Path, config: PytestConfig) -> tuple[Path, ...]:
    """Those of `files` (below `root`) that pytest would collect, in the same order.

    As in pytest, `testpaths` that lead nowhere do not count.
    """
    found, inside = [], []
    for path in files:
        relative = path.relative_to(root)
        if any(_matches(relative, pattern) for pattern in config.python_files):
            places = relative.parents[:-1]
            if not any(_matches(f, pattern) for f in places for pattern in config.norecursedirs):
                found.append(path)
                if any(_lies_in(relative, place) for place in config.testpaths):
                    inside.append(path)
    return tuple(inside or found)


_OPTIONS = (
    "testpaths", "python_files", "python_classes", "python_functions", "norecursedirs", "pythonpath",
)  # fmt: skip


def _options(name: str, text: str) -> Mapping[str, object] | None:
    """The file's options for pytest, or None where it has no part for pytest."""
    try:
        if name.endswith(".toml"):
            return _toml_options(name, tomllib.loads(text))
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.read_string(text)
    except (tomllib.TOMLDecodeError, configparser.Error, RecursionError):
        return {}
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    if parser.has_section(section):
        return dict(parser.items(section))
    return {} if name.endswith("pytest.ini") else None


def _toml_options(name: str, document: Mapping[str, object]) -> Mapping[str, object] | None:
    if name.endswith("pytest.toml"):
        return _table(document, "pytest") or {}
    tool = _table(document, "tool") or {}
    pytest = _table(tool, "pytest")
    return _table(pytest or {}, "ini_options") or pytest


def _table(parent: Mapping[str, object], key: str) -> Mapping[str, object] | None:
    value = parent.get(key)
    return value if isinstance(value, Mapping) else None


def _strings(value: object) -> tuple[str, ...] | None:
    """An option's words; None where it is absent or no list of words."""
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            return None
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return tuple(value)
    return None


def _has_prefix_or_matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name.startswith(pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def _matches(relative: PurePath, pattern: str) -> bool:
    """pytest's rule: a pattern without a slash is matched with the name, else with the path's end."""
    if "/" not in pattern:
        return fnmatchcase(relative.name, pattern)
    return fnmatchcase("/" + relative.as_posix(), f"*/{pattern.lstrip('/')}")


def _lies_in(relative: PurePath, place: str) -> bool:
    place = PurePath(place).as_posix()
    above = (relative, *relative.parents)
    return any(fnmatchcase(folder.as_posix(), place) for folder in above)
