"""A folder of results: whole files, going on, and refusing what does not belong together."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.results import CONFIGURATION, open_results, read_configuration, write_once

OURS = {"dataset": "infilling", "seed": 1, "model": {"name": "m"}}


@dataclass(frozen=True)
class Kept:
    name: str
    passed: bool | None


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    results = open_results(tmp_path / "out", OURS)
    results.write("a/start", "Own/0/L1", Kept("é", None))
    results.write("a/start", "../../up", Kept("up", True))
    again = open_results(tmp_path / "out", OURS)
    assert again.has("a/start", "Own/0/L1")
    assert not again.has("b/start", "Own/0/L1")
    assert not again.has("a/start", "Own_0_L1")
    assert set(again.read_all(Kept)) == {Kept("é", None), Kept("up", True)}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_killed_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill leaves is a temporary file at most; the task counts as not done."""
    results = open_results(tmp_path, OURS)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".tmp-x1").write_text('{"name": "ha')
    assert not results.has("a", "1")
    assert list(results.read_all(Kept)) == []

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("egcfg_lsp.bench.results.json.dump", fail)
    with pytest.raises(OSError, match="disk full"):
        results.write("a", "1", Kept("x", True))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".tmp-x1"]


def test_what_kills_left_is_swept_an_hour_later(tmp_path: Path) -> None:
    open_results(tmp_path, OURS).write("a", "1", Kept("x", True))
    for name, age in [("a/.tmp-old", 4000), (".tmp-old", 4000), ("a/.tmp-new", 3000)]:
        (tmp_path / name).write_text("{")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    for path in tmp_path.rglob("*.json"):
        os.utime(path, (0, 0))
    open_results(tmp_path, OURS)
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == [".tmp-new", CONFIGURATION, "task_id=1.json"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_others_may_read_as_the_umask_says(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        results = open_results(tmp_path, OURS)
        results.write("a", "1", Kept("x", True))
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.json")}
    assert modes == {0o666 & ~umask}


def test_text_is_on_the_disk_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, bool]] = []

    def fsync(handle: int) -> None:
        synced.append((os.fstat(handle).st_size, (tmp_path / "x.json").exists()))

    monkeypatch.setattr("egcfg_lsp.bench.results.os.fsync", fsync)
    assert write_once(tmp_path / "x.json", [1])
    assert synced == [((tmp_path / "x.json").stat().st_size, False)]


@pytest.mark.parametrize("step", ["iterdir", "exists"])
@pytest.mark.parametrize("is_before", [True, False])
def test_two_processes_begin_at_once(
    step: str, is_before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process is faster, right before or behind one of our looks at the folder."""
    real: Callable[[Path], Any] = getattr(Path, step)

    def overtaken(path: Path) -> Any:
        monkeypatch.setattr(Path, step, real)
        seen = None if is_before else real(path)
        seen = list(seen) if step == "iterdir" and seen is not None else seen
        assert write_once(tmp_path / CONFIGURATION, OURS)
        (tmp_path / "runs").mkdir()
        return real(path) if is_before else seen

    monkeypatch.setattr(Path, step, overtaken)
    assert open_results(tmp_path, OURS).folder == tmp_path
    assert getattr(Path, step) is real, "it was overtaken"
    assert read_configuration(tmp_path) == OURS


def test_a_removed_folder_is_not_made_anew(tmp_path: Path) -> None:
    """It would hold a result and no configuration, and be refused from then on."""
    results = open_results(tmp_path / "out", OURS)
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(FileNotFoundError):
        results.write("a", "1", Kept("x", True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({**OURS, "seed": 2}, r"seed: 1, not 2"),
        ({**OURS, "model": {"name": "n"}}, r"model: .*m.*, not .*n"),
        ({**OURS, "judged": True}, r"judged: None, not True"),
    ],
)
def test_folder_of_another_configuration_is_refused(
    asked: dict[str, object], message: str, tmp_path: Path
) -> None:
    open_results(tmp_path, OURS).write("a", "1", Kept("x", True))
    with pytest.raises(BenchError, match=message):
        open_results(tmp_path, asked)
    assert read_configuration(tmp_path) == OURS


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BenchError, match="not empty"):
        open_results(tmp_path, OURS)
    with pytest.raises(BenchError, match="no benchmark results"):
        read_configuration(tmp_path)
    (tmp_path / CONFIGURATION).write_text("[]")
    with pytest.raises(BenchError, match="no benchmark's configuration"):
        read_configuration(tmp_path)
    with pytest.raises(BenchError, match="cannot write"):
        open_results(tmp_path / "notes.txt", OURS)


def test_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    results = open_results(tmp_path, OURS)
    (tmp_path / "task_id=1.json").write_text('{"name": "x"}')
    with pytest.raises(BenchError, match=r"task_id=1\.json is not a result"):
        list(results.read_all(Kept))
