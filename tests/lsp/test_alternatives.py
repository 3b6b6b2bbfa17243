"""Over the wire: what follows a draft that fails its tests. Model and sandbox are scripted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from tests.lsp.client import SCRIPTED, Client, running

CALC = "calc.py"
HERE = (1, 4)
TRUSTED = {"trusted": True}
SCRIPT = {
    "lines": ["    return a", " - ", "b\n"],
    "runners_up": {"return a": ("return b", 0.1), " - ": (" + ", 0.2)},
    "delay": 0.2,
}
DRAFT, OTHER, BETTER = "return a - b", "return b - b", "return a + b"
FAILED = ("fails", "✗ 0/3 · add(1, 2) → None, want 3")
PASSED = ("verified", "✓ 3/3")


def told(message: Any) -> list[tuple[str, str, str]]:
    """Texts, outcomes and summaries of an `egcfg/suggestionsChanged`."""
    return [(s.text, s.outcome, s.summary) for s in message.suggestions]


async def asked(client: Client, uri: str, line: int, character: int) -> tuple[str, str, str]:
    """Text, outcome and summary of the one item of an answer."""
    (item,) = (await client.ask(uri, line, character)).items
    _, outcome, summary = item.command.arguments
    return item.insert_text, outcome, summary


async def explored(client: Client, uri: str) -> Any:
    """Ask and wait until nothing more is tried: the last notification."""
    await client.ask(uri, *HERE)
    await client.until(lambda: bool(client.changes) and client.changes[-1].done)
    return client.changes[-1]


async def test_a_better_one_takes_the_first_place_under_its_own_id(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        (item,) = (await client.ask(uri, *HERE)).items
        assert item.insert_text == DRAFT
        await client.until(lambda: bool(client.changes) and client.changes[-1].done)
        draft_id = item.command.arguments[0]
        first = [change.suggestions[0] for change in client.changes]
        failing = [(s.text, s.outcome, s.summary) for s in first if s.id == draft_id]
        assert failing[-1] == (DRAFT, *FAILED)
        assert first[-1].id != draft_id
        assert told(client.changes[-1]) == [(BETTER, *PASSED), (DRAFT, *FAILED), (OTHER, *FAILED)]
        ids = [s.id for s in client.changes[-1].suggestions]
        assert len(set(ids)) == 3
        assert ids[1] == draft_id
        assert {(s.range.start.line, s.range.start.character) for s in first} == {HERE}


async def test_asking_again_brings_the_best_and_behind_it_the_others(project: Path) -> None:
    arrived: list[str] = []
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        last = await explored(client, uri)
        client.changes.clear()
        handle = client.lsp.protocol.handle_message

        def noting(message: Any) -> None:
            if getattr(getattr(message, "result", None), "items", None):
                arrived.append("answer")
            if getattr(message, "method", "") == "egcfg/suggestionsChanged":
                arrived.append("others")
            handle(message)

        client.lsp.protocol.handle_message = noting  # type: ignore[method-assign]
        async with asyncio.timeout(0.5):  # the model alone takes longer
            assert await asked(client, uri, *HERE) == (BETTER, *PASSED)
        await client.until(lambda: bool(client.changes))
        assert told(client.changes[0]) == told(last)
        assert [s.id for s in client.changes[0].suggestions] == [s.id for s in last.suggestions]
        assert client.changes[0].done
    assert arrived == ["answer", "others"]


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("return ", [("a + b", *PASSED), ("a - b", *FAILED), ("b - b", *FAILED)]),
        ("return a", [(" + b", *PASSED), (" - b", *FAILED)]),
        ("return a -", [(" b", *FAILED)]),
    ],
)
async def test_typing_on_keeps_what_still_fits(
    project: Path, typed: str, left: list[tuple[str, str, str]]
) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await explored(client, uri)
        client.changes.clear()
        client.change(uri, f"def add(a, b):\n    {typed}\n")
        async with asyncio.timeout(0.5):
            assert await asked(client, uri, 1, 4 + len(typed)) == left[0]
        if len(left) > 1:
            await client.until(lambda: bool(client.changes))
            assert told(client.changes[0]) == left
            assert client.changes[0].version == 2


async def test_typing_through_a_failing_draft_does_not_end_the_search(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await client.until(
            lambda: bool(client.changes) and told(client.changes[-1])[0][1] == "fails"
        )
        client.change(uri, "def add(a, b):\n    return a -\n")
        assert await asked(client, uri, 1, 14) == (" b", *FAILED)
        await client.until(lambda: client.changes[-1].done)
        here = [told(change) for change in client.changes if change.version == 2]
        assert here
        assert all(one == [(" b", *FAILED)] for one in here)
        client.change(uri, "def add(a, b):\n    \n")
        async with asyncio.timeout(0.5):
            assert await asked(client, uri, *HERE) == (BETTER, *PASSED)


@pytest.mark.parametrize("chosen", [BETTER, DRAFT, OTHER])
async def test_any_of_them_can_be_accepted(project: Path, chosen: str) -> None:
    body = "def add(a, b):\n    \n    pass\n"
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC, body)
        last = await explored(client, uri)
        (one,) = [s for s in last.suggestions if s.text == chosen]
        client.edit(uri, ((*HERE, *HERE), chosen))
        await client.lsp.workspace_execute_command_async(
            types.ExecuteCommandParams(
                "egcfg.didAccept", arguments=[one.id, one.outcome, one.summary]
            )
        )
        await client.until(lambda: bool(client.edits))
        (change,) = client.edits[0].document_changes or ()
        assert isinstance(change, types.TextDocumentEdit)
        (edit,) = change.edits
        assert (edit.range.start.line, edit.range.end.line) == (2, 3)
