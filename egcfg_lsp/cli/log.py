"""`egcfg-lsp log`: what was executed. To follow it: `tail -F "$(egcfg-lsp log --path)"`."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict
from typing import Annotated

import typer

from egcfg_lsp.execution_log import Entry, default_path, entries, one_line

N = typer.Option("-n", min=1, help="How many of the latest entries.")


def log(
    n: Annotated[int, N] = 20,
    path: Annotated[bool, typer.Option("--path", help="Print where it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines.")] = False,
) -> None:
    """Show what was executed: when, in which tier of the sandbox, and what came of it."""
    if path:
        typer.echo(default_path())
        return
    try:
        latest = deque(entries(default_path()), maxlen=n)
    except OSError as error:
        typer.echo(f"error: cannot read {default_path()}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    for entry in latest:
        typer.echo(json.dumps(asdict(entry), ensure_ascii=False) if as_json else as_line(entry))


def as_line(entry: Entry) -> str:
    """An entry for people; nothing in it can steer a terminal."""
    n_tests = len(entry.tests)
    parts = [f"{entry.time} tier {entry.tier} {entry.outcome} {entry.seconds:.3f} s"]
    if entry.project:
        tests = f"{n_tests} test{'' if n_tests == 1 else 's'}"
        parts += [f"{entry.project}: {entry.file}", tests]
    return one_line(" · ".join([*parts, *filter(None, [entry.reason])]))
