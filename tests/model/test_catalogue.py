"""The catalogue's entries, and from a name or a path to a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.model import catalogue as catalogue_module
from egcfg_lsp.model.catalogue import HuggingFace, ModelNotFoundError, catalogue, model_file


def test_catalogue_is_well_formed() -> None:
    assert catalogue()
    for name, model in catalogue().items():
        assert name == model.name
        assert len(model.sha256) == 64
        assert model.licence
        assert model.hardware
        assert model.memory_gb * 1e9 > 1.5 * model.bytes
        assert isinstance(model.sources[0], HuggingFace)
        assert len(model.sources) > 1


def test_model_file_of_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "models_folder", lambda: tmp_path / "cache")
    file = tmp_path / "own.gguf"
    with pytest.raises(ModelNotFoundError, match="no model file"):
        model_file(str(file))
    file.write_bytes(b"GGUF")
    assert model_file(str(file)) == file
    with pytest.raises(ModelNotFoundError, match="unknown model 'gpt'"):
        model_file("gpt")
    with pytest.raises(ModelNotFoundError, match=r"models pull qwen2\.5-coder-0\.5b"):
        model_file("qwen2.5-coder-0.5b")
