"""What a failing test says of the target: nothing where the reason is not the target's.

Real runs, every way: a ✗ must not blame a candidate for what it did not do, and a failure that may be
its doing must not be left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from egcfg_lsp.execution import Ending, How, RunResult, Status
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.runner.swap import MAX_MOVED
from tests.execution.test_pool import ADD, job_for, kernel_sandbox, runs, written


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(kernel_sandbox())
    yield pool
    await pool.close()


GOOD = "\ndef test_good(): assert add(1, 2) == 3\n"
IMPORTS = "import pytest\nfrom calc import add\n"

NO_VERDICT: dict[str, tuple[str, dict[str, str], str]] = {
    "a fixture that does not exist": (
        ADD,
        {"test_it.py": IMPORTS + GOOD + "def test_a(benchmark): assert add(1, 2) == 3\n"},
        "test_it.py::test_good test_it.py::test_a",
    ),
    "asked for by name": (
        ADD,
        {
            "test_it.py": IMPORTS
            + GOOD
            + "def test_a(request): request.getfixturevalue('benchmark')(add)\n"
        },
        "test_it.py::test_good test_it.py::test_a",
    ),
    "a package that is not installed, in the test": (
        ADD,
        {"test_it.py": IMPORTS + GOOD + "def test_a():\n    import not_installed\n    add(1, 2)\n"},
        "test_it.py::test_good test_it.py::test_a",
    ),
    "set-up that fails before the target is entered": (
        ADD,
        {
            "test_it.py": IMPORTS
            + "@pytest.fixture\ndef broken(): raise RuntimeError('no database')\n"
            + "def test_a(broken): assert add(1, 2) == 3\n"
            + GOOD
        },
        "test_it.py::test_a test_it.py::test_good",
    ),
    "unittest's set-up": (
        ADD,
        {
            "test_it.py": IMPORTS
            + "import unittest\nclass Sums(unittest.TestCase):\n"
            + "    def setUp(self): raise RuntimeError('no database')\n"
            + "    def test_a(self): self.assertEqual(add(1, 2), 3)\n"
            + GOOD
        },
        "test_it.py::Sums.test_a test_it.py::test_good",
    ),
    "a docstring that was never a test": (
        "def add(a, b):\n    '''\n    >>> x = Word('a')\n    >>> add(1, 2)\n    3\n    '''\n    $\n",
        {"test_it.py": IMPORTS + GOOD},
        "doctest::add test_it.py::test_good",
    ),
    "a file that needs a package": (
        ADD,
        {
            "test_it.py": IMPORTS + GOOD,
            "test_more.py": "import not_installed\nfrom calc import add\n" + GOOD,
        },
        "test_more.py::test_good test_it.py::test_good",
    ),
    "a file that is broken by itself": (
        ADD,
        {"test_it.py": IMPORTS + GOOD, "test_more.py": "def test_good(:\n"},
        "test_more.py::test_good test_it.py::test_good",
    ),
    "a class that is broken by itself": (
        ADD,
        {
            "test_it.py": IMPORTS
            + GOOD
            + "class TestA:\n    @pytest.mark.parametrize('a', [], ids=[1, 2])\n"
            + "    def test_a(self, a): assert add(a, 2) == 3\n"
        },
        "test_it.py::test_good test_it.py::TestA.test_a",
    ),
    "a doctest of a flag that nobody knows": (
        (
            "def add(a, b):\n    '''\n    >>> add(1, 2)  # doctest: +FLOAT_CMP\n    3\n    '''\n    $\n"
        ),
        {"test_it.py": IMPORTS + GOOD},
        "doctest::add test_it.py::test_good",
    ),
    "a file that skips itself": (
        ADD,
        {
            "test_it.py": IMPORTS + GOOD,
            "test_more.py": "import pytest\npytest.importorskip('not_installed')\n"
            "from calc import add\n" + GOOD,
        },
        "test_more.py::test_good test_it.py::test_good",
    ),
}


@pytest.mark.parametrize("case", NO_VERDICT)
async def test_others_decide(tmp_path: Path, pool: Pool, case: str) -> None:
    module, files, tests = NO_VERDICT[case]
    root = written(tmp_path, {"calc.py": module.replace("$", "pass"), **files})
    for body, status in (("return a + b", Status.PASSED), ("return a * b", Status.FAILED)):
        results = await runs(pool, job_for(root, body, tests, module=module))
        passed = int(status is Status.PASSED)
        for result in results:
            verdict = (result.status, result.n_passed, result.n_tests)
            assert verdict == (status, passed, 1), (result.how, result)
            outcomes = {test.name: test.outcome for test in result.tests}
            assert sorted(outcomes.values())[0] in ("error", "failed", "passed"), outcomes
            assert len(outcomes) == 2, outcomes
            assert {"error", "skipped"} & set(outcomes.values()), outcomes
        assert results[0] == results[1] == results[2]
    assert results[0].failure == "add(1, 2) → 2, want 3"


async def test_if_no_other_is_left_it_is_inconclusive(tmp_path: Path, pool: Pool) -> None:
    files = {"test_it.py": IMPORTS + "def test_a(benchmark): assert add(1, 2) == 3\n"}
    root = written(tmp_path, {"calc.py": ADD.replace("$", "pass"), **files})
    for result in await runs(pool, job_for(root, "return 7", "test_it.py::test_a")):
        assert (result.status, result.ending) == (Status.INCONCLUSIVE, Ending.ERROR)
        assert "benchmark" in result.reason
    files = {"test_it.py": "import pytest\npytest.importorskip('not_installed')\n"}
    written(tmp_path, files)
    for result in await runs(pool, job_for(root, "return 7", "test_it.py::test_a")):
        assert (result.status, result.ending) == (Status.INCONCLUSIVE, Ending.DIED)
        assert "skipped: could not import 'not_installed'" in result.reason


AT_IMPORT = "def keep(f): return f\n\n\n@keep\ndef add(a, b):\n    $\n\n\n"
FAILS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "the module cannot be imported with it": (
        AT_IMPORT + "X = add('a', 'b').upper()\n",
        "return None",
        {"test_it.py": IMPORTS + GOOD},
        "NoneType",
    ),
    "a test file cannot": (
        ADD,
        "return None",
        {"test_it.py": IMPORTS + "X = [add(1, 2) + 1]\n" + GOOD},
        "NoneType",
    ),
    "conftest.py cannot": (
        ADD,
        "return None",
        {"conftest.py": "import calc\nX = calc.add(1, 2) + 1\n", "test_it.py": IMPORTS + GOOD},
        "NoneType",
    ),
    "an assert in the module's import": (
        ADD + "\n\nassert add(1, 2) == 3\n",
        "return 2",
        {"test_it.py": IMPORTS + GOOD},
        "AssertionError",
    ),
    "set-up that enters it": (
        ADD,
        "return None",
        {
            "test_it.py": IMPORTS
            + "@pytest.fixture\ndef three(): return add(1, 2) + 0\n"
            + "def test_good(three): assert three == 3\n"
        },
        "NoneType",
    ),
    "a generator that set-up does not even begin": (
        ADD,
        "return a + b\nyield",
        {
            "test_it.py": IMPORTS
            + "@pytest.fixture\ndef three(): return add(1, 2) + 0\n"
            + "def test_good(three): assert three == 3\n"
        },
        "generator",
    ),
    "set-up that finds what a test before has left": (
        "BUSY = []\n\n\ndef add(a, b):\n    $\n",
        "BUSY.append(1)\nreturn a + b",
        {
            "test_it.py": "import pytest, calc\n"
            "@pytest.fixture\ndef idle():\n    if calc.BUSY: raise RuntimeError('busy')\n"
            "def test_before(): assert calc.add(1, 2) == 3\n"
            "def test_good(idle): assert calc.add(1, 2) == 3\n"
        },
        "busy",
    ),
    "set-up that runs it in another process": (
        ADD,
        "return 1 / 0",
        {
            "test_it.py": "import subprocess, pytest\nfrom calc import add\n"
            "@pytest.fixture\ndef output(): raise subprocess.CalledProcessError(1, 'calc.py')\n"
            "def test_good(output): assert add(1, 2) == 3\n"
        },
        "CalledProcessError",
    ),
    "a body that never enters it": (
        ADD,
        "return a + b",
        {"test_it.py": IMPORTS + "def test_good(): assert add is None\n"},
        "is None",
    ),
    "a body that calls a coroutine like a function": (
        "async def add(a, b):\n    $\n",
        "return a + b",
        {"test_it.py": IMPORTS + GOOD},
        "coroutine",
    ),
    "a docstring in which it raises NameError": (
        "def add(a, b):\n    '''\n    >>> add(1, 2)\n    3\n    '''\n    $\n",
        "return total",
        {},
        "NameError: name 'total'",
    ),
}


@pytest.mark.parametrize("case", FAILS)
async def test_what_may_be_its_doing_is_a_failure(tmp_path: Path, pool: Pool, case: str) -> None:
    module, body, files, failure = FAILS[case]
    root = written(tmp_path, {"calc.py": module.replace("$", "return a + b"), **files})
    names = ["test_before", "test_good"] if "test_before" in str(files) else ["test_good"]
    tests = " ".join(f"test_it.py::{name}" for name in names) if files else "doctest::add"
    for result in await runs(pool, job_for(root, body, tests, module=module)):
        assert (result.status, result.n_tests) == (Status.FAILED, len(names)), result
        assert failure in result.failure, result


async def test_a_module_that_is_broken_elsewhere_blames_nobody(tmp_path: Path, pool: Pool) -> None:
    module = ADD + "\n\nraise RuntimeError('half done')\n"
    root = written(tmp_path, {"calc.py": module.replace("$", "pass"), "test_it.py": IMPORTS + GOOD})
    for result in await runs(
        pool, job_for(root, "return 7", "test_it.py::test_good", module=module)
    ):
        assert (result.status, result.ending) == (Status.INCONCLUSIVE, Ending.ERROR)
        assert "half done" in result.reason


STRICT: dict[str, dict[str, str]] = {
    "warnings are errors": {"pytest.ini": "[pytest]\nfilterwarnings = error\n"},
    "strict markers": {"pytest.ini": "[pytest]\naddopts = --strict-markers --cov=x\n"},
    "strict markers, as a setting": {"pytest.ini": "[pytest]\nstrict_markers = true\n"},
    "strict in all": {"pytest.ini": "[pytest]\nstrict = true\nasyncio_unknown = 1\n"},
    "plugins that must be there": {"pytest.ini": "[pytest]\nrequired_plugins = not-installed>=1\n"},
    "in pyproject.toml": {
        "pyproject.toml": "[tool.pytest]\nstrict = true\nfilterwarnings = ['error']\n"
    },
}


@pytest.mark.parametrize("case", STRICT)
async def test_strictness_about_plugins_is_not_held_against_the_test(
    tmp_path: Path, pool: Pool, case: str
) -> None:
    test = IMPORTS + "\n@pytest.mark.no_cover" + GOOD
    root = written(
        tmp_path, {"calc.py": ADD.replace("$", "pass"), "test_it.py": test, **STRICT[case]}
    )
    job = job_for(root, "return a + b", "test_it.py::test_good")
    for result in await runs(pool, job):
        assert result == RunResult(Status.PASSED, 1, 1), result


async def test_hypothesis_without_its_database(tmp_path: Path, pool: Pool) -> None:
    """Where warnings are errors; it would like to keep its examples in the project."""
    test = (
        "from hypothesis import given, strategies as st\nfrom calc import add\n"
        "@given(st.integers())\ndef test_good(a): assert add(a, 1) - 1 == a\n"
    )
    ini = "[pytest]\nfilterwarnings = error\n"
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": test, "pytest.ini": ini})
    for body, status in (("return a + b", Status.PASSED), ("return a * b", Status.FAILED)):
        for result in await runs(pool, job_for(root, body, "test_it.py::test_good", seconds=90)):
            assert (result.status, result.n_tests) == (status, 1), result


BESIDE: dict[str, str] = {
    "a fixture": "@pytest.fixture\ndef sum(): return calc.add(1, 2)\n"
    "def test_good(sum): assert sum == 3\n",
    "a fixture of the session": "@pytest.fixture(scope='session')\ndef sum(): return calc.add(1, 2)\n"
    "def test_before(sum): pass\ndef test_good(sum): assert sum == 3\n",
    "setup_method": "class TestA:\n    def setup_method(self): self.sum = calc.add(1, 2)\n"
    "    def test_good(self): assert self.sum == 3\n",
    "teardown": "@pytest.fixture\ndef sum():\n    yield\n    assert calc.add(1, 2) == 3\n"
    "def test_good(sum): pass\n",
    "a thread of a fixture": "import threading\n@pytest.fixture\ndef sum():\n    found = []\n"
    "    thread = threading.Thread(target=lambda: found.append(calc.add(1, 2)))\n"
    "    thread.start(); thread.join()\n    return found[0]\n"
    "def test_good(sum): assert sum == 3\n",
    "the import of the test": "SUM = calc.add(1, 2)\ndef test_good(): assert SUM == 3\n",
}


@pytest.mark.parametrize("case", BESIDE)
async def test_lines_that_run_beside_the_call_have_run(
    tmp_path: Path, pool: Pool, case: str
) -> None:
    files = {"test_it.py": "import pytest, calc\n" + BESIDE[case]}
    root = written(tmp_path, {"calc.py": ADD.replace("$", "pass"), **files})
    name = "TestA.test_good" if "TestA" in BESIDE[case] else "test_good"
    body = "if a > 100:\n    return 0\nreturn a + b"
    for result in await runs(pool, job_for(root, body, f"test_it.py::{name}")):
        assert result == RunResult(Status.PASSED, 1, 1, missed_lines=(3,)), (result.how, result)
    for result in await runs(pool, job_for(root, "return 0", f"test_it.py::{name}")):
        assert result.status is Status.FAILED, (result.how, result)


MANY = textwrap.dedent(
    """
    import pytest
    from calc import add
    MADE = []
    def ids(value):
        MADE.append(value)
    @pytest.mark.parametrize("a", range(30000), ids=ids)
    def test_many(a): assert add(a, 0) == a
    def test_good(): assert add(1, 2) == 3 and not MADE
    class TestA:
        @pytest.mark.parametrize("a", range(30000), ids=ids)
        def test_many(self, a): pass
        @pytest.mark.parametrize("a", [1, 2])
        def test_two(self, a): assert add(a, 0) == a
    """
)


async def test_only_what_is_asked_for_is_made(tmp_path: Path, pool: Pool) -> None:
    root = written(tmp_path, {"calc.py": ADD.replace("$", "pass"), "test_it.py": MANY})
    tests = "test_it.py::test_good test_it.py::TestA.test_two"
    for result in await runs(pool, job_for(root, "return a + b", tests)):
        assert result == RunResult(Status.PASSED, 3, 3), result
    assert (await pool.run(job_for(root, "return a + b", tests))).how is How.SWAPPED


async def test_another_test_of_a_collection_is_found_or_run_afresh(
    tmp_path: Path, pool: Pool
) -> None:
    text = MANY.replace("30000", "100")
    root = written(tmp_path, {"calc.py": ADD.replace("$", "pass"), "test_it.py": text})
    hows = []
    for test in ("TestA.test_two", "test_good", "TestA.test_two", "test_many"):
        result = await pool.run(job_for(root, "return a + b", f"test_it.py::{test}"))
        assert result.status is Status.PASSED, result
        hows.append((result.how, result.n_tests))
    assert hows == [(How.SWAPPED, 2), (How.SWAPPED, 1), (How.SWAPPED, 2), (How.FRESH, 100)]


async def test_lines_that_cannot_all_be_moved_are_not_counted_as_others(
    tmp_path: Path, pool: Pool
) -> None:
    """Below the target stands a helper that runs, on what becomes one of the suggested lines."""
    helpers = "".join(f"\ndef helper_{i}(a):\n    return a\n" for i in range(MAX_MOVED + 1))
    module = ADD + helpers
    test = "import calc\ndef test_a(): assert calc.add(1, 2) == calc.helper_0(3)\n"
    root = written(tmp_path, {"calc.py": module.replace("$", "pass"), "test_it.py": test})
    body = "if a > 100:\n    a = 1\n    b = 2\n    a = 3\nreturn a + b"
    job = job_for(root, body, "test_it.py::test_a", module=module)
    for result in await runs(pool, job):
        assert result.missed_lines == (3, 4, 5), result
        assert result.how is not How.SWAPPED
    job = job_for(root, "return a + b", "test_it.py::test_a", module=module)
    assert (await pool.run(job)).how is How.SWAPPED


async def test_a_module_of_which_pytest_is_made_is_never_that_of_the_disk(
    tmp_path: Path, pool: Pool
) -> None:
    """A zygote has imported it with pytest, before there was a candidate."""
    module = "from _pytest._py import error, path\n\n\n" + ADD
    files = {
        "py.py": module.replace("$", "return a + b"),
        "test_it.py": "from py import add\n" + GOOD,
    }
    root = written(tmp_path, files)
    for body, status in (("return a + b", Status.PASSED), ("return 0", Status.FAILED)):
        job = job_for(root, body, "test_it.py::test_good", module=module, path="py.py")
        for result in await runs(pool, job):
            assert result.status is status, result
            assert result.how is not How.FRESH, result
