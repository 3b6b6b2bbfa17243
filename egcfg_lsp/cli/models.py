"""`egcfg-lsp models`: pull, list, path, verify, prune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from egcfg_lsp.model.catalogue import (
    CatalogueModel,
    ModelNotFoundError,
    catalogue,
    entry_named,
    model_file,
)
from egcfg_lsp.model.pull import PullError
from egcfg_lsp.model.pull import pull as pull_model
from egcfg_lsp.model.storage import Leftover, State, delete, leftovers
from egcfg_lsp.model.storage import verify as verify_model
from egcfg_lsp.settings import DEFAULT_MODEL

app = typer.Typer(help="Download models and see what is there.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A name of the catalogue.")]


@app.command()
def pull(name: Name = DEFAULT_MODEL) -> None:
    """Download a model, verify its SHA-256, and keep it in the user's cache."""
    console = Console(stderr=True)
    try:
        entry = entry_named(name)
        if entry.is_pulled:
            console.print(f"{name} is there already.")
        else:
            _pull_with_progress(entry, console)
    except (ModelNotFoundError, PullError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(1) from None
    except OSError as error:
        console.print(f"[red]error:[/] {entry.path.parent}: {error.strerror or error}")
        raise typer.Exit(1) from None
    typer.echo(entry.path)


@app.command("list")
def list_() -> None:
    """The catalogue: names, sizes, licences, what they need, and what is downloaded."""
    table = Table(
        Column("name", no_wrap=True),  # it is there to be typed
        Column("model", overflow="fold"),
        Column("size", overflow="fold"),
        Column("licence", no_wrap=True),
        Column("hardware", overflow="fold"),
        "there",
    )
    for entry in catalogue().values():
        hardware = f"{entry.hardware}; {entry.memory_gb} GB RAM"
        downloaded = "yes" if entry.is_pulled else "no"
        size = _megabytes(entry.bytes)
        table.add_row(entry.name, entry.title, size, entry.licence, hardware, downloaded)
    Console().print(table)


@app.command()
def path(name: Name = DEFAULT_MODEL) -> None:
    """Print the file of a downloaded model."""
    try:
        typer.echo(model_file(name))
    except ModelNotFoundError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="A name of the catalogue; without it, all downloaded ones.")
    ] = None,
) -> None:
    """Read downloaded models again and compare their SHA-256."""
    try:
        entries = (
            [entry_named(name)] if name else [e for e in catalogue().values() if e.path.exists()]
        )
    except ModelNotFoundError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if not entries:
        typer.echo("no model is downloaded: run `egcfg-lsp models pull`")
    try:
        states = [_verify_with_progress(entry) for entry in entries]
    except OSError as error:
        typer.echo(f"error: {error.filename}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    if any(state is not State.OK for state in states):
        raise typer.Exit(1)


@app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete what no downloaded model of the catalogue needs: partial downloads, old files, locks."""
    try:
        unneeded = leftovers()
        for leftover in unneeded:
            typer.echo(f"{_megabytes(leftover.bytes):>10}  {leftover.path}")
        if not unneeded:
            typer.echo("nothing to delete")
        elif yes or typer.confirm(f"Delete {_total(unneeded)}?"):
            deleted = delete(unneeded)
            typer.echo(f"deleted {_total(deleted)}")
            if len(deleted) < len(unneeded):
                typer.echo("the others are in use by a download")
    except OSError as error:
        typer.echo(f"error: {error.filename}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None


def _verify_with_progress(entry: CatalogueModel) -> State:
    """Says what the state of the model's file is, and what to do about it."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(entry.name, total=entry.bytes)
        state = verify_model(entry, lambda n_bytes: progress.update(task, completed=n_bytes))
    pull_again = f"run `egcfg-lsp models pull {entry.name}`"
    advice = {
        State.OK: "",
        State.DAMAGED: f": delete {entry.path} and {pull_again}",
        State.MISSING: f": {pull_again}",
    }
    typer.echo(f"{entry.name}: {state}{advice[state]}")
    return state


def _total(files: Sequence[Leftover]) -> str:
    n_files = "1 file" if len(files) == 1 else f"{len(files)} files"
    return f"{n_files}, {_megabytes(sum(file.bytes for file in files))}"


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.0f} MB"


def _pull_with_progress(entry: CatalogueModel, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(entry.name, total=entry.bytes)
        pull_model(
            entry,
            on_bytes=lambda n_bytes: progress.update(task, completed=n_bytes),
            on_note=lambda note: progress.console.print(note, highlight=False),
        )
