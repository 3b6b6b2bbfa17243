"""What changes outside the editor reaches the server: real files, and no message of the client's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.lsp.client import SCRIPTED, Client, running

CALC = "calc.py"
HERE = (1, 4)
SCRIPT: dict[str, Any] = {"lines": ["    return a + b\n"], "kernel": True}
TRUSTED = {"trusted": True}
WRONG = "from calc import add\n\n\ndef test_small():\n    assert add(1, 2) == 4\n"


async def until_outcome(client: Client, outcome: str) -> None:
    await client.until(
        lambda: (
            bool(client.changes)
            and client.changes[-1].done
            and client.changes[-1].suggestions[0].outcome == outcome
        ),
        60,
    )


async def test_what_is_shown_runs_again_when_its_tests_change(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await until_outcome(client, "verified")
        tests = project / "tests/test_calc.py"
        right = tests.read_text()
        tests.write_text(WRONG)
        await until_outcome(client, "fails")
        assert client.changes[-1].suggestions[0].summary == "✗ 0/1 · add(1, 2) → 3, want 4"
        assert client.changes[-1].suggestions[0].text == "return a + b"
        # Replaced, as Git and most editors write.
        (project / "tests/new.txt").write_text(right)
        (project / "tests/new.txt").replace(tests)
        await until_outcome(client, "verified")


async def test_tests_that_change_while_they_run_are_run_again(project: Path) -> None:
    slow = "import time\nfrom calc import add\n\n\ndef test_small():\n    time.sleep(1)\n"
    (project / "tests/test_calc.py").write_text(f"{slow}    assert add(1, 2) == 3\n")
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await asyncio.sleep(2)
        (project / "tests/test_calc.py").write_text(f"{slow}    assert add(1, 2) == 4\n")
        await until_outcome(client, "fails")
        await asyncio.sleep(1)
        assert client.changes[-1].suggestions[0].outcome == "fails"


async def test_buffer_opened_with_unsaved_changes_counts(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        await client.open("tests/test_calc.py", WRONG)
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await until_outcome(client, "fails")


async def test_what_does_not_matter_runs_nothing(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await until_outcome(client, "verified")
        n_changes = len(client.changes)
        (project / "notes.md").write_text("x")
        (project / "tests/__pycache__").mkdir(exist_ok=True)
        (project / "tests/__pycache__/a.py").write_text("x")
        (project / CALC).write_text("# The buffer stands for it.\n")
        await asyncio.sleep(2)
        assert len(client.changes) == n_changes


async def test_nothing_runs_again_for_a_text_that_has_changed(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await until_outcome(client, "verified")
        client.change(uri, "def add(a, b):\n    x = \n")
        n_changes = len(client.changes)
        (project / "tests/test_calc.py").write_text(WRONG)
        await asyncio.sleep(2)
        assert len(client.changes) == n_changes


async def test_a_project_that_switches_itself_off(project: Path) -> None:
    async with running(SCRIPTED, project, script=SCRIPT, options=TRUSTED) as client:
        uri = await client.open(CALC)
        await client.ask(uri, *HERE)
        await until_outcome(client, "verified")
        (project / "pyproject.toml").write_text("[tool.egcfg]\nenabled = false\nbogus = 1\n")
        # Told at once, though nobody asks.
        await client.until(lambda: any("bogus" in message for message in client.messages))
        assert not (await client.ask(uri, *HERE)).items
