"""`egcfg-lsp bench`: `run infilling`, `run typing` and `report`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchError, BenchModel, infilling, sessions
from egcfg_lsp.bench.datasets import read_infilling, sample
from egcfg_lsp.bench.models import bench_model
from egcfg_lsp.bench.packages import installed, sample_functions
from egcfg_lsp.bench.report import report as report_on
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.execution.bubblewrap import Bubblewrap
from egcfg_lsp.model import ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError, model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.settings import DEFAULT_MODEL

app = typer.Typer(help="Measure what suggestions are worth.", no_args_is_help=True)
run_app = typer.Typer(
    help="Run a benchmark; a run that was stopped goes on where it was.", no_args_is_help=True
)
app.add_typer(run_app, name="run")

Model = Annotated[str, typer.Option(help="Catalogue name or .gguf file.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the results.")]
Seed = Annotated[int, typer.Option(help="Of every random choice.")]


@run_app.command("infilling")
def run_infilling(
    data: Annotated[
        Path,
        typer.Option(metavar="FILE", help="HumanEval-SingleLineInfilling.jsonl, also gzipped."),
    ],
    out: Out,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Problems, spread over the functions.")
    ] = None,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    variants: Annotated[
        str, typer.Option(help=f"With commas, of: {', '.join(infilling.VARIANTS)}.")
    ] = ",".join(infilling.VARIANTS),
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="Run the data set's tests in the sandbox.")
    ] = True,
) -> None:
    """One line missing: exact match, and the data set's tests, at three cursors."""
    with _clear_errors():
        dataset = read_infilling(data)
        wanted = infilling.variants_named(variants)
        about = bench_model(model)
        configuration = {
            **_configuration("infilling", about, seed),
            "data_sha256": dataset.sha256,
            "judged": judge,
        }
        sandbox = _working_sandbox() if judge else None
        results = open_results(out, configuration)
        tasks = infilling.tasks_of(sample(dataset.problems, limit, seed), wanted, seed)

        async def run(llama: LlamaModel, on_task: Callable[[], None]) -> None:
            of_all = infilling.Run(llama, about, sandbox, results, seed)
            await infilling.run_tasks(tasks, of_all, on_task)

        _run_with_progress("infilling", len(tasks), model, run)
        Console().print(report_on(out).table)


@run_app.command("typing")
def run_typing(
    out: Out,
    packages: Annotated[
        str, typer.Option(help="Installed packages, with commas.")
    ] = "httpx,cattrs,typer",
    functions: Annotated[int, typer.Option(min=1, help="Functions of each package.")] = 6,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    variant: Annotated[
        str, typer.Option(help=f"How the prompt is made: {', '.join(sessions.VARIANTS)}.")
    ] = "product",
) -> None:
    """Functions of real packages, typed key by key: what is shown, right, kept and saved."""
    with _clear_errors():
        about = bench_model(model)
        sampled = [
            (package, sample_functions(package, functions, seed))
            for package in map(installed, dict.fromkeys(_names(packages)))
        ]
        if variant not in sessions.VARIANTS:
            known = ", ".join(sessions.VARIANTS)
            raise BenchError(f"unknown variant {variant} (known: {known})")
        configuration = _configuration("typing", about, seed) | {"variant": variant}
        results = open_results(out, configuration)
        n_functions = sum(len(own) for _, own in sampled)

        async def run(llama: LlamaModel, on_function: Callable[[], None]) -> None:
            for package, own in sampled:
                group = sessions.Group(package, results, about, seed, sessions.VARIANTS[variant])
                await sessions.run_sessions(group, own, llama, Bubblewrap(), on_function)

        _run_with_progress("typing", n_functions, model, run)
        Console().print(report_on(out).table)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The results of a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The tables of a folder of results."""
    with _clear_errors():
        found = report_on(folder)
    if as_json:
        typer.echo(json.dumps(found.data, indent=2, ensure_ascii=False))
    else:
        Console().print(found.table)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _configuration(dataset: str, model: BenchModel, seed: int) -> dict[str, Any]:
    """What results must have in common to stand in one folder."""
    about = {"name": model.name, "sha256": model.sha256}
    return {"dataset": dataset, "model": about, "seed": seed, "version": __version__}


def _working_sandbox() -> Sandbox:
    """Raises BenchError."""
    sandbox = Bubblewrap()
    state = asyncio.run(sandbox.state())
    if not state.works:
        raise BenchError(f"nothing can be judged: {state.detail}; or give --no-judge")
    return sandbox


@contextmanager
def _clear_errors() -> Iterator[None]:
    """One message and exit status 1 for what can be told to the user."""
    try:
        yield
    except (BenchError, ModelError, ModelNotFoundError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise typer.Exit(130) from None


def _run_with_progress(
    name: str, n_tasks: int, model: str, run: Callable[[LlamaModel, Callable[[], None]], Any]
) -> None:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=n_tasks)
        asyncio.run(_with_model(model, run, lambda: progress.advance(task)))


async def _with_model(
    model: str, run: Callable[[LlamaModel, Callable[[], None]], Any], on_task: Callable[[], None]
) -> None:
    llama = LlamaModel(model_file(model))
    try:
        await run(llama, on_task)
    finally:
        await llama.close()
