"""The command line: one module a command. Without a command it serves LSP on stdio."""

from __future__ import annotations

from typing import Annotated

import typer

from egcfg_lsp import __version__
from egcfg_lsp.cli import (
    bench,
    bench_repo,
    complete,
    doctor,
    log,
    models,
    serve,
    settings,
    trace,
    trust,
)  # fmt: skip

app = typer.Typer(
    name="egcfg-lsp",
    help="Inline completion of Python code, run against your tests. Without a command: serve LSP on stdio.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("complete")(complete.complete)
app.command("doctor")(doctor.doctor)
app.command("settings")(settings.settings)
app.command("log")(log.log)
app.command("trace")(trace.trace)
app.add_typer(trust.app, name="trust")
app.add_typer(models.app, name="models")
bench.app.command("repo")(bench_repo.repo)
app.add_typer(bench.app, name="bench")


def main() -> None:
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        serve.serve()
