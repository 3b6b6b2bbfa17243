"""The real server with a scripted model and sandbox; options come from the environment as JSON.

Keys: `lines`, `delay`, `passes_if`, `run_delay`, `model_error`, `noisy` (print to stdout at every run).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from egcfg_lsp.cli.serve import serve_on_stdio
from egcfg_lsp.execution import Job, RunResult
from egcfg_lsp.lsp.server import make_server
from tests.support.scripted import ScriptedModel, ScriptedSandbox, passes_if

options = json.loads(os.environ.get("EGCFG_SCRIPT", "{}"))
model = ScriptedModel(
    lines_to_say=options.get("lines", ["    return a + b\n"]),
    delay_seconds=options.get("delay", 0.0),
    error=options.get("model_error", ""),
)
judge = passes_if(options.get("passes_if", "a + b"))


def answer(job: Job) -> RunResult:
    if options.get("noisy"):
        print("a stray print", flush=True)
        os.write(1, b"a stray write\n")
    return judge(job)


sandbox = ScriptedSandbox(answer=answer, delay_seconds=options.get("run_delay", 0.0))
serve_on_stdio(lambda: make_server(make_model=lambda _: model, sandbox=sandbox))
