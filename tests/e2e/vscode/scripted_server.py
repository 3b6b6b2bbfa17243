"""A language server that says the same suggestions each time, to test the VS Code side alone.

Speaks `docs/protocol.md`; has no model and runs nothing.
Usage: `python scripted_server.py grow|swap|several`: whether the first suggestion stays, a better one
replaces it, or there are several. A script goes on behind a `Gate` once the file that `EGCFG_GATE`
names has as many characters as the gate says.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

FIRST_LINE = "tax = RATES[country]"
COMPLETE = FIRST_LINE + "\n    return sum(n * price for n, price in items) * (1 + tax)"
BETTER = "tax = RATES.get(country, 0)\n    return sum(n * price for n, price in items) * (1 + tax)"
PAUSE_S = 0.5
POLL_S, MAX_POLLS = 0.05, 2400


@dataclass(frozen=True)
class Suggestion:
    id: str
    text: str
    outcome: str = "unverified"
    summary: str = ""


@dataclass(frozen=True)
class Gate:
    n_characters: int


ONE_FAILS = Suggestion("a", COMPLETE, "fails", "✗ 2/3 · total([(1, 10.0)], 'atlantis') → KeyError")
SEVERAL = [
    Suggestion("c", FIRST_LINE + "\n    return 1 + tax", "partial", "✗ 2/3"),
    Suggestion("a", COMPLETE, "fails", "✗ 1/3"),
    Suggestion("d", FIRST_LINE + "\n    return tax", "fails", "✗ 0/3"),
]
PASSES = Suggestion("b", BETTER, "verified", "✓ 3/3")
SCRIPTS: dict[str, list[list[Suggestion] | Gate]] = {
    "grow": [
        [Suggestion("a", COMPLETE)],
        [Suggestion("a", COMPLETE, summary="running 3 tests…")],
        [Suggestion("a", COMPLETE, "verified", "✓ 3/3")],
    ],
    "swap": [
        [Suggestion("a", COMPLETE, summary="running 3 tests…")],
        [ONE_FAILS],
        [PASSES],
    ],
    "several": [SEVERAL, Gate(1), [PASSES, *SEVERAL], Gate(2), [PASSES, SEVERAL[0]]],
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
def did_accept(suggestion_id: str, *_: str) -> None:
    server.protocol.notify(
        "egcfg/status", {"state": "ready", "message": f"accepted {suggestion_id}"}
    )


async def follow_script(key: tuple[str, int, int, int], typed: str) -> None:
    uri, version, line, character = key
    position = {"line": line, "character": character}
    script = SCRIPTS[sys.argv[1]]
    for n_steps, step in enumerate(script, start=1):
        if isinstance(step, Gate):
            await passed(step)
            continue
        await asyncio.sleep(PAUSE_S)
        fitting = [one for one in step if one.text.startswith(typed)]
        if not fitting:
            continue
        left = [replace(one, text=one.text.removeprefix(typed)) for one in fitting]
        said[key] = left[0]
        at_cursor = {"range": {"start": position, "end": position}}
        message = {
            "uri": uri,
            "version": version,
            "position": position,
            "suggestions": [asdict(one) | at_cursor for one in left],
        }
        server.protocol.notify(
            "egcfg/suggestionsChanged", message | {"done": n_steps == len(script)}
        )


async def passed(gate: Gate) -> None:
    for _ in range(MAX_POLLS):
        if len(Path(os.environ["EGCFG_GATE"]).read_text()) >= gate.n_characters:
            return
        await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    server.start_io()
