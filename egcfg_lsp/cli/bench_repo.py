"""`egcfg-lsp bench repo`: functions of a project on disk, by its own tests."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchModel
from egcfg_lsp.bench.models import bench_model
from egcfg_lsp.bench.repo import KIND, ORIGINAL, Plan, repository_at, run_repo
from egcfg_lsp.bench.repo_gaps import Remove
from egcfg_lsp.bench.report import report as report_on
from egcfg_lsp.bench.results import Results, open_results
from egcfg_lsp.cli.bench import SPEED_SECONDS, clear_errors, results_written, working_sandbox
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.model.catalogue import model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.settings import DEFAULT_MODEL, Settings

DEFAULTS = Settings()


def repo(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The project; its tests are run, in the sandbox.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="So many functions that have tests.")] = 30,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    remove: Annotated[Remove, typer.Option(help="What is taken out.")] = Remove.LINE,
    model: Annotated[str, typer.Option(help="Catalogue name or .gguf file.")] = DEFAULT_MODEL,
    no_model: Annotated[
        bool,
        typer.Option("--no-model", help="Put back what stood there: can it be verified at all?"),
    ] = False,
    interpreter: Annotated[
        str | None,
        typer.Option(help="The Python with the tests' packages.", show_default="as in the editor"),
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds of one run.")
    ] = DEFAULTS.deadline_seconds,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder of the results, of several projects if you like.",
            show_default="none is kept",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """A line or body missing in functions of a project: can it be verified, is the answer right?"""
    with clear_errors(), results_written(), _folder(out) as folder:
        repository = repository_at(path)
        about = ORIGINAL if no_model else bench_model(model)
        settings = Settings(interpreter=interpreter, deadline_seconds=deadline)
        plan = Plan(repository, remove, limit, seed, settings)
        sandbox = working_sandbox("or look at it with `egcfg-lsp doctor`")
        results = open_results(
            folder,
            {
                "dataset": KIND,
                "dataset_name": f"a {remove} of real projects",
                "kind": KIND,
                "model": {"name": about.name, "sha256": about.sha256},
                "seed": seed,
                "deadline_seconds": deadline,
                "version": __version__,
            },
        )
        asyncio.run(_run(plan, sandbox, None if no_model else model, about, results))
        found = report_on(folder)
    if as_json:
        typer.echo(json.dumps(found.data, indent=2, ensure_ascii=False))
    else:
        Console().print(found.table)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """The folder of the results; one that goes away if none is given."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="egcfg-bench-") as folder:
        yield Path(folder)


async def _run(
    plan: Plan, cold: KernelSandbox, model: str | None, about: BenchModel, results: Results
) -> None:
    pool = Pool(cold)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, speed_estimate_period=SPEED_SECONDS) as progress:
        task = progress.add_task(plan.repository.group, total=plan.limit)
        llama = None if model is None else LlamaModel(model_file(model))
        try:
            await run_repo(plan, pool, llama, about, results, lambda: progress.advance(task))
        finally:
            await pool.close()
            if llama is not None:
                await llama.close()
