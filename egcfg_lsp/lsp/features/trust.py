"""Trust: what the client says of its workspace, and the user's answers for a folder, to be kept.

When the server itself asks is the session's matter; what an answer means, `egcfg_lsp.trust`'s.
"""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.session import Session
from egcfg_lsp.trust import Answer, TrustError


def register(server: LanguageServer, session: Session) -> None:
    @server.feature(protocol.TRUST_CHANGED)
    def trust_changed(params: Any) -> None:
        message = protocol.trust_changed(params)
        if message is None:
            session.set_trust(False)
            session.voice.show(
                types.MessageType.Warning, f"bad parameters of {protocol.TRUST_CHANGED}"
            )
        else:
            session.set_trust(message.trusted)

    @server.command(protocol.TRUST)
    async def trust(*arguments: object) -> None:
        """The tests of the document's folder, or of the whole workspace, may be run from now on."""
        if session.configuration.editor_trusts is False:
            session.voice.show(types.MessageType.Warning, "trust the workspace in the editor first")
        else:
            await answer(arguments, Answer.TRUSTED, "the tests of {} are run from now on")

    @server.command(protocol.REVOKE_TRUST)
    async def revoke_trust(*arguments: object) -> None:
        """They may not, whatever was said before; what runs is ended."""
        await answer(arguments, Answer.REFUSED, "the tests of {} are not run any more")

    async def answer(arguments: tuple[object, ...], answer: Answer, message: str) -> None:
        uri = next((argument for argument in arguments if isinstance(argument, str)), None)
        folders = session.folders_at(uri)
        if not folders:
            session.voice.show(types.MessageType.Warning, "there is no folder to trust here")
        for folder in folders:
            try:
                real = await session.answer(folder, answer)
            except TrustError as error:
                session.voice.show(types.MessageType.Error, str(error))
            else:
                session.voice.show(types.MessageType.Info, message.format(real.name))
