"""Puts the language server together; what it answers is in `features`."""

from __future__ import annotations

import logging

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from egcfg_lsp import __version__
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution_log import ExecutionLog
from egcfg_lsp.lsp.features import (
    configuration,
    documents,
    execution_log,
    explain_trace,
    inline_completion,
    lifecycle,
    trust,
)
from egcfg_lsp.lsp.model_owner import MakeModel, Pull
from egcfg_lsp.lsp.session import Session
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.model.catalogue import model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.model.pull import pull
from egcfg_lsp.settings import Settings

_NOTEBOOKS = types.NotebookDocumentSyncOptions(
    notebook_selector=[
        types.NotebookDocumentFilterWithNotebook(
            notebook="*", cells=[types.NotebookCellLanguage(language="python")]
        )
    ]
)


def make_server(
    make_model: MakeModel | None = None, sandbox: Sandbox | None = None, pull: Pull = pull
) -> LanguageServer:
    """A server with the given model and sandbox, by default llama.cpp and the kernel's."""
    logging.getLogger("pygls").setLevel(logging.WARNING)  # at INFO it logs users' code
    server = LanguageServer("egcfg-lsp", __version__, notebook_document_sync=_NOTEBOOKS)
    session = Session(server, make_model or _llama_model, sandbox or Pool(), pull, ExecutionLog())
    for feature in (
        lifecycle, documents, configuration, inline_completion, trust, execution_log,
        explain_trace,
    ):  # fmt: skip
        feature.register(server, session)
    return server


def _llama_model(settings: Settings) -> LanguageModel:
    return LlamaModel(model_file(settings.model), settings)
