"""`textDocument/inlineCompletion`: the first line at once, the rest by notification; accepting it.

An answer has the best suggestion only. What else is known for the place goes out behind it, in
`egcfg/suggestionsChanged`.
"""

from __future__ import annotations

import asyncio

from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified
from pygls.lsp.server import LanguageServer

from egcfg_lsp.completion import Update
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.session import Session
from egcfg_lsp.lsp.snapshots import Snapshot, Snapshots
from egcfg_lsp.model import ModelError


def register(server: LanguageServer, session: Session) -> None:
    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline_completion(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        await session.configured()
        snapshot = session.snapshots.take(params)
        session.supersede(snapshot)
        completions = session.completions()
        if completions is None:
            return types.InlineCompletionList(items=[])
        try:
            update = await completions.first(snapshot.request, wait_seconds=snapshot.wait_seconds)
        except asyncio.CancelledError:
            session.abandon(snapshot)
            raise
        except ModelError as error:
            session.voice.fail(str(error))
            return types.InlineCompletionList(items=[])
        if update.done:
            session.rest(reason_told(update, snapshot))
        if not session.snapshots.is_current(snapshot):
            raise JsonRpcContentModified(message="the document has changed")
        if len(update.suggestions) > 1:
            tell_behind_the_answer(session.snapshots.changed(snapshot, update))
        return to_list(update, snapshot, session.snapshots)

    def tell_behind_the_answer(message: protocol.SuggestionsChanged) -> None:
        """The other suggestions, for a client that lets its user choose."""
        answering = asyncio.current_task()
        assert answering is not None, "handlers are tasks"
        # The callback that sends the answer is the task's first one.
        notify = server.protocol.notify
        answering.add_done_callback(
            lambda _: notify(protocol.SUGGESTIONS_CHANGED, protocol.to_json(message))
        )

    @server.command(protocol.DID_ACCEPT)
    async def did_accept(suggestion_id: str, *_: object) -> None:
        """Clients run it on a full accept; what the suggestion takes the place of below goes."""
        edit = session.accepted(suggestion_id)
        if edit is not None:
            await server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit))


def reason_told(update: Update, snapshot: Snapshot) -> str:
    """Why nothing is suggested, where the user asked for it or would wonder for ever."""
    for drop in () if update.suggestions else update.drops:
        if not snapshot.request.is_automatic or drop.cause in (Cause.DISABLED, Cause.EXCLUDED):
            return drop.cause.text
    return ""


def to_list(update: Update, snapshot: Snapshot, snapshots: Snapshots) -> types.InlineCompletionList:
    """The best suggestion as an item at the cursor; the command carries what an item has no field for.

    One only: clients such as VS Code do not tell which of several items is on screen, so nothing
    could be said of it truthfully.
    """
    return types.InlineCompletionList(
        items=[
            types.InlineCompletionItem(
                insert_text=suggestion.text,
                range=snapshots.range_of(suggestion, snapshot),
                command=types.Command(
                    title="egcfg: accepted",
                    command=protocol.DID_ACCEPT,
                    arguments=[suggestion.id, suggestion.outcome.value, suggestion.summary],
                ),
            )
            for suggestion in update.suggestions[:1]
        ]
    )
