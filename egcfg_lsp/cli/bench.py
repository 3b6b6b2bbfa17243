"""`egcfg-lsp bench`: `run` and the arms, `cursors`, `typing`; `report` and `watch`."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchError, BenchModel, infilling, sessions
from egcfg_lsp.bench.arms import ARMS, Effort, arms_named
from egcfg_lsp.bench.datasets import DATASETS, read_dataset, sample, select, single_lines
from egcfg_lsp.bench.harness import LEASES, Plan, Workshop, announce, check, run_plan
from egcfg_lsp.bench.html import html_page
from egcfg_lsp.bench.hub import local_file
from egcfg_lsp.bench.judge import DEADLINE_SECONDS
from egcfg_lsp.bench.judge import judge as judge_program
from egcfg_lsp.bench.leases import Leases
from egcfg_lsp.bench.line_by_line import Signal
from egcfg_lsp.bench.models import bench_model
from egcfg_lsp.bench.packages import installed, sample_functions
from egcfg_lsp.bench.plus import Judges, read_judge
from egcfg_lsp.bench.problems import Problem, Visible
from egcfg_lsp.bench.published import DEFAULT_NAMES, WHOLE_GRID, grid_of, with_grid
from egcfg_lsp.bench.report import report as report_on
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.bench.watch import watch as watch_folder
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.model import ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError, model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.settings import DEFAULT_MODEL

SPEED_SECONDS = 600.0
"""The time left is estimated from what was done in this time: tasks take seconds to minutes."""

PLUS_DEADLINE_SECONDS = 60.0
"""HumanEval+ and MBPP+ hold hundreds of large inputs for a problem."""

app = typer.Typer(
    help="Measure what suggestions are worth; a run that was stopped goes on where it was.",
    no_args_is_help=True,
)

Model = Annotated[str, typer.Option(help="Catalogue name or .gguf file.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the results.")]
Seed = Annotated[int, typer.Option(help="Of every random choice.")]
Limit = Annotated[int | None, typer.Option(min=1, help="So many problems, chosen by the seed.")]
DEFAULT_EFFORT = Effort()


@app.command("run")
def run(
    dataset: Annotated[str, typer.Argument(help=f"What the file holds: {', '.join(DATASETS)}.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Its official file, or its name on the Hugging Face hub."
        ),
    ],
    out: Out,
    judge: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Other tests that judge: HumanEval+ or MBPP+, likewise."),
    ] = None,
    visible: Annotated[
        Visible | None,
        typer.Option(help="Tests that guide; if not given: first for MBPP, else docstring."),
    ] = None,
    arms: Annotated[
        str, typer.Option(help=f"With commas, of: {', '.join(ARMS)}.")
    ] = "greedy,sample,best-of-n",
    ids: Annotated[
        str | None, typer.Option(help="Problems, with commas: HumanEval/3, or 3, or 11-20.")
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    temperature: Annotated[
        float, typer.Option(min=0.01, max=5, help="Of what is sampled.")
    ] = DEFAULT_EFFORT.temperature,
    samples: Annotated[
        int, typer.Option(min=1, help="The n of best-of-n.")
    ] = DEFAULT_EFFORT.n_samples,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Of one continuation.")
    ] = DEFAULT_EFFORT.max_tokens,
    deadline: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds of the judge for a program: 10, with --judge 60."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="Cost of a problem, in generated tokens, that ends a search."),
    ] = None,
    config: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"Of eg-cfg, with commas; {WHOLE_GRID} is all of the paper's grid.",
        ),
    ] = DEFAULT_NAMES,
    gammas: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help=f"Guidance scales of eg-cfg, with commas: 1, or with {WHOLE_GRID} the paper's.",
        ),
    ] = None,
    told: Annotated[
        Signal, typer.Option("--signal", help="What eg-cfg tells the model of candidates' runs.")
    ] = Signal.TRACE,
) -> None:
    """Problems, solved by several arms side by side, judged by tests in a sandbox."""
    with clear_errors(), results_written():
        read = read_dataset(dataset, local_file(data))
        visible = visible or (Visible.FIRST if dataset == "mbpp" else Visible.DOCSTRING)
        problems = select(read.problems, ids, limit, seed)
        judges = read_judge(local_file(judge), read) if judge is not None else None
        if judges is not None:
            problems = _with_tests(problems, judges)
        grid = grid_of(_names(config), _numbers(gammas or ""), told)
        about = bench_model(model)
        plan = Plan(
            dataset=dataset,
            problems=tuple(problems),
            judges=judges.tests if judges is not None else {},
            visible=visible,
            arms=with_grid(arms_named(_names(arms)), grid),
            effort=Effort(
                max_tokens=max_tokens, n_samples=samples, temperature=temperature, budget=budget
            ),
            seed=seed,
            model=about,
        )
        check(plan)
        sandbox = working_sandbox("or look at it with `egcfg-lsp doctor`")
        seconds = deadline or (DEADLINE_SECONDS if judges is None else PLUS_DEADLINE_SECONDS)
        configuration = {
            **_configuration(dataset, about, seed),
            "kind": "arms",
            "dataset_name": problems[0].dataset,
            "data_sha256": read.sha256,
            "visible": visible.value,
            "judge": plan.judging(problems[0]).name,
            "judge_sha256": judges.sha256 if judges is not None else None,
            "deadline_seconds": seconds,
        }
        results = open_results(out, configuration)
        announce(plan, out)

        async def work(llama: LlamaModel, on_task: Callable[[], None]) -> None:
            judging = partial(judge_program, deadline_seconds=seconds)
            pool = Pool(sandbox)
            workshop = Workshop(llama, pool, judging, results, Leases(out / LEASES))
            try:
                await run_plan(plan, workshop, on_task)
            finally:
                await pool.close()

        _run_with_progress(dataset, len(plan.tasks), model, work)
        Console().print(report_on(out).table)


@app.command("cursors")
def run_cursors(
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="HumanEval-SingleLineInfilling.jsonl, also gzipped, or its name on the hub."
        ),
    ],
    out: Out,
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = DEFAULT_MODEL,
    variants: Annotated[
        str, typer.Option(help=f"With commas, of: {', '.join(infilling.VARIANTS)}.")
    ] = ",".join(infilling.VARIANTS),
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="Run the data set's tests in the sandbox.")
    ] = True,
) -> None:  # fmt: skip
    """One line missing: exact match, and the data set's tests, at three cursors."""
    with clear_errors(), results_written():
        dataset = single_lines(read_dataset("infilling", local_file(data)))
        wanted = infilling.variants_named(variants)
        about = bench_model(model)
        configuration = {
            **_configuration("infilling", about, seed),
            "data_sha256": dataset.sha256,
            "judged": judge,
        }
        if judge:
            working_sandbox("or give --no-judge")
        results = open_results(out, configuration)
        tasks = infilling.tasks_of(sample(dataset.problems, limit, seed), wanted, seed)

        async def run(llama: LlamaModel, on_task: Callable[[], None]) -> None:
            of_all = infilling.Run(llama, about, judge_program if judge else None, results, seed)
            await infilling.run_tasks(tasks, of_all, on_task)

        _run_with_progress("cursors", len(tasks), model, run)
        Console().print(report_on(out).table)


