"""What of a project's `addopts` holds in a run: what says how tests are found, imported and set up.

Coverage, parallel and random order, repeating, stopping, reports and choices of tests are dropped,
as is every option that is not known here: an unknown one would end pytest if its plugin is missing.
`PYTEST_ADDOPTS` is not read. Values of options that a project's `conftest.py` adds are dropped too.
"""

from __future__ import annotations

import configparser
import importlib
import importlib.metadata
import importlib.util
import os
import shlex
from typing import Any, Dict, List, Optional, Sequence

CONFIG_FILES = (
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini",
    "setup.cfg",
)  # fmt: skip
"""In pytest's order; the first that configures pytest is the configuration."""
WITH_VALUE = {
    "--import-mode": "", "-W": "", "--pythonwarnings": "", "--confcutdir": "",
    "--ds": "pytest_django", "--dc": "pytest_django",
    "--asyncio-mode": "pytest_asyncio", "--hypothesis-profile": "hypothesis",
}  # fmt: skip
"""Options that are kept with their value, and the module without which they are unknown."""
WITHOUT_VALUE = {
    "--noconftest": "", "--doctest-continue-on-failure": "",
    "--doctest-ignore-import-errors": "",
    "--reuse-db": "pytest_django", "--nomigrations": "pytest_django",
    "--no-migrations": "pytest_django", "--disable-socket": "pytest_socket",
}  # fmt: skip
PLUGINS_DROPPED = ("cov", "pytest_cov", "xdist", "randomly", "random_order", "rerunfailures")


def addopts_of(root: str, paths: Sequence[str]) -> List[str]:
    """The options that are kept for some test files of a project; none if it cannot be read."""
    raw = raw_addopts(root, paths)
    try:
        words = shlex.split(raw) if isinstance(raw, str) else [str(word) for word in raw]
    except ValueError:
        return []
    return kept(words)


def kept(words: Sequence[str]) -> List[str]:
    """Pure but for looking up whether a plugin is installed."""
    found: List[str] = []
    pending = list(words)
    while pending:
        word = pending.pop(0)
        name, equals, value = word.partition("=")
        if word[:2] in ("-p", "-W") and len(word) > 2:
            name, equals, value = word[:2], "=", word[2:]
        if name == "-p" or name in WITH_VALUE:
            if not equals:
                value = pending.pop(0) if pending else ""
            if name == "-p":
                found += ["-p", value] if is_kept_plugin(value) else []
            elif is_loaded(WITH_VALUE[name], words):
                found += [name, value]
        elif word in WITHOUT_VALUE and is_loaded(WITHOUT_VALUE[word], words):
            found.append(word)
    return found


def is_kept_plugin(name: str) -> bool:
    if name.startswith("no:"):
        return True
    if not name or name in PLUGINS_DROPPED or name.startswith("pytest_cov"):
        return False
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None or is_entry_point(name)
    except ValueError:
        return False


def is_entry_point(name: str) -> bool:
    points: Any = importlib.metadata.entry_points()
    group = points.select(group="pytest11") if hasattr(points, "select") else points["pytest11"]
    return any(point.name == name for point in group)


def is_loaded(module: str, words: Sequence[str]) -> bool:
    """Whether pytest will know the options of a plugin."""
    if not module:
        return True
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        return any(word.rpartition(" ")[2].startswith(module) for word in words)
    return importlib.util.find_spec(module) is not None


def raw_addopts(root: str, paths: Sequence[str]) -> Any:
    """A string or a list, from the configuration that is nearest above the test files."""
    folder = os.path.commonpath(
        [os.path.dirname(os.path.abspath(path)) for path in paths] or [root]
    )
    while True:
        for name in CONFIG_FILES:
            options = options_of(os.path.join(folder, name))
            if options is not None:
                return options.get("addopts", "")
        if folder == root or os.path.dirname(folder) == folder:
            return ""
        folder = os.path.dirname(folder)


def options_of(path: str) -> Optional[Dict[str, Any]]:
    """None where a file is missing, broken, or does not configure pytest."""
    name = os.path.basename(path)
    try:
        if name.endswith(".toml"):
            tool = read_toml(path)
            if name == "pyproject.toml":
                tool = tool.get("tool", {}).get("pytest", {})
                tool = tool.get("ini_options", tool or None)
            else:
                tool = tool.get("pytest", {})
            return tool if isinstance(tool, dict) else None
        parser = configparser.ConfigParser(interpolation=None)
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream)
        section = "tool:pytest" if name == "setup.cfg" else "pytest"
        if not parser.has_section(section):
            return {} if name in ("pytest.ini", ".pytest.ini") else None
        return dict(parser.items(section))
    except (OSError, ValueError, AttributeError, configparser.Error):
        return None


def read_toml(path: str) -> Dict[str, Any]:
    """Raises OSError, ValueError. Before Python 3.11 by the library that pytest brings."""
    for module in ("tomllib", "tomli"):
        if importlib.util.find_spec(module) is not None:
            with open(path, "rb") as stream:
                read: Dict[str, Any] = importlib.import_module(module).load(stream)
                return read
    return {}
