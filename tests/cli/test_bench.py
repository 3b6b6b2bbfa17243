"""`egcfg-lsp bench` as a user runs it; what needs no model, and each command with the real one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from egcfg_lsp.bench.models import bench_model
from egcfg_lsp.cli import app
from egcfg_lsp.cli import bench as bench_module
from egcfg_lsp.model import Continuation, Finished, Line, Priority, catalogue
from tests.bench.problems import data_file
from tests.bench.sharing import passes
from tests.support.scripted import ScriptedModel, ScriptedSandbox

HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def double(n: int) -> int:\n    """Twice the number.\n    >>> double(2)\n    4\n    """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * n\n",
    "test": "def check(candidate):\n    assert candidate(3) == 6\n    assert candidate(-1) == -2\n",
}
MBPP = {
    "task_id": 11,
    "text": "Write a function to add two numbers.",
    "code": "def add(a, b):\r\n  return a + b",
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    "challenge_test_list": [],
}
SPAN = {
    "task_id": "RandomSpanInfilling/HumanEval/0/1",
    "entry_point": "double",
    "prompt": 'def double(n):\n    """Twice the number."""\n    twice = ',
    "suffix": " n\n    return twice\n",
    "canonical_solution": "2 *",
    "test": HUMANEVAL["test"],
}
JUDGE = {
    "task_id": "HumanEval/0",
    "entry_point": "double",
    "prompt": HUMANEVAL["prompt"],
    "canonical_solution": HUMANEVAL["canonical_solution"],
    "test": "def check(candidate):\n    for n in range(9):\n        assert candidate(n) == 2 * n\n",
}


def bench(*arguments: str) -> tuple[int, str]:
    """Exit status, and all that was printed."""
    done = CliRunner().invoke(app, ["bench", *arguments])
    return done.exit_code, done.output


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
@pytest.mark.parametrize(
    ("dataset", "row", "arms", "seen"),
    [
        ("humaneval", HUMANEVAL, "greedy,fim,sample,best-of-n,verify", "the docstring's examples"),
        ("mbpp", MBPP, "greedy,fim,best-of-n,verify", "MBPP's first assert"),
        ("infilling", SPAN, "greedy,fim,sample", ""),
    ],
)
def test_every_data_set_with_the_real_model(
    dataset: str, row: dict[str, Any], arms: str, seen: str, tmp_path: Path
) -> None:
    data, out = write(tmp_path / "data.jsonl", row), str(tmp_path / "out")
    command = ("run", dataset, "--data", data, "--out", out, "--arms", arms, "--samples", "2")
    status, text = bench(*command)
    assert status == 0, text
    results = [json.loads(path.read_text()) for path in Path(out).rglob("task_id=*.json")]
    assert {result["arm"] for result in results} == set(arms.split(","))
    for result in results:
        assert result["tests_seen"] == seen
        assert result["stats"]["input_tokens"] > 10
        assert result["stats"]["output_tokens"] > 0
        assert (result["stats"]["runs"] > 0) == (result["arm"] in ("best-of-n", "verify"))
        assert result["n_tests"] > 0
    if row is not SPAN:
        assert any(result["passed"] for result in results), "a 0.5B model can add and double"
    page = tmp_path / "page.html"
    status, text = bench("report", out, "--control", arms.split(",")[-1], "--html", str(page))
    assert status == 0, text
    assert "<svg" in page.read_text()
    rows = json.loads(bench("report", out, "--json")[1])["rows"]
    assert sum(row["passed"]["n"] for row in rows) == len(results)


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_other_tests_judge(tmp_path: Path) -> None:
    """A problem that they do not have is left out, and that is said."""
    other = {**HUMANEVAL, "task_id": "HumanEval/1"}
    data = write(tmp_path / "data.jsonl", HUMANEVAL, other)
    judge, out = write(tmp_path / "judge.jsonl", JUDGE), str(tmp_path / "out")
    command = ("run", "humaneval", "--data", data, "--out", out, "--arms", "greedy")
    status, text = bench(*command, "--judge", judge)
    assert status == 0, text
    assert "1 problem is left out" in text
    (path,) = Path(out).rglob("task_id=*.json")
    result = json.loads(path.read_text())
    assert result["tests_judging"] != "HumanEval's check(candidate)"
    assert result["n_tests"] == 9
    status, text = bench(*command)
    assert status == 1
    assert "another configuration" in text


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_cursors_again_and_report(tmp_path: Path) -> None:
    data, out = str(data_file(tmp_path)), str(tmp_path / "out")
    command = ("cursors", "--data", data, "--out", out, "--variants", "product,no-tests")
    status, first = bench(*command, "--limit", "1")
    assert status == 0, first
    status, more = bench(*command)
    assert status == 0, more
    n_files = len(list(tmp_path.rglob("task_id=*.json")))
    status, text = bench("report", out, "--json")
    rows = json.loads(text)["rows"]
    assert sum(row["exact"]["n"] for row in rows) == n_files
    assert {row["variant"] for row in rows} == {"product", "no-tests"}
    status, text = bench(*command, "--seed", "1")
    assert status == 1
    assert "another configuration (seed: 0, not 1)" in text


RUN = ("run", "humaneval", "--data", "{human}", "--out", "{tmp}/o")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "{tmp}"), "holds no benchmark results"),
        (("cursors", "--data", "{tmp}/none.jsonl", "--out", "{tmp}/o"), "none.jsonl"),
        (
            ("cursors", "--data", "{data}", "--out", "{tmp}/o", "--variants", "x"),
            "unknown variant x",
        ),
        (("cursors", "--data", "{data}", "--out", "{tmp}/o", "--model", "x"), "unknown model 'x'"),
        (("run", "humanevel", *RUN[2:]), "unknown data set humanevel (known: humaneval, mbpp"),
        (("run", "mbpp", *RUN[2:]), "it looks like humaneval"),
        ((*RUN, "--arms", "greedy,beam"), "unknown arm beam (known: greedy"),
        ((*RUN, "--arms", "verify", "--visible", "none"), "verify: no problem has a test"),
        ((*RUN, "--ids", "7"), "no problem is called 7"),
        ((*RUN, "--model", "x"), "unknown model 'x'"),
        ((*RUN, "--judge", "{mbpp}"), "mbpp.jsonl"),
        (("run", "mbpp", "--data", "{mbpp}", "--out", "{tmp}/o", "--visible", "docstring"),
         "MBPP has no docstrings: choose first, all or none"),
    ],
)  # fmt: skip
def test_errors_are_one_message(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    places = {
        "tmp": str(tmp_path),
        "data": str(data_file(tmp_path)),
        "human": write(tmp_path / "human.jsonl", HUMANEVAL),
        "mbpp": write(tmp_path / "mbpp.jsonl", MBPP),
    }
    filled = [part.format(**places) for part in arguments]
    status, text = bench(*filled)
    assert status == 1, text
    assert text.startswith("error: ")
    assert message in text
    assert text.count("\n") == 1
    assert not (tmp_path / "o").exists()


class TroubledModel(ScriptedModel):
    """Something happens while it answers for the second time."""

    def __init__(self, trouble: Callable[[], None]) -> None:
        super().__init__()
        self.trouble = trouble

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Line | Finished]:
        if len(self.prompts) == 1:
            self.trouble()
        async for event in super().generate(continuations, priority):
            yield event


def run_scripted(folder: Path, trouble: Callable[[], None]) -> tuple[int, str]:
    """A run of three problems into `folder / "o"`, with a scripted model, sandbox and judge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_module, "LlamaModel", lambda _: TroubledModel(trouble))
        patch.setattr(bench_module, "working_sandbox", lambda _: ScriptedSandbox())
        patch.setattr(bench_module, "judge_program", judge_scripted)
        (folder / "m.gguf").write_bytes(b"a model")
        rows = [{**HUMANEVAL, "task_id": f"HumanEval/{i}"} for i in range(3)]
        data, out = write(folder / "data.jsonl", *rows), str(folder / "o")
        where = ("--data", data, "--out", out, "--model", str(folder / "m.gguf"))
        return bench("run", "humaneval", *where, "--arms", "greedy")


async def judge_scripted(*program: Any, deadline_seconds: float) -> Any:
    return await passes(*program)


def results_in(folder: Path) -> int:
    return len(list(folder.rglob("task_id=*.json")))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_nothing_more_can_be_written(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    def trouble() -> None:
        monkeypatch.setattr("egcfg_lsp.bench.results.os.fsync", fail)

    status, text = run_scripted(tmp_path, trouble)
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert status == 1
    assert line == (
        f"error: cannot write to the folder of results: {os.strerror(number)}; the same command goes on"
    )
    assert "Traceback" not in text
    assert results_in(tmp_path) == 1
    assert list((tmp_path / "o" / ".leases").iterdir()) == []
    monkeypatch.undo()
    status, text = run_scripted(tmp_path, lambda: None)
    assert status == 0, text
    assert results_in(tmp_path) == 3


def test_folder_is_removed_as_it_is_written(tmp_path: Path) -> None:
    status, text = run_scripted(tmp_path, lambda: shutil.rmtree(tmp_path / "o"))
    assert status == 1
    assert "error: cannot write to the folder of results: No such file or directory" in text
    assert "Traceback" not in text
    assert not (tmp_path / "o").exists()
    status, text = run_scripted(tmp_path, lambda: None)
    assert status == 0, text
    assert results_in(tmp_path) == 3


STOPPED = """
import os, signal, sys
from pathlib import Path
from tests.cli.test_bench import run_scripted

def trouble():
    assert list((folder / "o" / ".leases").iterdir())
    os.kill(os.getpid(), signal.Signals[sys.argv[2]])

# Whoever runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
status, text = run_scripted(folder, trouble)
print(text)
sys.exit(status)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stopped_run_gives_its_task_back(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130, done.stdout + done.stderr
    assert "stopped; the same command goes on from here" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert results_in(tmp_path) == 1
    assert list((tmp_path / "o" / ".leases").iterdir()) == []


def test_sigterm_is_as_before_behind_a_run(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run_scripted(tmp_path, lambda: None)[0] == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_damaged_model_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is right: `models pull` and the server would take it."""
    monkeypatch.setattr(catalogue, "models_folder", lambda: tmp_path)
    entry = min(catalogue.catalogue().values(), key=lambda entry: entry.bytes)
    with entry.path.open("wb") as stream:
        stream.truncate(entry.bytes)
    data = write(tmp_path / "data.jsonl", HUMANEVAL)
    where = ("--data", data, "--out", str(tmp_path / "o"))
    status, text = bench("run", "humaneval", *where, "--model", entry.name)
    assert status == 1
    assert text == (
        f"error: {entry.path} is not the model {entry.name} of the catalogue: "
        f"see `egcfg-lsp models verify {entry.name}`\n"
    )


@pytest.mark.model
def test_a_whole_model_is_named_as_the_catalogue_does(default_model: Path) -> None:
    (entry,) = [e for e in catalogue.catalogue().values() if e.path == default_model]
    about = bench_model(entry.name)
    assert (about.name, about.sha256) == (entry.name, entry.sha256)
