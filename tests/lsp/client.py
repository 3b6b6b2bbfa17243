"""A pytest-lsp client that knows inline completion and keeps every custom notification."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsprotocol import types
from pytest_lsp import LanguageClient
from pytest_lsp.client import make_test_lsp_client

SCRIPTED = [sys.executable, str(Path(__file__).parent / "scripted_server.py")]
REAL = [sys.executable, "-m", "egcfg_lsp"]

_OWN = (
    types.PROGRESS,
    types.WINDOW_WORK_DONE_PROGRESS_CREATE,
    types.WORKSPACE_CONFIGURATION,
)


@dataclass(frozen=True)
class Settled:
    text: str
    id: str
    outcome: str
    summary: str


class Client:
    """One document of one server, driven by LSP messages only."""

    def __init__(
        self,
        lsp: LanguageClient,
        root: Path,
        configuration: Callable[[str | None], Any] | None = None,
        chosen_action: str | None = None,
    ) -> None:
        self.lsp, self.root = lsp, root
        self.progress: list[Any] = []
        self.edits: list[types.WorkspaceEdit] = []
        self.registrations: list[types.Registration] = []
        self.questions: list[types.ShowMessageRequestParams] = []
        self.changes: list[Any] = []
        self.statuses: list[Any] = []
        self.capabilities: types.ServerCapabilities | None = None
        self._news = asyncio.Event()
        self._versions: dict[str, int] = {}
        for method, kept in (
            ("egcfg/suggestionsChanged", self.changes),
            ("egcfg/status", self.statuses),
        ):
            lsp.feature(method)(self._keep(kept))

        for method in _OWN:  # pytest-lsp's defaults know less
            lsp.protocol.fm.features.pop(method, None)

        @lsp.feature(types.PROGRESS)  # type: ignore[untyped-decorator]
        def on_progress(params: types.ProgressParams) -> None:
            self.progress.append(params.value)
            self._news.set()

        @lsp.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)  # type: ignore[untyped-decorator]
        def on_create(_: types.WorkDoneProgressCreateParams) -> None:
            pass

        @lsp.feature(types.WORKSPACE_CONFIGURATION)  # type: ignore[untyped-decorator]
        def on_configuration(params: types.ConfigurationParams) -> list[Any]:
            answer = configuration or (lambda _: None)
            return [answer(item.scope_uri) for item in params.items]

        @lsp.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)  # type: ignore[untyped-decorator]
        def on_question(
            params: types.ShowMessageRequestParams,
        ) -> types.MessageActionItem | None:
            self.questions.append(params)
            return types.MessageActionItem(chosen_action) if chosen_action else None

        @lsp.feature(types.CLIENT_REGISTER_CAPABILITY)  # type: ignore[untyped-decorator]
        def on_register(params: types.RegistrationParams) -> None:
            self.registrations += params.registrations
            self._news.set()

        @lsp.feature(types.WORKSPACE_APPLY_EDIT)  # type: ignore[untyped-decorator]
        def on_edit(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            self.edits.append(params.edit)
            self._news.set()
            return types.ApplyWorkspaceEditResult(applied=True)

    @property
    def messages(self) -> list[str]:
        return [message.message for message in self.lsp.messages]

    async def open(self, path: str, text: str | None = None) -> str:
        file = self.root / path
        uri = file.as_uri()
        source = file.read_bytes().decode() if text is None else text
        self._versions[uri] = 1
        item = types.TextDocumentItem(uri=uri, language_id="python", version=1, text=source)
        self.lsp.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))
        return uri

    def change(self, uri: str, text: str) -> None:
        self._versions[uri] += 1
        document = types.VersionedTextDocumentIdentifier(uri=uri, version=self._versions[uri])
        change = types.TextDocumentContentChangeWholeDocument(text=text)
        params = types.DidChangeTextDocumentParams(text_document=document, content_changes=[change])
        self.lsp.text_document_did_change(params)

    def edit(self, uri: str, *changes: tuple[tuple[int, int, int, int], str]) -> None:
        """One notification with incremental changes: (line, character, line, character), text."""
        self._versions[uri] += 1
        document = types.VersionedTextDocumentIdentifier(uri=uri, version=self._versions[uri])
        partial = [
            types.TextDocumentContentChangePartial(
                range=types.Range(types.Position(a, b), types.Position(c, d)), text=text
            )
            for (a, b, c, d), text in changes
        ]
        params = types.DidChangeTextDocumentParams(text_document=document, content_changes=partial)
        self.lsp.text_document_did_change(params)

    def ask(
        self, uri: str, line: int, character: int, *, is_automatic: bool = True
    ) -> asyncio.Future[Any]:
        params = types.InlineCompletionParams(
            text_document=types.TextDocumentIdentifier(uri=uri),
            position=types.Position(line=line, character=character),
            context=types.InlineCompletionContext(
                trigger_kind=types.InlineCompletionTriggerKind.Automatic
                if is_automatic
                else types.InlineCompletionTriggerKind.Invoked
            ),
        )
        return asyncio.ensure_future(self.lsp.text_document_inline_completion_async(params))

    async def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until a condition on what arrived holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.2)

    async def settled(self, uri: str, line: int, character: int, seconds: float = 20) -> Any:
        """Ask, wait until the server rests, ask again: the item then and its outcome and summary."""
        await self.ask(uri, line, character)
        await self.until(lambda: self.statuses[-1].state == "ready", seconds)
        (item,) = (await self.ask(uri, line, character)).items
        return Settled(item.insert_text, *item.command.arguments)

    def _keep(self, kept: list[Any]) -> Callable[[Any], None]:
        def keep(params: Any) -> None:
            kept.append(params)
            self._news.set()

        return keep


@contextlib.asynccontextmanager
async def running(
    command: list[str],
    root: Path,
    *,
    script: dict[str, Any] | None = None,
    options: Any = None,
    environment: dict[str, str] | None = None,
    capabilities: types.ClientCapabilities | None = None,
    folders: list[Path] | None = None,
    configuration: Callable[[str | None], Any] | None = None,
    chosen_action: str | None = None,
) -> AsyncIterator[Client]:
    """A server process with an initialised session; it is shut down and must end with status 0.

    `configuration` answers for a scope's URI, `chosen_action` any question with actions.
    """
    lsp = make_test_lsp_client()
    client = Client(lsp, root, configuration, chosen_action)
    env = {**os.environ, **(environment or {}), "EGCFG_SCRIPT": json.dumps(script or {})}
    await lsp.start_io(*command, env=env)
    server = lsp._server
    assert server is not None
    try:
        client.capabilities = await initialise(client, options, capabilities, folders)
        yield client
        async with asyncio.timeout(20):
            await lsp.shutdown_async(None)
            lsp.exit(None)
            assert await server.wait() == 0
    finally:
        if server.returncode is None:
            server.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await lsp.stop()  # type: ignore[no-untyped-call]


async def initialise(
    client: Client,
    options: Any,
    capabilities: types.ClientCapabilities | None = None,
    folders: list[Path] | None = None,
) -> types.ServerCapabilities:
    own = capabilities or types.ClientCapabilities()
    own.workspace = own.workspace or types.WorkspaceClientCapabilities(
        apply_edit=True,
        workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
    )
    own.text_document = types.TextDocumentClientCapabilities(
        inline_completion=types.InlineCompletionClientCapabilities()
    )
    params = types.InitializeParams(
        capabilities=own,
        root_uri=client.root.as_uri(),
        workspace_folders=[
            types.WorkspaceFolder(uri=folder.as_uri(), name=folder.name)
            for folder in (folders if folders is not None else [client.root])
        ],
        initialization_options=options,
    )
    result = await client.lsp.initialize_session(params)
    return result.capabilities
