"""Tests that look at what is around them: every way of running shows them the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.execution import How, Status
from egcfg_lsp.execution.pool import Pool
from tests.execution import test_pool
from tests.execution.test_pool import ADD, job_for, kernel_sandbox, runs, written

pool = test_pool.pool
PROGRAMS = {
    "subprocess": "subprocess.run([sys.executable, 'calc.py'], check=True)",
    "system": "assert os.system(sys.executable + ' calc.py') == 0",
    "spawn": "assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, 'calc.py']) == 0",
    "exec": "if not (pid := os.fork()): os.execv(sys.executable, [sys.executable, 'calc.py'])\n"
    "    assert os.waitpid(pid, 0)[1] == 0",
    "multiprocessing": "get = multiprocessing.get_context('spawn')\n"
    "    process = get.Process(target=calc.add, args=(1, 2))\n"
    "    process.start()\n    process.join()\n    assert process.exitcode == 0",
}  # fmt: skip


@pytest.mark.parametrize("way", PROGRAMS)
async def test_a_program_that_is_started_sees_the_candidate(
    tmp_path: Path, pool: Pool, way: str
) -> None:
    module = ADD + "\n\nif __name__ == '__main__':\n    assert add(1, 2) == 3\n"
    test = (
        "import multiprocessing, os, subprocess, sys, calc\n"
        f"def test_a():\n    assert calc.add(1, 2) == 3\n    {PROGRAMS[way]}\n"
    )
    root = written(tmp_path, {"calc.py": module.replace("$", "raise OSError"), "test_it.py": test})
    for fresh in (False, True):
        job = job_for(root, "return a + b", "test_it.py::test_a", module=module)
        result = await pool.run(replace(job, fresh=fresh))
        assert (result.how, result.status) == (How.COLD, Status.PASSED), result
        assert "starts a program" in result.slow


HEADER = "import pytest, signal\nfrom calc import add\n"
SURROUNDINGS: dict[str, tuple[dict[str, str], str]] = {
    "a log file": (
        {"pytest.ini": "[pytest]\nlog_file = test.log\nlog_file_level = DEBUG\n"},
        "def test_a(caplog): assert add(1, 2) == 3\n",
    ),
    "no logging": (
        {"pytest.ini": "[pytest]\naddopts = -p no:logging\n"}, "def test_a(): assert add(1, 2) == 3\n",
    ),
    "a cache": (
        {"conftest.py": "def pytest_configure(config): config.cache.get('a/b', None)\n",
         "pytest.ini": "[pytest]\ncache_dir = here\nfilterwarnings = error\n"},
        ("def test_a(cache):\n    assert cache.get('a/b', 5) == 5\n    cache.set('a/b', add(1, 2))\n"
        "    assert cache.get('a/b', None) == 3\n"),
    ),
    "the source": (
        {},
        ("import inspect\ndef test_a():\n    assert add(1, 2) == 3\n"
        "    assert inspect.getsource(add).endswith('return a + b\\n')\n"),
    ),
    "skipping behind a failure": (
        {"conftest.py": "import pytest\ndef pytest_runtest_setup(item):\n"
         "    if item.session.testsfailed: pytest.skip('a test before has failed')\n"},
        "def test_a(): assert add(1, 2) == 3\n",
    ),
    "hearing of reports": (
        {"conftest.py": "seen = []\n"
         "def pytest_runtest_logreport(report): seen.append(report.nodeid)\n"
         "def pytest_runtest_makereport(item): seen.append(item.name)\n"},
        ("def test_a():\n    import conftest\n"
        "    assert set(conftest.seen) == {'test_a', 'test_it.py::test_a'}\n    assert add(1, 2) == 3\n"),
    ),
    "an alarm": (
        {},
        ("def test_a():\n    assert signal.alarm(0) == 0\n    assert add(1, 2) == 3\n"
        "    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL\n"
        "    assert type(signal.alarm).__name__ == 'builtin_function_or_method'\n"),
    ),
    "a handler and a timer": (
        {},
        ("@pytest.fixture\ndef two():\n"
        "    assert signal.signal(signal.SIGALRM, lambda *_: None) is signal.SIG_DFL\n"
        "    assert signal.setitimer(signal.ITIMER_REAL, 30) == (0, 0)\n    yield 2\n"
        "    assert signal.getitimer(signal.ITIMER_REAL)[0] > 20\n    signal.alarm(0)\n"
        "def test_a(two): assert add(1, two) == 3\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SURROUNDINGS)
async def test_surroundings(tmp_path: Path, pool: Pool, what: str) -> None:
    files, test = SURROUNDINGS[what]
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": HEADER + test, **files})
    swapped, fresh, cold = await runs(pool, job_for(root, "return a + b", "test_it.py::test_a"))
    assert (swapped.status, swapped.how) == (Status.PASSED, How.SWAPPED), swapped
    assert (fresh.status, fresh.how) == (Status.PASSED, How.FRESH), fresh
    assert cold.status is Status.PASSED, cold


async def test_an_alarm_by_a_name_from_before(tmp_path: Path, pool: Pool) -> None:
    test = "from signal import alarm\nfrom calc import add\n"
    test += "def test_a():\n    assert alarm(0) == 0\n    assert add(1, 2) == 3\n"
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": test})
    result = await pool.run(job_for(root, "return a + b", "test_it.py::test_a"))
    assert result.status is Status.PASSED, result


async def test_seconds_are_those_of_set_up_and_teardown_too(tmp_path: Path, pool: Pool) -> None:
    test = (
        "import pytest, time\nfrom calc import add\n"
        "@pytest.fixture(scope='session')\ndef two():\n"
        "    time.sleep(0.2)\n    yield 2\n    time.sleep(0.1)\n"
        "def test_a(two): assert add(1, two) == 3\n"
    )
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": test})
    for result in await runs(pool, job_for(root, "return a + b", "test_it.py::test_a")):
        assert 0.3 <= result.tests[0].seconds < 5


async def test_a_failure_behind_many_tests_is_told(tmp_path: Path) -> None:
    test = (
        "import pytest\nfrom calc import add\n"
        "@pytest.mark.parametrize('n', range(300))\ndef test_a(n): assert add(n, 0) == n\n"
    )
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": test})
    result = await kernel_sandbox().run(job_for(root, "return a % 299", "test_it.py::test_a"))
    assert (result.n_passed, result.n_tests) == (299, 300)
    assert [one.outcome for one in result.tests] == ["failed", *["passed"] * 199]
