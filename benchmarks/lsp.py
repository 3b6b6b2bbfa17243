"""The group `lsp`: how long the server, while its model decodes, takes for other messages in a long file.

The real server with the real model, driven over stdio as an editor does. The file is that of the group
`source`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from benchmarks.figures import Benchmark, Figure, Figures, Setup, percentile
from benchmarks.source import long_file

N_CHANGES, CHANGES_A_PROBE, CHANGES_A_TURN = 1000, 20, 5
N_BULKS, PROBE_MS = 10, 50


def other_requests(setup: Setup) -> Figures:
    """Another request's time to its answer: at rest, and during a burst of changes while decoding."""
    return asyncio.run(_measured(setup))


BENCHMARKS: tuple[Benchmark, ...] = (other_requests,)


@dataclass
class _Editor:
    client: LanguageClient
    uri: str
    version: int = 1

    def change(self, *edits: types.TextDocumentContentChangePartial) -> None:
        self.version += 1
        document = types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version)
        params = types.DidChangeTextDocumentParams(document, list(edits))
        self.client.text_document_did_change(params)

    async def probe_ms(self) -> float:
        """The time of a request that needs no model and no text."""
        started = time.perf_counter()
        params = types.ExecuteCommandParams("egcfg.didAccept", ["nothing"])
        await self.client.workspace_execute_command_async(params)
        return 1000 * (time.perf_counter() - started)

    def complete(self, line: int) -> asyncio.Task[object]:
        context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked)
        place = types.Position(line, 0)
        document = types.TextDocumentIdentifier(self.uri)
        params = types.InlineCompletionParams(context, document, place)
        return asyncio.ensure_future(self.client.text_document_inline_completion_async(params))


async def _measured(setup: Setup) -> Figures:
    n_changes = setup.rounds(N_CHANGES, 40)
    async with _editing(setup) as editor:
        rest = [await editor.probe_ms() for _ in range(setup.rounds(50))]
        burst = await _while_decoding(editor, lambda: _burst(editor, n_changes))
        bulk = [
            ms
            for _ in range(setup.rounds(N_BULKS, 1))
            for ms in await _while_decoding(editor, lambda: _bulk(editor, n_changes))
        ]
    return {
        "other_request_ms_at_rest": _of(rest),
        "other_request_ms_in_a_burst": _of(burst, at_most=PROBE_MS),
        "other_request_ms_behind_a_bulk": _of(bulk, at_most=PROBE_MS),
    }


async def _burst(editor: _Editor, n_changes: int) -> list[float]:
    """A notification a change, with probes among them."""
    times = []
    for i in range(n_changes):
        editor.change(_typed(i))
        if i % CHANGES_A_TURN == 0:
            await asyncio.sleep(0)
        if i % CHANGES_A_PROBE == 0:
            times.append(await editor.probe_ms())
    return times


async def _bulk(editor: _Editor, n_changes: int) -> list[float]:
    """One notification with all changes, and a request right behind it."""
    editor.change(*(_typed(i) for i in range(n_changes)))
    return [await editor.probe_ms()]


async def _while_decoding(
    editor: _Editor, work: Callable[[], Awaitable[list[float]]]
) -> list[float]:
    asked = editor.complete(5000)
    await asyncio.sleep(0.3)
    times = await work()
    with suppress(JsonRpcException):
        await asked
    return times


def _typed(i: int) -> types.TextDocumentContentChangePartial:
    place = types.Position(100 + i % 9000, 0)
    return types.TextDocumentContentChangePartial(range=types.Range(place, place), text="x")


def _of(values: list[float], at_most: float | None = None) -> Figure:
    return Figure(
        percentile(values, 95),
        "ms",
        at_most=at_most,
        low=min(values),
        high=max(values),
        n=len(values),
    )


@asynccontextmanager
async def _editing(setup: Setup) -> AsyncGenerator[_Editor]:
    with tempfile.TemporaryDirectory(prefix="egcfg-bench-") as folder:
        path = Path(folder) / "long.py"
        path.write_text(long_file())
        client = LanguageClient("benchmark", "1")
        await client.start_io(sys.executable, "-m", "egcfg_lsp")
        options = {"model": str(setup.model), "contextTokens": setup.options.context_tokens}
        await client.initialize_async(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(),
                root_uri=Path(folder).as_uri(),
                initialization_options=options,
            )
        )
        client.initialized(types.InitializedParams())
        item = types.TextDocumentItem(path.as_uri(), "python", 1, long_file())
        client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        editor = _Editor(client, path.as_uri())
        try:
            with suppress(JsonRpcException):
                await editor.complete(4000)  # the model is loaded behind this
            yield editor
            await client.shutdown_async(None)
        finally:
            client.exit(None)
            await client.stop()  # type: ignore[no-untyped-call]
