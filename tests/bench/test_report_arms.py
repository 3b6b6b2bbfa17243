"""The report on arms: its JSON, its page in the documentation, and the table for people."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cattrs.preconf.json import make_converter
from rich.console import Console

import egcfg_lsp
from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.announced import Announced
from egcfg_lsp.bench.report import report
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.bench.task import TaskResult
from tests.bench.results import (
    RESULT,
    announce,
    announced,
    arm_results,
    run_configuration,
    run_folder,
)

PAGE = (Path(egcfg_lsp.__file__).parents[1] / "docs" / "benchmark.md").read_text(encoding="utf-8")
OPAQUE = {"configuration", "extra"}
"""Fields whose content is documented elsewhere, or is an arm's own."""
RATES = {"passed", "precision", "control_passed", "ours"}
BY_NAME = {"by_rung"}


def fields_in(heading: str) -> set[str]:
    match = re.search(rf"^## {heading}$.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None
    columns = re.findall(r"^\| (`[^|]+) \|", match[0], re.MULTILINE)
    return {name for column in columns for name in re.findall(r"`([^`]+)`", column)}


def paths_in(value: Any, prefix: str = "") -> Iterator[str]:
    """The fields of a JSON value, as the page writes them; those that hold only fields are not
    named themselves, lists and what may be null are."""
    for name, own in value.items():
        path = f"{prefix}{name}"
        if name in BY_NAME:
            yield from (
                f"{path}.*.*.{leaf}" for kinds in own.values() for v in kinds.values() for leaf in v
            )
        elif isinstance(own, dict) and name not in OPAQUE | RATES:
            if name in ("against_control", "published"):
                yield path
            yield from paths_in(own, f"{path}.")
        else:
            yield path
            if isinstance(own, list):
                for one in own:
                    if isinstance(one, dict):
                        yield from paths_in(one, f"{path}[].")


def full_folder(folder: Path) -> None:
    run_folder(
        folder,
        [
            *arm_results("greedy", "--------?+"),
            *arm_results("best-of-n_ns8t0.8", "++++++++--", rung="verify", outcome="verified"),
            *arm_results("cfg_s3", "+-", gamma=1.5),
        ],
    )
    announce(folder, announced(12, "greedy", "best-of-n_ns8t0.8", "cfg_s3"))


def data_of(folder: Path, control: str | None = None) -> Any:
    return json.loads(json.dumps(report(folder, control).data, allow_nan=False))


def printed(folder: Path, width: int = 100, **options: Any) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(report(folder, **options).table)
    return capture.get()


def test_every_field_of_the_json_is_documented_and_no_other(tmp_path: Path) -> None:
    full_folder(tmp_path)
    assert set(paths_in(data_of(tmp_path))) == fields_in("The report")


def test_every_field_of_a_result_file_is_documented_and_no_other() -> None:
    written = json.loads(make_converter().dumps(RESULT))
    assert {field.name for field in dataclasses.fields(TaskResult)} == written.keys()
    assert set(paths_in(written)) == fields_in("A result file")


def test_fields_of_an_announcement_are_documented() -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("| `runs/*.json`")]
    named = set(re.findall(r"`(\w+)`", line))
    assert named == {field.name for field in dataclasses.fields(Announced)}


def test_rows(tmp_path: Path) -> None:
    full_folder(tmp_path)
    data = data_of(tmp_path)
    assert data["configuration"] == run_configuration()
    assert data["control"] == "greedy"
    greedy, best, guided = data["rows"]
    interval = pytest.approx([0.0179, 0.4042], abs=1e-4)
    assert greedy["passed"] == {"hits": 1, "n": 10, "rate": 0.1, "interval": interval}
    assert (greedy["inconclusive"], greedy["against_control"]) == (1, None)
    assert greedy["missing"] == ["HumanEval/10", "HumanEval/11"]
    assert best["against_control"] == {
        "wins": 8, "losses": 1, "p": 20 / 512, "adjusted_p": 40 / 512,
        "verdict": "n too small to tell", "common": 10, "gain": 0.7, "rsr": pytest.approx(7 / 9),
        "control_passed": {"hits": 1, "n": 10, "rate": 0.1, "interval": interval},
        "smallest_gain": 0.9,
    }  # fmt: skip
    assert best["by_rung"] == {"verify": {"verified": {"n": 10, "passed": 8}}}
    assert (best["precision"]["hits"], best["precision"]["n"]) == (8, 10)
    assert (guided["label"], guided["against_control"]["common"]) == ("cfg_s3_gamma=1.5", 2)
    assert len(guided["missing"]) == 10
    assert data_of(tmp_path, "best-of-n")["control"] == "best-of-n_ns8t0.8"


