"""How the server behaves towards a client: encodings, TCP, progress, settings, folders, notebooks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pytest_lsp.client import make_test_lsp_client

from tests.lsp.client import SCRIPTED, Client, initialise, running

CALC = "calc.py"
HERE = (1, 4)
OPEN = "def add(a, b):\n    \n"
SHOWS_PROGRESS = types.ClientCapabilities(
    window=types.WindowClientCapabilities(work_done_progress=True)
)


def pulls_settings() -> types.ClientCapabilities:
    return types.ClientCapabilities(workspace=types.WorkspaceClientCapabilities(configuration=True))


async def text_at(client: Client, uri: str, *place: int, **how: bool) -> str | None:
    items = (await client.ask(uri, place[0], place[1], **how)).items
    return items[0].insert_text if items else None


@pytest.mark.parametrize(
    ("offered", "chosen", "character"),
    [
        (["utf-8"], "utf-8", 15),
        (["utf-32", "utf-16"], "utf-32", 12),
        (["utf-16"], "utf-16", 13),
        (None, "utf-16", 13),
    ],
)
async def test_position_encoding_is_negotiated(
    project: Path, offered: list[str] | None, chosen: str, character: int
) -> None:
    """`𝄞` is 4 bytes, 2 UTF-16 units, 1 code point; the closing bracket is replaced."""
    general = types.GeneralClientCapabilities(
        position_encodings=[types.PositionEncodingKind(kind) for kind in offered or []] or None
    )
    script = {"lines": ["'𝄞', b) + 1\n"]}
    capabilities = types.ClientCapabilities(general=general)
    async with running(SCRIPTED, project, script=script, capabilities=capabilities) as client:
        assert client.capabilities is not None
        assert client.capabilities.position_encoding == chosen
        uri = await client.open(CALC, "def f(b):\n    '𝄞' + g()\n")
        (item,) = (await client.ask(uri, 1, character)).items
        assert item.insert_text == "'𝄞', b) + 1"
        assert item.range.start.character == character
        assert item.range.end.character == character + 1


async def test_one_client_over_tcp(project: Path) -> None:
    environment = {**os.environ, "EGCFG_SCRIPT": json.dumps({"tcp": True})}
    server = await asyncio.create_subprocess_exec(
        *SCRIPTED, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert server.stderr is not None
    told = (await server.stderr.readline()).decode()
    port = int(told.rpartition(":")[2])
    lsp = make_test_lsp_client()
    client = Client(lsp, project)
    await lsp.start_tcp("127.0.0.1", port)
    await initialise(client, None)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert await text_at(client, await client.open(CALC), *HERE) == "return a + b"
    await lsp.shutdown_async(None)
    lsp.exit(None)
    async with asyncio.timeout(20):
        assert await server.wait() == 0


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("0.0.0.0:7000", "not this machine"),
        ("example.org:7000", "not this machine"),
        ("127.0.0.1", "no HOST:PORT"),
        ("127.0.0.1:x", "no HOST:PORT"),
        ("127.0.0.1:99999", "no HOST:PORT"),
    ],
)
async def test_other_machines_cannot_be_let_in(address: str, complaint: str) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egcfg_lsp", "serve", "--tcp", address,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await server.communicate()
    assert server.returncode == 2
    assert complaint in " ".join(output.decode().replace("│", " ").split())


async def test_loading_shows_progress(project: Path) -> None:
    async with running(SCRIPTED, project, capabilities=SHOWS_PROGRESS) as client:
        await client.until(lambda: any(p["kind"] == "end" for p in client.progress))
        assert [p["kind"] for p in client.progress] == ["begin", "end"]
        assert client.progress[0]["title"] == "egcfg: loading qwen2.5-coder-0.5b"


async def test_without_the_capability_no_progress_is_sent(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        await client.until(lambda: bool(client.statuses) and client.statuses[-1].state == "ready")
        assert client.progress == []


async def test_missing_model_is_downloaded_when_the_user_wants_it(project: Path) -> None:
    script = {"missing_model": True}
    async with running(
        SCRIPTED, project, script=script, capabilities=SHOWS_PROGRESS, chosen_action="Download"
    ) as client:
        await client.until(lambda: bool(client.statuses) and client.statuses[-1].state == "ready")
        assert "491 MB, Apache-2.0" in client.questions[0].message
        titles = [p["title"] for p in client.progress if p["kind"] == "begin"]
        assert titles == [
            "egcfg: downloading qwen2.5-coder-0.5b",
            "egcfg: loading qwen2.5-coder-0.5b",
        ]
        reports = [p for p in client.progress if p["kind"] == "report"]
        assert "trying a scripted source" in [p["message"] for p in reports]
        assert all(0 <= p.get("percentage", 0) <= 100 for p in reports)
        assert await text_at(client, await client.open(CALC), *HERE) == "return a + b"


@pytest.mark.parametrize(
    ("script", "chosen", "complaint"),
    [
        ({}, None, "not downloaded yet"),
        ({"pull_error": "no source gave it"}, "Download", "no source gave it"),
    ],
)
async def test_missing_model_stays_missing(
    project: Path, script: dict[str, Any], chosen: str | None, complaint: str
) -> None:
    script |= {"missing_model": True}
    async with running(SCRIPTED, project, script=script, chosen_action=chosen) as client:
        await client.until(lambda: any(complaint in message for message in client.messages))
        for _ in range(2):
            assert await text_at(client, await client.open(CALC), *HERE) is None
        assert len(client.questions) == 1


async def test_shutdown_during_a_download(project: Path) -> None:
    script = {"missing_model": True, "pull_steps": 600}
    async with running(
        SCRIPTED, project, script=script, capabilities=SHOWS_PROGRESS, chosen_action="Download"
    ) as client:
        await client.until(lambda: any(p["kind"] == "begin" for p in client.progress))


async def test_settings_of_each_folder_are_asked_for(tmp_path: Path) -> None:
    quiet, loud = tmp_path / "quiet", tmp_path / "loud"
    for folder in (quiet, loud):
        folder.mkdir()
        (folder / CALC).write_text(OPEN)

    def configuration(scope: str | None) -> Any:
        return {"enabled": False} if scope == quiet.as_uri() else None

    async with running(
        SCRIPTED, tmp_path, capabilities=pulls_settings(), folders=[quiet, loud],
        configuration=configuration,
    ) as client:  # fmt: skip
        assert await text_at(client, await client.open("quiet/calc.py"), *HERE) is None
        assert await text_at(client, await client.open("loud/calc.py"), *HERE) == "return a + b"
        (tmp_path / "outside.py").write_text(OPEN)
        assert await text_at(client, await client.open("outside.py"), *HERE) == "return a + b"


async def test_changed_settings_are_asked_for_again(project: Path) -> None:
    now: dict[str, Any] = {"enabled": False}
    async with running(
        SCRIPTED, project, capabilities=pulls_settings(), configuration=lambda _: dict(now)
    ) as client:
        uri = await client.open(CALC)
        assert await text_at(client, uri, *HERE) is None
        now["enabled"] = True
        params = types.DidChangeConfigurationParams(settings={"egcfg": {"enabled": False}})
        client.lsp.workspace_did_change_configuration(params)
        await asyncio.sleep(0.2)
        assert await text_at(client, uri, *HERE) == "return a + b"


async def test_changes_are_told_by_clients_that_want_to_be_asked_for_them(project: Path) -> None:
    workspace = types.WorkspaceClientCapabilities(
        did_change_configuration=types.DidChangeConfigurationClientCapabilities(
            dynamic_registration=True
        )
    )
    capabilities = types.ClientCapabilities(workspace=workspace)
    async with running(SCRIPTED, project, capabilities=capabilities) as client:
        await client.until(lambda: bool(client.registrations))
        (registration,) = client.registrations
        assert registration.method == "workspace/didChangeConfiguration"


@pytest.mark.parametrize(
    ("is_automatic", "text", "message"),
    [
        (False, "x = ab\n", "word characters right of the cursor"),
        (True, "x = ab\n", "ready · "),
        (True, "", "the file is excluded"),
    ],
)
async def test_silence_is_explained_to_who_asked(
    project: Path, is_automatic: bool, text: str, message: str
) -> None:
    (project / "secrets.py").write_text("x = ab\n")
    async with running(SCRIPTED, project) as client:
        uri = await client.open(CALC if text else "secrets.py", "x = ab\n")
        assert await text_at(client, uri, 0, 5, is_automatic=is_automatic) is None
        await client.until(lambda: message in client.statuses[-1].message)
        assert client.statuses[-1].state == "ready"


async def test_a_client_that_cannot_be_asked_pushes_its_settings(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        uri = await client.open(CALC)
        assert await text_at(client, uri, *HERE) == "return a + b"
        params = types.DidChangeConfigurationParams(
            settings={"egcfg": {"enabled": False, "trusted": True}}
        )
        client.lsp.workspace_did_change_configuration(params)
        assert await text_at(client, uri, *HERE) is None
        await client.until(lambda: any("your own settings only" in m for m in client.messages))


async def test_pyproject_may_restrict_and_not_grant(project: Path) -> None:
    table = '[tool.egcfg]\nexclude = ["private/"]\ntrusted = true\nmodel = "evil.gguf"\n'
    (project / "pyproject.toml").write_text(table)
    (project / "private").mkdir()
    (project / "private" / "keys.py").write_text(OPEN)
    async with running(SCRIPTED, project) as client:
        assert await text_at(client, await client.open("private/keys.py"), *HERE) is None
        uri = await client.open(CALC)
        final = await client.settled(uri, *HERE)
        assert (final.text, final.outcome) == ("return a + b", "unverified")
        assert "not trusted" in final.summary
        ignored = [m for m in client.messages if "your own settings only" in m]
        assert sorted(m.split("`")[1] for m in ignored) == ["model", "trusted"]
        (project / "pyproject.toml").write_text("[tool.egcfg]\nenabled = false\n")
        client.change(uri, OPEN + "\n")
        assert await text_at(client, uri, *HERE) is None


async def test_changed_options_replace_the_model(project: Path) -> None:
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        assert await text_at(client, uri, *HERE) == "return a + b"
        client.lsp.protocol.notify("egcfg/optionsChanged", {"options": {"model": "other.gguf"}})
        final = await client.settled(uri, *HERE)
        assert final.text == "return 'other.gguf'"
        assert "not trusted" in final.summary, "the options are the new ones alone"
        assert "other.gguf" in client.statuses[-1].message


@pytest.mark.parametrize("params", [{"trusted": True}, {}, {"options": [1]}, {"options": None}])
async def test_options_of_another_form_trust_nothing(project: Path, params: Any) -> None:
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        client.lsp.protocol.notify("egcfg/optionsChanged", params)
        assert "not trusted" in (await client.settled(uri, *HERE)).summary


async def test_a_notebook_is_one_module(project: Path) -> None:
    notebook = (project / "analysis.ipynb").as_uri()
    texts = ["%matplotlib inline\nimport math", "def add(a, b):\n    \n", "assert add(1, 2) == 3"]
    cells = [types.NotebookCell(types.NotebookCellKind.Code, f"{notebook}#c{i}") for i in range(3)]
    notebooks = types.NotebookDocumentClientCapabilities(
        types.NotebookDocumentSyncClientCapabilities()
    )
    capabilities = types.ClientCapabilities(notebook_document=notebooks)
    async with running(
        SCRIPTED, project, options={"trusted": True}, capabilities=capabilities
    ) as client:
        assert client.capabilities is not None
        assert client.capabilities.notebook_document_sync is not None
        client.lsp.notebook_document_did_open(
            types.DidOpenNotebookDocumentParams(
                types.NotebookDocument(notebook, "jupyter-notebook", 1, cells),
                [
                    types.TextDocumentItem(cell.document, "python", 1, text)
                    for cell, text in zip(cells, texts, strict=True)
                ],
            )
        )
        final = await client.settled(cells[1].document, *HERE)
        assert (final.text, final.outcome) == ("return a + b", "unverified")
        assert "notebook" in final.summary


async def test_a_burst_of_changes_while_the_model_decodes(project: Path) -> None:
    """Incremental changes, one by one and in bulk; what is answered is for the last text."""
    lines = "".join(f"x{i} = {i}\n" for i in range(2000))
    script = {"lines": ["    return a + b\n"], "delay": 0.2}
    async with running(SCRIPTED, project, script=script) as client:
        uri = await client.open(CALC, lines + OPEN)
        asked = client.ask(uri, 2001, 4)
        await asyncio.sleep(0.1)
        for i in range(500):
            client.edit(uri, ((i, 0, i, 0), "# "))
        client.edit(uri, *(((i, 0, i, 2), "") for i in range(500)))
        client.edit(uri, ((2000, 0, 2000, 0), "def add(a, b):\n    return a\n\n\n"))
        with pytest.raises(Exception, match=r"changed|cancel"):
            await asked
        assert await text_at(client, uri, 2005, 4) == "return a + b"


async def test_an_answer_comes_before_what_is_newer(project: Path) -> None:
    """Whatever arrives last is what a client shows."""
    last: dict[int, str] = {}
    script = {"passes_if": "never"}
    async with running(SCRIPTED, project, script=script, options={"trusted": True}) as client:
        protocol = client.lsp.protocol
        handle = protocol.handle_message

        def noting(message: Any) -> None:
            items = getattr(getattr(message, "result", None), "items", None)
            if items:
                last[items[0].range.start.line] = items[0].command.arguments[2]
            if getattr(message, "method", "") == "egcfg/suggestionsChanged":
                last[message.params.position.line] = message.params.suggestions[0].summary
            handle(message)

        protocol.handle_message = noting  # type: ignore[method-assign]
        uri = await client.open(CALC)
        for i in range(20):
            client.edit(uri, ((0, 0, 0, 0), f"# {i}\n"))
            await client.ask(uri, 2 + i, 4)
            await client.until(lambda: client.statuses[-1].state == "ready")
            await asyncio.sleep(0.05)
    assert [text[0] for text in last.values()] == ["✗"] * 20


async def test_a_client_without_versioned_edits_gets_plain_ones(project: Path) -> None:
    workspace = types.WorkspaceClientCapabilities(apply_edit=True)
    capabilities = types.ClientCapabilities(workspace=workspace)
    async with running(
        SCRIPTED, project, options={"trusted": True}, capabilities=capabilities
    ) as client:
        uri = await client.open(CALC, "def add(a, b):\n    \n    pass\n")
        final = await client.settled(uri, *HERE)
        client.edit(uri, ((1, 4, 1, 4), final.text))
        command = types.ExecuteCommandParams("egcfg.didAccept", [final.id])
        await client.lsp.workspace_execute_command_async(command)
        (edit,) = client.edits
        assert edit.document_changes is None
        assert edit.changes is not None
        assert [e.new_text for e in edit.changes[uri]] == [""]


@pytest.mark.parametrize(
    ("placeholder", "is_removed"),
    [
        ("    pass\n", True),
        ("    ...  # later\n", True),
        ("    raise NotImplementedError\n", True),
        ("", False),
    ],
)
async def test_accepting_removes_the_placeholder(
    project: Path, placeholder: str, is_removed: bool
) -> None:
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        text = f"def add(a, b):\n    \n{placeholder}\n\ndef other():\n    pass\n"
        uri = await client.open(CALC, text)
        final = await client.settled(uri, *HERE)
        assert (final.text, final.summary) == ("return a + b", "✓ 3/3")
        client.edit(uri, ((1, 4, 1, 4), final.text))
        await client.lsp.workspace_execute_command_async(
            types.ExecuteCommandParams("egcfg.didAccept", [final.id])
        )
        assert len(client.edits) == is_removed
        for edit in client.edits:
            assert edit.document_changes is not None
            (change,) = edit.document_changes
            assert isinstance(change, types.TextDocumentEdit)
            assert change.text_document.version == 2
            (removal,) = change.edits
            assert isinstance(removal, types.TextEdit)
            assert (removal.range.start.line, removal.range.end.line) == (2, 3)
            assert removal.new_text == ""


async def test_nothing_is_asked_right_after_accepting_a_line(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        text = "def add(a, b):\n    \n    print(a)\n    return a\n"
        uri = await client.open(CALC, text)
        (item,) = (await client.ask(uri, *HERE)).items
        client.edit(uri, ((1, 4, 1, 4), item.insert_text))
        arguments: list[Any] = list(item.command.arguments)
        await client.lsp.workspace_execute_command_async(
            types.ExecuteCommandParams("egcfg.didAccept", arguments)
        )
        end = 4 + len(item.insert_text)
        assert await text_at(client, uri, 1, end) is None
        assert await text_at(client, uri, 1, end, is_automatic=False) is not None


async def test_the_popup_has_the_last_word(project: Path) -> None:
    async with running(SCRIPTED, project, script={"lines": ["urn a + b\n"]}) as client:
        uri = await client.open(CALC, "def add(a, b):\n    ret\n")

        async def with_selected(selected: str) -> list[Any]:
            info = types.SelectedCompletionInfo(
                types.Range(types.Position(1, 4), types.Position(1, 7)), selected
            )
            context = types.InlineCompletionContext(
                types.InlineCompletionTriggerKind.Automatic, info
            )
            params = types.InlineCompletionParams(
                context, types.TextDocumentIdentifier(uri), types.Position(1, 7)
            )
            answer: Any = await client.lsp.text_document_inline_completion_async(params)
            return list(answer.items)

        assert len(await with_selected("return")) == 1
        assert await with_selected("retry") == []


@pytest.mark.parametrize("name", ["a b.py", "ü.py", "#h.py", "[x].py", "100%.py"])
async def test_file_whose_address_has_escapes(project: Path, name: str) -> None:
    (project / name).write_text(OPEN)
    script = {"lines": ["    x = a\n", "    return x + b\n"], "delay": 0.2}
    async with running(SCRIPTED, project, script=script) as client:
        uri = await client.open(name)
        client.edit(uri, ((0, 0, 0, 0), "# edited\n"))
        assert await text_at(client, uri, 2, 4) == "x = a"
        await client.until(lambda: bool(client.changes) and client.changes[-1].done)


@pytest.mark.parametrize("answer", [None, [], "error", "silence"])
async def test_strange_answers_about_the_configuration(project: Path, answer: Any) -> None:
    def configuration(_: str | None) -> Any:
        raise RuntimeError("no configuration")

    async with running(
        SCRIPTED, project, capabilities=pulls_settings(), configuration=configuration
    ) as client:

        async def silent(_: Any) -> Any:
            await asyncio.sleep(4)

        def strange(_: Any) -> Any:
            if answer == "error":
                raise RuntimeError("no configuration")
            return answer

        client.lsp.protocol.fm.features[types.WORKSPACE_CONFIGURATION] = (
            silent if answer == "silence" else strange
        )
        assert await text_at(client, await client.open(CALC), *HERE) == "return a + b"
        await client.until(lambda: client.statuses[-1].state == "ready")
        await asyncio.sleep(3 if answer == "silence" else 0)


async def test_closing_a_document_stops_its_completion_without_an_error(project: Path) -> None:
    async with running(SCRIPTED, project, script={"delay": 5}) as client:
        uri = await client.open(CALC)
        asked = client.ask(uri, *HERE)
        await asyncio.sleep(0.3)
        identifier = types.TextDocumentIdentifier(uri)
        client.lsp.text_document_did_close(types.DidCloseTextDocumentParams(identifier))
        async with asyncio.timeout(3):
            await asyncio.gather(asked, return_exceptions=True)
        await client.until(lambda: client.statuses[-1].state == "ready")
        assert client.messages == []


async def test_withdrawn_trust_ends_the_run(project: Path) -> None:
    script = {"run_delay": 30}
    async with running(SCRIPTED, project, script=script, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        client.lsp.protocol.notify("egcfg/trustChanged", {"trusted": False})
        await client.until(lambda: client.statuses[-1].state == "ready", 5)
        assert not any(s.outcome == "verified" for c in client.changes for s in c.suggestions)


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "file:///%00b.py", "vscode-vfs://x/a.py"])
async def test_documents_that_are_no_files(project: Path, uri: str) -> None:
    async with running(SCRIPTED, project) as client:
        item = types.TextDocumentItem(uri, "python", 1, OPEN)
        client.lsp.text_document_did_open(types.DidOpenTextDocumentParams(item))
        assert await text_at(client, uri, *HERE) == "return a + b"
        assert await text_at(client, await client.open(CALC), *HERE) == "return a + b"


async def test_a_device_is_no_settings_file(project: Path) -> None:
    (project / "pyproject.toml").unlink()
    (project / "pyproject.toml").symlink_to("/dev/zero")
    async with running(SCRIPTED, project) as client, asyncio.timeout(10):
        assert await text_at(client, await client.open(CALC), *HERE) == "return a + b"
