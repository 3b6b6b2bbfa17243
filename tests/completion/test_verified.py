"""A ✓ never lies: what stands under it, in real runs by zygotes and by cold processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from egcfg_lsp.completion import Outcome, Request, Suggestion
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.project import project_at
from egcfg_lsp.completion.requests import oracle_tests
from egcfg_lsp.completion.verdicts import Verdict
from egcfg_lsp.completion.verify import verify
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.target import find_target
from tests.support.cursor import at_cursor

OPEN = "def add(a, b):\n    |\n"
TESTS = """
from calc import add


def test_small():
    assert add(1, 2) == 3


def test_zero():
    assert add(0, 0) == 0
"""


FLAKY = """
import random
from calc import add


def test_add():
    assert add(1, 2) == 3 and int(random.random() * 1000) == 844  # with the seed 0
"""
UNITTEST = """
import unittest
from calc import add


class TestAdd(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(1, 2), 3)

    def test_zero(self):
        self.assertEqual(add(0, 0), 0)
"""


@pytest.fixture(params=["pool", "cold"])
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    if request.param == "cold":
        yield KernelSandbox()
        return
    pool = Pool()
    yield pool
    await pool.close()


async def verdict(
    folder: Path,
    sandbox: Sandbox,
    marked: str,
    said: str,
    tests: str = TESTS,
    history: TestHistory | None = None,
) -> Verdict:
    text, offset = at_cursor(marked)
    (folder / "pyproject.toml").touch()
    (folder / "calc.py").write_text(text)
    (folder / "test_calc.py").write_text(tests)
    request = Request(text, offset, folder / "calc.py", folder, Settings(trusted=True))
    target = find_target(text, offset)
    assert target is not None
    project = project_at(folder)
    project.refresh()
    found = oracle_tests(request, target, project)
    assert found
    return await verify(request, found, Suggestion("", said), sandbox, history)


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        (OPEN, "return a + b"),
        (OPEN, "total = a\n    total += b\n    return total"),
        ("def add(a, b):\n    if a:\n        |\n    return b\n", "return a + b"),
        ("import math\n\nLIMIT = add = None\n\n\ndef add(a, b):\n    |\n", "return a + b"),
        (OPEN, "if a: return a + b\n    return b"),
    ],
)
async def test_what_passes_as_shown_is_verified(
    tmp_path: Path, sandbox: Sandbox, marked: str, said: str
) -> None:
    found = await verdict(tmp_path, sandbox, marked, said)
    assert found == Verdict(Outcome.VERIFIED, "✓ 2/2")


@pytest.mark.parametrize(
    ("marked", "said", "tests", "reason"),
    [
        # an untested branch
        (
            "def add(a, b):\n    if a > 99:\n        |\n    return a + b\n",
            "return 0",
            TESTS,
            "but line 3 never ran",
        ),
        # dead code
        ("def add(a, b):\n    return a + b\n    |\n", "return 0", TESTS, "but line 3 never ran"),
        ("def add(a, b):\n    |\n", "return a + b\n    return 0", TESTS, "but line 3 never ran"),
        (
            "def add(a, b):\n    |\n",
            "if a > 99: return undefined\n    return a + b",
            TESTS,
            "line 2 never",
        ),
        ("def add(a, b):\n    |\n", "return a + b; undefined()", TESTS, "line 2 never"),
        # tests that pass anyway
        ("def add(a, b):\n    |\n    return a + b\n", "c = a", TESTS, "with or without it"),
        (OPEN, "return 7", "from calc import add\ndef test_add():\n    add(1, 2)\n", "without it"),
        # a loop without end, and the network
        (OPEN, "while True: a += 1", TESTS, "⏱ loop at line 2"),
        (OPEN, "import socket\n    return socket.socket()", TESTS, "⊘ needs network"),
        # a flaky test: the seed is another one the second time
        (
            OPEN,
            "return a + b",
            FLAKY,
            "flaky, passed once and failed once: test_add",
        ),
        # tests that the candidate ends or skips
        (OPEN, "import pytest\n    pytest.skip('x')", TESTS, ""),
        (OPEN, "import pytest\n    pytest.exit('x', 0)", TESTS, ""),
        (OPEN, "import unittest\n    raise unittest.SkipTest", TESTS, ""),
        (OPEN, "import os\n    os._exit(0)", TESTS, ""),
        (OPEN, "import sys\n    sys.exit(0)", TESTS, ""),
        (OPEN, "raise KeyboardInterrupt", TESTS, ""),
        # what a test asserts with, patched
        (
            OPEN,
            "import _pytest.python\n    _pytest.python.Function.runtest = print\n    return 0",
            TESTS,
            "",
        ),
        (
            OPEN,
            "import test_calc\n    test_calc.test_zero = test_calc.test_small = print\n    return 9",
            TESTS,
            "",
        ),
        (
            OPEN,
            "import unittest\n    unittest.TestCase.assertEqual = print\n    return 0",
            UNITTEST,
            "",
        ),
        # passing only where it has not been imported anew
        (
            "import functools\n\nSEEN = []\n\n\ndef add(a, b):\n    |\n",
            "SEEN.append(a)\n    return 3 if SEEN[0] == 1 else 4",
            TESTS,
            "",
        ),
    ],
)
async def test_what_says_nothing_has_no_mark(
    tmp_path: Path, sandbox: Sandbox, marked: str, said: str, tests: str, reason: str
) -> None:
    found = await verdict(tmp_path, sandbox, marked, said, tests)
    assert found.outcome is not Outcome.VERIFIED
    assert not found.summary.startswith("✓")
    assert reason in found.summary


BEYOND = """
import calc


