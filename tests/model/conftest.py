"""Tiny models on disk, and quiet when they load."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest

from egcfg_lsp.model.llama.engine import LlamaEngine
from tests.support.gguf_models import tiny_mamba, tiny_model
from tests.support.reference import OPTIONS, Model, tiny


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _drop_log(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """What llama.cpp says while loading hides what a failed test says."""


@pytest.fixture(autouse=True, scope="session")
def quiet_llama() -> None:
    llama.llama_log_set(_drop_log, ctypes.c_void_p(0))


@pytest.fixture(scope="session")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "transformer.gguf")


@pytest.fixture(scope="session")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that cannot be cut to a prefix of what it has read."""
    return tiny_mamba(tmp_path_factory.mktemp("models") / "recurrent.gguf")


@pytest.fixture(scope="session", params=["transformer", "recurrent"])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    model = tiny(request.getfixturevalue(request.param))
    yield model
    model.reference.native.close()


@pytest.fixture
def engine(model: Model) -> Iterator[LlamaEngine]:
    """A fresh one."""
    engine = LlamaEngine(model.path, OPTIONS)
    yield engine
    engine.close()
