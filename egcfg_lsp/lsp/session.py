"""The server's mutable state, in one place: settings, model, completions, and what the client was told.

Handlers take a frozen `Snapshot` and work on that. Must be used from the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.cache import Completion, Completions
from egcfg_lsp.completion.project import project_root
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.convert import offset_at, path_of
from egcfg_lsp.model import LanguageModel, ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError
from egcfg_lsp.settings import Settings

GRACE_SECONDS = 0.05
"""How long an abandoned completion goes on, in case the next request continues it."""

MakeModel = Callable[[Settings], LanguageModel]
"""Raises ModelNotFoundError."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """What a request for inline completion was made for."""

    uri: str
    version: int
    position: types.Position
    request: Request


class Session:
    def __init__(self, server: LanguageServer, make_model: MakeModel, sandbox: Sandbox) -> None:
        self.settings = Settings()
        self._server, self._make_model, self._sandbox = server, make_model, sandbox
        self._model: LanguageModel | None = None
        self._completions: Completions | None = None
        self._latest: Snapshot | None = None
        self._answering: asyncio.Task[object] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._ready_message = "ready"
        self._status: protocol.Status | None = None
        self._errors_told: set[str] = set()

    def warm_up(self) -> None:
        """Load the model and probe the sandbox in the background."""
        self._warming = asyncio.create_task(self._warm_up())

    def snapshot(self, params: types.InlineCompletionParams) -> Snapshot:
        uri, workspace = params.text_document.uri, self._server.workspace
        document = workspace.get_text_document(uri)
        text, path = document.source, path_of(uri)
        request = Request(
            text=text,
            offset=offset_at(text, params.position, workspace.position_codec),
            path=path,
            root=project_root(path, self._folder_of(uri)) if path is not None else None,
            settings=self.settings,
        )
        return Snapshot(uri, document.version or 0, params.position, request)

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether the document still has the snapshot's version."""
        document = self._server.workspace.text_documents.get(snapshot.uri)
        return document is not None and (document.version or 0) == snapshot.version

    def completions(self) -> Completions | None:
        """The completions of this session; None while there is no model, which the user is told."""
        if self._completions is None:
            try:
                self._model = self._make_model(self.settings)
            except ModelNotFoundError as error:
                self.fail(str(error))
                return None
            self._completions = Completions(self._model, self._sandbox, self._on_update)
        return self._completions

    def supersede(self, snapshot: Snapshot) -> None:
        """The running handler answers the latest request; an older one still waiting is cancelled.

        Neovim does not cancel by itself, and shows whatever arrives last.
        """
        if self._answering is not None and not self._answering.done():
            self._answering.cancel()
        self._answering = asyncio.current_task()
        self._latest = snapshot
        if self._completions is not None:
            self._completions.stop_unless_fits(snapshot.request)
        self.tell(protocol.Status("busy", "thinking…"))

    def abandon(self, snapshot: Snapshot) -> None:
        """The client wants no answer to this request: stop, unless a newer one soon continues it."""

        def stop() -> None:
            if self._latest is snapshot and self._completions is not None:
                self._completions.stop_unless_fits(None)
                self.rest()

        asyncio.get_running_loop().call_later(GRACE_SECONDS, stop)

    def set_trust(self, trusted: bool) -> None:
        self.settings = replace(self.settings, trusted=trusted)

    def tell(self, status: protocol.Status) -> None:
        """Send a status that differs from the last one."""
        if status != self._status:
            self._status = status
            self._server.protocol.notify(protocol.STATUS, protocol.to_json(status))

    def rest(self) -> None:
        self.tell(protocol.Status("ready", self._ready_message))

    def fail(self, message: str) -> None:
        """Report an error: in the status always, as a message once."""
        self.tell(protocol.Status("error", message))
        if message not in self._errors_told:
            self._errors_told.add(message)
            self.show(types.MessageType.Error, message)

    def show(self, kind: types.MessageType, message: str) -> None:
        params = types.ShowMessageParams(type=kind, message=f"egcfg: {message}")
        self._server.window_show_message(params)

    async def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        if self._completions is not None:
            await self._completions.close()
        if self._model is not None:
            await self._model.close()

    async def _warm_up(self) -> None:
        self.tell(protocol.Status("starting", f"loading {self.settings.model}"))
        state = await self._sandbox.state()
        sandbox = f"sandbox: {state.name}" if state.works else f"no sandbox: {state.detail}"
        self._ready_message = f"ready · {self.settings.model} · {sandbox}"
        if not state.works:
            self.show(types.MessageType.Warning, f"tests are not run: {state.detail}")
        if self.completions() is None or self._model is None:
            return
        try:
            await self._model.info()
        except ModelError as error:
            self.fail(str(error))
        else:
            self.rest()

    def _on_update(self, completion: Completion) -> None:
        """Tell the client what changed in the completion that its latest request waits for."""
        if completion.update.done:
            self.rest()
        latest, answering = self._latest, self._answering
        if latest is None or not self.is_current(latest):
            return
        if answering is not None and not answering.done():
            return  # the answer itself brings this update
        update = completion.remainder(latest.request)
        if update is None:
            return
        here = types.Range(start=latest.position, end=latest.position)
        message = protocol.SuggestionsChanged(
            uri=latest.uri,
            version=latest.version,
            position=latest.position,
            suggestions=tuple(
                protocol.Suggestion(s.id, s.text, here, s.outcome, s.summary)
                for s in update.suggestions
            ),
            done=update.done,
        )
        self._server.protocol.notify(protocol.SUGGESTIONS_CHANGED, protocol.to_json(message))

    def _folder_of(self, uri: str) -> Path | None:
        """The innermost workspace folder with the document; None outside of all."""
        path = path_of(uri)
        folders = [path_of(folder) for folder in self._server.workspace.folders]
        inside = [
            f for f in folders if f is not None and path is not None and path.is_relative_to(f)
        ]
        return max(inside, key=lambda folder: len(folder.parts), default=None)
