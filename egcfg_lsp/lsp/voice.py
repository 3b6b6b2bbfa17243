"""What the user is told: the status, which a client shows all the time, and messages.

What there is to tell is the session's matter. Must be used from the server's event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.execution import SandboxState
from egcfg_lsp.execution_log import tier_of
from egcfg_lsp.lsp import protocol


class Voice:
    """`sandbox_state` and `is_trusted` are asked whenever a status is told; see `protocol.Status`."""

    def __init__(
        self,
        server: LanguageServer,
        sandbox_state: Callable[[], SandboxState | None],
        is_trusted: Callable[[], bool | None],
    ) -> None:
        self._server = server
        self._sandbox_state, self._is_trusted = sandbox_state, is_trusted
        self._status: protocol.Status | None = None
        self._errors_told: set[str] = set()

    def tell(self, state: str, message: str) -> None:
        """Send a status that differs from the last one."""
        sandbox = _sandbox_status(self._sandbox_state())
        status = protocol.Status(state, message, sandbox, self._is_trusted())
        if status != self._status:
            self._status = status
            self._server.protocol.notify(protocol.STATUS, protocol.to_json(status))

    def fail(self, message: str) -> None:
        """Report an error: in the status always, as a message once."""
        self.tell("error", message)
        if message not in self._errors_told:
            self._errors_told.add(message)
            self.show(types.MessageType.Error, message)

    def forget_errors(self) -> None:
        """What fails from now on is news, whatever has failed before."""
        self._errors_told.clear()

    def warn(self, message: str) -> None:
        self.show(types.MessageType.Warning, message)

    def show(self, kind: types.MessageType, message: str) -> None:
        params = types.ShowMessageParams(type=kind, message=f"egcfg: {message}")
        self._server.window_show_message(params)


def _sandbox_status(state: SandboxState | None) -> protocol.Sandbox | None:
    return None if state is None else protocol.Sandbox(tier_of(state), state.works, state.detail)
