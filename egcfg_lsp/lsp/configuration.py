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

from egcfg_lsp.completion.texts import read_text_file
from egcfg_lsp.lsp.documents import folders_of
from egcfg_lsp.lsp.trust_owner import TrustOwner
from egcfg_lsp.settings import PYPROJECT, Settings, Source, project_options, resolve_settings
from egcfg_lsp.trust import Answer

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

    def __init__(self, on_problem: Callable[[str], None], trust: TrustOwner) -> None:
        self._on_problem, self._trust = on_problem, trust
        self._told: set[str] = set()
        self._user = Source("initializationOptions", None, is_user=True)
        self._pushed: object = None
        self._pulled: dict[Path | None, object] = {}
        self._resolved: dict[tuple[Path | None, Path | None], _Resolved] = {}

    @property
    def user(self) -> Settings:
        """What the user's own settings say; the model is chosen by these alone."""
        return self.of(None, None)

    def of(self, root: Path | None, folder: Path | None) -> Settings:
        """The settings for a project's root in a workspace folder; `trusted` is the decision for it."""
        settings = self._settings(root, folder)
        is_trusted = self._trust.decide(root, folder, settings) is Answer.TRUSTED
        return replace(settings, trusted=is_trusted)

    def decision(self, root: Path | None, folder: Path | None) -> Answer | None:
        """Whether the project's tests may be run; None: nobody has said."""
        return self._trust.decide(root, folder, self._settings(root, folder))

    @property
    def editor_trusts(self) -> bool | None:
        """What the client says of its workspace; None: it has no trust of its own."""
        return self._trust.word_of(self._settings(None, None))

    def set_user_options(self, options: object) -> None:
        """New options of the user's own; they say anew whether the workspace is trusted."""
        self._user = Source("initializationOptions", options, is_user=True)
        self._trust.word = None
        self._resolved.clear()

    def set_pushed(self, options: object) -> None:
        """What a client sent that is not asked for configuration."""
        self._pushed = options
        self._resolved.clear()

    async def pull(self, server: LanguageServer) -> bool:
        """Ask the client for the settings of each folder, and of files outside of all.

        Whether it is a client that can be asked.
        """
        workspace = server.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return False
        scopes: list[Path | None] = [None, *folders_of(server.workspace)]
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
            return True
        self._pulled = dict(zip(scopes, answer or [], strict=False))
        self._resolved.clear()
        return True

    async def subscribe(self, server: LanguageServer) -> None:
        """Some clients tell of changed settings only if they were asked to."""
        workspace = server.client_capabilities.workspace
        capability = workspace.did_change_configuration if workspace is not None else None
        if capability is None or not capability.dynamic_registration:
            return
        registration = types.Registration(
            id="egcfg-configuration",
            method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
            register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
        )
        try:
            params = types.RegistrationParams([registration])
            await server.client_register_capability_async(params)
        except JsonRpcException as error:
            log.warning("the client does not tell of changed settings: %s", error)

    def _settings(self, root: Path | None, folder: Path | None) -> Settings:
        file = None if root is None else root / "pyproject.toml"
        stamp = _stamp(file)
        known = self._resolved.get((root, folder))
        if known is None or known.stamp != stamp:
            known = _Resolved(stamp, self._resolve(file if stamp else None, folder))
            self._resolved[root, folder] = known
        return known.settings

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
        return settings


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
