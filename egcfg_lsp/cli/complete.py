"""`egcfg-lsp complete`: one completion in the terminal, shown as it comes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from egcfg_lsp.cli.way import STYLES, way_of
from egcfg_lsp.completion import Drop, Request, Update
from egcfg_lsp.completion.engine import Tools, ladder
from egcfg_lsp.completion.project import project_root
from egcfg_lsp.completion.requests import reason_not_to_ask
from egcfg_lsp.completion.texts import read_text_file
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution_log import ExecutionLog, LoggedSandbox
from egcfg_lsp.model import ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError, model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.settings import (
    DEFAULT_MODEL,
    PYPROJECT,
    Source,
    project_options,
    resolve_settings,
)
from egcfg_lsp.source.lines import position_at
from egcfg_lsp.trust import Answer, TrustFile, decide

_PLACE = re.compile(r"(?P<path>.+?):(?P<line>\d+)(?::(?P<column>\d+))?")


def complete(
    place: Annotated[
        str, typer.Argument(metavar="PATH:LINE[:COL]", help="1-based; without COL the line's end.")
    ],
    trust: Annotated[
        bool | None,
        typer.Option(
            "--trust/--no-trust",
            help="Whether tests are executed in this run.",
            show_default="as `egcfg-lsp trust` knows",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Catalogue name or .gguf file.")] = DEFAULT_MODEL,
    gpu_layers: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Layers on the GPU.", show_default="all")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show all candidates, and what became of each."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Complete the code at a place, run it against the tests there, and show the outcome."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        options = {"model": model, "trusted": trust, "gpuLayers": gpu_layers}
        request = with_trust(with_settings(read_request(place), options))
        show = _nothing if as_json else _Printer(console, request)
        update = asyncio.run(_climb(request, show))
    except (ModelError, ModelNotFoundError, PlaceError) as error:
        if as_json:
            typer.echo(json.dumps({"error": str(error)}))
        else:
            typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(as_dict(request, update), indent=2, ensure_ascii=False))
    elif update.suggestions:
        best = update.suggestions[0]
        console.print(best.summary, style=STYLES.get(best.outcome, "yellow"), markup=False)
    else:
        console.print("no suggestion: " + "; ".join(drop.cause.text for drop in update.drops))
    if explain and not as_json:
        console.print()
        console.print(way_of(update, request.line_before))


class PlaceError(Exception):
    """The place on the command line is not one; the message is for people."""


def with_settings(request: Request, options: Mapping[str, object]) -> Request:
    """The request under the user's options and what its project says; problems go to stderr."""
    sources = [Source("the command line", options, is_user=True)]
    problems: list[str] = []
    text = None if request.root is None else read_text_file(request.root / "pyproject.toml")
    if text is not None:
        table, problems = project_options(text)
        sources.append(Source(PYPROJECT, table, is_user=False))
    settings, wrong = resolve_settings(sources)
    for problem in (*problems, *wrong):
        typer.echo(f"warning: {problem}", err=True)
    return replace(request, settings=settings)


def with_trust(request: Request) -> Request:
    """The request with the decision whether its tests may be run; the command line has the last word."""
    settings = request.settings
    if settings.trusted is not None or request.root is None:
        return request
    remembered = TrustFile().read()
    if remembered.problem:
        typer.echo(f"warning: {remembered.problem}", err=True)
    answer = decide(request.root, word=None, listed=settings.trust, remembered=remembered)
    return replace(request, settings=replace(settings, trusted=answer is Answer.TRUSTED))


def read_request(place: str) -> Request:
    """The request of `PATH:LINE[:COL]`; raises PlaceError."""
    match = _PLACE.fullmatch(place)
    if match is None:
        raise PlaceError(f"{place!r} is no PATH:LINE or PATH:LINE:COL")
    path = Path(match["path"]).resolve()
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise PlaceError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlaceError(f"{path} is not UTF-8") from error
    lines = text.split("\n")
    row = int(match["line"]) - 1
    if not 0 <= row < len(lines):
        raise PlaceError(f"{path.name} has {len(lines)} lines, not {row + 1}")
    content = lines[row].removesuffix("\r")
    column = len(content) if match["column"] is None else int(match["column"]) - 1
    if not 0 <= column <= len(content):
        raise PlaceError(f"line {row + 1} has columns 1 to {len(content) + 1}, not {column + 1}")
    offset = sum(len(line) + 1 for line in lines[:row]) + column
    return Request(text, offset, path, project_root(path))


def as_dict(request: Request, update: Update) -> dict[str, object]:
    """The JSON of one completion; lines and columns are 1-based, columns count code points."""
    row, column = position_at(request.text, request.offset)
    start = {"line": row + 1, "column": column + 1}
    return {
        "suggestions": [
            {
                "id": suggestion.id,
                "text": suggestion.text,
                "range": {
                    "start": start,
                    "end": {"line": row + 1, "column": column + 1 + suggestion.replaces},
                },
                "outcome": suggestion.outcome,
                "summary": suggestion.summary,
            }
            for suggestion in update.suggestions
        ],
        "drops": [
            {"text": drop.text, "cause": drop.cause, "reason": drop.cause.text}
            for drop in update.drops
        ],
        "candidates": [asdict(one) for one in update.considered],
        "signal": update.signal,
        "notes": list(update.notes),
        "timings": dict(update.timings),
    }


class _Printer:
    """Prints what each update adds to the text shown so far; a better text below the one it replaces."""

    def __init__(self, console: Console, request: Request) -> None:
        self._console = console
        self._shown = self._summary = ""
        _, column = position_at(request.text, request.offset)
        self._head = request.before[len(request.before) - column :]

    def __call__(self, update: Update) -> None:
        if not update.suggestions:
            return
        best = update.suggestions[0]
        if not best.text.startswith(self._shown):
            self._console.print()
            self._console.print(self._summary, style="red", markup=False)
            self._shown = ""
        if not self._shown:
            self._console.print(self._head, end="", markup=False, style="dim")
        self._console.print(best.text[len(self._shown) :], end="", markup=False)
        self._shown, self._summary = best.text, best.summary
        if update.done:
            self._console.print()


def _nothing(_: Update) -> None:
    pass


async def _climb(request: Request, show: Callable[[Update], None]) -> Update:
    """The last update; the model is not loaded where nothing may be asked."""
    last = Update(done=True)
    if (cause := await asyncio.to_thread(reason_not_to_ask, request)) is not None:
        return replace(last, drops=(Drop(cause),))
    model = LlamaModel(model_file(request.settings.model), request.settings)
    log = ExecutionLog()
    pool = Pool()
    tools = Tools(model, LoggedSandbox(pool, log))
    try:
        async with aclosing(ladder(request, tools)) as updates:
            async for update in updates:
                show(update)
                last = update
    finally:
        await pool.close()
        await model.close()
        await asyncio.to_thread(log.close)
    return last
