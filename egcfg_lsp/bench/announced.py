"""What the processes on a folder set out to do, from the files in which they say so.

Does not know whether a process still lives: that is seen from its leases (`leases`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cattrs.preconf.json import make_converter

from egcfg_lsp.bench import BenchError

RUNS = "runs"
"""The folder of these files, in that of the results."""
_converter = make_converter()


@dataclass(frozen=True)
class Announced:
    """One process."""

    host: str
    pid: int
    cpus: int | None
    started: str
    """UTC, ISO 8601."""
    configs: Mapping[str, str]
    """Name of a configuration → folder of its results, relative to that of the run."""
    task_ids: tuple[str, ...]


def read_announced(folder: Path) -> list[Announced]:
    """The oldest first; raises BenchError on a file that is none."""
    return [_read(path) for path in sorted((folder / RUNS).glob("*.json"))]


def planned_tasks(announced: Iterable[Announced]) -> dict[str, tuple[str, ...]]:
    """By configuration the tasks that at least one process set out to do, in their order."""
    tasks: dict[str, dict[str, None]] = {}
    for one in announced:
        for config in one.configs:
            tasks.setdefault(config, {}).update(dict.fromkeys(one.task_ids))
    return {config: tuple(own) for config, own in tasks.items()}


def _read(path: Path) -> Announced:
    try:
        return _converter.loads(path.read_text(encoding="utf-8"), Announced)
    except Exception as error:
        raise BenchError(f"{path} does not say what a run is of: {error!r}") from error
