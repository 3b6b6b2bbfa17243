"""`python -m benchmarks [GROUP …]`: prints one JSON object, and keeps it in `latest.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import engine, execution, guidance, leaks, lsp, source, tracing
from benchmarks.bare import silence_llama
from benchmarks.figures import Benchmark, Figures, Setup
from benchmarks.report import report
from egcfg_lsp.model.catalogue import ModelNotFoundError, model_file
from egcfg_lsp.settings import DEFAULT_MODEL

GROUPS: Mapping[str, tuple[Benchmark, ...]] = {
    "engine": engine.BENCHMARKS,
    "guidance": guidance.BENCHMARKS,
    "source": source.BENCHMARKS,
    "execution": (*execution.BENCHMARKS, *leaks.BENCHMARKS, *tracing.BENCHMARKS),
    "lsp": lsp.BENCHMARKS,
}
LATEST = Path(__file__).parent / "latest.json"


def main(
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="[GROUP]…", help=f"Of {', '.join(GROUPS)}.")
    ] = None,
    model: Annotated[str, typer.Option(help="Catalogue name or .gguf file.")] = DEFAULT_MODEL,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Names of benchmark functions; the others are left out."),
    ] = None,
    humaneval: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="HumanEval.jsonl, for the group guidance."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Few rounds, to see that it works.")] = False,
) -> None:
    """Measure the hot paths; README.md beside this file says what each figure means."""
    chosen = groups or list(GROUPS)
    if unknown := set(chosen) - set(GROUPS):
        raise typer.BadParameter(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    try:
        path = model_file(model)
    except ModelNotFoundError as error:
        raise typer.BadParameter(str(error)) from None
    name = path.name if model.endswith(".gguf") else model
    setup = Setup(path, name, quick=quick, humaneval=humaneval)
    silence_llama()
    plan = {
        group: [b for b in GROUPS[group] if only is None or b.__name__ in only] for group in chosen
    }
    text = json.dumps(report(setup, run(setup, plan)), indent=2, ensure_ascii=False)
    LATEST.write_text(text + "\n")
    typer.echo(text)


def run(setup: Setup, plan: Mapping[str, list[Benchmark]]) -> dict[str, Figures]:
    """The figures of each group, with the progress on stderr."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn())
    console = Console(stderr=True, highlight=False)
    found: dict[str, Figures] = {}
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        for group, benchmarks in plan.items():
            task = progress.add_task(group, total=len(benchmarks))
            found[group] = {}
            for benchmark in benchmarks:
                progress.update(task, description=f"{group}: {benchmark.__name__}")
                figures = benchmark(setup)
                for name, figure in figures.items():
                    missed = f", aim {figure.aim} [red]missed[/]" if figure.is_met is False else ""
                    value = "none" if figure.value is None else f"{figure.value:.4g}"
                    progress.console.print(f"{name}: {value} {figure.unit}{missed}")
                found[group] |= figures
                progress.advance(task)
    return found


if __name__ == "__main__":
    typer.run(main)
