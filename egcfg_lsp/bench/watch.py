"""A run of arms as it goes on, seen from its folder alone: by any process, on any machine.

Reads only; a result's file once, as it stays as it is. Does not compare arms (that is `compare`),
and judges by file times, which on a shared folder are another machine's: speeds are estimates.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.announced import RUNS, planned_tasks, read_announced
from egcfg_lsp.bench.compare import label_of
from egcfg_lsp.bench.harness import LEASES
from egcfg_lsp.bench.leases import TTL_SECONDS
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.report_arms import KIND, NO_ERROR
from egcfg_lsp.bench.results import CONFIGURATION, read_configuration
from egcfg_lsp.bench.tables import new_table, percent, printable, title_of

WINDOW_SECONDS = 600.0
"""The speed is that of the tasks done in this time: tasks take seconds to minutes."""
N_FAILURES = 5


@dataclass(frozen=True)
class Done:
    """What is shown of a result."""

    task_id: str
    config: str
    gamma: float
    passed: bool | None
    error: str
    written: float
    """Time of its file, seconds since the epoch."""

    @property
    def label(self) -> str:
        return label_of(self.config, self.gamma)


@dataclass(frozen=True)
class Progress:
    """Of a configuration, at one guidance scale, or of all."""

    label: str
    n_planned: int
    passed: Rate
    """Of those done; without a verdict is not passed."""
    n_inconclusive: int
    per_minute: float | None
    """Tasks; None before two are done in the window."""

    @property
    def seconds_left(self) -> float | None:
        n_left = self.n_planned - self.passed.n
        if not n_left:
            return 0.0
        return 60 * n_left / self.per_minute if self.per_minute else None


@dataclass(frozen=True)
class Holder:
    """A process with a task in hand."""

    host: str
    pid: int
    task: str
    silent_seconds: float
    """Since it last showed that it lives."""


@dataclass(frozen=True)
class Snapshot:
    title: str
    rows: tuple[Progress, ...]
    total: Progress
    holders: tuple[Holder, ...]
    n_without_task: int
    """Processes that announced themselves and have no task in hand: they start, or have ended."""
    failures: tuple[Done, ...]
    """The latest `N_FAILURES` that did not pass, the latest first."""
    unreadable: tuple[str, ...]
    """Files that are no result."""

    @property
    def is_done(self) -> bool:
        return bool(self.rows) and self.total.passed.n == self.total.n_planned


Cache = dict[str, tuple[tuple[int, int], Done | None]]
"""File → its time in ns and size, and what was read of it; None: it is no result."""


def watch(
    folder: Path, console: Console, *, once: bool = False, refresh_seconds: float = 1.0
) -> None:
    """Shows the run until all that is planned is done, or Ctrl-C; waits for a folder without one.

    `once`: shows it one time; then a folder without a run is a BenchError. Raises BenchError on a
    folder that holds something else.
    """
    cache: Cache = {}
    if once:
        console.print(render(snapshot(folder, cache, time.time())))
        return
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                seen = _snapshot_if_any(folder, cache)
                live.update(render(seen) if seen else _waiting(folder), refresh=True)
                if seen is not None and seen.is_done:
                    return
                time.sleep(refresh_seconds)
        except KeyboardInterrupt:
            return


def snapshot(folder: Path, cache: Cache, now: float) -> Snapshot:
    """The run at this moment; `cache` is brought up to date, and spares the next one reading.

    Raises BenchError on a folder without a run of arms.
    """
    configuration = read_configuration(folder)
    kind = configuration.get("kind", configuration["dataset"])
    if kind != KIND:
        raise BenchError(f"{folder} holds results of {kind}, not of arms")
    _refresh(folder, cache)
    done = [one for _, one in cache.values() if one is not None]
    announced = read_announced(folder)
    rows = tuple(_rows(done, planned_tasks(announced), now))
    holders = tuple(_holders(folder / LEASES, now))
    busy = {(holder.host, holder.pid) for holder in holders}
    return Snapshot(
        title=title_of(configuration),
        rows=rows,
        total=_progress("all", done, sum(row.n_planned for row in rows), now),
        holders=holders,
        n_without_task=sum((one.host, one.pid) not in busy for one in announced),
        failures=tuple(_latest(one for one in done if not one.passed)),
        unreadable=tuple(sorted(path for path, (_, one) in cache.items() if one is None)),
    )


def render(snapshot: Snapshot) -> RenderableType:
    table = new_table("configuration", "done", "passed %", "?", "per minute", "left")
    table.title = printable(snapshot.title)
    shown = [*snapshot.rows, snapshot.total] if len(snapshot.rows) > 1 else snapshot.rows
    for row in shown:
        table.add_row(
            Text(printable(row.label)),
            f"{row.passed.n}/{row.n_planned}",
            percent(row.passed),
            str(row.n_inconclusive),
            "–" if row.per_minute is None else f"{row.per_minute:.1f}",
            duration(row.seconds_left),
        )
    parts: list[RenderableType] = [table]
    parts += [_line(_told(holder)) for holder in snapshot.holders]
    if snapshot.n_without_task:
        parts.append(_line(f"starting, or ended: {snapshot.n_without_task}", "dim"))
    parts += [_line(f"not a result: {path}", "red") for path in snapshot.unreadable[:N_FAILURES]]
    if snapshot.failures:
        parts.append(Text("\nlatest that did not pass", style="bold"))
    parts += [
        _line(f"{one.task_id}  {one.label}  {one.error or NO_ERROR}") for one in snapshot.failures
    ]
    return Group(*parts)


def duration(seconds: float | None) -> str:
    """`45 s`, `12 min`, `3 h 05`."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02}"


