"""`egcfg-lsp trust`: list, add, remove, forget: the answers that editors ask for and remember."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from egcfg_lsp.trust import Answer, TrustError, TrustFile

app = typer.Typer(help="Say whose tests may be run, and take it back.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A folder; what is below it is meant, too.")]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The folders that are trusted and those that are refused; those of your settings are not shown."""
    with _told():
        remembered = TrustFile().read()
        if remembered.problem:
            raise TrustError(remembered.problem)
    answers = {str(folder): answer.value for folder, answer in sorted(remembered.answers.items())}
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    else:
        for folder, answer in answers.items():
            typer.echo(f"{answer:8} {folder}")


@app.command()
def add(folder: Folder = Path()) -> None:
    """Trust a folder: editors and `egcfg-lsp complete` may run its tests in the sandbox."""
    with _told():
        typer.echo(f"trusted: {TrustFile().remember(folder, Answer.TRUSTED)}")


@app.command()
def remove(folder: Folder = Path()) -> None:
    """Refuse a folder: its tests are not run, though your editor or a folder above it be trusted."""
    with _told():
        typer.echo(f"refused: {TrustFile().remember(folder, Answer.REFUSED)}")


@app.command()
def forget(folder: Folder = Path()) -> None:
    """Drop the answer for a folder: you are asked again."""
    with _told():
        if not TrustFile().forget(folder):
            raise TrustError(f"nothing is remembered of {folder}")


@contextmanager
def _told() -> Iterator[None]:
    """Errors go to stderr, with status 1."""
    try:
        yield
    except TrustError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
