"""Workspaces that mean harm, or are merely unusual: real runs in every tier."""

from __future__ import annotations

import asyncio
import os
import py_compile
import signal
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.execution import Job, RunResult, Status, facts
from egcfg_lsp.execution.facts import folder_with_home
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.sandbox import unsafe_mount
from egcfg_lsp.execution.tiers import Tier
from tests.execution.test_sandbox import TIERS, job_for, run

PASSES = "return a + b"


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside")


def environment_with(folder: Path, script: str) -> Path:
    """A virtual environment whose Python is a script."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    python.write_text(f'#!/bin/sh\n{script}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return folder


@pytest.mark.parametrize("tier", TIERS)
async def test_interpreter_of_the_workspace_is_confined_from_the_start(
    project: Path, outside: Path, tier: Tier
) -> None:
    script = f"echo x > {outside}/a; echo x > {project}/a; mount -o remount,bind,rw {project}"
    script += f"; echo x > {project}/b; cat /proc/1/environ > {outside}/c"
    environment_with(project / ".venv", script)
    job = replace(job_for(project, PASSES), interpreter=find_interpreter(project, None, {}))
    await run(job, tier)
    assert [*outside.iterdir()] == []
    assert not (project / "a").exists()
    assert not (project / "b").exists()


@pytest.mark.parametrize("tier", TIERS)
async def test_variables_reach_confined_processes_only(
    project: Path, outside: Path, tier: Tier
) -> None:
    planted = project / "planted"
    planted.mkdir()
    source = f"open({str(outside / 'a')!r}, 'w')\n"
    for name in ("json", "sitecustomize", "usercustomize", "ctypes"):
        (planted / f"{name}.py").write_text(source)
    variables = {"PYTHONPATH": str(planted), "LD_PRELOAD": str(planted / "none.so")}
    await run(job_for(project, PASSES, environment=variables), tier)
    assert [*outside.iterdir()] == []


@pytest.mark.parametrize("tier", TIERS)
async def test_run_ends_with_a_server_that_is_killed(project: Path, tier: Tier) -> None:
    """Also if it has become another program meanwhile."""
    seconds = f"{os.getpid()}.25"
    body = f"import os\nos.execv('/bin/sleep', ['sleep', '{seconds}'])"
    server = os.fork()
    if server == 0:
        asyncio.run(run(job_for(project, body), tier))
        os._exit(0)
    try:
        sleeper = await started([seconds])
    finally:
        os.kill(server, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, server, 0)
    _, alive = psutil.wait_procs([sleeper], timeout=10)
    assert alive == []


async def started(words: list[str]) -> psutil.Process:
    for _ in range(1200):
        for process in psutil.process_iter():
            try:
                if process.cmdline()[1:] == words:
                    return process
            except psutil.Error:
                continue
        await asyncio.sleep(0.05)
    raise AssertionError("it has not started")


@pytest.mark.parametrize("tier", TIERS)
async def test_compiled_copy_of_the_file_is_not_the_candidate(project: Path, tier: Tier) -> None:
    path = project / "calc.py"
    path.write_text("def add(a, b):\n    return 3 if a == 1 else 0\n")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(path), invalidation_mode=mode)
    assert (await run(job_for(project, "return a * b"), tier)).status is Status.FAILED


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "__import__('pytest').exit"])
async def test_stopped_session_has_not_passed(project: Path, tier: Tier, error: str) -> None:
    result = await run(job_for(project, f"if a == 0:\n    raise {error}('x')\nreturn a + b"), tier)
    assert result.status is not Status.PASSED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os\nopen(os.path.join({home!r}, 'notes.txt'))", "notes.txt"),
        (
            (
                "import threading\nfor _ in range(200):\n"
                "    threading.Thread(target=threading.Event().wait, daemon=True).start()"
            ),
            "",
        ),
        ("open('/tmp/x', 'wb').write(bytes(100 << 20))", ""),
    ],
)
@pytest.mark.parametrize("tier", TIERS)
async def test_what_the_sandbox_takes_away_is_no_failure(
    project: Path, tier: Tier, body: str, reason: str
) -> None:
    result = await run(job_for(project, body.replace("{home!r}", repr(str(Path.home())))), tier)
    assert result.status is Status.INCONCLUSIVE
    assert reason in result.reason


async def test_modes_are_those_of_a_usual_user(project: Path) -> None:
    body = "import os, tempfile\nos.chdir(tempfile.gettempdir())\nopen('x', 'w').close()\n"
    body += "assert os.stat('x').st_mode & 0o777 == 0o644\n"
    assert (await run(job_for(project, body + PASSES))).status is Status.PASSED


async def test_half_a_character_is_inconclusive(project: Path) -> None:
    for tier in TIERS:
        result = await run(job_for(project, "return '\ud800'"), tier)
        assert result.status is Status.INCONCLUSIVE


@pytest.mark.parametrize("tier", TIERS)
async def test_links_lead_where_they_lead(project: Path, outside: Path, tier: Tier) -> None:
    link, environment = outside / "project", outside / "environment"
    link.symlink_to(project, target_is_directory=True)
    environment.symlink_to(sys.prefix, target_is_directory=True)
    (project / ".venv").symlink_to(environment, target_is_directory=True)
    (project / "calc.py").rename(project / "actual.py")
    (project / "calc.py").symlink_to(project / "actual.py")
    interpreter = find_interpreter(link, None, {})
    assert interpreter.path == link / ".venv" / "bin" / "python"
    result: RunResult = await run(replace(job_for(link, PASSES), interpreter=interpreter), tier)
    assert (result.status, result.reason) == (Status.PASSED, "")


def test_module_that_leads_out_of_the_project_is_not_run(project: Path) -> None:
    job = job_for(project, PASSES)
    (project / "calc.py").unlink()
    (project / "calc.py").symlink_to(project.parent / "elsewhere.py")
    assert "outside of the project" in str(unsafe_mount(job))


@pytest.mark.parametrize(
    ("home", "folder", "holds"),
    [
        ("real", "real", True),
        ("link", "real", True),
        ("link", ".", True),
        ("link", "link/project", False),
        ("real", "other", False),
    ],
)
def test_home_is_known_by_all_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, folder: str, holds: bool
) -> None:
    for name in ("real", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    monkeypatch.setenv("HOME", str(tmp_path / home))
    assert (folder_with_home([tmp_path / folder]) is not None) is holds


async def test_user_without_a_home_is_no_error(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert facts.homes() == set()
    job: Job = job_for(project, PASSES)
    assert (await run(job, Tier.B)).status is Status.PASSED
