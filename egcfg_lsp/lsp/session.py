"""The server's mutable state, in one place: settings, model, completions, and what the client was told.

Handlers take a frozen `Snapshot` and work on that. Must be used from the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.completion.cache import Completion, Completions
from egcfg_lsp.completion.context import Contexts
from egcfg_lsp.completion.debounce import Rhythm, debounce_seconds
from egcfg_lsp.completion.engine import Tools
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.project import Project, project_at, project_root
from egcfg_lsp.completion.verify import UNTRUSTED
from egcfg_lsp.execution import Sandbox, SandboxState
from egcfg_lsp.execution_log import ExecutionLog, LoggedSandbox, tier_of
from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.configuration import SECTION, Configuration
from egcfg_lsp.lsp.documents import (
    LineDocument,
    Module,
    document_at,
    folder_of,
    folders_of,
    module_of,
    open_document,
    path_of,
)
from egcfg_lsp.lsp.model_owner import MakeModel, ModelOwner, Pull
from egcfg_lsp.lsp.trust_owner import TrustOwner, folder_to_ask_for
from egcfg_lsp.lsp.watch_owner import Refreshable, WatchOwner
from egcfg_lsp.model import LanguageModel, ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError
from egcfg_lsp.model.pull import PullError
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.edit import without_lines
from egcfg_lsp.source.pytest_config import CONFIG_FILES
from egcfg_lsp.trust import Answer, TrustError, TrustFile
from egcfg_lsp.watch import Changes

GRACE_SECONDS = 0.05
"""How long an abandoned completion goes on, in case the next request continues it."""
CONFIGURATION_SECONDS = 2.0
"""How long the first requests wait for the client's settings."""
JUMP_LINES = 64
"""A cursor that has moved further has left a place worth remembering."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """What a request for inline completion was made for."""

    uri: str
    version: int
    position: types.Position
    request: Request
    wait_seconds: float = 0.0
    """Before the model is asked."""
    folder: Path | None = None
    """Of the workspace, with the document in it."""


class Session:
    def __init__(
        self,
        server: LanguageServer,
        make_model: MakeModel,
        sandbox: Sandbox,
        pull: Pull,
        execution_log: ExecutionLog,
    ) -> None:
        self.trust = TrustOwner(TrustFile(), self._warn)
        self.configuration = Configuration(self._warn, self.trust)
        self.execution_log = execution_log
        self._server = server
        self._watches = WatchOwner(self._on_files_changed)
        self._refreshable = sandbox if isinstance(sandbox, Refreshable) else None
        self._sandbox = LoggedSandbox(sandbox, execution_log)
        self._sandbox_state: SandboxState | None = None
        self._owner = ModelOwner(server, make_model, pull)
        self._completions: Completions | None = None
        self._model: LanguageModel | None = None
        self._contexts = Contexts()
        self._history = TestHistory()
        self._configured = asyncio.Event()
        self._rhythm = Rhythm()
        self._saved_versions: dict[str, int | None] = {}
        self._latest: Snapshot | None = None
        self._settled: Completion | None = None
        """The last one that has ended."""
        self._accepted: Request | None = None
        self._answering: asyncio.Task[object] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready_message = "ready"
        self._status: protocol.Status | None = None
        self._errors_told: set[str] = set()
        self._closing: list[Callable[[], object]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run background work of the session's, which ends with it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def warm_up(self) -> None:
        """Ask for the settings, load the model, probe the sandbox."""
        if not self._configured.is_set():
            try:
                async with asyncio.timeout(CONFIGURATION_SECONDS):
                    await self._subscribe_to_configuration()
                    await self.pull_configuration()
            except TimeoutError:
                log.warning("the client does not answer questions about its configuration")
            finally:
                self._configured.set()
        settings = self.configuration.user
        self.tell("starting", f"loading {settings.model}")
        loop = asyncio.get_running_loop()
        self.execution_log.on_problem = lambda told: _call_soon(loop, self._warn, told)
        state = self._sandbox_state = await self._sandbox.state()
        sandbox = f"sandbox: {state.name}" if state.works else f"no sandbox: {state.detail}"
        self._ready_message = f"ready · {settings.model} · {sandbox}"
        if not state.works:
            self._warn(f"tests are not run: {state.detail}")
        await self._load_model()

    async def configured(self) -> None:
        """Wait for the client's settings, which may exclude files; not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIGURATION_SECONDS):
                await self._configured.wait()

    @property
    def sandbox(self) -> Sandbox:
        """Runs are written to the execution log."""
        return self._sandbox

    def request_at(self, uri: str, position: types.Position) -> Request:
        """What a place in a document is, for whoever asks."""
        workspace = self._server.workspace
        document, module = document_at(workspace, uri), module_of(workspace, uri)
        path = path_of(workspace, uri)
        folder = folder_of(workspace, path)
        root = project_root(path, folder) if path is not None else None
        settings = self.configuration.of(root, folder)
        if root is not None:
            self._watches.follow(root, settings.exclude)
        return Request(
            text=module.text,
            offset=module.start + document.offset_at(position),
            path=path,
            root=root,
            settings=settings,
            applies_edits=self._applies_edits,
            overlays={} if root is None else self._unsaved(root, path),
        )

    def _unsaved(self, root: Path, path: Path | None) -> dict[Path, str]:
        """Buffers of a project's other modules that were changed since they were opened or saved."""
        workspace = self._server.workspace
        found = {}
        for uri, document in workspace.text_documents.items():
            other = path_of(workspace, uri)
            if other is None or other == path or other.suffix != ".py":
                continue
            is_saved = self._saved_versions.get(uri, document.version) == document.version
            if not is_saved and other.is_relative_to(root):
                found[other] = document.source
        return found

    def opened(self, uri: str) -> None:
        """The client shows a document, as it is on disk."""
        self._note_saved(uri)
        self.remember(uri, 0)

    def _note_saved(self, uri: str) -> None:
        document = open_document(self._server.workspace, uri)
        if document is not None:
            self._saved_versions[uri] = document.version

    def snapshot(self, params: types.InlineCompletionParams) -> Snapshot:
        uri, position = params.text_document.uri, params.position
        workspace, context = self._server.workspace, params.context
        document, module = document_at(workspace, uri), module_of(workspace, uri)
        is_automatic = context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
        request = self.request_at(uri, position)
        request = replace(
            request, is_automatic=is_automatic, selected=_selected(context, document, module)
        )
        request = replace(request, just_accepted=self._is_just_accepted(request))
        settings, folder = request.settings, folder_of(workspace, request.path)
        if is_automatic:
            self._rhythm = self._rhythm.with_key(time.monotonic())
        wait = debounce_seconds(
            self._rhythm,
            fixed_ms=settings.debounce_ms,
            starts_line=not request.line_before.strip(),
            is_automatic=is_automatic,
        )
        return Snapshot(uri, document.version or 0, position, request, wait, folder)

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether the document still has the snapshot's version."""
        document = open_document(self._server.workspace, snapshot.uri)
        return document is not None and (document.version or 0) == snapshot.version

    def completions(self) -> Completions | None:
        """The completions of this session; None while there is no model, which the user is told."""
        try:
            model = self._owner.model(self.configuration.user)
        except ModelNotFoundError as error:
            self.fail(str(error))
            self.start(self._offer_download())
            return None
        if self._completions is None or self._model is not model:
            if self._completions is not None:
                self._completions.stop_unless_fits(None)
            self._model = model
            self._completions = Completions(
                Tools(model, self._sandbox, self._contexts, history=self._history), self._on_update
            )
        return self._completions

    def suggestion_at(
        self, uri: str, position: types.Position, suggestion_id: str = ""
    ) -> tuple[Request, Suggestion] | None:
        """The suggestion last made for a place in the present text, or the one of an id."""
        if suggestion_id:
            return self._completions.suggestion(suggestion_id) if self._completions else None
        latest, settled = self._latest, self._settled
        if latest is None or settled is None or (latest.uri, latest.position) != (uri, position):
            return None
        if not self.is_current(latest) or (left := settled.remainder(latest.request)) is None:
            return None
        return next(((latest.request, suggestion) for suggestion in left.suggestions), None)

    def on_close(self, work: Callable[[], object]) -> None:
        """To be done at the session's end."""
        self._closing.append(work)

    def supersede(self, snapshot: Snapshot) -> None:
        """The running handler answers the latest request; an older one still waiting is cancelled.

        Neovim does not cancel by itself, and shows whatever arrives last.
        """
        if self._answering is not None and not self._answering.done():
            self._answering.cancel()
        self._answering = asyncio.current_task()
        before, self._latest = self._latest, snapshot
        if before is not None and _is_elsewhere(before, snapshot):
            self.remember(before.uri, before.position.line)
        if self._completions is not None:
            self._completions.stop_unless_fits(snapshot.request)
        self.tell("busy", "thinking…")

    def abandon(self, snapshot: Snapshot) -> None:
        """The client wants no answer to this request: stop, unless a newer one soon continues it."""

        def stop() -> None:
            if self._latest is snapshot and self._completions is not None:
                self._completions.stop_unless_fits(None)
                self.rest()

        asyncio.get_running_loop().call_later(GRACE_SECONDS, stop)

    def accepted(self, suggestion_id: str) -> types.WorkspaceEdit | None:
        """Note that the user accepted a suggestion: the edit that removes the placeholder below it."""
        found = self._completions.suggestion(suggestion_id) if self._completions else None
        if found is None or self._latest is None:
            return None
        request, suggestion = found
        accepted = self._accepted = request.accepting(suggestion)
        uri = self._latest.uri
        document = open_document(self._server.workspace, uri)
        if document is None or suggestion.removes is None or document.source != accepted.text:
            return None  # nothing to remove, typed on since, or a notebook's cell
        start, end = suggestion.removes
        self._accepted = replace(accepted, text=without_lines(accepted.text, start, end))
        edit = types.TextEdit(types.Range(types.Position(start, 0), types.Position(end, 0)), "")
        if not self._edits_versions:
            return types.WorkspaceEdit(changes={uri: [edit]})
        versioned = types.OptionalVersionedTextDocumentIdentifier(uri, document.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(versioned, [edit])])

    def remember(self, uri: str, line: int) -> None:
        """Keep a piece of a document as context for other places, in the background."""
        workspace = self._server.workspace
        path, document = path_of(workspace, uri), open_document(workspace, uri)
        if path is None or document is None:
            return
        folder = folder_of(workspace, path)
        root = project_root(path, folder)
        settings = self.configuration.of(root, folder)
        self.start(asyncio.to_thread(self._remember, path, document.source, line, root, settings))

    def _remember(self, path: Path, text: str, line: int, root: Path, settings: Settings) -> None:
        try:
            project = project_at(root, settings.exclude)
            self._contexts.remember(path, text, line, project, settings.other_files)
        except (OSError, ValueError) as error:
            log.warning("%s is not remembered: %s", path.name, error)

    def remember_latest(self, uri: str) -> None:
        """Keep the place of the latest request, if it was in this document."""
        if self._latest is not None and self._latest.uri == uri:
            self.remember(uri, self._latest.position.line)

    def saved(self, uri: str) -> None:
        """The client has written a document."""
        self._note_saved(uri)
        self.remember_latest(uri)
        path = path_of(self._server.workspace, uri)
        if path is not None:
            self._watches.touched(path)

    def forget(self, uri: str) -> None:
        """A document was closed: nothing is under way for it any more."""
        self._saved_versions.pop(uri, None)
        if self._latest is not None and self._latest.uri == uri:
            self._latest = None
            if self._completions is not None:
                self._completions.stop_unless_fits(None)
                self.rest()

    def reconsider(self) -> None:
        """The settings have changed: a model that they name anew is loaded."""
        if self._model is not None and self._owner.is_other(self.configuration.user):
            self._errors_told.clear()
            self.start(self.warm_up())

    def set_trust(self, trusted: bool) -> None:
        """What the client says of its workspace."""
        self.trust.word = trusted
        self._trust_changed()

    async def answer(self, folder: Path, answer: Answer) -> Path:
        """What the user says of a folder, for good; the real one is returned. Raises TrustError."""
        real = await self.trust.answer(folder, answer)
        self._trust_changed()
        return real

    def folders_at(self, uri: str | None) -> list[Path]:
        """The folders that an answer is about: the document's, without a document the whole workspace."""
        workspace = self._server.workspace
        if uri is None and (folders := folders_of(workspace)):
            return folders
        if uri is None:
            uri = self._latest.uri if self._latest is not None else ""
        path = path_of(workspace, uri)
        if path is None:
            return []
        folder = folder_of(workspace, path)
        asked = folder_to_ask_for(project_root(path, folder), folder)
        return [] if asked is None else [asked]

    async def pull_configuration(self) -> bool:
        """Ask the client for its settings; whether it can tell them."""
        workspace = self._server.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return False
        await self.configuration.pull(self._server, folders_of(self._server.workspace))
        return True

    def tell(self, state: str, message: str) -> None:
        """Send a status that differs from the last one."""
        status = protocol.Status(
            state,
            message,
            _sandbox_status(self._sandbox_state),
            self._is_trusted(),
        )
        if status != self._status:
            self._status = status
            self._server.protocol.notify(protocol.STATUS, protocol.to_json(status))

    def rest(self, silence: str = "") -> None:
        """Say that nothing is under way, unless something is; and why nothing is suggested."""
        if self._completions is None or not self._completions.is_busy:
            message = f"nothing here: {silence}" if silence else self._ready_message
            self.tell("ready", message)

    def fail(self, message: str) -> None:
        """Report an error: in the status always, as a message once."""
        self.tell("error", message)
        if message not in self._errors_told:
            self._errors_told.add(message)
            self.show(types.MessageType.Error, message)

    def show(self, kind: types.MessageType, message: str) -> None:
        params = types.ShowMessageParams(type=kind, message=f"egcfg: {message}")
        self._server.window_show_message(params)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._watches.close()
        for work in self._closing:
            await asyncio.to_thread(work)
        if self._completions is not None:
            await self._completions.close()
        if self._refreshable is not None:
            await self._refreshable.close()
        await self._owner.close()
        await asyncio.to_thread(self.execution_log.close)

    def _on_files_changed(self, project: Project, changes: Changes) -> None:
        self.start(self._catch_up(project, changes))

    async def _catch_up(self, project: Project, changes: Changes) -> None:
        """Read what has changed before the next key asks; what is shown and may be stale runs again."""
        await asyncio.to_thread(project.refresh)
        configuration = (project.root / name for name in CONFIG_FILES)
        changed = (*project.files(), *configuration) if changes.is_partial else changes.paths
        self._history.forget(changed)
        if self._refreshable is not None:
            await self._refreshable.refresh(changed)
        latest, settled = self._latest, self._settled
        if latest is None or settled is None or latest.request.root != project.root:
            return
        # Settings of the project may be among what has changed.
        settings = self.configuration.of(project.root, latest.folder)
        is_shown = settled.remainder(latest.request) is not None and settled.update.suggestions
        if settings != latest.request.settings or not is_shown or not self.is_current(latest):
            return
        if (completions := self._completions) is not None and not completions.is_busy:
            with suppress(ModelError):
                await completions.first(latest.request)

    async def _subscribe_to_configuration(self) -> None:
        """Some clients tell of changed settings only if they were asked to."""
        workspace = self._server.client_capabilities.workspace
        capability = workspace.did_change_configuration if workspace is not None else None
        if capability is None or not capability.dynamic_registration:
            return
        registration = types.Registration(
            id="egcfg-configuration",
            method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
            register_options=types.DidChangeConfigurationRegistrationOptions(section=SECTION),
        )
        try:
            params = types.RegistrationParams([registration])
            await self._server.client_register_capability_async(params)
        except JsonRpcException as error:
            log.warning("the client does not tell of changed settings: %s", error)

    async def _load_model(self) -> None:
        try:
            if self.completions() is not None:
                await self._owner.load(self.configuration.user)
                self.rest()
        except ModelError as error:
            self.fail(str(error))

    async def _offer_download(self) -> None:
        try:
            is_there = await self._owner.offer_download(self.configuration.user)
        except (PullError, JsonRpcException) as error:
            self.fail(str(error))
        else:
            if is_there:
                self._errors_told.clear()
                await self._load_model()

    def _warn(self, message: str) -> None:
        self.show(types.MessageType.Warning, message)

    def _trust_changed(self) -> None:
        """What runs without trust, runs no longer, and what it said does not arrive."""
        completions = self._completions
        if completions is not None and self._is_trusted() is not True:
            completions.stop_unless_fits(None)
        self.rest()

    def _is_trusted(self) -> bool | None:
        """Whether the tests around the latest request, else of the workspace, may be run."""
        if self._latest is not None:
            root, folder = self._latest.request.root, self._latest.folder
        else:
            folder = next(iter(folders_of(self._server.workspace)), None)
            root = folder
        decision = self.configuration.decision(root, folder)
        return None if root is None or decision is None else decision is Answer.TRUSTED

    def _ask_for_trust(self, completion: Completion) -> None:
        """Where a suggestion was not run only because nobody has said whether it may."""
        request, state = completion.request, self._sandbox_state
        best = next(iter(completion.update.suggestions), None)
        if best is None or best.summary != UNTRUSTED or request.root is None:
            return
        folder = folder_of(self._server.workspace, request.path)
        asked = folder_to_ask_for(request.root, folder)
        if (
            asked is not None
            and state is not None
            and state.works
            and self.configuration.decision(request.root, folder) is None
        ):
            self.start(self._ask(asked))

    async def _ask(self, folder: Path) -> None:
        try:
            if await self.trust.ask(self._server, folder) is not None:
                self._trust_changed()
        except TrustError as error:
            self._warn(str(error))

    def _on_update(self, completion: Completion) -> None:
        """Tell the client what changed in the completion that its latest request waits for."""
        if completion.update.done:
            self._settled = completion
            self.rest()
            self._ask_for_trust(completion)
        latest, answering = self._latest, self._answering
        if latest is None or not self.is_current(latest):
            return
        if answering is not None and not answering.done():
            return  # the answer itself brings this update
        update = completion.remainder(latest.request)
        if update is None:
            return
        message = protocol.SuggestionsChanged(
            uri=latest.uri,
            version=latest.version,
            position=latest.position,
            suggestions=tuple(
                protocol.Suggestion(s.id, s.text, self.range_of(s, latest), s.outcome, s.summary)
                for s in update.suggestions
            ),
            done=update.done,
        )
        # An answer that has just been made goes out first: its task's callbacks are due before this.
        notify = self._server.protocol.notify
        asyncio.get_running_loop().call_soon(
            notify, protocol.SUGGESTIONS_CHANGED, protocol.to_json(message)
        )

    def range_of(self, suggestion: Suggestion, snapshot: Snapshot) -> types.Range:
        """What a suggestion takes the place of; empty at the cursor where it only inserts."""
        start, codec = snapshot.position, self._server.workspace.position_codec
        replaced = snapshot.request.after[: suggestion.replaces]
        end = types.Position(start.line, start.character + codec.client_num_units(replaced))
        return types.Range(start=start, end=end)

    def _is_just_accepted(self, request: Request) -> bool:
        accepted = self._accepted
        return accepted is not None and (accepted.text, accepted.offset) == (
            request.text,
            request.offset,
        )

    @property
    def _applies_edits(self) -> bool:
        workspace = self._server.client_capabilities.workspace
        return workspace is not None and bool(workspace.apply_edit)

    @property
    def _edits_versions(self) -> bool:
        """Whether the client takes edits of a document in a certain version only."""
        workspace = self._server.client_capabilities.workspace
        edits = workspace.workspace_edit if workspace is not None else None
        return edits is not None and bool(edits.document_changes)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[str], None], message: str) -> None:
    """From another thread, which may outlive the loop."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, message)


def _sandbox_status(state: SandboxState | None) -> protocol.Sandbox | None:
    return None if state is None else protocol.Sandbox(tier_of(state), state.works, state.detail)


def _is_elsewhere(before: Snapshot, now: Snapshot) -> bool:
    distance = abs(before.position.line - now.position.line)
    return before.uri != now.uri or distance > JUMP_LINES


def _selected(
    context: types.InlineCompletionContext, document: LineDocument, module: Module
) -> tuple[int, str] | None:
    """Where the popup's selected item would begin, and its text."""
    info = context.selected_completion_info
    if info is None:
        return None
    return module.start + document.offset_at(info.range.start), info.text
