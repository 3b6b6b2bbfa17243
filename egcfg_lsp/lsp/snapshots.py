"""What a request for a place in a document is: buffers, settings and typing, frozen when it is made.

Knows no model and no completions. Must be used from the server's event loop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import Workspace

from egcfg_lsp.completion import Request, Suggestion, Update
from egcfg_lsp.completion.debounce import Rhythm, debounce_seconds
from egcfg_lsp.completion.project import project_root
from egcfg_lsp.completion.texts import read_text_file
from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.configuration import Configuration
from egcfg_lsp.lsp.documents import (
    LineDocument,
    Module,
    document_at,
    folder_of,
    module_of,
    open_document,
    path_of,
)
from egcfg_lsp.lsp.watch_owner import WatchOwner
from egcfg_lsp.source.edit import without_lines


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


@dataclass(frozen=True)
class Place:
    """Where a document lies; of one that is no file, nothing is known."""

    path: Path | None
    folder: Path | None
    """Of the workspace; None outside of all."""
    root: Path | None
    """Of the project."""


def place_of(workspace: Workspace, uri: str) -> Place:
    path = path_of(workspace, uri)
    folder = folder_of(workspace, path)
    return Place(path, folder, None if path is None else project_root(path, folder))


class Snapshots:
    """Makes them, and says what still holds of one."""

    def __init__(
        self, server: LanguageServer, configuration: Configuration, watches: WatchOwner
    ) -> None:
        self._server, self._configuration, self._watches = server, configuration, watches
        self._rhythm = Rhythm()
        self._saved_versions: dict[str, int | None] = {}
        self._accepted: Request | None = None
        """As the buffer is if nothing was typed since a suggestion was accepted."""

    def request_at(self, uri: str, position: types.Position) -> Request:
        """What a place in a document is, for whoever asks; its project is watched from then on."""
        workspace = self._server.workspace
        document, module = document_at(workspace, uri), module_of(workspace, uri)
        place = place_of(workspace, uri)
        settings = self._configuration.of(place.root, place.folder)
        if place.root is not None:
            self._watches.follow(place.root, settings.exclude)
        return Request(
            text=module.text,
            offset=module.start + document.offset_at(position),
            path=place.path,
            root=place.root,
            settings=settings,
            applies_edits=self._applies_edits,
            overlays={} if place.root is None else self._unsaved(place.root, place.path),
        )

    def take(self, params: types.InlineCompletionParams) -> Snapshot:
        """What an inline completion is asked for; the key that asks counts in the rhythm of typing."""
        uri, position = params.text_document.uri, params.position
        workspace, context = self._server.workspace, params.context
        document, module = document_at(workspace, uri), module_of(workspace, uri)
        is_automatic = context.trigger_kind == types.InlineCompletionTriggerKind.Automatic
        request = self.request_at(uri, position)
        request = replace(
            request,
            is_automatic=is_automatic,
            just_accepted=self._is_just_accepted(request),
            selected=_selected(context, document, module),
        )
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

    def range_of(self, suggestion: Suggestion, snapshot: Snapshot) -> types.Range:
        """What a suggestion takes the place of; empty at the cursor where it only inserts."""
        start, codec = snapshot.position, self._server.workspace.position_codec
        replaced = snapshot.request.after[: suggestion.replaces]
        end = types.Position(start.line, start.character + codec.client_num_units(replaced))
        return types.Range(start=start, end=end)

    def changed(self, snapshot: Snapshot, update: Update) -> protocol.SuggestionsChanged:
        """What is known now of what the snapshot asked for, as the client is told."""
        return protocol.SuggestionsChanged(
            uri=snapshot.uri,
            version=snapshot.version,
            position=snapshot.position,
            suggestions=tuple(
                protocol.Suggestion(s.id, s.text, self.range_of(s, snapshot), s.outcome, s.summary)
                for s in update.suggestions
            ),
            done=update.done,
        )

    def accepted(
        self, uri: str, request: Request, suggestion: Suggestion
    ) -> types.WorkspaceEdit | None:
        """Note that the user accepted a suggestion: the edit that removes the placeholder below it."""
        accepted = self._accepted = request.accepting(suggestion)
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

    def note_opened(self, uri: str) -> None:
        """An editor may open what it has kept from an earlier session, unsaved."""
        document = open_document(self._server.workspace, uri)
        path = path_of(self._server.workspace, uri)
        if document is None:
            return
        on_disk = None if path is None else read_text_file(path)
        is_saved = on_disk is None or on_disk == document.source.replace("\r\n", "\n")
        self._saved_versions[uri] = document.version if is_saved else None

    def note_saved(self, uri: str) -> None:
        """The document is now as it is on disk."""
        document = open_document(self._server.workspace, uri)
        if document is not None:
            self._saved_versions[uri] = document.version

    def note_closed(self, uri: str) -> None:
        self._saved_versions.pop(uri, None)

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


def _selected(
    context: types.InlineCompletionContext, document: LineDocument, module: Module
) -> tuple[int, str] | None:
    """Where the popup's selected item would begin, and its text."""
    info = context.selected_completion_info
    if info is None:
        return None
    return module.start + document.offset_at(info.range.start), info.text
