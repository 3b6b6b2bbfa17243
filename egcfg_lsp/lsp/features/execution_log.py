"""`egcfg.openLog`: shows the execution log in the editor, and answers where it is."""

from __future__ import annotations

import asyncio

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.session import Session


def register(server: LanguageServer, session: Session) -> None:
    @server.command(protocol.OPEN_LOG)
    async def open_log(*_: object) -> str:
        path = session.execution_log.path
        uri = path.as_uri()
        window = server.client_capabilities.window
        if not await asyncio.to_thread(path.is_file):
            session.voice.show(types.MessageType.Info, "nothing has been executed yet")
        elif window is not None and window.show_document and window.show_document.support:
            session.start(show(uri))
        return uri

    async def show(uri: str) -> None:
        params = types.ShowDocumentParams(uri, take_focus=True)
        try:
            await server.window_show_document_async(params)
        except JsonRpcException as error:
            session.voice.show(types.MessageType.Warning, f"{uri} is not shown: {error}")
