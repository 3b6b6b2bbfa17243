"""`egcfg.explainTrace`: a function, or the suggestion shown, is run and its trace told as Markdown.

Also the code action that leads there. Where the client does not show the page itself, the server has
it shown as a file. What is run and told is `completion.explain`'s matter.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from egcfg_lsp.completion.explain import (
    ExplainError,
    Explanation,
    Subject,
    as_it_is,
    explain_run,
    with_suggestion,
)
from egcfg_lsp.lsp import protocol
from egcfg_lsp.lsp.session import Session
from egcfg_lsp.source.target import find_target

KIND = "source.explainTrace"
"""A source action: offered when the user looks for it, without a light bulb in every function."""


def register(server: LanguageServer, session: Session) -> None:
    pages = tempfile.TemporaryDirectory(prefix="egcfg-trace-", ignore_cleanup_errors=True)

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[KIND])
    )
    async def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        if not is_wanted(params.context):
            return []
        uri, position = params.text_document.uri, params.range.start
        request = session.snapshots.request_at(uri, position)
        target = find_target(request.text, request.offset)
        if target is None:
            return []
        found = [action(f"Explain trace of {target.name}", uri, position, protocol.FUNCTION)]
        if (shown := session.suggestion_at(uri, position)) is not None:
            found.insert(0, action("Explain trace of the suggestion", uri, position, shown[1].id))
        return found

    @server.command(protocol.EXPLAIN_TRACE)
    async def explain_trace(_: LanguageServer, *arguments: object) -> protocol.Page | None:
        wanted = protocol.explain_trace(arguments)
        if wanted is None:
            raise JsonRpcInvalidParams(f"bad arguments of {protocol.EXPLAIN_TRACE}")
        await session.configured()
        try:
            explanation = await explained(wanted)
        except ExplainError as error:
            session.voice.show(types.MessageType.Info, str(error))
            return None
        page = protocol.Page(f"Trace of {explanation.subject.name}", explanation.markdown)
        if wanted.show:
            session.start(show(explanation, page))
        return page

    async def explained(wanted: protocol.ExplainTrace) -> Explanation:
        """Raises ExplainError."""
        request = session.snapshots.request_at(wanted.uri, wanted.position)
        subject: Subject | None = None
        if wanted.of != protocol.FUNCTION:
            found = session.suggestion_at(wanted.uri, wanted.position, wanted.of)
            if found is not None:
                request, subject = found[0], with_suggestion(*found)
            elif wanted.of:
                raise ExplainError("this suggestion is not known any more")
        subject = subject or as_it_is(request)
        return await explain_run(request, subject, session.sandbox)

    async def show(explanation: Explanation, page: protocol.Page) -> None:
        name = "".join(c if c.isalnum() else "_" for c in explanation.subject.name)
        path = Path(pages.name) / f"trace_{name}.md"
        await asyncio.to_thread(path.write_text, page.markdown, encoding="utf-8")
        window = server.client_capabilities.window
        if window is None or not window.show_document or not window.show_document.support:
            session.voice.show(
                types.MessageType.Info, f"{explanation.summary} · the trace is in {path}"
            )
            return
        try:
            shown = types.ShowDocumentParams(path.as_uri(), take_focus=True)
            await server.window_show_document_async(shown)
        except JsonRpcException as error:
            session.voice.show(types.MessageType.Warning, f"{path} is not shown: {error}")

    session.on_close(pages.cleanup)


def is_wanted(context: types.CodeActionContext) -> bool:
    """Whether the user looks for such actions; clients also ask on every move of the cursor."""
    if context.only is not None:
        return any(kind == KIND or KIND.startswith(f"{kind}.") or not kind for kind in context.only)
    return context.trigger_kind != types.CodeActionTriggerKind.Automatic


def action(title: str, uri: str, position: types.Position, of: str) -> types.CodeAction:
    where = {"line": position.line, "character": position.character}
    arguments = [{"uri": uri, "position": where, "of": of}]
    command = types.Command(title, protocol.EXPLAIN_TRACE, arguments=arguments)
    return types.CodeAction(title, kind=KIND, command=command)
