"""*Explain trace* with a scripted sandbox: what is run, and why nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.completion import Request, Suggestion
from egcfg_lsp.completion.explain import (
    ExplainError,
    as_it_is,
    explain_run,
    with_function,
    with_suggestion,
)
from egcfg_lsp.execution import RunResult, Status
from egcfg_lsp.settings import Settings
from tests.support.cursor import at_cursor
from tests.support.scripted import ScriptedSandbox, passes_if

TRUSTED = Settings(trusted=True)


def request_at(marked: str, project: Path) -> Request:
    text, offset = at_cursor(marked)
    return Request(text, offset, project / "calc.py", project, TRUSTED)


@pytest.mark.parametrize(
    ("marked", "function", "text", "lines", "first_watched"),
    [
        ("def add(a, b):\n    |pass\n\nx = 1\n", "def add(a, b):\n    return a\n",
         "def add(a, b):\n    return a\n\nx = 1\n", (1, 2), 1),
        ("x = 1\n@d\ndef add(a, b):\n    |pass\nx = 1\n", "@d\n@e\ndef add(a, b):\n    c = 1\n    return c",
         "x = 1\n@d\n@e\ndef add(a, b):\n    c = 1\n    return c\nx = 1\n", (2, 6), 4),
        ("class A:\n    def add(self):\n        |pass\n", "    async def add(self):\n        return 1\n\n\n",
         "class A:\n    async def add(self):\n        return 1\n", (2, 3), 2),
        ("def add(a, b):\r\n    |pass\r\nx = 1\r\n", "def add(a, b):\n    return a\n",
         "def add(a, b):\r\n    return a\r\nx = 1\r\n", (1, 2), 1),
    ],
)  # fmt: skip
def test_another_text_for_the_function(
    marked: str,
    function: str,
    text: str,
    lines: tuple[int, int],
    first_watched: int,
    tmp_path: Path,
) -> None:
    subject = with_function(request_at(marked, tmp_path), function)
    assert subject.text == text
    assert (subject.first_line, subject.last_line) == lines
    assert subject.first_watched == first_watched


async def test_jobs(project: Path) -> None:
    request = request_at("@d\ndef add(a, b):\n    |\n    pass\n", project)
    suggestion = Suggestion("s1", "return a + b", removes=(3, 4))
    for subject, text, lines in [
        (as_it_is(request), request.text, (1, 4)),
        (with_suggestion(request, suggestion), "@d\ndef add(a, b):\n    return a + b\n", (1, 3)),
    ]:
        sandbox = ScriptedSandbox()
        found = await explain_run(request, subject, sandbox)
        (job,) = sandbox.jobs
        assert (job.text, job.target, job.target_lines) == (text, "add", lines)
        assert (job.first_line, job.last_line) == (2, lines[1])
        assert [test.name for test in job.tests] == ["test_small", "test_zero"]
        assert found.tests == job.tests
        assert found.trace is None


@pytest.mark.parametrize(
    ("test_id", "names"),
    [
        ("", ["test_small", "test_zero"]),
        ("test_zero", ["test_zero"]),
        ("tests/test_calc.py::test_zero", ["test_zero"]),
        ("tests/test_calc.py::test_zero[1-2]", ["test_zero"]),
        ("tests/test_calc.py::TestOther::test_c[x]", ["TestOther.test_c"]),
        ("test_other", None),
        ("calc.py", None),
        ("../outside.py::test_a", None),
    ],
)
async def test_one_test(test_id: str, names: list[str] | None, project: Path) -> None:
    request = request_at("def add(a, b):\n    |return a + b\n", project)
    sandbox = ScriptedSandbox()
    if names is None:
        with pytest.raises(ExplainError, match="has no test"):
            await explain_run(request, as_it_is(request), sandbox, test_id)
        assert sandbox.jobs == []
    else:
        await explain_run(request, as_it_is(request), sandbox, test_id)
        assert [test.name for test in sandbox.jobs[0].tests] == names


@pytest.mark.parametrize(
    ("result", "summary"),
    [
        (RunResult(Status.PASSED, 3, 3), "✓ 3/3"),
        (RunResult(Status.FAILED, 1, 3, failure="add(1, 2) → 3, want 4"), "✗ 1/3 · add(1, 2) → 3, want 4"),
        (RunResult(Status.FAILED, 0, 1), "✗ 0/1"),
        (RunResult(Status.INCONCLUSIVE, reason="no result within 10 s"), "⊘ no result within 10 s"),
    ],
)  # fmt: skip
async def test_summaries(result: RunResult, summary: str, project: Path) -> None:
    request = request_at("def add(a, b):\n    |pass\n", project)
    found = await explain_run(request, as_it_is(request), ScriptedSandbox(lambda job: result))
    assert found.summary == summary
    assert f"`{summary}`" in found.markdown


async def test_nothing_runs_without_trust(project: Path) -> None:
    request = request_at("def add(a, b):\n    |pass\n", project)
    request = replace(request, settings=Settings(trusted=False))
    sandbox = ScriptedSandbox(passes_if(""))
    with pytest.raises(ExplainError, match="not trusted"):
        await explain_run(request, as_it_is(request), sandbox)
    assert sandbox.jobs == []


async def test_a_hostile_trace_is_none(project: Path) -> None:
    result = RunResult(Status.PASSED, 1, 1, trace={"frames": [{"name": "![x](https://e)"}]})
    request = request_at("def add(a, b):\n    |pass\n", project)
    found = await explain_run(request, as_it_is(request), ScriptedSandbox(lambda job: result))
    assert found.trace is None
    assert "https" not in found.markdown
