"""Results of arms, generated: folders as the harness leaves them, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from egcfg_lsp.bench import BenchModel
from egcfg_lsp.bench.announced import RUNS, Announced
from egcfg_lsp.bench.problems import AssertResult, Visible
from egcfg_lsp.bench.results import Results, open_results
from egcfg_lsp.bench.task import CandidateResult, TaskResult, TaskStats

MODEL = BenchModel("qwen2.5-coder-0.5b", "0" * 64)
VERDICTS = {"+": True, "-": False, "?": None}
STATS = TaskStats(
    start="2026-01-01T00:00:00+00:00",
    end="2026-01-01T00:00:02+00:00",
    duration=2.0,
    input_tokens=100,
    output_tokens=50,
    reused_tokens=10,
    runs=1,
    judge_seconds=0.5,
)
RESULT = TaskResult(
    task_id="HumanEval/0", entry_point="f", dataset="HumanEval", arm="greedy", config="greedy",
    configuration={}, gamma=0.0, seed=0, model=MODEL, version="0.1", visible=Visible.DOCSTRING,
    tests_seen="the docstring's examples", tests_judging="HumanEval's check(candidate)",
    judging_seen=False, code="def f():\n    return 1\n", passed=True, accuracy=1.0,
    results=(AssertResult(True, 0.001),), n_tests=1, general_error="", has_testcase_error=False,
    rung="draft", outcome="", summary="", first_line_seconds=0.25,
    candidates=(CandidateResult("def f():\n    return 1\n", -0.1, 1, 1),), stats=STATS,
)  # fmt: skip


def arm_results(config: str, verdicts: str, **changes: Any) -> list[TaskResult]:
    """One for each sign, of tasks HumanEval/0, 1, …: + passed, - not, ? without a verdict, and
    none for a space. The arm's name is the configuration's, up to an underscore."""
    return [
        with_verdict(
            replace(RESULT, task_id=f"HumanEval/{i}", arm=config.partition("_")[0], config=config),
            VERDICTS[sign],
            changes,
        )
        for i, sign in enumerate(verdicts)
        if sign != " "
    ]


def with_verdict(result: TaskResult, passed: bool | None, changes: Mapping[str, Any]) -> TaskResult:
    failed: dict[str, Any] = {
        "accuracy": 0.0,
        "results": (AssertResult(False, 0.001, "AssertionError: 1 == 2"),),
        "general_error": "AssertionError: 1 == 2",
        "has_testcase_error": True,
    }
    return replace(result, **{"passed": passed, **({} if passed else failed), **changes})


def run_configuration(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "arms",
        "dataset": "humaneval",
        "dataset_name": "HumanEval",
        "data_sha256": "0" * 64,
        "model": {"name": MODEL.name, "sha256": MODEL.sha256},
        "visible": "docstring",
        "judge": "HumanEval's check(candidate)",
        "judge_sha256": None,
        "seed": 0,
        "version": "0.1",
        **changes,
    }


def run_folder(folder: Path, results: Iterable[TaskResult], **changes: Any) -> Results:
    """The folder of a run; `changes`: of its configuration."""
    written = open_results(folder, run_configuration(**changes))
    for result in results:
        add_result(written, result)
    return written


def announced(n_tasks: int, *configs: str, host: str = "here") -> Announced:
    return Announced(
        host=host,
        pid=7,
        cpus=2,
        started="2026-01-01T00:00:00+00:00",
        configs={config: f"humaneval/{MODEL.name}/{config}" for config in configs},
        task_ids=tuple(f"HumanEval/{i}" for i in range(n_tasks)),
    )


def announce(folder: Path, one: Announced) -> None:
    (folder / RUNS).mkdir(exist_ok=True)
    (folder / RUNS / f"20260101-{one.host}-{one.pid}.json").write_text(
        json.dumps({**vars(one), "task_ids": list(one.task_ids)})
    )


def add_result(results: Results, result: TaskResult) -> None:
    group = f"humaneval/{MODEL.name}/{result.config}"
    results.write(group, result.task_id, result, result.gamma)
