"""The server's mutable state, in one place: settings, snapshots, model, sandbox, completions.

Handlers take a frozen `Snapshot` and work on that. Must be used from the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.completion.cache import Completion, Completions
from egcfg_lsp.completion.context import Contexts
from egcfg_lsp.completion.engine import Tools
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.project import Project, project_at
from egcfg_lsp.completion.verify import UNTRUSTED
from egcfg_lsp.execution import Sandbox, SandboxState
from egcfg_lsp.execution_log import ExecutionLog, LoggedSandbox
from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.configuration import Configuration
from egcfg_lsp.lsp.documents import folder_of, folders_of, open_document, path_of
from egcfg_lsp.lsp.model_owner import MakeModel, ModelOwner, Pull
from egcfg_lsp.lsp.snapshots import Snapshot, Snapshots, place_of
from egcfg_lsp.lsp.trust_owner import TrustOwner, folder_to_ask_for
from egcfg_lsp.lsp.voice import Voice
from egcfg_lsp.lsp.watch_owner import Refreshable, WatchOwner
from egcfg_lsp.model import LanguageModel, ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError
from egcfg_lsp.model.pull import PullError
from egcfg_lsp.settings import Settings
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


class Session:
    def __init__(
        self,
        server: LanguageServer,
        make_model: MakeModel,
        sandbox: Sandbox,
        pull: Pull,
        execution_log: ExecutionLog,
    ) -> None:
        self.voice = Voice(server, lambda: self._sandbox_state, self._is_trusted)
        self.trust = TrustOwner(TrustFile(), self.voice.warn)
        self.configuration = Configuration(self.voice.warn, self.trust)
        self._watches = WatchOwner(self._on_files_changed)
        self.snapshots = Snapshots(server, self.configuration, self._watches)
        self.execution_log = execution_log
        self._server = server
        self._refreshable = sandbox if isinstance(sandbox, Refreshable) else None
        self._sandbox = LoggedSandbox(sandbox, execution_log)
        self._sandbox_state: SandboxState | None = None
        self._owner = ModelOwner(server, make_model, pull)
        self._completions: Completions | None = None
        self._model: LanguageModel | None = None
        self._contexts = Contexts()
        self._history = TestHistory()
        self._configured = asyncio.Event()
        self._latest: Snapshot | None = None
        self._settled: Completion | None = None
        """The last one that has ended."""
        self._answering: asyncio.Task[object] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready_message = "ready"
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
                    await self.configuration.subscribe(self._server)
                    await self.configuration.pull(self._server)
            except TimeoutError:
                log.warning("the client does not answer questions about its configuration")
            finally:
                self._configured.set()
        settings = self.configuration.user
        self.voice.tell("starting", f"loading {settings.model}")
        loop = asyncio.get_running_loop()
        self.execution_log.on_problem = lambda told: _call_soon(loop, self.voice.warn, told)
        state = self._sandbox_state = await self._sandbox.state()
        sandbox = f"sandbox: {state.name}" if state.works else f"no sandbox: {state.detail}"
        self._ready_message = f"ready · {settings.model} · {sandbox}"
        if not state.works:
            self.voice.warn(f"tests are not run: {state.detail}")
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

    def completions(self) -> Completions | None:
        """The completions of this session; None while there is no model, which the user is told."""
        try:
            model = self._owner.model(self.configuration.user)
        except ModelNotFoundError as error:
            self.voice.fail(str(error))
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
        left = settled.remainder(latest.request) if self.snapshots.is_current(latest) else None
        return (latest.request, left.suggestions[0]) if left and left.suggestions else None

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
        self.voice.tell("busy", "thinking…")

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
        return self.snapshots.accepted(self._latest.uri, *found)

    def remember(self, uri: str, line: int) -> None:
        """Keep a piece of a document as context for other places, in the background."""
        workspace = self._server.workspace
        place, document = place_of(workspace, uri), open_document(workspace, uri)
        path, root = place.path, place.root
        if path is None or root is None or document is None:
            return
        settings = self.configuration.of(root, place.folder)
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

    def opened(self, uri: str) -> None:
        """The client shows a document, as it is on disk."""
        self.snapshots.note_opened(uri)
        self.remember(uri, 0)

    def saved(self, uri: str) -> None:
        """The client has written a document."""
        self.snapshots.note_saved(uri)
        self.remember_latest(uri)
        path = path_of(self._server.workspace, uri)
        if path is not None:
            self._watches.touched(path)

    def forget(self, uri: str) -> None:
        """A document was closed: nothing is under way for it any more."""
        self.snapshots.note_closed(uri)
        if self._latest is not None and self._latest.uri == uri:
            self._latest = None
            if self._completions is not None:
                self._completions.stop_unless_fits(None)
                self.rest()

    def reconsider(self) -> None:
        """The settings have changed: a model that they name anew is loaded."""
        if self._model is not None and self._owner.is_other(self.configuration.user):
            self.voice.forget_errors()
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
        place = place_of(workspace, uri)
        asked = None if place.root is None else folder_to_ask_for(place.root, place.folder)
        return [] if asked is None else [asked]

    def rest(self, silence: str = "") -> None:
        """Say that nothing is under way, unless something is; and why nothing is suggested."""
        if self._completions is None or not self._completions.is_busy:
            message = f"nothing here: {silence}" if silence else self._ready_message
            self.voice.tell("ready", message)

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
        if self._completions is not None and self._completions.is_busy:
            # Its runs may have seen the files before and after.
            await self._completions.settled()
            self._history.forget(changed)
        latest, settled = self._latest, self._settled
        if latest is None or settled is None or latest.request.root != project.root:
            return
        # Settings of the project may be among what has changed.
        settings = self.configuration.of(project.root, latest.folder)
        is_as_it_was = settings == latest.request.settings and self.snapshots.is_current(latest)
        is_shown = settled.remainder(latest.request) is not None and settled.update.suggestions
        if not is_as_it_was or not is_shown:
            return
        if (completions := self._completions) is not None and not completions.is_busy:
            with suppress(ModelError):
                await completions.first(latest.request)

    async def _load_model(self) -> None:
        try:
            if self.completions() is not None:
                await self._owner.load(self.configuration.user)
                self.rest()
        except ModelError as error:
            self.voice.fail(str(error))

    async def _offer_download(self) -> None:
        try:
            is_there = await self._owner.offer_download(self.configuration.user)
        except (PullError, JsonRpcException) as error:
            self.voice.fail(str(error))
        else:
            if is_there:
                self.voice.forget_errors()
                await self._load_model()

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
            self.voice.warn(str(error))

    def _on_update(self, completion: Completion) -> None:
        """Tell the client what changed in the completion that its latest request waits for."""
        if completion.update.done:
            self._settled = completion
            self.rest()
            self._ask_for_trust(completion)
        latest, answering = self._latest, self._answering
        if latest is None or not self.snapshots.is_current(latest):
            return
        if answering is not None and not answering.done():
            return  # the answer itself brings this update
        update = completion.remainder(latest.request)
        if update is None:
            return
        message = self.snapshots.changed(latest, update)
        # An answer that has just been made goes out first: its task's callbacks are due before this.
        notify = self._server.protocol.notify
        asyncio.get_running_loop().call_soon(
            notify, protocol.SUGGESTIONS_CHANGED, protocol.to_json(message)
        )


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[str], None], message: str) -> None:
    """From another thread, which may outlive the loop."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, message)


def _is_elsewhere(before: Snapshot, now: Snapshot) -> bool:
    distance = abs(before.position.line - now.position.line)
    return before.uri != now.uri or distance > JUMP_LINES
