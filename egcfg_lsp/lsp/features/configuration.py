"""Settings that change while the server runs: asked for again, or told by the client."""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.session import Session


def register(server: LanguageServer, session: Session) -> None:
    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        # A client that can be asked sends its own defaults along, or nothing.
        if not await session.configuration.pull(server):
            session.configuration.set_pushed(params.settings)
        session.reconsider()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def did_change_folders(_: types.DidChangeWorkspaceFoldersParams) -> None:
        await session.configuration.pull(server)

    @server.feature(protocol.OPTIONS_CHANGED)
    def options_changed(params: Any) -> None:
        session.configuration.set_user_options(protocol.options_changed(params).options)
        session.reconsider()
