"""The execution log: an entry for every run, whatever becomes of it, in bounded files."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from egcfg_lsp.execution import Job, RunResult, SandboxState, Status
from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution_log import (
    MAX_BYTES,
    MAX_CHARACTERS,
    Entry,
    ExecutionLog,
    LoggedSandbox,
    append,
    entries,
    old_path,
    one_line,
)
from egcfg_lsp.source.oracle import OracleKind, OracleTest
from tests.support.scripted import ScriptedSandbox

ENTRY = Entry("2025-01-01T00:00:00.000+00:00", "A", "passed", 0.1, "/p", "m.py", ("t.py::t",), "")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    test = OracleTest(tmp_path / "tests/test_m.py", "test_m", next(iter(OracleKind)), "", "SECRET")
    return Job(
        root=tmp_path,
        interpreter=Interpreter(Path("/usr/bin/python3"), "system", (), False),
        path=tmp_path / "m.py",
        text="SECRET = 1\n",
        tests=(test,),
        first_line=1,
        last_line=1,
        deadline_seconds=1.0,
    )


@pytest.fixture
def log(tmp_path: Path) -> ExecutionLog:
    return ExecutionLog(tmp_path / "state" / "executions.jsonl")


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        (RunResult(Status.PASSED, 1, 1), "passed", ""),
        (RunResult(Status.FAILED, 0, 1, failure="f(1) → 2, want 3"), "failed", "f(1) → 2, want 3"),
        (
            RunResult(Status.INCONCLUSIVE, reason="no\nresult\x1b[2J"),
            "inconclusive",
            "no result�[2J",
        ),
    ],
)
async def test_a_run_is_an_entry_without_source(
    job: Job, log: ExecutionLog, result: RunResult, outcome: str, reason: str
) -> None:
    sandbox = LoggedSandbox(ScriptedSandbox(answer=lambda _: result), log)
    assert await sandbox.run(job) == result
    log.close()
    (entry,) = entries(log.path)
    assert (entry.outcome, entry.reason) == (outcome, reason)
    assert (entry.project, entry.file) == (str(job.root), "m.py")
    assert entry.tests == ("tests/test_m.py::test_m",)
    assert entry.time.endswith("+00:00")
    assert entry.seconds >= 0
    assert "SECRET" not in log.path.read_text()
    assert log.path.stat().st_mode & 0o777 == 0o600


async def test_a_stopped_run_is_an_entry(job: Job, log: ExecutionLog) -> None:
    sandbox = LoggedSandbox(ScriptedSandbox(delay_seconds=60), log)
    run = asyncio.create_task(sandbox.run(job))
    await asyncio.sleep(0.05)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    log.close()
    assert [entry.outcome for entry in entries(log.path)] == ["cancelled"]


async def test_an_error_of_the_sandbox_is_an_entry(job: Job, log: ExecutionLog) -> None:
    def broken(_: Job) -> RunResult:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await LoggedSandbox(ScriptedSandbox(answer=broken), log).run(job)
    log.close()
    (entry,) = entries(log.path)
    assert (entry.outcome, entry.reason) == ("error", "RuntimeError('a bug')")


async def test_why_nothing_is_run_is_an_entry_once(log: ExecutionLog) -> None:
    sandbox = LoggedSandbox(ScriptedSandbox(works=False), log)
    for _ in range(3):
        assert await sandbox.state() == SandboxState("scripted", False, "switched off")
    log.close()
    assert [(entry.outcome, entry.reason) for entry in entries(log.path)] == [
        ("off", "switched off")
    ]


def test_the_files_are_bounded_and_the_latest_entries_are_there(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    n_entries, long = 0, replace(ENTRY, tests=("t" * MAX_CHARACTERS,) * 8)
    while not old_path(path).exists() or path.stat().st_size < MAX_BYTES - 4000:
        append(path, replace(long, reason=str(n_entries)))
        n_entries += 1
    append(path, replace(long, reason="x" * 4000))
    assert max(path.stat().st_size, old_path(path).stat().st_size) <= MAX_BYTES
    assert sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".lock") == [
        "log.jsonl", "log.jsonl.1",
    ]  # fmt: skip
    *before, last = entries(path)
    assert last.reason == "x" * 4000
    numbers = [int(entry.reason) for entry in before]
    assert numbers == list(range(numbers[0], n_entries))


def append_many(path: Path, name: str) -> None:
    for i in range(50):
        append(path, replace(ENTRY, file=name, reason=str(i)))


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, context = tmp_path / "log.jsonl", get_context("spawn")
    processes = [context.Process(target=append_many, args=(path, str(i))) for i in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = [(entry.file, int(entry.reason)) for entry in entries(path)]
    assert sorted(found) == [(str(name), i) for name in range(3) for i in range(50)]


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff", b"[]", b"{}", b"[" * 10_000, b'{"time": 1}', json.dumps({"x": 1}).encode()],
)
def test_lines_that_are_no_entries_are_left_out(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "log.jsonl"
    append(path, ENTRY)
    with path.open("ab") as stream:
        stream.write(line + b"\n")
    append(path, ENTRY)
    assert list(entries(path)) == [ENTRY, ENTRY]


def test_no_log_has_no_entries(tmp_path: Path) -> None:
    assert list(entries(tmp_path / "log.jsonl")) == []


def test_writing_returns_at_once_and_a_failure_is_told_once(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    log = ExecutionLog(
        tmp_path / "file" / "log.jsonl",
        lambda problem: told.append(
            (problem, threading.current_thread() is threading.main_thread())
        ),
    )
    (tmp_path / "file").write_text("")
    for _ in range(3):
        log.write(ENTRY)
    log.close()
    log.write(ENTRY)
    ((problem, on_main_thread),) = told
    assert "cannot be written" in problem
    assert not on_main_thread


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓ é 漢", "plain ✓ é 漢"),
        ("a\nb\tc\r\u2028d", "a b c  d"),
        ("\x1b[31m\x9b\u202e\udc80\0", "�[31m����"),
        ("x" * 5000, "x" * (MAX_CHARACTERS - 1) + "…"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown
