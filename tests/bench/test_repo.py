"""Real projects as data: gaps, what is verified and why not, results that go on, the table."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

import egcfg_lsp
from egcfg_lsp.bench import BenchError, BenchModel
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.repo import (
    NO_TESTS,
    ORIGINAL,
    REASONS,
    Plan,
    RepoResult,
    Run,
    reason_of,
    repository_at,
    run_repo,
    tasks_of,
)
from egcfg_lsp.bench.repo_gaps import Gap, Remove, gaps_in_order, source_files
from egcfg_lsp.bench.repo_report import row_of, rows_of, spread
from egcfg_lsp.bench.report import report
from egcfg_lsp.bench.results import Results, open_results
from egcfg_lsp.completion import Outcome
from egcfg_lsp.completion.project import Project
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.settings import Settings
from tests.support.scripted import ScriptedModel, ScriptedSandbox

CALC = """\
def add(a, b):
    return a + b


def half(n):
    n = n
    return n // 2


def sign(n):
    if n < 0:
        return -1
    return 1


def untested(n):
    return n
"""
TESTS = """\
from pkg.calc import add, half, sign


def test_add():
    assert add(1, 2) == 3


def test_half():
    assert half(8) == 4


def test_sign():
    assert sign(3) == 1
"""
FILES = {
    "PKG-INFO": "Metadata-Version: 2.1\nName: calc-project\nVersion: 1.2\n\nAbout Name: it.\n",
    "src/pkg/__init__.py": "",
    "src/pkg/calc.py": CALC,
    "tests/test_calc.py": TESTS,
}
CONFIGURATION = {
    "kind": "repo",
    "dataset": "repo",
    "model": {"name": ORIGINAL.name, "sha256": ""},
    "seed": 0,
    "version": "0",
}
MODEL = BenchModel("scripted", "0" * 64)


def project_of(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    return folder


def gaps(tmp_path: Path, text: str, remove: Remove = Remove.LINE, seed: int = 0) -> list[Gap]:
    path = tmp_path / "calc.py"
    path.write_bytes(text.encode())
    return list(gaps_in_order([path], remove, seed))


def sampled(
    root: Path,
    out: Path,
    sandbox: Sandbox,
    *,
    model: LanguageModel | None = None,
    remove: Remove = Remove.LINE,
    limit: int = 9,
) -> dict[str, RepoResult]:
    """By function the result that is in the folder afterwards."""
    about = ORIGINAL if model is None else MODEL
    plan = Plan(repository_at(root), remove, limit, 0, Settings(deadline_seconds=60))
    configuration = {**CONFIGURATION, "model": {"name": about.name, "sha256": about.sha256}}
    results = open_results(out, configuration)
    asyncio.run(run_repo(plan, sandbox, model, about, results, lambda: None))
    return {result.function: result for result in results.read_all(RepoResult)}


# ---- gaps

ONE_GAP = {
    "a return": ("def f(a):\n    return a\n", "return a"),
    "several lines are one statement": (
        "def f(a):\n    return (\n        a\n    )\n", "return (\n        a\n    )",
    ),
    "a comment behind it goes along": ("def f(a):\n    return a  # it\n", "return a  # it"),
    "not the docstring": ("def f(a):\n    'About.'\n    return a\n", "return a"),
    "a block's only statement": ("def f(a):\n    if a:\n        a.b()\n", "a.b()"),
    "in a handler": ("def f(a):\n    try:\n        import b\n    except E:\n        a = 1\n", "a = 1"),
    "in a case": ("def f(a):\n    match a:\n        case 1:\n            a = 1\n", "a = 1"),
    "of an async function": ("async def f(a):\n    await a\n", "await a"),
    "of a method": ("class A:\n    def f(self):\n        self.a = 1\n", "self.a = 1"),
    "not the first of two on a line": ("def f(a):\n    b = 1; c = 2\n    return a\n", "return a"),
    "CRLF": ("def f(a):\r\n    return a\r\n", "return a"),
    "tabs": ("def f(a):\n\treturn a\n", "return a"),
    "wide characters before it": ("def f(a):\n    return 'ü', a  # é\n", "return 'ü', a  # é"),
    "without an end of line": ("def f(a):\n    return a", "return a"),
}  # fmt: skip
NO_GAP = {
    "a stub": "def f(a): ...\n",
    "a pass": "def f(a):\n    pass\n",
    "only a docstring": "def f(a):\n    'About.'\n",
    "abstract": "def f(a):\n    raise NotImplementedError\n",
    "on the line of def": "def f(a): return a\n",
    "names of other scopes": "def f(a):\n    global b\n",
    "a file that does not parse": "def f(a):\n    return a\n\nprint 1\n",
    "a file with uncertain lines": "def f(a):\n    return '\x0c'\n",
    "a file with a byte order mark": "\ufeffdef f(a):\n    return a\n",
}


@pytest.mark.parametrize(("text", "removed"), ONE_GAP.values(), ids=ONE_GAP)
def test_a_statement_is_taken_out(text: str, removed: str, tmp_path: Path) -> None:
    (gap,) = gaps(tmp_path, text)
    assert gap.removed.replace("\r\n", "\n") == removed
    assert gap.above + gap.removed + gap.below == text
    assert gap.above.rpartition("\n")[2].strip() == ""


@pytest.mark.parametrize("text", NO_GAP.values(), ids=NO_GAP)
@pytest.mark.parametrize("remove", Remove)
def test_no_gap(text: str, remove: Remove, tmp_path: Path) -> None:
    assert gaps(tmp_path, text, remove) == []


def test_the_body_is_taken_out(tmp_path: Path) -> None:
    body = "a = 1\n\n        return a"
    text = f"class A:\n    def f(self):\n        '''About.'''\n        # first\n        {body}\n\n    b = 2\n"
    (gap,) = gaps(tmp_path, text, Remove.BODY)
    assert (gap.function, gap.removed) == ("A.f", body)
    assert gap.first_line == 5
    assert gap.above + gap.removed + gap.below == text


def test_a_function_within_a_function_has_a_gap_of_its_own(tmp_path: Path) -> None:
    text = "def f(a):\n    def g(b):\n        return b\n    return g\n"
    found = {gap.function: gap.removed for gap in gaps(tmp_path, text)}
    assert found == {"f": "return g", "f.g": "return b"}


def test_the_seed_draws_order_and_gap(tmp_path: Path) -> None:
    text = "".join(f"def f{i}(a):\n    a = 1\n    b = 2\n    c = 3\n\n" for i in range(9))
    drawn = [[(gap.function, gap.removed) for gap in gaps(tmp_path, text, seed=n)] for n in (0, 1)]
    assert drawn[0] == [(gap.function, gap.removed) for gap in gaps(tmp_path, text)]
    assert drawn[0] != drawn[1]
    assert [len(order) for order in drawn] == [9, 9]


def test_files_that_are_no_source(tmp_path: Path) -> None:
    names = [
        "pkg/a.py", "pkg/tests/helper.py", "tests/b.py", "setup.py", "docs/conf.py", "conftest.py",
        "pkg/test_a.py",
    ]  # fmt: skip
    project = Project(project_of(tmp_path, dict.fromkeys(names, "")))
    project.refresh()
    assert [path.name for path in source_files(project)] == ["a.py"]


# ---- a project


def test_what_stood_there_is_verified(tmp_path: Path) -> None:
    """With the real sandbox and the real pytest: what no test needs, or reaches, has no ✓."""
    root = project_of(tmp_path / "project", FILES)
    found = sampled(root, tmp_path / "out", KernelSandbox(), remove=Remove.BODY)
    assert {name: result.outcome for name, result in found.items()} == {
        "add": Outcome.VERIFIED,
        "half": Outcome.VERIFIED,
        "sign": Outcome.UNVERIFIED,
        "untested": Outcome.UNVERIFIED,
    }
    assert found["sign"].reason == "a line never ran"
    assert found["untested"].reason == NO_TESTS
    add = found["add"]
    assert (add.package, add.version, add.path) == ("calc-project", "1.2", "src/pkg/calc.py")
    assert add.tests == ("tests/test_calc.py::test_add",)
    assert (add.removed, add.suggestion) == ("return a + b", "return a + b")
    assert (add.reason, add.passed) == ("", None)
    assert len(add.runs) >= 2
    assert all(run.seconds > 0 for run in add.runs)
    assert (root / "src/pkg/calc.py").read_text() == CALC


def test_a_line_that_no_test_needs(tmp_path: Path) -> None:
    idle = "def half(n):\n    n = n\n    n = n\n    n = n\n    n = n\n    if n:\n        return n // 2\n"
    before, after = CALC.index("def half"), CALC.index("def sign")
    text = CALC[:before] + idle + CALC[after:]
    root = project_of(tmp_path / "project", {**FILES, "src/pkg/calc.py": text})
    half = sampled(root, tmp_path / "out", KernelSandbox())["half"]
    assert (half.removed, half.reason) == ("n = n", "passes with or without it")


def test_a_larger_sample_goes_on(tmp_path: Path) -> None:
    root = project_of(tmp_path / "project", FILES)
    sandbox = ScriptedSandbox()
    first = sampled(root, tmp_path / "out", sandbox, limit=1)
    n_jobs = len(sandbox.jobs)
    assert sum(result.has_tests for result in first.values()) == 1
    again = sampled(root, tmp_path / "out", sandbox, limit=1)
    assert (again, len(sandbox.jobs)) == (first, n_jobs)
    more = sampled(root, tmp_path / "out", sandbox)
    assert set(first) < set(more) == {"add", "half", "sign", "untested"}
    assert {name: more[name] for name in first} == first


def test_a_model_is_judged_by_all_tests(tmp_path: Path) -> None:
    """Ten tests: eight are shown to the ladder, and the one that it has not seen fails."""
    tests = "from pkg.calc import add\n" + "".join(
        f"\ndef test_{i}():\n    assert add(1, {i}) == {i + 1}\n" for i in range(9)
    )
    tests += (
        "\ndef test_last():\n    assert add(1.0, 2.5) == 3.5, 'told apart by its type, at length'\n"
    )
    root = project_of(tmp_path / "project", {**FILES, "tests/test_calc.py": tests})
    answers = {"a + b": True, "a + int(b)": False, "a - b": False}
    for answer, passed in answers.items():
        model = ScriptedModel([f"    return {answer}\n"])
        found = sampled(root, tmp_path / answer, KernelSandbox(), model=model)
        add = found["add"]
        assert len(add.tests) == 8
        assert (add.suggestion, add.passed) == (f"return {answer}", passed)
        assert add.n_judging == 10 or not passed
        assert add.outcome is not Outcome.VERIFIED or answer != "a - b"
        assert add.first_line_seconds is not None
    row = row_of("all", [add])
    assert (row.passed, row.precision) == (Rate(0, 1), Rate(0, 0))


def test_a_model_that_says_nothing(tmp_path: Path) -> None:
    root = project_of(tmp_path / "project", FILES)
    found = sampled(root, tmp_path / "out", ScriptedSandbox(), model=ScriptedModel([]))
    assert {result.reason for result in found.values()} == {NO_TESTS, "no suggestion"}
    assert {result.passed for result in found.values()} == {None}


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "no Python files"), ({"tests/test_a.py": "def test(): pass\n"}, "no Python files")],
)
def test_a_folder_without_functions(files: dict[str, str], message: str, tmp_path: Path) -> None:
    plan = Plan(repository_at(project_of(tmp_path, files)), Remove.LINE, 1, 0, Settings())
    with pytest.raises(BenchError, match=message):
        list(tasks_of(plan))


def test_a_project_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is no folder"):
        repository_at(tmp_path / "nowhere")


def test_a_project_without_metadata(tmp_path: Path) -> None:
    assert repository_at(tmp_path).group == tmp_path.name


# ---- reasons and the table

PAGE = Path(egcfg_lsp.__file__).parents[1] / "docs" / "benchmark.md"


def documented(prefix: str = "") -> set[str]:
    """The names that the page's part on real projects has in its tables' first columns."""
    part = PAGE.read_text(encoding="utf-8").partition("\n## Real projects\n")[2]
    cells = re.findall(r"^\| (`[^|]+`) \|", part, re.MULTILINE)
    names = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    return {name for name in names if name.startswith("rows[].") == bool(prefix)}


def without_parts(row: dict[str, object]) -> set[str]:
    """Names of a row's fields as the page has them: `outcomes.*` stands for any outcome."""
    return {f"{name}.*" if name in ("outcomes", "reasons") else name for name in row}


