"""`egcfg-lsp trace` as a user runs it, in the real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from egcfg_lsp.trace import parse

CODE = """\
RATE = 2


def total(items):
    amount = 0
    for n, price in items:
        amount += n * price
    return amount * RATE
"""
TESTS = """\
from shop import total


def test_nothing():
    assert total([]) == 0


class TestTotal:
    def test_many(self):
        assert total([(1, 10), (2, 20), (3, 30)]) == 280
"""
MANY = "tests/test_shop.py::TestTotal::test_many"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "shop.py").write_text(CODE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_shop.py").write_text(TESTS)
    return tmp_path / "shop.py"


def trace(
    path: Path, *arguments: str, line: int = 5, given: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "egcfg_lsp", "trace", f"{path}:{line}", *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "XDG_STATE_HOME": str(path.parent / "state"), "NO_COLOR": "1"},
    )


def test_passing_function(shop: Path) -> None:
    done = trace(shop, "--trust", "--test", "TestTotal::test_many")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ 1/1" in done.stdout
    assert "total([(1, 10), (2, 20), (3, 30)]) → 280" in done.stdout
    assert "amount = 10 → 50 → 140" in done.stdout


def test_candidate_from_standard_input(shop: Path) -> None:
    wrong = "def total(items):\n    # one line more\n    return len(items)\n"
    done = trace(shop, "-", "--trust", given=wrong)
    assert done.returncode == 1
    assert "✗ 1/2" in done.stdout
    assert "return len(items)" in done.stdout
    assert "amount" not in done.stdout
    assert shop.read_text() == CODE, "the file is left alone"
    # What is on standard input without `-` may belong to somebody else.
    assert trace(shop, "--trust", given=wrong).returncode == 0


def test_json_is_stable(shop: Path) -> None:
    done = trace(shop, "--trust", "--json")
    value: dict[str, Any] = json.loads(done.stdout)
    assert list(value) == [
        "function", "file", "lines", "tests", "status", "ending", "passed", "verdicts", "summary",
        "results", "missed_lines", "output", "trace",
    ]  # fmt: skip
    assert (value["function"], value["file"], value["lines"]) == ("total", str(shop), [4, 8])
    assert value["tests"] == ["tests/test_shop.py::test_nothing", MANY]
    assert (value["status"], value["passed"], value["verdicts"]) == ("passed", 2, 2)
    assert [(r["test"], r["outcome"]) for r in value["results"]] == [
        ("tests/test_shop.py::test_nothing", "passed"),
        (MANY, "passed"),
    ]
    found = parse(value["trace"])
    assert found is not None
    assert found.frames[0].name == "total"


@pytest.mark.parametrize(
    ("line", "arguments", "given", "message"),
    [
        (1, ("--trust",), "", "there is no function here"),
        (99, ("--trust",), "", "shop.py has 9 lines, not 99"),
        (5, (), "", "not run: the workspace is not trusted"),
        (5, ("--no-trust",), "", "not run: the workspace is not trusted"),
        (5, ("--trust", "--test", "test_none"), "", f"there are: tests/test_shop.py::test_nothing, {MANY}"),
        (5, ("--trust", "--test", "tests/none.py::test_a"), "", "has no test tests/none.py::test_a"),
        (5, ("--trust", "-"), "", "the text is no function: it has no `def`"),
    ],
)  # fmt: skip
def test_what_cannot_be_traced(
    shop: Path, line: int, arguments: tuple[str, ...], given: str, message: str
) -> None:
    done = trace(shop, *arguments, line=line, given=given)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    told = json.loads(trace(shop, *arguments, "--json", line=line, given=given).stdout)
    assert message in told["error"]


def test_what_runs_is_in_the_execution_log(shop: Path) -> None:
    trace(shop, "--trust")
    log = shop.parent / "state/egcfg-lsp/executions.jsonl"
    (entry,) = map(json.loads, log.read_text().splitlines())
    assert (entry["file"], entry["outcome"]) == ("shop.py", "passed")