def test_every_failure_leads_to_its_file(tmp_path: Path) -> None:
    full_folder(tmp_path)
    failures = data_of(tmp_path)["failures"]
    assert len(failures) == 9 + 2 + 1
    for failure in failures:
        there = json.loads((tmp_path / failure["file"]).read_text(encoding="utf-8"))
        assert {name: there[name] for name in ("task_id", "config", "gamma", "passed")} == {
            name: failure[name] for name in ("task_id", "config", "gamma", "passed")
        }
        assert failure["error"] == there["general_error"] != ""


@pytest.mark.parametrize(("width", "cut"), [(80, False), (50, True)])
def test_table_fits_in_eighty_columns(width: int, cut: bool, tmp_path: Path) -> None:
    full_folder(tmp_path)
    text = printed(tmp_path, width)
    assert ("…" in text) == cut
    assert max(map(len, text.splitlines())) <= width


def test_table_says_what_matters(tmp_path: Path) -> None:
    full_folder(tmp_path)
    text = printed(tmp_path)
    for shown in (
        "10 2–40", "8–1 .078 ~", "8/10", "Not passed: 12", "AssertionError: 1 == 2",
        "task_id=HumanEval%2F0_gamma=0.json", "planned tasks without a result yet: 2.",
        "The published rate lies outside our interval.", "HumanEval's check(candidate)",
    ):  # fmt: skip
        assert shown in text
    assert text.count("task_id=") == 12
    assert printed(tmp_path, n_failures=3).count("task_id=") == 3
    assert "and 9 more" in printed(tmp_path, n_failures=3)


def test_table_acts_on_nothing_that_a_model_wrote(tmp_path: Path) -> None:
    error = "[bold]x[/bold] [/] \x1b[31m \u202e"
    run_folder(tmp_path, arm_results("greedy", "-", general_error=error, rung="[/]", outcome="[b]"))
    text = printed(tmp_path)
    assert r"[bold]x[/bold] [/] \x1b[31m \u202e" in text
    assert "\x1b[31m" not in text
    assert data_of(tmp_path)["failures"][0]["error"] == r"[bold]x[/bold] [/] \x1b[31m \u202e"


def test_folder_without_results(tmp_path: Path) -> None:
    run_folder(tmp_path, [])
    announce(tmp_path, announced(2, "greedy"))
    data = data_of(tmp_path)
    assert (data["control"], data["rows"], data["failures"]) == (None, [], [])
    assert "There are no results yet." in printed(tmp_path)
    with pytest.raises(BenchError, match=r"no results of greedy.*none yet"):
        report(tmp_path, "greedy")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"task_id": 1}'])
def test_broken_result_is_named(text: str, tmp_path: Path) -> None:
    run_folder(tmp_path, arm_results("greedy", "+"))
    (tmp_path / "task_id=9_gamma=0.json").write_text(text)
    with pytest.raises(BenchError, match=r"task_id=9_gamma=0\.json is not a result"):
        report(tmp_path)


def test_broken_configuration_and_announcement_are_named(tmp_path: Path) -> None:
    run_folder(tmp_path / "a", arm_results("greedy", "+"))
    (tmp_path / "a" / "runs").mkdir()
    (tmp_path / "a" / "runs" / "x.json").write_text("[")
    with pytest.raises(BenchError, match=r"x\.json does not say"):
        report(tmp_path / "a")
    open_results(tmp_path / "b", {"kind": "arms", "dataset": "humaneval", "seed": 0})
    with pytest.raises(BenchError, match="lacks 'model'"):
        report(tmp_path / "b")


def test_a_control_is_for_arms_only(tmp_path: Path) -> None:
    open_results(tmp_path, {**run_configuration(kind="typing")})
    with pytest.raises(BenchError, match="for arms only, not for typing"):
        report(tmp_path, "greedy")
