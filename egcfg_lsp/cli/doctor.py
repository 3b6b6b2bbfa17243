"""`egcfg-lsp doctor`: what works here, what does not, and what to do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from egcfg_lsp.doctor import State, examine
from egcfg_lsp.settings import DEFAULT_MODEL, Settings

_MARKS = {State.OK: "[green]✓[/]", State.WARNING: "[yellow]![/]", State.FAILED: "[red]✗[/]"}


def doctor(
    folder: Annotated[Path, typer.Argument(help="The project.")] = Path(),
    model: Annotated[str, typer.Option(help="Catalogue name or .gguf file.")] = DEFAULT_MODEL,
    gpu_layers: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Layers on the GPU.", show_default="all")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check model, sandbox and interpreter; exit status 1 if something failed."""
    findings = asyncio.run(examine(folder.resolve(), Settings(model=model, gpu_layers=gpu_layers)))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = Console()
        for finding in findings:
            text = f"{_MARKS[finding.state]} {finding.check}: {finding.detail}"
            console.print(text, highlight=False, soft_wrap=True)
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(1)
