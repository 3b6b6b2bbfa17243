"""Settings by folder: which sources there are, in which order, and when they are read again.

What a source may set is the settings' matter. Reads `pyproject.toml` and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from egcfg_lsp.completion.project import read_text_file
from egcfg_lsp.settings import PYPROJECT, Settings, Source, project_options, resolve_settings

SECTION = "egcfg"
MAX_PROBLEMS = 20
"""Told in a session: a stranger's file may hold thousands."""
Stamp = tuple[int, int] | None
"""Modification time and size of a `pyproject.toml`; None: there is none."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Resolved:
    stamp: Stamp
    settings: Settings


class Configuration:
    """The options that were told, and the settings of each folder made from them.

    `on_problem` is told each problem once. Must be used from the server's event loop.
    """

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self._on_problem = on_problem
        self._told: set[str] = set()
        self._user = Source("initializationOptions", None, is_user=True)
        self._pushed: object = None
        self._pulled: dict[Path | None, object] = {}
        self._trusted: bool | None = None
        self._resolved: dict[tuple[Path | None, Path | None], _Resolved] = {}

    @property
    def user(self) -> Settings:
        """What the user's own settings say; the model is chosen by these alone."""
        return self.of(None, None)

    def of(self, root: Path | None, folder: Path | None) -> Settings:
        """The settings for a project's root in a workspace folder."""
        file = None if root is None else root / "pyproject.toml"
        stamp = _stamp(file)
        known = self._resolved.get((root, folder))
        if known is None or known.stamp != stamp:
            known = _Resolved(stamp, self._resolve(file if stamp else None, folder))
            self._resolved[root, folder] = known
        return known.settings

    def set_user_options(self, options: object) -> None:
        """New options of the user's own; they say anew whether the workspace is trusted."""
        self._user = Source("initializationOptions", options, is_user=True)
        self._trusted = None
        self._resolved.clear()

    def set_trust(self, trusted: bool) -> None:
        self._trusted = trusted
        self._resolved.clear()

    def set_pushed(self, options: object) -> None:
        """What a client sent that is not asked for configuration."""
        self._pushed = options
        self._resolved.clear()

    async def pull(self, server: LanguageServer, folders: list[Path]) -> None:
        """Ask the client for the settings of each folder, and of files outside of all."""
        scopes: list[Path | None] = [None, *folders]
        items = [
            types.ConfigurationItem(
                scope_uri=None if scope is None else scope.as_uri(), section=SECTION
            )
            for scope in scopes
        ]
        try:
            answer = await server.workspace_configuration_async(types.ConfigurationParams(items))
        except JsonRpcException as error:
            log.warning("the client answers no configuration: %s", error)
            return
        self._pulled = dict(zip(scopes, answer or [], strict=False))
        self._resolved.clear()

    def _resolve(self, pyproject: Path | None, folder: Path | None) -> Settings:
        options = self._pulled.get(folder, self._pulled.get(None))
        table, problems = (None, []) if pyproject is None else _read_project(pyproject)
        sources = [
            self._user,
            Source(PYPROJECT, table, is_user=False),
            Source("the pushed configuration", self._pushed, is_user=False),
            Source("the workspace configuration", options, is_user=False),
        ]
        settings, wrong = resolve_settings(sources)
        for problem in [*problems, *wrong]:
            if problem not in self._told and len(self._told) < MAX_PROBLEMS:
                self._told.add(problem)
                self._on_problem(problem)
        return settings if self._trusted is None else replace(settings, trusted=self._trusted)


def _read_project(path: Path) -> tuple[object, list[str]]:
    text = read_text_file(path)
    if text is None:
        return None, [f"{path.name} is not read: no file, too large, or not UTF-8"]
    return project_options(text)


def _stamp(path: Path | None) -> Stamp:
    if path is None:
        return None
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size
