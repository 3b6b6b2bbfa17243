"""Files of objects, as data sets come: JSON Lines or one JSON array, gzipped or not.

Every error names the file and the line. Does not know what the objects mean.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from egcfg_lsp.bench import BenchError

Row = Mapping[str, Any]


def read_uncompressed(path: Path) -> bytes:
    """The file's bytes, unpacked if it is gzipped; raises BenchError."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BenchError(f"{path} is a broken gzip file: {error}") from error
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error


def rows(raw: bytes, path: Path) -> Iterator[tuple[Row, str]]:
    """The objects, each with its place for errors; raises BenchError."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8, nor gzipped") from error
    for value, place in _array(text, path) if text.lstrip().startswith("[") else _lines(text, path):
        if not isinstance(value, dict):
            raise BenchError(f"{place}: not an object")
        yield value, place


def texts(row: Row, names: Sequence[str], place: str, what: str) -> list[str]:
    """The fields of that name; raises BenchError if one is missing or is no string."""
    if missing := [name for name in names if not isinstance(row.get(name), str)]:
        raise BenchError(f"{place}: no {what}: no {', '.join(missing)}")
    return [row[name] for name in names]


def strings(row: Row, name: str, place: str) -> list[str]:
    """A field that is a list of strings, empty where it is missing; raises BenchError."""
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BenchError(f"{place}: {name} is not a list of strings")
    return value


def id_of(row: Row, place: str, what: str) -> str:
    """The `task_id`, a number as its digits, also where it is written `Mbpp/2`.

    Raises BenchError if there is none.
    """
    task_id = row.get("task_id")
    if isinstance(task_id, bool) or not isinstance(task_id, int | str) or task_id == "":
        raise BenchError(f"{place}: no {what}: no task_id")
    return str(task_id).removeprefix("Mbpp/")


def _array(text: str, path: Path) -> Iterator[tuple[Any, str]]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}: not JSON: {error}") from error
    return ((value, f"{path}, item {number}") for number, value in enumerate(values, start=1))


def _lines(text: str, path: Path) -> Iterator[tuple[Any, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            try:
                yield json.loads(line), place
            except (ValueError, RecursionError) as error:
                raise BenchError(f"{place}: not JSON: {error}") from error
