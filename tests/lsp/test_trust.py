"""Trust and the execution log as a client sees them; the model and the sandbox are scripted."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from egcfg_lsp.execution_log import Entry, entries
from egcfg_lsp.trust import Answer, TrustFile
from tests.lsp.client import SCRIPTED, Client, running

CALC = "calc.py"
HERE = (1, 4)
SHOWS_DOCUMENTS = types.ClientCapabilities(
    window=types.WindowClientCapabilities(
        show_document=types.ShowDocumentClientCapabilities(support=True)
    )
)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder of this test alone, where the server finds it."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "egcfg-lsp"


def remembered(state: Path) -> dict[Path, Answer]:
    return dict(TrustFile(state / "trust.json").read().answers)


def logged(state: Path) -> list[Entry]:
    return list(entries(state / "executions.jsonl"))


async def summary(client: Client, uri: str) -> str:
    return str((await client.settled(uri, *HERE)).summary)


async def command(client: Client, name: str, *arguments: Any) -> Any:
    params = types.ExecuteCommandParams(name, list(arguments))
    return await client.lsp.workspace_execute_command_async(params)


@pytest.mark.parametrize(
    ("chosen", "kept", "then"),
    [
        ("Trust", Answer.TRUSTED, "✓ 3/3"),
        ("Never", Answer.REFUSED, "⊘ not run: the workspace is not trusted"),
        ("Not now", None, "⊘ not run: the workspace is not trusted"),
        (None, None, "⊘ not run: the workspace is not trusted"),
    ],
)
async def test_the_user_is_asked_once(
    project: Path, state: Path, chosen: str | None, kept: Answer | None, then: str
) -> None:
    async with running(SCRIPTED, project, chosen_action=chosen) as client:
        uri = await client.open(CALC)
        first = await summary(client, uri)
        # A yes is answered at once, and the suggestion that is shown runs then.
        assert kept is Answer.TRUSTED or "not trusted" in first
        await client.until(lambda: len(client.questions) == 1)
        (question,) = client.questions
        assert str(project) in question.message
        assert [action.title for action in question.actions or []] == ["Trust", "Not now", "Never"]
        if kept is not None:
            await client.until(lambda: client.statuses[-1].trusted is (kept is Answer.TRUSTED))
        client.change(uri, "def add(a, b):\n    \n\n")
        assert await summary(client, uri) == then
        assert len(client.questions) == 1
    assert remembered(state) == ({} if kept is None else {project: kept})
    async with running(SCRIPTED, project, chosen_action=None) as client:
        assert await summary(client, await client.open(CALC)) == then
        if kept is None:
            await client.until(lambda: len(client.questions) == 1)
    assert len(client.questions) == (kept is None)


@pytest.mark.parametrize(
    ("options", "text", "is_run"),
    [
        ({"trusted": False}, None, False),
        ({"trusted": True}, None, True),
        ({"trusted": "yes"}, None, False),
        ({"trust": "everything"}, None, False),
        ({"trust": ["{project}"]}, None, True),
        ({"trust": ["{project}/../"]}, None, True),
        ({}, "def untested(a, b):\n    \n", False),
    ],
)
async def test_who_is_not_asked(
    project: Path, state: Path, options: dict[str, Any], text: str | None, is_run: bool
) -> None:
    if isinstance(options.get("trust"), list):
        options = {"trust": [folder.format(project=project) for folder in options["trust"]]}
    async with running(SCRIPTED, project, options=options, chosen_action="Trust") as client:
        uri = await client.open(CALC, text)
        assert (await summary(client, uri) == "✓ 3/3") is is_run
        assert client.questions == []
    assert remembered(state) == {}
    assert bool(logged(state)) is is_run


@pytest.mark.usefixtures("state")
async def test_an_unanswered_question_holds_nothing_up(project: Path) -> None:
    async with running(SCRIPTED, project) as client:
        asked, release = asyncio.Event(), asyncio.Event()

        async def silent(_: Any) -> None:
            asked.set()
            await release.wait()

        client.lsp.protocol.fm.features[types.WINDOW_SHOW_MESSAGE_REQUEST] = silent
        uri = await client.open(CALC)
        assert "not trusted" in await summary(client, uri)
        async with asyncio.timeout(20):
            await asked.wait()
        client.change(uri, "def add(a, b):\n    \n\n")
        assert "not trusted" in await summary(client, uri)
        release.set()
        await asyncio.sleep(0)


async def test_answers_by_command(project: Path, state: Path) -> None:
    """A refusal outlives what the editor says; without a document the whole workspace is meant."""
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        assert await summary(client, uri) == "✓ 3/3"
        assert client.statuses[-1].trusted is True
        await command(client, "egcfg.revokeTrust", uri)
        assert "not trusted" in await summary(client, uri)
        assert client.statuses[-1].trusted is False
        client.lsp.protocol.notify("egcfg/trustChanged", {"trusted": True})
        assert "not trusted" in await summary(client, uri)
        await command(client, "egcfg.trust")
        assert await summary(client, uri) == "✓ 3/3"
        assert remembered(state) == {project: Answer.TRUSTED}
        client.lsp.protocol.notify("egcfg/trustChanged", {"trusted": False})
        await command(client, "egcfg.trust")
        assert "not trusted" in await summary(client, uri)
        for told in ("are not run any more", "are run from now on", "in the editor first"):
            assert sum(told in message for message in client.messages) == 1


async def test_a_revoked_run_is_ended_and_says_nothing(project: Path, state: Path) -> None:
    script, options = {"run_delay": 60}, {"trust": [str(project)]}
    async with running(SCRIPTED, project, script=script, options=options) as client:
        uri = await client.open(CALC)
        (item,) = (await client.ask(uri, *HERE)).items
        await client.until(
            lambda: any(
                "running" in told
                for told in (
                    item.command.arguments[2],
                    *(s.summary for c in client.changes for s in c.suggestions),
                )
            )
        )
        await command(client, "egcfg.revokeTrust", uri)
        await client.until(lambda: client.statuses[-1].state == "ready", 5)
        assert "not trusted" in await summary(client, uri)
    assert [entry.outcome for entry in logged(state)] == ["cancelled"]


async def test_what_is_said_elsewhere_holds_from_the_next_request_on(
    project: Path, state: Path
) -> None:
    """As `egcfg-lsp trust` or another editor say it."""
    file = TrustFile(state / "trust.json")
    async with running(SCRIPTED, project) as client:
        uri = await client.open(CALC)
        for answer, expected in ((Answer.TRUSTED, "✓"), (Answer.REFUSED, "⊘")) * 2:
            await asyncio.to_thread(file.remember, project, answer)
            assert (await summary(client, uri))[0] == expected
        assert client.questions == []


async def test_a_folder_that_becomes_a_link_is_not_trusted(project: Path, state: Path) -> None:
    real = project / "real"
    real.mkdir()
    for name in ("calc.py", "tests", "pyproject.toml"):
        shutil.move(project / name, real / name)
    TrustFile(state / "trust.json").remember(real, Answer.TRUSTED)
    async with running(SCRIPTED, real) as client:
        uri = await client.open(CALC)
        assert await summary(client, uri) == "✓ 3/3"
        real.rename(project / "elsewhere")
        real.symlink_to(project / "elsewhere")
        client.change(uri, "def add(a, b):\n    \n\n")
        await client.ask(uri, *HERE)
        await client.until(lambda: client.statuses[-1].state == "ready")
        assert client.statuses[-1].trusted is None
    assert len(logged(state)) == 3, "the runs before"


@pytest.mark.parametrize("content", ["{", '{"folders": {"/": "trusted"}, "x": 1}', None])
async def test_a_damaged_file_is_told_and_trusts_nothing(
    project: Path, state: Path, content: str | None
) -> None:
    state.mkdir()
    path = state / "trust.json"
    path.write_text(json.dumps({"folders": {str(project): "trusted"}}))
    if content is None:
        path.chmod(0o666)
    else:
        path.write_text(content)
    async with running(SCRIPTED, project, options={"trusted": True}) as client:
        uri = await client.open(CALC)
        for _ in range(2):
            assert "not trusted" in await summary(client, uri)
        assert sum("no workspace is trusted" in message for message in client.messages) == 1
        assert client.questions == []


async def test_the_home_folder_is_not_asked_for(
    project: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(project))
    options = {"trust": [str(project), "~"]}
    async with running(SCRIPTED, project, options=options, chosen_action="Trust") as client:
        uri = await client.open(CALC)
        assert "not trusted" in await summary(client, uri)
        await command(client, "egcfg.trust", uri)
        assert "not trusted" in await summary(client, uri)
        assert client.questions == []
        assert sum("whole home folder" in message for message in client.messages) >= 1
    assert remembered(state) == {}


async def test_one_answer_for_all_projects_of_a_workspace_folder(
    project: Path, state: Path
) -> None:
    for name in ("one", "two"):
        shutil.copytree(project, project / name, ignore=shutil.ignore_patterns("one", "two"))
    async with running(SCRIPTED, project, chosen_action="Trust") as client:
        for name in ("one", "two"):
            uri = await client.open(f"{name}/calc.py")
            await summary(client, uri)
            await client.until(lambda: client.statuses[-1].trusted is True)
            client.change(uri, "def add(a, b):\n    \n\n")
            assert await summary(client, uri) == "✓ 3/3"
        assert len(client.questions) == 1
    assert remembered(state) == {project: Answer.TRUSTED}


async def test_every_run_is_in_the_log_and_the_log_is_shown(project: Path, state: Path) -> None:
    async with running(
        SCRIPTED, project, options={"trusted": True}, capabilities=SHOWS_DOCUMENTS
    ) as client:
        uri = await client.open(CALC)
        path = state / "executions.jsonl"
        assert await command(client, "egcfg.openLog") == path.as_uri()
        assert client.lsp.shown_documents == []
        assert any("nothing has been executed yet" in message for message in client.messages)
        assert await summary(client, uri) == "✓ 3/3"
        await asyncio.to_thread(wait_for_lines, path, 3)
        assert await command(client, "egcfg.openLog") == path.as_uri()
        await client.until(lambda: bool(client.lsp.shown_documents))
        assert client.lsp.shown_documents[0].uri == path.as_uri()
    candidate, again, control = logged(state)
    assert (candidate.outcome, again.outcome, control.outcome) == ("passed", "passed", "failed")
    assert (candidate.project, candidate.file) == (str(project), CALC)
    assert candidate.tests == ("tests/test_calc.py::test_small", "tests/test_calc.py::test_zero")
    assert "return a + b" not in path.read_text()


async def test_the_status_tells_of_the_sandbox_and_of_trust(project: Path, state: Path) -> None:
    async with running(SCRIPTED, project) as client:
        await client.until(lambda: bool(client.statuses) and client.statuses[-1].state == "ready")
        first, last = client.statuses[0], client.statuses[-1]
        assert (first.state, first.sandbox, first.trusted) == ("starting", None, None)
        assert (last.sandbox.works, last.sandbox.detail) == (True, "scripted")
    async with running(SCRIPTED, project, script={"no_sandbox": True}) as client:
        await client.until(lambda: bool(client.statuses) and client.statuses[-1].state == "ready")
        sandbox = client.statuses[-1].sandbox
        assert (sandbox.works, sandbox.detail) == (False, "switched off")
        await summary(client, await client.open(CALC))
        assert client.questions == [], "there is nothing to allow"
    assert [(entry.outcome, entry.reason) for entry in logged(state)] == [("off", "switched off")]


def wait_for_lines(path: Path, n: int) -> None:
    for _ in range(200):
        if path.is_file() and len(path.read_bytes().splitlines()) >= n:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} has not {n} lines")
