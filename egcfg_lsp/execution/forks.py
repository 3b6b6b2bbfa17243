"""What the server knows of one fork in a zygote, and how it reads what that answers; what it rests on."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from egcfg_lsp.execution import RunResult
from egcfg_lsp.execution.channel import Channel
from egcfg_lsp.execution.record import object_in, result_of_object

T = TypeVar("T")
Stamp = tuple[int, int] | None
Stamps = Mapping[Path, Stamp]
"""By which it is seen that a file, or what lies in a folder, has changed."""
NUMBERS = itertools.count(1)
"""By which a fork is known; none is used twice."""


class ZygoteError(Exception):
    """It cannot be used, or not any more; the message is for people."""


class SlowerNeededError(Exception):
    """This way of running says nothing; the message, for people, says why."""


class StillCollectingError(SlowerNeededError):
    """The job has waited for its tests to be collected, in vain."""


@dataclass
class Child:
    """Forked and confined, waiting for its order."""

    number: int
    folder: str
    channel: Channel


def new_folder(parent: str) -> str:
    """For the files of one fork."""
    return f"{parent}/{secrets.token_hex(8)}"


def result_in(record: bytes, nonce: str) -> RunResult:
    """Raises SlowerNeededError."""
    value = object_in(record)
    if value is not None and value.get("nonce") == nonce and type(value.get("slow")) is str:
        raise SlowerNeededError(value["slow"])
    return result_of_object(value, nonce)


def stamp_of(path: str | Path, before: int | None = None) -> Stamp:
    """Changes with the file; with `before` (ns of the clock) none that a file written since has."""
    try:
        found = os.stat(path)  # noqa: PTH116 - much faster, and asked for many files a run
    except OSError:
        return None
    if before is not None and found.st_mtime_ns >= before:
        return (-1, -1)
    return (found.st_mtime_ns, found.st_size)


def stamps_of(paths: Iterable[Path], before: int | None = None) -> Stamps:
    return {path: stamp_of(path, before) for path in paths}


def have_changed(stamps: Stamps) -> bool:
    return any(stamp_of(path) != stamp for path, stamp in stamps.items())


async def outcome(task: asyncio.Task[T]) -> T:
    """Its result; if we are cancelled it goes on. Raises ZygoteError if it is cancelled itself,
    which only its owner does, and what it raises."""
    await asyncio.wait([task])
    if task.cancelled():
        raise ZygoteError("closed")
    return task.result()


def strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
