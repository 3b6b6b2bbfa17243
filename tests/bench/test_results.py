"""A folder of results: whole files, going on, and refusing what does not belong together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.results import CONFIGURATION, open_results, read_configuration

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