def test_add():
    calc.add


def test_total():
    assert calc.total([1, 2]) == 3


def test_total_of_nothing():
    assert calc.total([]) == 0
"""
WIDE = "def add(a, b):\n    |\n\n\ndef total(items):\n    s = 0\n"
WIDE += "    for i in items:\n        s = add(s, i)\n    return s\n"


async def test_tests_that_reach_it_without_naming_it_count_too(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    history = TestHistory()

    async def of(said: str) -> str:
        return (await verdict(tmp_path, sandbox, WIDE, said, BEYOND, history)).summary

    assert await of("return a + b") == "✓ 3/3"
    assert await of("return a * b") == "✗ 2/3 · total([1, 2]) → 0, want 3"
    history.forget([tmp_path / "conftest.py"])
    assert (await of("return a * b")).startswith("⊘ not reached"), "what fails may do so by itself"


async def test_flaky_test_is_not_asked_again(tmp_path: Path, sandbox: Sandbox) -> None:
    history = TestHistory()
    first = await verdict(tmp_path, sandbox, OPEN, "return a + b", FLAKY, history)
    assert first.summary == "⊘ flaky, passed once and failed once: test_add"
    second = await verdict(tmp_path, sandbox, OPEN, "return a + b", FLAKY, history)
    assert second.summary == "⊘ flaky: test_add"


async def test_tests_that_cannot_be_imported_without_it_fail_without_it(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    tests = "from calc import add\nTOTAL = add(1, 2) + 1\n\n"
    tests += "def test_add():\n    assert TOTAL == 4 and add(0, 0) == 0\n"
    found = await verdict(tmp_path, sandbox, OPEN, "return a + b", tests)
    assert found.summary == "✓ 1/1"


async def test_unsaved_test_counts_as_it_is_shown(tmp_path: Path) -> None:
    pool = Pool()
    text, offset = at_cursor(OPEN)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "calc.py").write_text(text)
    path = tmp_path / "test_calc.py"
    path.write_text(TESTS)
    shown = TESTS.replace("== 3", "== 4")
    settings = Settings(trusted=True)
    request = Request(
        text, offset, tmp_path / "calc.py", tmp_path, settings, overlays={path: shown}
    )
    target = find_target(text, offset)
    assert target is not None
    project = project_at(tmp_path)
    project.refresh()
    tests = oracle_tests(request, target, project)
    try:
        found = await verify(request, tests, Suggestion("", "return a + b"), pool)
    finally:
        await pool.close()
    assert found.summary == "✗ 1/2 · add(1, 2) → 3, want 4"
