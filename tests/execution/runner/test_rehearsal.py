"""The rehearsal of a run, in a pytest of its own: it takes the way of real tests, and no hook or
fixture of the project hears of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from egcfg_lsp.execution.runner.rehearsal import ONCE

CONFTEST = """
import pytest

heard = []


def pytest_runtest_setup(item):
    raise AssertionError("a hook of the project")


def pytest_runtest_logreport(report):
    raise AssertionError("a hook of the project")


@pytest.fixture(autouse=True, scope="session")
def always():
    raise AssertionError("a fixture of the project")
"""
PLAIN = "def test_a(): pass\n"
UNITTEST = "import unittest\n\n\nclass Case(unittest.TestCase):\n    def test_a(self): pass\n"
SCRIPT = """
import json, sys
import pytest
from egcfg_lsp.execution.runner import rehearsal
from egcfg_lsp.execution.runner.asserts import ModuleAsserts
from egcfg_lsp.execution.runner.lines import Visits
from egcfg_lsp.execution.runner.session import Session

records = []
rehearsal.encoded = records.append


class Server(Session):
    def is_wanted(self, *_):
        return True

    def pytest_runtestloop(self, session):
        one = rehearsal.Rehearsal(session, self)
        for names in ((), (), rehearsal.ONCE):
            one.run(names)
        assert session.testsfailed == 0 and self.run is None
        print("RECORDS" + json.dumps(records))
        return True


code = compile("", "none.py", "exec")
server = Server(ModuleAsserts("none.py", b"", set(), False), {}, ".", [],
                Visits("none.py", code, set()), None)
Server.use(pytest)
pytest.hookimpl(tryfirst=True)(Server.pytest_runtestloop)
sys.exit(int(pytest.main(["-q", "-s", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[server])))
"""


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (PLAIN, {"passes": 1, "fails": 0, "raises": 0}),
        (UNITTEST, {"passes": 1, "fails": 0, "raises": 0, "test_passes": 1, "test_fails": 0}),
    ],
)
@pytest.mark.parametrize("arguments", [[], ["-W", "error"], ["-x"]])
def test_it_passes_fails_and_raises_as_it_says(
    tmp_path: Path, module: str, names: dict[str, int], arguments: list[str]
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(module)
    command = [sys.executable, "-c", SCRIPT, *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    records = json.loads(done.stdout.partition("RECORDS")[2].partition("\n")[0])
    found = {name.rpartition(":")[2]: outcome for name, (outcome, _) in named(records[0]).items()}
    assert found == {name: "passed" if passes else "failed" for name, passes in names.items()}
    assert [each["n_tests"] for each in records] == [len(found)] * 2 + [len(found.keys() & {*ONCE})]
    # It is followed as a target is.
    assert records[0]["entered"]
    assert records[0]["trace"]["n_lines"] > 5


def named(record: dict[str, object]) -> dict[str, tuple[str, float]]:
    tests = record["tests"]
    assert isinstance(tests, list)
    return {name: (outcome, seconds) for name, outcome, seconds in tests}
