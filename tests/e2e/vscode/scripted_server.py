"""A language server that says the same suggestions each time, to test the VS Code side alone.

Speaks `docs/protocol.md`; has no model and runs nothing.
Usage: `python scripted_server.py grow|swap`: whether the first suggestion stays or a better one replaces it.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

FIRST_LINE = "tax = RATES[country]"
COMPLETE = FIRST_LINE + "\n    return sum(n * price for n, price in items) * (1 + tax)"
BETTER = "tax = RATES.get(country, 0)\n    return sum(n * price for n, price in items) * (1 + tax)"
PAUSE_S = 0.5


@dataclass(frozen=True)
class Suggestion:
    id: str
    text: str
    outcome: str = "unverified"
    summary: str = ""


SCRIPTS = {
    "grow": [
        Suggestion("a", COMPLETE),
        Suggestion("a", COMPLETE, summary="running 3 tests…"),
        Suggestion("a", COMPLETE, "verified", "✓ 3/3"),
    ],
    "swap": [
        Suggestion("a", COMPLETE, summary="running 3 tests…"),
        Suggestion("a", COMPLETE, "fails", "✗ 2/3 · total([(1, 10.0)], 'atlantis') → KeyError"),
        Suggestion("b", BETTER, "verified", "✓ 3/3"),
    ],
}

server = LanguageServer("egcfg-scripted", "0")
said: dict[tuple[str, int, int, int], Suggestion] = {}
background: set[asyncio.Task[None]] = set()


@server.feature(types.INITIALIZED)
def initialized(_: Any) -> None:
    server.protocol.notify("egcfg/status", {"state": "ready", "message": "ready · scripted"})


@server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
async def inline_completion(
    params: types.InlineCompletionParams,
) -> list[types.InlineCompletionItem]:
    document = server.workspace.get_text_document(params.text_document.uri)
    position, version = params.position, document.version or 0
    typed = document.lines[position.line][: position.character].lstrip()
    if not FIRST_LINE.startswith(typed):
        return []
    key = (document.uri, version, position.line, position.character)
    if key not in said:
        said[key] = Suggestion("a", FIRST_LINE.removeprefix(typed))
        task = asyncio.create_task(follow_script(key, typed))
        background.add(task)
        task.add_done_callback(background.discard)
    suggestion = said[key]
    arguments = [suggestion.id, suggestion.outcome, suggestion.summary]
    accepted = types.Command("egcfg: accepted", "egcfg.didAccept", arguments=arguments)
    return [
        types.InlineCompletionItem(
            suggestion.text, range=types.Range(position, position), command=accepted
        )
    ]


@server.command("egcfg.didAccept")
def did_accept(*_: str) -> None:
    server.protocol.notify("egcfg/status", {"state": "ready", "message": "accepted"})


async def follow_script(key: tuple[str, int, int, int], typed: str) -> None:
    uri, version, line, character = key
    position = {"line": line, "character": character}
    script = [step for step in SCRIPTS[sys.argv[1]] if step.text.startswith(typed)]
    for n_steps, step in enumerate(script, start=1):
        await asyncio.sleep(PAUSE_S)
        said[key] = replace(step, text=step.text.removeprefix(typed))
        suggestion = asdict(said[key]) | {"range": {"start": position, "end": position}}
        message = {
            "uri": uri,
            "version": version,
            "position": position,
            "suggestions": [suggestion],
        }
        server.protocol.notify(
            "egcfg/suggestionsChanged", message | {"done": n_steps == len(script)}
        )


if __name__ == "__main__":
    server.start_io()
