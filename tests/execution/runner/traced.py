"""Code that is traced in this process, and its record in a form that fits on a few lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egcfg_lsp.execution.runner.lines import functions_in
from egcfg_lsp.execution.runner.recording import Limits
from egcfg_lsp.execution.runner.tracer import Tracer
from egcfg_lsp.trace import Trace, parse

Names = dict[str, Any]


@dataclass
class Traced:
    tracer: Tracer
    error: BaseException | None
    result: Any

    @property
    def raw(self) -> dict[str, Any]:
        """As it travels."""
        raw: dict[str, Any] = json.loads(json.dumps(self.tracer.record()))
        return raw

    @property
    def trace(self) -> Trace:
        trace = parse(self.raw)
        assert trace is not None
        return trace


def module_of(folder: Path, source: str) -> tuple[Path, Names]:
    path = folder / "module.py"
    path.write_text(source)
    names: Names = {"__name__": "module"}
    exec(compile(source, str(path), "exec", dont_inherit=True), names)
    return path, names


def run(
    folder: Path,
    source: str,
    call: str | Callable[[Names], Any],
    *,
    watched: range | None = None,
    limits: Limits | None = None,
    on_out_of_fuel: Callable[[], None] | None = None,
) -> Traced:
    """The trace of a call; `watched` are the lines of the target, by default all of them."""
    path, names = module_of(folder, source)
    code = compile(source, str(path), "exec", dont_inherit=True)
    lines = set(watched or range(1, source.count("\n") + 2))
    tracer = Tracer(
        str(path), functions_in(code), lines, source.split("\n"), limits or Limits(), on_out_of_fuel
    )
    before = sys.gettrace()
    result, error = None, None
    tracer.start("test")
    try:
        result = eval(call, names) if isinstance(call, str) else call(names)
    except BaseException as raised:
        tracer.stop()
        error = raised
        tracer.keep_failure(raised, raised.__traceback__)
    tracer.stop()
    assert sys.gettrace() is before
    return Traced(tracer, error, result)


def frames(traced: Traced) -> list[str]:
    """`2<1 f(x=1) return 3`: the second call, made by the first."""
    return [
        f"{frame.call}<{frame.parent} {frame.name}"
        f"({', '.join(f'{name}={text}' for name, text in frame.arguments)})"
        f" {frame.end.kind if frame.end else 'open'} {frame.end.value if frame.end else ''}"
        for frame in traced.trace.frames
    ]


def told(steps: list[Any]) -> str:
    """Steps, names in order: `2(x=0) 4×7[0: 5 7(x=1) | 6: 5]`; `4×7`: 7 rounds of the loop on line 4."""
    return " ".join(map(_told, steps))


def _told(step: Any) -> str:
    if isinstance(step, list):
        line, values = step
        shown = ", ".join(f"{name}={text}" for name, text in sorted(values.items()))
        return f"{line}({shown})" if shown else str(line)
    if "skipped" in step:
        return f"…{step['skipped']}"
    iterations = " | ".join(f"{number}: {told(inner)}" for number, inner in step["iterations"])
    more = ">" if step["more"] else ""
    return f"{step['loop']}×{more}{step['n']}[{iterations}]"
