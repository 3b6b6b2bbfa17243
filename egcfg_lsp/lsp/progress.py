"""Work-done progress of long work; nothing is sent to a client that cannot show it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

CREATE_SECONDS = 5.0
"""A client that does not answer the request for a token within this time gets no progress."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """One piece of work as the client shows it. Must be used from the event loop."""

    _server: LanguageServer
    _token: str | None
    """None: the client shows no progress."""

    @property
    def is_cancelled(self) -> bool:
        """Whether the user has asked to stop it."""
        progress = self._server.work_done_progress
        return self._token is not None and progress.tokens[self._token].cancelled()

    def report(self, message: str, percentage: int | None = None) -> None:
        if self._token is not None:
            value = types.WorkDoneProgressReport(message=message, percentage=percentage)
            self._server.work_done_progress.report(self._token, value)


@asynccontextmanager
async def progress(
    server: LanguageServer, title: str, *, cancellable: bool = False
) -> AsyncGenerator[Progress]:
    """Progress from the beginning to the end of the block, under a token of the server's own."""
    token = await _create_token(server)
    if token is not None:
        begin = types.WorkDoneProgressBegin(title=f"egcfg: {title}", cancellable=cancellable)
        server.work_done_progress.begin(token, begin)
    try:
        yield Progress(server, token)
    finally:
        if token is not None:
            server.work_done_progress.end(token, types.WorkDoneProgressEnd())


async def _create_token(server: LanguageServer) -> str | None:
    window = server.client_capabilities.window
    if window is None or not window.work_done_progress:
        return None
    token = f"egcfg-{uuid.uuid4()}"
    try:
        async with asyncio.timeout(CREATE_SECONDS):
            await server.work_done_progress.create_async(token)
    except (JsonRpcException, TimeoutError) as error:
        log.warning("the client creates no progress: %s", error)
        return None
    return token