@app.command("typing")
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
    with clear_errors(), results_written():
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
                await sessions.run_sessions(group, own, llama, KernelSandbox(), on_function)

        _run_with_progress("typing", n_functions, model, run)
        Console().print(report_on(out).table)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The results of a run.")],
    control: Annotated[
        str | None, typer.Option(metavar="ARM", help="The arm that the others are compared with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write one page with plots and all failures."),
    ] = None,
) -> None:
    """The tables of a folder of results."""
    with clear_errors():
        found = report_on(folder, control)
        if html is not None:
            write_page(html_page(folder, control), html)
    if as_json:
        typer.echo(json.dumps(found.data, indent=2, ensure_ascii=False))
    else:
        Console().print(found.table)


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The results of a run.")],
) -> None:
    """A run as it goes on, from any process: done, passed, time left; ends with the run."""
    with clear_errors():
        watch_folder(folder, Console())


def _with_tests(problems: Sequence[Problem], judges: Judges) -> list[Problem]:
    """Those that the judge has tests for; says how many it has not."""
    judged = [problem for problem in problems if problem.task_id in judges.tests]
    if n_left_out := len(problems) - len(judged):
        what = "problem is" if n_left_out == 1 else "problems are"
        typer.echo(f"{n_left_out} {what} left out: the judge has no tests", err=True)
    return judged


def write_page(page: str, path: Path) -> None:
    """Raises BenchError."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[float]:
    """Raises BenchError."""
    try:
        return [float(number) for number in _names(text)]
    except ValueError:
        raise BenchError(f"{text!r} are no numbers with commas between them") from None


def _configuration(dataset: str, model: BenchModel, seed: int) -> dict[str, Any]:
    """What results must have in common to stand in one folder."""
    about = {"name": model.name, "sha256": model.sha256}
    return {"dataset": dataset, "model": about, "seed": seed, "version": __version__}


def working_sandbox(advice: str) -> KernelSandbox:
    """Raises BenchError."""
    sandbox = KernelSandbox()
    state = asyncio.run(sandbox.state())
    if not state.works:
        raise BenchError(f"nothing can be judged: {state.detail}; {advice}")
    return sandbox


@contextmanager
def results_written() -> Iterator[None]:
    """For a command that writes results: what ends it leaves them as they are, and gives back leases.

    SIGTERM ends it as Ctrl-C does. Raises BenchError in place of the system's OSErrors.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a TimeoutError of asyncio, say
            raise
        raise BenchError(
            f"cannot write to the folder of results: {_reason(error)}; the same command goes on"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, before)


def _reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"


@contextmanager
def clear_errors() -> Iterator[None]:
    """One message and exit status 1 for what can be told to the user."""
    try:
        yield
    except (BenchError, ModelError, ModelNotFoundError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        if error.errno is None:
            raise
        typer.echo(f"error: {_reason(error)}", err=True)
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
    console = Console(stderr=True)
    with Progress(*columns, console=console, speed_estimate_period=SPEED_SECONDS) as progress:
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
