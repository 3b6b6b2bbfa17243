"""Fixtures for the real model, and small projects on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from egcfg_lsp.model.catalogue import entry_named
from egcfg_lsp.model.pull import pull
from egcfg_lsp.settings import DEFAULT_MODEL


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The real default model, pulled and verified on first use."""
    return pull(entry_named(DEFAULT_MODEL), on_note=print)


@pytest.fixture(autouse=True, scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's state folder of our own: no answer about trust and no log entry outlives the tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with an unfinished `add` in `calc.py` and two tests of it."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "calc.py").write_text("def add(a, b):\n    \n")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_calc.py").write_text(
        "from calc import add\n\n\n"
        "def test_small():\n    assert add(1, 2) == 3\n\n\n"
        "def test_zero():\n    assert add(0, 0) == 0\n"
    )
    return tmp_path
