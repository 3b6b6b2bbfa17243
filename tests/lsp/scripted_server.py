"""The real server with a scripted model and sandbox; options come from the environment as JSON.

Keys: `lines`, `runners_up` (by a token's text another one and the margin), `delay`, `passes_if`,
`run_delay`, `model_error`, `noisy` (print to stdout at every run), `no_sandbox`, `kernel` (the real
sandbox), `trace` (of every run), `missing_model`, `pull_steps`, `pull_error`, `tcp`. A model other
than the default one says its name.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pygls.lsp.server import LanguageServer

from egcfg_lsp.cli.serve import serve_on_stdio, serve_on_tcp
from egcfg_lsp.execution import Job, RunResult
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.lsp.server import make_server
from egcfg_lsp.model.catalogue import CatalogueModel, ModelNotFoundError
from egcfg_lsp.model.pull import PullError
from egcfg_lsp.settings import DEFAULT_MODEL, Settings
from tests.support.scripted import ScriptedModel, ScriptedSandbox, passes_if

options = json.loads(os.environ.get("EGCFG_SCRIPT", "{}"))
model = ScriptedModel(
    lines_to_say=options.get("lines", ["    return a + b\n"]),
    runners_up={text: (other, n) for text, (other, n) in options.get("runners_up", {}).items()},
    delay_seconds=options.get("delay", 0.0),
    error=options.get("model_error", ""),
)
judge = passes_if(options.get("passes_if", "a + b"))


def answer(job: Job) -> RunResult:
    if options.get("noisy"):
        print("a stray print", flush=True)
        os.write(1, b"a stray write\n")
    return replace(judge(job), trace=options.get("trace"))


scripted_sandbox = ScriptedSandbox(
    answer=answer,
    delay_seconds=options.get("run_delay", 0.0),
    works=not options.get("no_sandbox"),
)
sandbox = KernelSandbox() if options.get("kernel") else scripted_sandbox
is_there = not options.get("missing_model")


def make_model(settings: Settings) -> ScriptedModel:
    if not is_there:
        raise ModelNotFoundError(f"the model {settings.model} is not downloaded yet")
    if settings.model != DEFAULT_MODEL:
        return ScriptedModel(lines_to_say=[f"    return {settings.model!r}\n"])
    return model


def pull(
    entry: CatalogueModel, *, on_bytes: Callable[[int], None], on_note: Callable[[str], None]
) -> Path:
    global is_there
    on_note("trying a scripted source")
    for i in range(options.get("pull_steps", 4)):
        time.sleep(0.1)
        on_bytes(i * entry.bytes // 4)
    if options.get("pull_error"):
        raise PullError(options["pull_error"])
    is_there = True
    return entry.path


def scripted() -> LanguageServer:
    return make_server(make_model=make_model, sandbox=sandbox, pull=pull)


if options.get("tcp"):
    serve_on_tcp(scripted, "127.0.0.1", 0)
else:
    serve_on_stdio(scripted)
