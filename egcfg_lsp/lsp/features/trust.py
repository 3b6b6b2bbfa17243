"""`egcfg/trustChanged`: the user grants or withdraws trust in the workspace."""

from __future__ import annotations

from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.session import Session


def register(server: LanguageServer, session: Session) -> None:
    @server.feature(protocol.TRUST_CHANGED)
    def trust_changed(params: Any) -> None:
        message = protocol.trust_changed(params)
        if message is None:
            session.set_trust(False)
            session.show(types.MessageType.Warning, f"bad parameters of {protocol.TRUST_CHANGED}")
        else:
            session.set_trust(message.trusted)
