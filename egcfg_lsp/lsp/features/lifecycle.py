"""Start and end of a session: options in, background loading, orderly shutdown."""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp.session import Session
from egcfg_lsp.settings import read_settings


def register(server: LanguageServer, session: Session) -> None:
    problems: list[str] = []

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        session.settings, found = read_settings(params.initialization_options)
        problems.extend(found)

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        for problem in problems:
            session.show(types.MessageType.Warning, problem)
        session.warm_up()

    @server.feature(types.SHUTDOWN)
    async def shutdown(_: None) -> None:
        await session.close()
