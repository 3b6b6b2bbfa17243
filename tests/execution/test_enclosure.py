"""What a run may leave, and what is done about it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from egcfg_lsp.execution import TMP_INODES, enclosure
from egcfg_lsp.execution.interpreter import Interpreter
from egcfg_lsp.execution.runner.trees import remove_tree
from egcfg_lsp.execution.sandbox import allowed_environment


def deep(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("x" * 40, dir_fd=descriptor)
        inner = os.open("x" * 40, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def locked(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").touch()
    (folder / "a" / "b").chmod(0)
    (folder / "a").chmod(0)


def links(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent / "kept", target_is_directory=True)
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to("..")
    os.mkfifo(folder / "fifo")


@pytest.mark.parametrize("make", [deep, locked, links])
def test_what_a_run_left_is_removed(make: object, tmp_path: Path) -> None:
    assert callable(make)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    folder = tmp_path / "run"
    folder.mkdir()
    make(folder)
    remove_tree(folder)
    assert [*tmp_path.rglob("*")] == [tmp_path / "kept", tmp_path / "kept" / "file"]


@pytest.mark.parametrize(
    ("n_files", "n_bytes", "overfull"),
    [(10, 10, False), (TMP_INODES + 1, 0, True), (2, 40 << 20, True)],
)
def test_private_folder_that_is_too_full(
    n_files: int, n_bytes: int, overfull: bool, tmp_path: Path
) -> None:
    for i in range(n_files):
        with (tmp_path / str(i)).open("wb") as stream:
            if n_bytes:
                os.posix_fallocate(stream.fileno(), 0, n_bytes)
    assert enclosure._is_overfull(tmp_path) is overfull


def test_private_folder_too_deep_to_look_into(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    deep(folder)
    assert enclosure._is_overfull(folder)
    remove_tree(folder)


def test_environment_is_ours_and_what_is_allowed() -> None:
    variables = {"DATABASE_URL": "x", "HOME": "/home/me", "OTHER": "y"}
    allowed = allowed_environment(["DATABASE_URL", "HOME", "MISSING"], variables)
    assert allowed == {"DATABASE_URL": "x", "HOME": "/home/me"}
    interpreter = Interpreter(Path("/usr/bin/python3"), "", ())
    seen = enclosure._environment(interpreter, "/tmp", allowed)
    assert (seen["DATABASE_URL"], seen["HOME"], seen["TMPDIR"]) == ("x", "/tmp", "/tmp")
    assert "OTHER" not in seen


async def test_process_whose_output_nobody_reads_is_ended() -> None:
    """asyncio stops reading a pipe whose buffer is full, and then never sees its end."""
    flood = "import os\nwhile True: os.write(2, b'x' * 65536)"
    async with asyncio.timeout(30):
        async with enclosure._started([sys.executable, "-c", flood], ()) as process:
            await asyncio.sleep(1)
    assert process.returncode == -9
