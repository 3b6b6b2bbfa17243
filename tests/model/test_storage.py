"""The models folder: what is whole, what is left over, and what is never deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from egcfg_lsp.model import catalogue as catalogue_module
from egcfg_lsp.model import storage
from egcfg_lsp.model.catalogue import CatalogueModel
from egcfg_lsp.model.storage import State, delete, leftovers, lock_of, partial_of, verify

CONTENT = b"GGUF" * 1000
OUTSIDE = b"outside of the models folder"


def entry(name: str) -> CatalogueModel:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return CatalogueModel(name, name, f"{name}.gguf", len(CONTENT), digest, "MIT", 2, "any", ())


HERE, ABSENT = entry("here"), entry("absent")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with one of the two models of the catalogue."""
    folder = tmp_path / "models"
    folder.mkdir()
    for module in (catalogue_module, storage):
        monkeypatch.setattr(module, "models_folder", lambda: folder)
    monkeypatch.setattr(storage, "catalogue", lambda: {"here": HERE, "absent": ABSENT})
    (folder / "here.gguf").write_bytes(CONTENT)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A file elsewhere that must stay as it is."""
    path = tmp_path / "outside.gguf"
    path.write_bytes(OUTSIDE)
    yield path
    assert path.read_bytes() == OUTSIDE


def names(found: list[storage.Leftover]) -> list[str]:
    return [leftover.path.name for leftover in found]


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (CONTENT, State.OK),
        (CONTENT[:-1] + b"!", State.DAMAGED),
        (CONTENT[:-1], State.DAMAGED),
        (b"", State.DAMAGED),
        (None, State.MISSING),
    ],
)
def test_verify(folder: Path, content: bytes | None, state: State) -> None:
    (folder / "here.gguf").unlink()
    if content is not None:
        (folder / "here.gguf").write_bytes(content)
    read: list[int] = []
    assert verify(HERE, read.append) is state
    assert max(read, default=len(CONTENT)) == len(CONTENT)


def test_leftovers(folder: Path) -> None:
    files = ["gone.gguf", "gone.gguf.lock", "absent.gguf.partial", "here.gguf.lock", "notes.txt"]
    for name in files:
        (folder / name).write_bytes(b"12345")
    (folder / "mine").mkdir()
    (folder / "mine" / "own.gguf").write_bytes(b"own")
    found = leftovers()
    assert sorted(names(found)) == sorted(files)
    assert {leftover.bytes for leftover in found} == {5}
    assert sorted(names(delete(found))) == sorted(files)
    assert leftovers() == []
    assert sorted(path.name for path in folder.iterdir()) == ["here.gguf", "mine"]
    assert (folder / "mine" / "own.gguf").exists()


def test_a_cut_off_model_is_left_over(folder: Path) -> None:
    (folder / "absent.gguf").write_bytes(CONTENT[:10])
    assert names(leftovers()) == ["absent.gguf"]


def test_nothing_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert leftovers() == []
    assert delete([]) == []
    monkeypatch.setattr(storage, "models_folder", lambda: folder / "nowhere")
    assert leftovers() == []


def test_what_a_running_pull_uses_stays(folder: Path) -> None:
    partial = partial_of(ABSENT.path)
    partial.write_bytes(b"half")
    (folder / "gone.gguf").write_bytes(b"old")
    before = leftovers()
    with FileLock(lock_of(ABSENT.path)):
        assert names(leftovers()) == ["gone.gguf"]
        assert names(delete(before)) == ["gone.gguf"]
        assert partial.read_bytes() == b"half"
    assert sorted(names(leftovers())) == ["absent.gguf.lock", "absent.gguf.partial"]


def test_what_a_pull_has_finished_meanwhile_stays(folder: Path) -> None:
    ABSENT.path.write_bytes(CONTENT[:10])
    before = leftovers()
    ABSENT.path.write_bytes(CONTENT)
    assert delete(before) == []
    assert ABSENT.is_pulled


def test_links_are_deleted_and_what_they_point_at_stays(folder: Path, outside: Path) -> None:
    (folder / "link.gguf").symlink_to(outside)
    (folder / "absent.gguf.lock").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (folder / "dangling.gguf").symlink_to(outside.parent / "nothing")
    found = leftovers()
    assert sorted(names(found)) == ["absent.gguf.lock", "dangling.gguf", "folder", "link.gguf"]
    assert all(leftover.bytes < 1000 for leftover in found)
    assert len(delete(found)) == 4
    assert [path.name for path in folder.iterdir()] == ["here.gguf"]


def test_a_model_that_is_a_link_belongs_to_the_user(folder: Path, tmp_path: Path) -> None:
    (folder / "here.gguf").rename(tmp_path / "elsewhere.gguf")
    (folder / "here.gguf").symlink_to(tmp_path / "elsewhere.gguf")
    assert verify(HERE) is State.OK
    assert leftovers() == []