def test_the_page_names_the_fields_of_a_result() -> None:
    own = {field.name for field in fields(RepoResult)} - {"runs"}
    assert documented() == own | {f"runs[].{field.name}" for field in fields(Run)}


SUMMARIES = {
    "⊘ no tests found for this function": NO_TESTS,
    "⊘ 3/3 pass, with or without it": "passes with or without it",
    "⊘ 3/3 pass, but lines 4, 5 never ran": "a line never ran",
    "⊘ 3/3 pass; without it: no result within 10 s": "deadline",
    "⊘ no result within 10 s": "deadline",
    "⊘ not reached: the tests pass without entering the function": "not reached",
    "⊘ the sandbox blocked the test (PermissionError: socket)": "blocked by the sandbox",
    "⊘ the tests were skipped": "tests skipped",
    "⊘ no test was collected": "no test collected",
    "⊘ tests/test_a.py: ModuleNotFoundError: No module named 'x'": "module or test cannot be imported",
    "⊘ the run ended without a result (exit status -11)": "the run died",
    "⊘ the interpreter has no pytest (bin/python)": "no pytest",
    "✗ 2/3 · no result within the sandbox": "tests fail",
    "⊘ something new": "⊘ something new",
    "": "no suggestion",
}  # fmt: skip


@pytest.mark.parametrize(("summary", "reason"), SUMMARIES.items())
def test_reasons(summary: str, reason: str) -> None:
    assert reason_of(Outcome.UNVERIFIED, summary) == reason
    assert reason in REASONS or reason == summary


