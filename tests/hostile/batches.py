"""Cases in worlds: one batch for each subject and user, resumed where a case has ended its driver."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from tests.hostile.driver import SIBLING
from tests.hostile.world import User, command

SILENCE_SECONDS = 120.0
"""A driver that says nothing for so long is hung."""
MAX_STARTS = 12
"""Of the drivers of one batch: every case may cost one, but not all of them."""


@dataclass(frozen=True)
class Batch:
    subject: str
    """A tier, the zygote, or the judge."""
    user: User


@dataclass(frozen=True)
class Report:
    """On one case."""

    problems: tuple[str, ...]
    told: str = ""
    seconds: float = 0.0


def executed(batch: Batch, names: Sequence[str]) -> dict[str, Report]:
    """The report on each case, and on the driver's own; all of them, whatever happens."""
    reports: dict[str, Report] = {}
    for _ in range(MAX_STARTS):
        left = [name for name in names if name not in reports]
        started = None
        with tempfile.TemporaryFile() as errors:
            for line in _lines_of_driver(batch, left, errors):
                if "starts" in line:
                    started = line["starts"]
                else:
                    report = Report(tuple(line["problems"]), line["told"], line["seconds"])
                    _add(reports, line["case"], report)
                    started = None
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - 2000))
            tail = errors.read().decode(errors="replace")
        if SIBLING in reports:
            return reports
        if started is None:
            _add(reports, SIBLING, Report((f"the driver ended or hung between cases: {tail}",)))
            return reports
        _add(reports, started, Report((f"ended or hung the driver: {tail}",)))
    return reports


def _add(reports: dict[str, Report], name: str, report: Report) -> None:
    earlier = reports[name].problems if name in reports else ()
    reports[name] = Report((*earlier, *report.problems), report.told, report.seconds)


def _lines_of_driver(
    batch: Batch, names: Sequence[str], errors: IO[bytes]
) -> Iterator[dict[str, Any]]:
    """What one driver reports, until it ends or is silent for too long."""
    mark = secrets.token_hex(16)
    process = subprocess.Popen(
        command(batch.user, mark, "tests.hostile.driver"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    order = {"subject": batch.subject, "cases": list(names), "mark": mark}
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            end = time.monotonic() + SILENCE_SECONDS
            while selector.select(max(0.0, end - time.monotonic())):
                line = process.stdout.readline()
                if not line:
                    return
                end = time.monotonic() + SILENCE_SECONDS
                yield json.loads(line)
    except BrokenPipeError:
        return
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
