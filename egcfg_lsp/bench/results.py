"""A folder of results: its configuration in `configuration.json`, and one JSON a task.

A task's file appears whole or not at all, and the first one stays: a killed run goes on where it
was. A folder is of one configuration. Who works on which task is the matter of `leases`.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cattrs.preconf.json import make_converter

from egcfg_lsp.bench import BenchError

CONFIGURATION = "configuration.json"
_TEMPORARY = ".tmp-"
_STALE_SECONDS = 3600.0
"""A temporary file is written in less, or by a process that is gone."""
T = TypeVar("T")
_converter = make_converter()


@dataclass(frozen=True)
class Results:
    folder: Path

    def has(self, group: str, task_id: str, gamma: float | None = None) -> bool:
        return self._path(group, task_id, gamma).exists()

    def write(self, group: str, task_id: str, result: object, gamma: float | None = None) -> bool:
        """False: there was a result already, which stays.

        `group`: a relative folder; `task_id`: any text; `gamma`: a guidance scale, for files that
        name it. Raises OSError.
        """
        if not self.folder.is_dir():  # removed: a new one would lack its configuration
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.folder))
        path = self._path(group, task_id, gamma)
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_once(path, _converter.unstructure(result))

    def read_all(self, kind: type[T]) -> Iterator[T]:
        """Every task's result, ordered by file name; raises BenchError on a file that is none."""
        for path in sorted(self.folder.rglob("task_id=*.json")):
            try:
                yield _converter.loads(path.read_text(encoding="utf-8"), kind)
            except Exception as error:
                raise BenchError(f"{path} is not a result of this version: {error!r}") from error

    def _path(self, group: str, task_id: str, gamma: float | None) -> Path:
        scale = "" if gamma is None else f"_gamma={gamma:g}"
        return self.folder / group / f"task_id={quote(task_id, safe='')}{scale}.json"


def open_results(folder: Path, configuration: Mapping[str, Any]) -> Results:
    """The folder of a run, made if need be.

    Raises BenchError if it holds results of another configuration, or something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # listed first: what another process puts there in between comes with its configuration
        is_empty = all(path.name.startswith(_TEMPORARY) for path in folder.iterdir())
        if not (folder / CONFIGURATION).exists():
            if not is_empty:
                raise BenchError(f"{folder} is not empty and holds no benchmark results")
            write_once(folder / CONFIGURATION, configuration)
    except OSError as error:
        raise BenchError(f"cannot write to {folder}: {error.strerror}") from error
    if differences := _differences(read_configuration(folder), configuration):
        raise BenchError(
            f"{folder} holds results of another configuration ({'; '.join(differences)}): "
            "choose another folder"
        )
    _sweep(folder)
    return Results(folder)


def read_configuration(folder: Path) -> dict[str, Any]:
    """What the results in a folder are of; raises BenchError."""
    try:
        value = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(f"{folder} holds no benchmark results") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {folder / CONFIGURATION}: {error}") from error
    if not isinstance(value, dict) or "dataset" not in value:
        raise BenchError(f"{folder / CONFIGURATION} is no benchmark's configuration")
    return value


def _differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    asked = json.loads(json.dumps(asked))
    return [
        f"{key}: {there.get(key)}, not {asked.get(key)}"
        for key in sorted({*there, *asked})
        if there.get(key) != asked.get(key)
    ]


def _sweep(folder: Path) -> None:
    """Remove, as far as possible, what killed processes left half written."""
    with suppress(OSError):
        with tempfile.TemporaryFile(prefix=_TEMPORARY, dir=folder) as new:
            now = os.fstat(new.fileno()).st_mtime  # by the clock that the files' times are of
        for path in folder.rglob(f"{_TEMPORARY}*"):
            with suppress(OSError):
                if path.is_file() and now - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()


def write_once(path: Path, value: object) -> bool:
    """Write JSON to a file that is not there yet, whole or not at all; False: it was there.

    Raises OSError.
    """
    temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
    try:
        # unlike a file of `tempfile`, which nobody else may read, this one is as the umask says
        with temporary.open("x", encoding="utf-8") as stream:
            json.dump(value, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())  # else a power loss may leave its name and not its text
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            temporary.replace(path)
        return True
    finally:
        temporary.unlink(missing_ok=True)
