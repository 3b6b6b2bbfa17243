"""The data set's tests in the real sandbox: what counts as passed, and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.judge import judge, module_of_tests, write_project
from egcfg_lsp.execution.bubblewrap import Bubblewrap
from tests.bench.problems import clamp_and_evens


def test_tests_name_the_function_and_nothing_else_changes(tmp_path: Path) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    assert module_of_tests(clamp) == (
        "from solution import *\n\n\n"
        "def test_clamp():\n"
        "    assert 'candidate'  # candidate\n"
        "    assert clamp(5, 1, 3) == 3\n"
        "    assert clamp(-1, 1, 3) == 1\n"
        "    assert clamp(2, 1, 3) == 2\n"
    )


@pytest.mark.parametrize("test", ["", "def check(f):\n    pass\n", "def check(candidate):\n  ("])
def test_tests_of_another_form_are_an_error(test: str, tmp_path: Path) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    with pytest.raises(BenchError, match=clamp.task_id):
        module_of_tests(replace(clamp, test=test))


@pytest.mark.parametrize(
    ("line", "passed", "reason"),
    [
        ("    return min(value, high)", True, ""),
        ("    return max(value, high)", False, "clamp(5, 1, 3) → 5, want 3"),
        ("    return min(value, high", False, "does not compile"),
        ("    return nothing", False, "NameError"),
        ("    import sys; sys.exit(0)", False, "SystemExit"),
        ("    import os; os._exit(0)", None, "ended without a result"),
        ("import os; os._exit(0)", None, "ended without a result"),
        ("import sys; sys.exit(0)", None, ""),
        ("    import socket; socket.create_connection(('192.0.2.1', 80))", None, "blocked"),
    ],
)
async def test_verdicts(line: str, passed: bool | None, reason: str, tmp_path: Path) -> None:
    clamp, _ = clamp_and_evens(tmp_path)
    project = tmp_path / "project"
    project.mkdir()
    write_project(clamp, project)
    verdict = await judge(clamp, f"{clamp.prompt}{line}\n", project, Bubblewrap())
    assert verdict.passed is passed
    assert reason in verdict.reason
    assert passed is True or verdict.reason
