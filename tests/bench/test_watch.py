"""A run seen from its folder: counts, speed, who works on what, and what is read again."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from rich.console import Console

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.leases import Leases
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.bench.watch import Cache, duration, render, snapshot, watch
from tests.bench.results import add_result, announce, announced, arm_results, run_folder

NOW = 1_800_000_000.0


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("task_id=*.json"))


def written_at(folder: Path, seconds_ago: list[float]) -> None:
    for path, ago in zip(files_of(folder), seconds_ago, strict=True):
        os.utime(path, (NOW - ago, NOW - ago))


def printed(folder: Path, now: float = NOW) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render(snapshot(folder, {}, now)))
    return capture.get()


def test_done_of_planned(tmp_path: Path) -> None:
    run_folder(tmp_path, [*arm_results("greedy", "+-?"), *arm_results("old", "++")])
    announce(tmp_path, announced(4, "sample_t0.8", "greedy"))
    seen = snapshot(tmp_path, {}, NOW)
    found = [(row.label, row.passed.n_hits, row.passed.n, row.n_planned) for row in seen.rows]
    assert found == [("sample_t0.8", 0, 0, 4), ("greedy", 1, 3, 4), ("old", 2, 2, 2)]
    assert (seen.total.passed.n, seen.total.n_planned, seen.total.n_inconclusive) == (5, 10, 1)
    assert seen.n_without_task == 1
    assert not seen.is_done
    assert [one.task_id for one in seen.failures] == ["HumanEval/2", "HumanEval/1"]
    assert "3/4" in printed(tmp_path)


@pytest.mark.parametrize(
    ("seconds_ago", "per_minute", "seconds_left"),
    [
        ([240, 180, 120], 0.5, 840),
        ([6000, 5000, 240], None, None),
        ([6000, 240, 120], 0.25, 1680),
        ([0, 0, 0], None, None),
        ([-50, -50, 100], 1.2, 350),
    ],
)
def test_speed_is_that_of_the_window(
    seconds_ago: list[float],
    per_minute: float | None,
    seconds_left: float | None,
    tmp_path: Path,
) -> None:
    run_folder(tmp_path, arm_results("greedy", "+++"))
    announce(tmp_path, announced(10, "greedy"))
    written_at(tmp_path, seconds_ago)
    (row,) = snapshot(tmp_path, {}, NOW).rows
    assert (row.per_minute, row.seconds_left) == pytest.approx((per_minute, seconds_left))


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = run_folder(tmp_path, arm_results("greedy", "+-"))
    read: list[str] = []
    plain = Path.read_text

    def counting(path: Path, *args: str, **kwargs: str) -> str:
        read.append(path.name)
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", counting)
    cache: Cache = {}
    for n_new, more in ((2, []), (0, []), (1, arm_results("a", "+"))):
        for result in more:
            add_result(results, result)
        read.clear()
        snapshot(tmp_path, cache, NOW)
        assert len([name for name in read if name.startswith("task_id")]) == n_new
    files_of(tmp_path)[0].unlink()
    assert snapshot(tmp_path, cache, NOW).total.passed.n == 2


@pytest.mark.parametrize("text", ["", "[]", '{"passed": true}', '{"passed"', "\x00"])
def test_file_that_is_no_result_is_told_and_not_counted(text: str, tmp_path: Path) -> None:
    run_folder(tmp_path, arm_results("greedy", "+"))
    announce(tmp_path, announced(2, "greedy"))
    (tmp_path / "task_id=x_gamma=0.json").write_text(text)
    seen = snapshot(tmp_path, {}, NOW)
    assert (seen.total.passed.n, len(seen.unreadable)) == (1, 1)
    assert "not a result" in printed(tmp_path)


def test_leases_show_who_works_on_what(tmp_path: Path) -> None:
    """Named like results, they are none."""
    run_folder(tmp_path, [])
    leases = Leases(tmp_path / ".leases")
    leases.take("greedy 0 HumanEval/3")
    leases.take("task_id=1")
    (tmp_path / ".leases" / "half.1.json").write_text("{")
    announce(tmp_path, announced(1, "greedy", host="elsewhere"))
    for path in (tmp_path / ".leases").iterdir():
        os.utime(path, (NOW - 3600, NOW - 3600))
    seen = snapshot(tmp_path, {}, NOW)
    assert [(one.pid, one.task, one.silent_seconds) for one in seen.holders] == [
        (os.getpid(), "greedy 0 HumanEval/3", 3600), (os.getpid(), "task_id=1", 3600),
    ]  # fmt: skip
    assert seen.total.passed.n == 0
    assert seen.n_without_task == 1
    assert "(silent for 1 h 00)" in printed(tmp_path)


def test_what_a_model_wrote_is_not_acted_upon(tmp_path: Path) -> None:
    error = "[red]x[/red] \x1b[2J \u202e [/] \ud800"
    run_folder(tmp_path, arm_results("greedy", "-", general_error=error))
    shown = printed(tmp_path)
    assert "[red]x[/red] \\x1b[2J \\u202e [/] \\ud800" in shown
    assert "\x1b[2J" not in shown


def test_folders_without_a_run_of_arms(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no benchmark results"):
        watch(tmp_path / "none", Console(), once=True)
    open_results(tmp_path, {"dataset": "typing"})
    with pytest.raises(BenchError, match="of typing, not of arms"):
        watch(tmp_path, Console(), once=True)
    run_folder(tmp_path / "run", [])
    (tmp_path / "run" / "runs").mkdir()
    (tmp_path / "run" / "runs" / "x.json").write_text(json.dumps({"host": "h"}))
    with pytest.raises(BenchError, match=r"x\.json does not say"):
        watch(tmp_path / "run", Console(), once=True)


def test_waits_for_a_run_and_ends_with_it(tmp_path: Path) -> None:
    console = Console(width=100, record=True)
    folder = tmp_path / "later"
    watching = threading.Thread(
        target=watch, args=(folder, console), kwargs={"refresh_seconds": 0.01}, daemon=True
    )
    watching.start()
    results = run_folder(folder, [])
    announce(folder, announced(2, "greedy"))
    first, second = arm_results("greedy", "+-")
    add_result(results, first)
    watching.join(0.1)
    assert watching.is_alive()
    add_result(results, second)
    watching.join(30)
    assert not watching.is_alive()
    assert "2/2" in console.export_text()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (59, "59 s"), (90, "2 min"), (3570, "1 h 00"), (11_100, "3 h 05")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
