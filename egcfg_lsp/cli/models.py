"""`egcfg-lsp models`: pull, list, path."""

from __future__ import annotations

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
from rich.table import Table

from egcfg_lsp.model.catalogue import (
    CatalogueModel,
    ModelNotFoundError,
    catalogue,
    entry_named,
    model_file,
)
from egcfg_lsp.model.pull import PullError
from egcfg_lsp.model.pull import pull as pull_model
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
    """The catalogue: names, sizes, licences, and what is downloaded."""
    table = Table("name", "model", "size", "licence", "downloaded")
    for entry in catalogue().values():
        size = f"{entry.bytes / 1e6:,.0f} MB"
        downloaded = "yes" if entry.is_pulled else "no"
        table.add_row(entry.name, entry.title, size, entry.licence, downloaded)
    Console().print(table)


@app.command()
def path(name: Name = DEFAULT_MODEL) -> None:
    """Print the file of a downloaded model."""
    try:
        typer.echo(model_file(name))
    except ModelNotFoundError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


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