def test_a_verified_one_needs_no_reason() -> None:
    assert reason_of(Outcome.VERIFIED, "✓ 3/3") == ""


@pytest.mark.parametrize(
    ("seconds", "p50", "p90"),
    [([], None, None), ([2.0], 2.0, 2.0), ([3.0, 1.0], 3.0, 3.0), (list(range(1, 11)), 6, 9)],
)
def test_spread(seconds: list[float], p50: float | None, p90: float | None) -> None:
    found = spread(seconds)
    assert (found.n, found.p50, found.p90) == (len(seconds), p50, p90)


def test_the_report_of_several_projects(tmp_path: Path) -> None:
    other = {**FILES, "PKG-INFO": "Name: other\nVersion: 2\n\n"}
    for name, files in {"one": FILES, "two": other}.items():
        sampled(project_of(tmp_path / name, files), tmp_path / "out", ScriptedSandbox())
    found = report(tmp_path / "out")
    rows = {row["project"]: row for row in found.data["rows"]}
    assert list(rows) == ["calc-project 1.2", "other 2", "all"]
    assert rows["all"]["with_tests"] == {**rows["all"]["with_tests"], "hits": 6, "n": 8}
    assert rows["all"]["verified"]["n"] == 6
    assert sum(rows["all"]["outcomes"].values()) == 6
    assert sum(rows["all"]["reasons"].values()) == 6 - rows["all"]["verified"]["hits"]
    assert rows["all"]["passed"] is None
    assert {f"rows[].{name}" for name in without_parts(rows["all"])} == documented("rows[].")
    results = list(Results(tmp_path / "out").read_all(RepoResult))
    assert [row.name for row in rows_of([replace(results[0], version="")])] == ["calc-project"]
