"""What works on this machine and what does not, each finding with what to do about it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from egcfg_lsp.execution.interpreter import InterpreterError, find_interpreter, has_pytest
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.model import ModelError
from egcfg_lsp.model.catalogue import ModelNotFoundError, model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.settings import Settings


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Something works less well than it could."""
    FAILED = "failed"
    """Suggestions, or their verification, do not work."""


@dataclass(frozen=True)
class Finding:
    check: str
    state: State
    detail: str


async def examine(root: Path, settings: Settings) -> list[Finding]:
    """All findings for a project; loads the model, executes nothing of the project."""
    return [
        Finding(
            "egcfg-lsp", State.OK, f"{version('egcfg-lsp')}, Python {platform.python_version()}"
        ),
        await _model(settings),
        await _sandbox(),
        _interpreter(root, settings),
    ]


async def _model(settings: Settings) -> Finding:
    try:
        path = model_file(settings.model)
        model = LlamaModel(path, settings)
        try:
            info = await model.info()
        finally:
            await model.close()
    except (ModelNotFoundError, ModelError) as error:
        return Finding("model", State.FAILED, str(error))
    notes = list(info.notes)
    if not info.trims:
        notes.append("it cannot cut what it has read, so a change reads the prompt from its start")
    detail = (
        f"{path.name} ({info.description}), loaded in {info.load_seconds:.1f} s, {info.device}, "
        f"{_mib(info.rss_bytes)} MiB resident ({_mib(info.anonymous_bytes)} MiB anonymous, "
        f"file {_mib(info.file_bytes)} MiB), context {info.n_context} tokens, "
        f"prompts for {info.form.family or 'an unknown family'}, "
        f"llama-cpp-python {version('llama-cpp-python')}"
    )
    state = State.WARNING if notes else State.OK
    return Finding("model", state, "; ".join([detail, *notes]))


def _mib(n_bytes: int) -> int:
    return round(n_bytes / 2**20)


async def _sandbox() -> Finding:
    sandbox = await KernelSandbox().state()
    if not sandbox.works:
        return Finding("sandbox", State.FAILED, sandbox.detail)
    state = State.OK if sandbox.tier is Tier.A else State.WARNING
    return Finding("sandbox", state, sandbox.detail)


def _interpreter(root: Path, settings: Settings) -> Finding:
    try:
        interpreter = find_interpreter(root, settings.interpreter)
    except InterpreterError as error:
        return Finding("interpreter", State.FAILED, str(error))
    detail = f"{interpreter.path} ({interpreter.found})"
    if not has_pytest(interpreter):
        return Finding("interpreter", State.WARNING, f"{detail}: no pytest found in it")
    return Finding("interpreter", State.OK, detail)
