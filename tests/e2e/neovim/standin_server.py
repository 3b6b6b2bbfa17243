"""A scripted stand-in for `egcfg-lsp`: speaks docs/protocol.md, without a model or a sandbox.

Started as `python standin_server.py SCRIPT.json LOG.jsonl`. The script is an object:

- `anchor`: the suggestions start behind the first occurrence of this text in the document;
- `steps`: lists of suggestions (`id`, `text`, `outcome`, `summary`), best first. The first step is
  the answer to a request; each `standin/step` goes one further and notifies the client;
- `encoding`: the position encoding to choose (default `utf-16`);
- `hold`: answers wait for `standin/release`;
- `deaf`: cancelled requests are answered all the same, as when answer and cancellation cross;
- `error`: answer with this JSON-RPC error code.

What has been typed behind the anchor is cut off the suggestions, as the real server's cache does.
Every message from the client is written to the log, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

UNTRUSTED = "⊘ not run: the workspace is not trusted"


@dataclass
class Script:
    anchor: str
    steps: list[list[dict[str, str]]]
    encoding: str = "utf-16"
    hold: bool = False
    deaf: bool = False
    error: int | None = None


@dataclass
class Session:
    script: Script
    log: Path
    step: int = 0
    trusted: bool = False
    asked: types.InlineCompletionParams | None = None
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, method: str, params: object = None) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"method": method, "params": params}) + "\n")

    def suggestions(self, document: TextDocument, position: types.Position) -> list[dict[str, str]]:
        """The present step's suggestions as they continue the text at `position`."""
        source = document.source.replace("\r\n", "\n")
        anchor = source.find(self.script.anchor)
        offset = document.offset_at_position(position)
        crlf_before = document.source[:offset].count("\r\n")
        typed = source[anchor + len(self.script.anchor) : offset - crlf_before]
        if anchor < 0 or offset - crlf_before < anchor + len(self.script.anchor):
            return []
        found = []
        for suggestion in self.script.steps[self.step]:
            if suggestion["text"].startswith(typed) and suggestion["text"] != typed:
                shown = suggestion | {"text": suggestion["text"][len(typed) :]}
                if not self.trusted:
                    shown |= {"outcome": "unverified", "summary": UNTRUSTED}
                found.append(shown)
        return found


def make_server(session: Session) -> LanguageServer:
    server = LanguageServer("egcfg-standin", "1")
    if session.script.deaf:
        server.protocol._handle_cancel_notification = lambda msg_id: None  # type: ignore[method-assign]

    @server.feature(types.INITIALIZE)
    def initialize(ls: LanguageServer, params: types.InitializeParams) -> None:
        options: Any = params.initialization_options
        session.trusted = bool(options["trust"])
        capabilities = params.capabilities.text_document
        session.record(
            "initialize",
            {
                "options": options,
                "inlineCompletion": bool(capabilities and capabilities.inline_completion),
                "root": params.root_uri,
                "pid": os.getpid(),
            },
        )

    @server.feature(types.INITIALIZED)
    def initialized(ls: LanguageServer, params: types.InitializedParams) -> None:
        tell_status(ls)

    @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def complete(
        ls: LanguageServer, params: types.InlineCompletionParams
    ) -> list[types.InlineCompletionItem]:
        position = {"line": params.position.line, "character": params.position.character}
        session.record(
            "inlineCompletion",
            {"position": position, "kind": int(params.context.trigger_kind)},
        )
        session.asked = params
        document = ls.workspace.get_text_document(params.text_document.uri)
        suggestions = session.suggestions(document, params.position)
        if session.script.hold:
            try:
                await session.released.wait()
            except asyncio.CancelledError:
                session.record("cancelled", {"position": position})
                raise
            session.record("answering", {"position": position})
        if session.script.error is not None:
            raise JsonRpcException(code=session.script.error, message="scripted error")
        return [
            types.InlineCompletionItem(
                insert_text=suggestion["text"],
                range=types.Range(params.position, params.position),
                command=types.Command(
                    title="egcfg: accepted",
                    command="egcfg.didAccept",
                    arguments=[suggestion[key] for key in ("id", "outcome", "summary")],
                ),
            )
            for suggestion in suggestions[:1]
        ]

    @server.command("egcfg.didAccept")
    def accepted(ls: LanguageServer, suggestion_id: str, outcome: str, summary: str) -> None:
        session.record("didAccept", [suggestion_id, outcome, summary])

    @server.command("egcfg.trust")
    def trust(ls: LanguageServer, uri: str) -> None:
        session.trusted = True
        session.record("trust", uri)
        tell_status(ls)

    @server.command("egcfg.revokeTrust")
    def revoke_trust(ls: LanguageServer, uri: str) -> None:
        session.trusted = False
        session.record("revokeTrust", uri)
        tell_status(ls)

    def tell_status(ls: LanguageServer) -> None:
        sandbox = {"tier": "A", "works": True, "detail": "stand-in"}
        status = {"state": "ready", "message": "ready · stand-in", "sandbox": sandbox}
        ls.protocol.notify("egcfg/status", status | {"trusted": session.trusted})

    @server.feature("standin/step")
    def step(ls: LanguageServer, params: Any) -> None:
        session.step += 1
        notify(ls)

    @server.feature("standin/notify")
    def notify_again(ls: LanguageServer, params: Any) -> None:
        notify(ls)

    @server.feature("standin/release")
    def release(ls: LanguageServer, params: Any) -> None:
        session.released.set()

    def notify(ls: LanguageServer) -> None:
        """As the real server does: for the document and position asked for last."""
        asked = session.asked
        if asked is None:
            return
        document = ls.workspace.get_text_document(asked.text_document.uri)
        position = {"line": asked.position.line, "character": asked.position.character}
        ls.protocol.notify(
            "egcfg/suggestionsChanged",
            {
                "uri": asked.text_document.uri,
                "version": document.version,
                "position": position,
                "suggestions": [
                    suggestion | {"range": {"start": position, "end": position}}
                    for suggestion in session.suggestions(document, asked.position)
                ],
                "done": session.step == len(session.script.steps) - 1,
            },
        )

    return server


def choose_encoding(encoding: str) -> None:
    from pygls.capabilities import ServerCapabilitiesBuilder

    chosen = types.PositionEncodingKind(encoding)
    ServerCapabilitiesBuilder.choose_position_encoding = classmethod(  # type: ignore[assignment]
        lambda cls, capabilities: chosen
    )


def main() -> None:
    script_path, log_path = map(Path, sys.argv[1:])
    script = Script(**json.loads(script_path.read_text(encoding="utf-8")))
    choose_encoding(script.encoding)
    make_server(Session(script, log_path)).start_io()


if __name__ == "__main__":
    main()
