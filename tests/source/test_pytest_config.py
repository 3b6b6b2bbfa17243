"""Which files and functions are tests, as pytest's own configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.source.pytest_config import PytestConfig, collected_files, read_pytest_config

ROOT = Path("/project")
CHECKS = PytestConfig(python_functions=("check_*",), testpaths=("checks", "more"))


@pytest.mark.parametrize(
    ("files", "config"),
    [
        ({}, PytestConfig()),
        ({"pytest.ini": "[pytest]\npython_functions = check_*\ntestpaths =\n  checks\n  more\n"}, CHECKS),
        ({".pytest.ini": "[pytest]\npython_functions = check_*\ntestpaths = checks more\n"}, CHECKS),
        ({"tox.ini": "[tox]\n[pytest]\npython_functions=check_*\ntestpaths=checks more\n"}, CHECKS),
        ({"setup.cfg": "[tool:pytest]\npython_functions=check_*\ntestpaths=checks more\n"}, CHECKS),
        ({"pyproject.toml": "[tool.pytest.ini_options]\npython_functions='check_*'\n"
          "testpaths=['checks', 'more']\naddopts='-q'\n"}, CHECKS),
        ({"pyproject.toml": "[tool.pytest]\npython_functions=['check_*']\n"
          "testpaths=['checks', 'more']\n"}, CHECKS),
        ({"pytest.toml": "[pytest]\npython_functions=['check_*']\ntestpaths=['checks', 'more']\n"},
         CHECKS),
        # the first file that configures pytest is the only one
        ({"pytest.ini": "", "tox.ini": "[pytest]\ntestpaths=x\n"}, PytestConfig()),
        ({"pyproject.toml": "[project]\nname='x'\n", "tox.ini": "[pytest]\ntestpaths=x\n"},
         PytestConfig(testpaths=("x",))),
        ({"setup.cfg": "[pytest]\ntestpaths=x\n"}, PytestConfig()),
        # what is broken counts as not said
        ({"pyproject.toml": "[tool.pytest"}, PytestConfig()),
        ({"pytest.ini": "testpaths = x\n"}, PytestConfig()),
        ({"pytest.ini": "[pytest]\ntestpaths = 'x\npython_files = %(y)s\n"},
         PytestConfig(python_files=("%(y)s",))),
        ({"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths=3\npython_classes=[1]\n"},
         PytestConfig()),
        ({"pyproject.toml": "tool = 3\n"}, PytestConfig()),
        ({"pyproject.toml": "[tool]\npytest = 3\n"}, PytestConfig()),
    ],
)  # fmt: skip
def test_configuration_is_read(files: dict[str, str], config: PytestConfig) -> None:
    assert read_pytest_config(files.get) == config


@pytest.mark.parametrize(
    ("config", "files", "collected"),
    [
        (PytestConfig(), ["test_a.py", "a_test.py", "a.py", "tests/conftest.py", "x/test_b.py"],
         ["test_a.py", "a_test.py", "x/test_b.py"]),
        (PytestConfig(), [".x/test_a.py", "build/test_a.py", "a.egg/test_a.py", "builder/test_a.py"],
         ["builder/test_a.py"]),
        (PytestConfig(norecursedirs=("old", "a/b")), ["old/test_a.py", "x/a/b/test_a.py", "b/test_a.py"],
         ["b/test_a.py"]),
        (PytestConfig(python_files=("check_*.py",)), ["test_a.py", "check_a.py"], ["check_a.py"]),
        (PytestConfig(python_files=("tests/*.py",)), ["tests/a.py", "x/tests/a.py", "a.py"],
         ["tests/a.py", "x/tests/a.py"]),
        (PytestConfig(testpaths=("tests/unit",)), ["tests/test_a.py", "tests/unit/x/test_b.py"],
         ["tests/unit/x/test_b.py"]),
        (PytestConfig(testpaths=("*/tests", "./t/test_a.py")), ["a/tests/test_a.py", "t/test_a.py",
         "test_a.py"], ["a/tests/test_a.py", "t/test_a.py"]),
        (PytestConfig(testpaths=(".",)), ["test_a.py"], ["test_a.py"]),
        (PytestConfig(testpaths=("nowhere",)), ["test_a.py"], ["test_a.py"]),
    ],
)  # fmt: skip
def test_files_that_pytest_collects(
    config: PytestConfig, files: list[str], collected: list[str]
) -> None:
    found = collected_files([ROOT / file for file in files], ROOT, config)
    assert [path.relative_to(ROOT).as_posix() for path in found] == collected


def test_names_match_by_prefix_or_pattern() -> None:
    config = PytestConfig(python_functions=("test", "*_check"), python_classes=("Test", "*Spec"))
    assert config.collects_function("test_a")
    assert config.collects_function("sum_check")
    assert not config.collects_function("check_sum")
    assert config.collects_class("SumSpec")
    assert not config.collects_class("Spectrum")
