"""The server as a subprocess: a scripted model for the conduct, the real one once for the whole way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.lsp.client import REAL, SCRIPTED, running

CALC = "calc.py"
HERE = (1, 4)


async def test_inline_completion_is_advertised(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        assert client.capabilities is not None
        assert client.capabilities.inline_completion_provider is not None
        commands = client.capabilities.execute_command_provider
        assert commands is not None
        assert "egcfg.didAccept" in commands.commands


async def test_first_line_is_answered_and_the_rest_follows(project: Path) -> None:
    script = {"lines": ["    total = a\n", "    return total + b\n"], "delay": 0.3}
    script |= {"passes_if": "total + b"}
    async with running(SCRIPTED, project, script=script, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        answer = await client.ask(uri, *HERE)
        (item,) = answer.items
        assert item.insert_text == "total = a"
        assert item.range.start == item.range.end
        assert not client.changes
        await client.until(lambda: bool(client.changes) and client.changes[-1].done)
        final = client.changes[-1].suggestions[0]
        assert final.text == "total = a\n    return total + b"
        assert (final.outcome, final.summary) == ("verified", "✓ 3/3")
        assert final.id == item.command.arguments[0]
        assert client.changes[0].suggestions[0].outcome == "unverified"


async def test_asking_again_is_answered_from_the_cache(project: Path) -> None:
    script = {"lines": ["    return a + b\n"], "delay": 0.5}
    async with running(SCRIPTED, project, script=script, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        first = await client.ask(uri, *HERE)
        final = await client.settled(uri, *HERE)
        async with asyncio.timeout(0.4):  # the model alone takes longer
            again = await client.ask(uri, *HERE)
        (item,) = again.items
        assert item.insert_text == final.text
        assert list(item.command.arguments) == [
            first.items[0].command.arguments[0],
            "verified",
            "✓ 3/3",
        ]


async def test_typing_through_keeps_suggestion_and_outcome(project: Path) -> None:
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        await client.settled(uri, *HERE)
        client.change(uri, "def add(a, b):\n    retu\n")
        (item,) = (await client.ask(uri, 1, 8)).items
        assert item.insert_text == "rn a + b"
        assert list(item.command.arguments)[1:] == ["verified", "✓ 3/3"]


async def test_failing_suggestion_says_why(project: Path) -> None:
    script = {"lines": ["    pass\n"]}
    async with running(SCRIPTED, project, script=script, options={"trusted": True}) as client:
        final = await client.settled(await client.open(CALC), *HERE)
        assert final.outcome == "fails"
        assert final.summary == "✗ 0/3 · add(1, 2) → None, want 3"


@pytest.mark.parametrize("options", [None, {"trusted": "yes"}, {"trusted": False}])
async def test_untrusted_workspace_is_not_run(project: Path, options: Any) -> None:
    async with running(SCRIPTED, project, options=options) as client:
        final = await client.settled(await client.open(CALC), *HERE)
        assert final.outcome == "unverified"
        assert "not trusted" in final.summary


async def test_trust_can_be_granted_and_withdrawn(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        uri = await client.open(CALC)
        for trusted, outcome in ((True, "verified"), (False, "unverified"), (True, "verified")):
            client.lsp.protocol.notify("egcfg/trustChanged", {"trusted": trusted})
            assert (await client.settled(uri, *HERE)).outcome == outcome
        client.lsp.protocol.notify("egcfg/trustChanged", {"trusted": "certainly"})
        await client.until(lambda: any("trustChanged" in m for m in client.messages))
        assert (await client.settled(uri, *HERE)).outcome == "unverified"


async def test_cancelled_request_stops_the_decoding(project: Path) -> None:
    script = {"lines": ["    x = 1\n"] + ["    x += 1\n", "    x += 2\n"] * 50, "delay": 0.2}
    async with running(SCRIPTED, project, script=script) as client:
        uri = await client.open(CALC)
        asked = client.ask(uri, *HERE)
        await asyncio.sleep(0.05)
        request = list(client.lsp.protocol._request_futures)[-1]
        client.lsp.cancel_request(types.CancelParams(id=request))
        with pytest.raises(JsonRpcException) as caught:
            await asked
        assert caught.value.code == -32800
        await client.until(lambda: client.statuses[-1].state == "ready")
        n_changes = len(client.changes)
        await asyncio.sleep(0.5)
        assert len(client.changes) == n_changes


async def test_newer_request_supersedes_the_older_one(project: Path) -> None:
    async with running(SCRIPTED, project, script={"delay": 0.4}) as client:
        uri = await client.open(CALC)
        older = client.ask(uri, *HERE)
        await asyncio.sleep(0.05)
        client.change(uri, "def add(a, b):\n    y = 1\n    \n")
        newer = client.ask(uri, 2, 4)
        with pytest.raises(JsonRpcException) as caught:
            await older
        assert caught.value.code == -32800
        assert (await newer).items[0].insert_text == "return a + b"


async def test_stale_answer_is_an_error(project: Path) -> None:
    async with running(SCRIPTED, project, script={"delay": 0.4}) as client:
        uri = await client.open(CALC)
        asked = client.ask(uri, *HERE)
        await asyncio.sleep(0.1)
        client.change(uri, "def add(a, b):\n    # typed on\n")
        with pytest.raises(JsonRpcException) as caught:
            await asked
        assert caught.value.code == -32801


async def test_stray_prints_do_not_reach_the_stream(project: Path) -> None:
    async with running(
        SCRIPTED, project, script={"noisy": True}, options={"trusted": True}
    ) as client:
        assert (await client.settled(await client.open(CALC), *HERE)).outcome == "verified"
        assert (await client.ask(await client.open(CALC), *HERE)).items


async def test_shutdown_while_decoding_ends_with_status_0(project: Path) -> None:
    script = {"lines": ["    x = 1\n"] + ["    x += 1\n", "    x += 2\n"] * 500, "delay": 0.1}
    async with running(SCRIPTED, project, script=script) as client:  # asserts the status
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        asyncio.ensure_future(client.ask(uri, 0, 0)).add_done_callback(lambda f: f.exception())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([1, 2], "must be an object"),
        ({"model": 7}, "`model` of initializationOptions must be a non-empty string"),
        (
            {"deadlineSeconds": "long"},
            "`deadlineSeconds` of initializationOptions must be a number",
        ),
        ({"deadlineSeconds": 1e9}, "must be a number from 0.1 to 600"),
        ({"colour": "red"}, "an unknown setting 'colour'"),
    ],
)
async def test_broken_settings_are_reported_and_still_serve(
    project: Path, options: Any, complaint: str
) -> None:
    async with running(SCRIPTED, project, options=options) as client:
        await client.until(lambda: any(complaint in message for message in client.messages))
        assert (await client.ask(await client.open(CALC), *HERE)).items
        assert sum(complaint in message for message in client.messages) == 1


async def test_model_errors_are_told_once_and_answered_empty(project: Path) -> None:
    script = {"model_error": "the model worker died (signal 9)"}
    async with running(SCRIPTED, project, script=script) as client:
        uri = await client.open(CALC)
        for _ in range(2):
            assert not (await client.ask(uri, *HERE)).items
        assert sum("worker died" in message for message in client.messages) == 1
        assert client.statuses[-1].state == "error"


async def test_missing_model_says_what_to_do(project: Path, tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "empty-cache")}
    async with running(REAL, project, environment=environment) as client:
        await client.until(lambda: any("models pull" in message for message in client.messages))
        assert not (await client.ask(await client.open(CALC), *HERE)).items


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("def add(a, b):\r\n    \r\n", (1, 4), "return a + b"),
        ("def add(a, b):\n    s = '𝄞𝄞'; \n", (1, 16), "return a + b"),
        ("def add(a, b):\n    x = abc\n", (1, 9), None),
        ("", (0, 0), "return a + b"),
        ("def add(a, b):\n    \n", (99, 99), "return a + b"),
    ],
    ids=["crlf", "astral", "inside a word", "empty", "past the end"],
)
async def test_positions(
    project: Path, text: str, position: tuple[int, int], expected: str | None
) -> None:
    async with running(SCRIPTED, project) as client:
        answer = await client.ask(await client.open(CALC, text), *position)
        assert [item.insert_text.strip() for item in answer.items] == (
            [expected] if expected else []
        )


async def test_unsaved_file_gets_suggestions_that_are_not_run(project: Path) -> None:
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        uri = await client.open("new.py", "def add(a, b):\n    \n")
        assert (await client.settled(uri, *HERE)).outcome == "unverified"


@pytest.mark.model
async def test_whole_way_with_the_real_model(default_model: Path, tmp_path: Path) -> None:
    """A real model proposes, a real sandbox runs the user's tests."""
    project = tmp_path / "shop"
    await asyncio.to_thread(_copy_example, project)
    async with running(REAL, project, options={"trusted": True}) as client:
        uri = await client.open("shop/pricing.py")
        lines = (project / "shop/pricing.py").read_text().split("\n")
        row = max(i for i, line in enumerate(lines) if line == "    ")
        async with asyncio.timeout(240):
            answer = await client.ask(uri, row, 4)
        assert answer.items[0].insert_text.strip()
        final = await client.settled(uri, row, 4, seconds=240)
        assert "return" in final.text
        assert final.outcome in ("verified", "partial", "fails"), final.summary
        assert final.summary[0] in "✓✗", final.summary
        n_passed, n_tests = final.summary.split()[1].split("/")
        assert (int(n_tests), n_passed == n_tests) == (3, final.outcome == "verified")


def _copy_example(project: Path) -> None:
    import shutil

    source = Path(__file__).parents[2] / "examples"
    shutil.copytree(source, project, ignore=shutil.ignore_patterns("__pycache__"))
