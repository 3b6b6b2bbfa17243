"""*Explain trace*: the code action, the command, and what clients without a plugin of ours see."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcException

from egcfg_lsp.lsp.features.explain_trace import action
from tests.lsp.client import SCRIPTED, Client, running

CALC = "calc.py"
HERE = (1, 4)
TRUSTED = {"trusted": True}
UNTRUSTED = "egcfg: not run: the workspace is not trusted"
TRACE: dict[str, Any] = {
    "test": "tests/test_calc.py::test_small",
    "stopped": "",
    "at": 0,
    "n_lines": 1,
    "n_calls": 1,
    "hit": [2],
    "missed": [],
    "assertion": None,
    "exception": None,
    "frames": [
        {
            "call": 1,
            "parent": 0,
            "name": "add",
            "line": 1,
            "caller": ["test_small", 5],
            "arguments": {"a": "1", "b": "2"},
            "steps": [[2, {}]],
            "end": ["return", "3"],
        }
    ],
}


async def actions(
    client: Client, uri: str, line: int, character: int = 0, **context: Any
) -> list[tuple[str, dict[str, Any]]]:
    """Titles and commands."""
    place = types.Position(line, character)
    found: Any = await client.lsp.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri),
            types.Range(place, place),
            types.CodeActionContext(diagnostics=[], **context),
        )
    )
    # lsprotocol reads a code action as a command, and its command as that one's name.
    return [(one.title, ast.literal_eval(one.command)) for one in found]


async def execute(client: Client, *arguments: Any) -> Any:
    return await client.lsp.workspace_execute_command_async(
        types.ExecuteCommandParams("egcfg.explainTrace", list(arguments))
    )


async def explain(client: Client, uri: str, place: tuple[int, int] = HERE, **wanted: Any) -> Any:
    line, character = place
    position = {"line": line, "character": character}
    return await execute(client, {"uri": uri, "position": position, **wanted})


async def test_code_action_where_the_user_looks_for_it(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        assert client.capabilities is not None
        provider = client.capabilities.code_action_provider
        assert isinstance(provider, types.CodeActionOptions)
        assert list(provider.code_action_kinds or ()) == ["source.explainTrace"]
        uri = await client.open(CALC, "def add(a, b):\n    return a + b\n\n\nx = 1\n")
        ((title, command),) = await actions(client, uri, *HERE)
        assert title == "Explain trace of add"
        assert command["command"] == "egcfg.explainTrace"
        position = {"line": 1, "character": 4}
        assert command["arguments"] == [{"uri": uri, "position": position, "of": "function"}]
        assert action("t", uri, types.Position(1, 4), "s1").kind == "source.explainTrace"
        automatic = types.CodeActionTriggerKind.Automatic
        rows: list[tuple[int, dict[str, Any], int]] = [
            (1, {"only": ["source"]}, 1),
            (1, {"only": ["source.explainTrace"]}, 1),
            (1, {"only": [""]}, 1),
            (1, {"only": ["quickfix", "source.organizeImports"]}, 0),
            (1, {"trigger_kind": types.CodeActionTriggerKind.Invoked}, 1),
            (1, {"trigger_kind": automatic}, 0),
            (4, {}, 0),
        ]
        for line, context, n in rows:
            assert len(await actions(client, uri, line, **context)) == n, (line, context)


async def test_function_as_the_buffer_has_it(project: Path) -> None:
    async with running(SCRIPTED, project, script={"trace": TRACE}, options=TRUSTED) as client:
        uri = await client.open(CALC, "def add(a, b):\n    return a + b\n")
        page = await explain(client, uri, of="function", show=False)
        assert page["title"] == "Trace of add"
        assert page["markdown"].startswith("# Trace of `add`\n\n`✓ 3/3`\n")
        assert "## `add(1, 2) → 3` · from `test_small` at line 5" in page["markdown"]
        assert "2     return a + b" in page["markdown"]
        client.change(uri, "def add(a, b):\n    return a - b\n")
        page = await explain(client, uri, of="function", show=False)
        assert "`✗ 0/3 · add(1, 2) → None, want 3`" in page["markdown"]
        assert "2     return a - b" in page["markdown"]
        assert client.messages == []


async def test_suggestion_shown(project: Path) -> None:
    async with running(SCRIPTED, project, script={"trace": TRACE}, options=TRUSTED) as client:
        uri = await client.open(CALC)
        item = await client.settled(uri, *HERE)
        (title, of_suggestion), (_, of_function) = await actions(client, uri, *HERE)
        assert title == "Explain trace of the suggestion"
        assert of_suggestion["arguments"][0]["of"] == item.id
        for wanted, shown in [
            (of_suggestion["arguments"][0], True),
            (of_function["arguments"][0], False),
            ({"uri": uri, "position": {"line": 1, "character": 4}}, True),
            ({"uri": uri, "position": {"line": 1, "character": 2}}, False),
        ]:
            page = await execute(client, {**wanted, "show": False})
            assert ("return a + b" in page["markdown"]) is shown, wanted
            assert ("✓ 3/3" in page["markdown"]) is shown, wanted
        # Typed through: the place is another, the suggestion is the same.
        client.change(uri, "def add(a, b):\n    ret\n")
        assert len(await actions(client, uri, 1, 7)) == 1
        page = await explain(client, uri, (1, 7), of=item.id, show=False)
        assert "return a + b" in page["markdown"]


NOTHING: dict[str, tuple[str, tuple[int, int], dict[str, Any], dict[str, Any], str]] = {
    "not trusted": ("def add(a, b):\n    pass\n", HERE, {}, {}, UNTRUSTED),
    "no function": ("x = 1\n", (0, 0), {}, TRUSTED, "egcfg: there is no function here"),
    "no tests": (
        "def other():\n    pass\n", HERE, {}, TRUSTED, "egcfg: no tests found for this function",
    ),
    "an unknown suggestion": (
        "def add(a, b):\n    pass\n", HERE, {"of": "s99"}, TRUSTED,
        "egcfg: this suggestion is not known any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
async def test_why_there_is_nothing_to_explain(project: Path, name: str) -> None:
    text, place, wanted, options, message = NOTHING[name]
    async with running(SCRIPTED, project, script={"trace": TRACE}, options=options) as client:
        uri = await client.open(CALC, text)
        assert await explain(client, uri, place, **wanted) is None
        await client.until(lambda: message in client.messages)


async def test_no_trace_is_said(project: Path) -> None:
    for trace in (None, {"frames": "forged"}):
        async with running(SCRIPTED, project, script={"trace": trace}, options=TRUSTED) as client:
            uri = await client.open(CALC, "def add(a, b):\n    return a + b\n")
            page = await explain(client, uri, show=False)
            expected = "# Trace of `add`\n\n`✓ 3/3`\n\nNothing of the run was recorded.\n"
            assert page["markdown"] == expected


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1,),
        ({},),
        ({"uri": "file:///a.py"},),
        ({"uri": "file:///a.py", "position": 3},),
        ({"uri": ANY, "position": {"line": 0, "character": 0}}, 2),
    ],
)
async def test_bad_arguments(project: Path, arguments: tuple[Any, ...]) -> None:
    plain = [a | {"uri": "x"} if isinstance(a, dict) and "uri" in a else a for a in arguments]
    async with running(SCRIPTED, project) as client:
        with pytest.raises(JsonRpcException, match="bad arguments") as caught:
            await execute(client, *plain)
        assert caught.value.code == -32602


async def test_client_that_shows_documents(project: Path) -> None:
    window = types.WindowClientCapabilities(
        show_document=types.ShowDocumentClientCapabilities(support=True)
    )
    capabilities = types.ClientCapabilities(window=window)
    async with running(
        SCRIPTED, project, script={"trace": TRACE}, options=TRUSTED, capabilities=capabilities
    ) as client:
        uri = await client.open(CALC, "def add(a, b):\n    return a + b\n")
        page = await explain(client, uri)
        shown = client.lsp.shown_documents
        await client.until(lambda: bool(shown))
        path = Path(uris.to_fs_path(shown[0].uri) or "")
        assert path.name == "trace_add.md"
        assert path.read_text() == page["markdown"]
        assert path.parent.stat().st_mode & 0o077 == 0, "for the user alone"
    assert not path.parent.exists()


async def test_client_that_shows_nothing_is_told_where_it_is(project: Path) -> None:
    async with running(SCRIPTED, project, script={"trace": TRACE}, options=TRUSTED) as client:
        uri = await client.open(CALC, "def add(a, b):\n    return a + b\n")
        page = await explain(client, uri)
        await client.until(lambda: bool(client.messages))
        summary, path = client.messages[0].removeprefix("egcfg: ").split(" · the trace is in ")
        assert summary == "✓ 3/3"
        assert Path(path).read_text() == page["markdown"]


async def test_typing_goes_on_meanwhile(project: Path) -> None:
    script = {"trace": TRACE, "run_delay": 1.0}
    async with running(SCRIPTED, project, script=script, options=TRUSTED) as client:
        uri = await client.open(CALC)
        page = asyncio.ensure_future(explain(client, uri, of="function", show=False))
        (item,) = (await client.ask(uri, *HERE)).items
        assert item.insert_text == "return a + b"
        assert not page.done()
        assert (await page)["title"] == "Trace of add"


async def test_real_run(project: Path) -> None:
    async with running(SCRIPTED, project, script={"kernel": True}, options=TRUSTED) as client:
        uri = await client.open(CALC, "def add(a, b):\n    c = a - b\n    return c\n")
        page = await explain(client, uri, show=False)
        assert "`✗ 1/2 · add(1, 2) → -1, want 3`" in page["markdown"]
        assert "c = -1" in page["markdown"]
