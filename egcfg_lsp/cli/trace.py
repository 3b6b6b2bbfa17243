"""`egcfg-lsp trace`: what a test makes of a function, line by line, in the terminal."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from egcfg_lsp.cli.complete import PlaceError, read_request, with_settings, with_trust
from egcfg_lsp.cli.trace_view import view
from egcfg_lsp.completion import Request
from egcfg_lsp.completion.explain import (
    NO_TRACE,
    ExplainError,
    Explanation,
    Subject,
    as_it_is,
    explain_run,
    ids_of,
    with_function,
)
from egcfg_lsp.execution import Status
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution_log import ExecutionLog, LoggedSandbox

MAX_STDIN = 1 << 20
"""Characters of a function on standard input."""
WIDTH = 120
"""Columns of what is no terminal."""
_STYLES = {Status.PASSED: "green", Status.FAILED: "red", Status.INCONCLUSIVE: "yellow"}


def trace(
    place: Annotated[str, typer.Argument(metavar="PATH:LINE", help="A line of the function.")],
    candidate: Annotated[
        str,
        typer.Argument(
            metavar="[-]", help="`-`: the text of the whole function is read from standard input."
        ),
    ] = "",
    test: Annotated[
        str, typer.Option(metavar="ID", help="One test only: FILE::NAME, or its NAME.")
    ] = "",
    trust: Annotated[
        bool | None,
        typer.Option(
            "--trust/--no-trust",
            help="Whether tests are executed in this run.",
            show_default="as `egcfg-lsp trust` knows",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the function at a line against its tests, and show what ran, with the values.

    With another text for the function: `egcfg-lsp trace PATH:LINE - < function.py`.
    """
    if candidate not in ("", "-"):
        raise typer.BadParameter(f"{candidate!r} is not `-`")
    try:
        request = with_trust(with_settings(read_request(place), {"trusted": trust}))
        subject = with_function(request, _read_function()) if candidate else as_it_is(request)
        explanation = asyncio.run(_explain(request, subject, test))
    except (PlaceError, ExplainError) as error:
        if as_json:
            typer.echo(json.dumps({"error": str(error)}, ensure_ascii=False))
        else:
            typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        value = as_dict(explanation, request.root or explanation.path.parent)
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        show(explanation, Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH))
    raise typer.Exit(0 if explanation.result.status is Status.PASSED else 1)


def show(explanation: Explanation, console: Console) -> None:
    """For people, in colours where the console has them."""
    result = explanation.result
    if explanation.trace is None:
        console.print(Text(explanation.summary, style=_STYLES[result.status]))
        console.print(NO_TRACE, style="dim")
        return
    text, summary = explanation.subject.text, explanation.summary
    console.print(view(explanation.trace, text, summary=summary, output=result.output))


def as_dict(explanation: Explanation, root: Path) -> dict[str, object]:
    """The JSON of one run; lines are 1-based, the trace as in docs/trace.md."""
    result, subject = explanation.result, explanation.subject
    return {
        "function": subject.name,
        "file": str(explanation.path),
        "lines": [subject.first_line, subject.last_line],
        "tests": list(ids_of(explanation.tests, root)),
        "status": result.status.value,
        "ending": result.ending.value,
        "passed": result.n_passed,
        "verdicts": result.n_tests,
        "summary": explanation.summary,
        "results": [
            {"test": one.name, "outcome": one.outcome, "seconds": one.seconds}
            for one in result.tests
        ],
        "missed_lines": list(result.missed_lines),
        "output": result.output,
        "trace": None if explanation.trace is None else result.trace,
    }


def _read_function() -> str:
    """Raises ExplainError."""
    try:
        text = sys.stdin.buffer.read(MAX_STDIN + 1).decode()
    except UnicodeDecodeError:
        raise ExplainError("standard input is not UTF-8") from None
    if len(text) > MAX_STDIN:
        raise ExplainError(f"standard input has over {MAX_STDIN:,} characters")
    return text


async def _explain(request: Request, subject: Subject, test_id: str) -> Explanation:
    """Raises ExplainError."""
    log = ExecutionLog()
    try:
        return await explain_run(request, subject, LoggedSandbox(KernelSandbox(), log), test_id)
    finally:
        await asyncio.to_thread(log.close)