def _snapshot_if_any(folder: Path, cache: Cache) -> Snapshot | None:
    is_there = (folder / CONFIGURATION).exists()
    return snapshot(folder, cache, time.time()) if is_there else None


def _waiting(folder: Path) -> Text:
    return Text(f"waiting for a run in {folder} (Ctrl-C ends this)")


def _refresh(folder: Path, cache: Cache) -> None:
    there = {}
    for entry in _result_files(folder):
        with suppress(FileNotFoundError):
            status = entry.stat()
            there[entry.path] = (status.st_mtime_ns, status.st_size)
    for path in cache.keys() - there.keys():
        del cache[path]
    for path, stamp in there.items():
        if path not in cache or cache[path][0] != stamp:
            cache[path] = stamp, _read(Path(path), stamp[0] / 1e9)


def _result_files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name not in (LEASES, RUNS):
                    yield from _result_files(entry.path)
            elif entry.name.startswith("task_id=") and entry.name.endswith(".json"):
                yield entry


def _read(path: Path, written: float) -> Done | None:
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        passed = value["passed"]
        return Done(
            task_id=str(value["task_id"]),
            config=str(value["config"]),
            gamma=float(value["gamma"]),
            passed=None if passed is None else bool(passed),
            error=str(value["general_error"]),
            written=written,
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _rows(
    done: Sequence[Done], planned: Mapping[str, Sequence[str]], now: float
) -> Iterator[Progress]:
    """In the order of the plan; what nobody planned stands last."""
    groups: dict[tuple[str, float], list[Done]] = {}
    for one in done:
        groups.setdefault((one.config, one.gamma), []).append(one)
    begun = {config for config, _ in groups}
    groups |= {(config, 0.0): [] for config in planned if config not in begun}
    order = list(planned)
    for config, gamma in sorted(
        groups,
        key=lambda key: (order.index(key[0]) if key[0] in planned else len(order), key),
    ):
        own = groups[config, gamma]
        tasks = {*planned.get(config, ()), *(one.task_id for one in own)}
        yield _progress(label_of(config, gamma), own, len(tasks), now)


def _progress(label: str, done: Sequence[Done], n_planned: int, now: float) -> Progress:
    return Progress(
        label=label,
        n_planned=n_planned,
        passed=Rate(sum(one.passed is True for one in done), len(done)),
        n_inconclusive=sum(one.passed is None for one in done),
        per_minute=_per_minute([one.written for one in done], now),
    )


def _per_minute(written: Sequence[float], now: float) -> float | None:
    """From the first of the window on: a pause before it does not count."""
    recent = [moment for moment in written if moment >= now - WINDOW_SECONDS]
    if len(recent) < 2 or min(recent) >= now:
        return None
    return 60 * (len(recent) - 1) / (now - min(recent))


def _holders(leases: Path, now: float) -> Iterator[Holder]:
    """Those of leases that can be read; one that is written or given back just now is left out."""
    for path in sorted(leases.glob("*.json")):
        try:
            value: Any = json.loads(path.read_text(encoding="utf-8"))
            written = path.stat().st_mtime
            host = str(value["machine"]).partition(" ")[0]
            yield Holder(host, int(value["pid"]), str(value["name"]), max(0.0, now - written))
        except (OSError, ValueError, TypeError, KeyError):
            continue


def _told(holder: Holder) -> str:
    is_silent = holder.silent_seconds > TTL_SECONDS
    silence = f" (silent for {duration(holder.silent_seconds)})" if is_silent else ""
    return f"{holder.host}, process {holder.pid}: {holder.task}{silence}"


def _latest(done: Iterator[Done]) -> list[Done]:
    order = sorted(done, key=lambda one: (-one.written, one.label, one.task_id))
    return order[:N_FAILURES]


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")
