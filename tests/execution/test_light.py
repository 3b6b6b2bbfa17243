"""Runs in an environment without pytest, in the zygote and cold."""

from __future__ import annotations

import asyncio
import sys
import venv
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.execution import Status
from egcfg_lsp.execution.interpreter import Interpreter, find_interpreter
from egcfg_lsp.execution.pool import Pool
from tests.execution.test_pool import ADD, job_for, kernel_sandbox, written


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    """Of an environment in which nothing is installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / ".venv", symlinks=True)
    return find_interpreter(folder, None, {})


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(kernel_sandbox())
    yield pool
    await pool.close()


ROWS = {
    "unittest": (
        (
            "import unittest\nfrom calc import add\nclass Sums(unittest.TestCase):\n"
            "    def setUp(self): self.two = 2\n    def test_a(self):\n"
            "        with self.subTest(i=1): self.assertEqual(add(1, self.two), 3)\n"
        ),
        "test_it.py::Sums.test_a",
        "2 != 3",
    ),
    "plain function": (
        "from calc import add\ndef test_a():\n    assert add(1, 2) == 3\n",
        "test_it.py::test_a",
        "assert add(1, 2) == 3",
    ),
    "doctest": ("", "doctest::add", "add(1, 2) → 2, want 3"),
    "asserts": ("", "asserts::add", "assert add(1, 2) == 3"),
}
MODULES = {
    "doctest": "def add(a, b):\n    '''\n    >>> add(1, 2)\n    3\n    '''\n    $\n",
    "asserts": ADD + "\n\nassert add(1, 2) == 3\n",
}


@pytest.mark.parametrize("style", ROWS)
async def test_styles(tmp_path: Path, bare: Interpreter, pool: Pool, style: str) -> None:
    test, name, failure = ROWS[style]
    module = MODULES.get(style, ADD)
    root = written(tmp_path, {"calc.py": module.replace("$", "pass"), "test_it.py": test})
    for body, status in (("return a + b", Status.PASSED), ("return a * b", Status.FAILED)):
        job = replace(job_for(root, body, name, module=module), interpreter=bare)
        ours, cold = await asyncio.gather(pool.run(job), kernel_sandbox().run(job))
        assert ours == cold, (ours, cold)
        assert (ours.status, ours.n_tests, ours.missed_lines) == (status, 1, ()), ours
        assert "pytest" in ours.slow
    assert ours.failure == failure


async def test_what_needs_pytest_is_inconclusive(
    tmp_path: Path, bare: Interpreter, pool: Pool
) -> None:
    test = "from calc import add\ndef test_a(tmp_path): assert add(1, 2) == 3\n"
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": test})
    job = replace(job_for(root, "return a + b", "test_it.py::test_a"), interpreter=bare)
    result = await pool.run(job)
    assert (result.status, result.reason) == (Status.INCONCLUSIVE, "the tests were skipped")


def test_the_environment_has_no_pytest(bare: Interpreter) -> None:
    assert bare.path != Path(sys.executable)
