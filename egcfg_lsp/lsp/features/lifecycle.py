"""Start and end of a session: options in, background loading, orderly shutdown."""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp import documents
from egcfg_lsp.lsp.session import Session


def register(server: LanguageServer, session: Session) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        documents.install(server)
        session.configuration.set_user_options(params.initialization_options)

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        session.start(session.warm_up())

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: None) -> None:
        await session.close()
