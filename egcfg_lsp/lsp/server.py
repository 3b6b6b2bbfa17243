"""Puts the language server together; what it answers is in `features`."""

from __future__ import annotations

import logging

from pygls.lsp.server import LanguageServer

from egcfg_lsp import __version__
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.execution.bubblewrap import Bubblewrap
from egcfg_lsp.lsp.features import inline_completion, lifecycle, trust
from egcfg_lsp.lsp.session import MakeModel, Session
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.model.catalogue import model_file
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.settings import Settings


def make_server(
    make_model: MakeModel | None = None, sandbox: Sandbox | None = None
) -> LanguageServer:
    """A server with the given model and sandbox, by default llama.cpp and bubblewrap."""
    logging.getLogger("pygls").setLevel(logging.WARNING)  # at INFO it logs users' code
    server = LanguageServer("egcfg-lsp", __version__)
    session = Session(server, make_model or _llama_model, sandbox or Bubblewrap())
    for feature in (lifecycle, inline_completion, trust):
        feature.register(server, session)
    return server


def _llama_model(settings: Settings) -> LanguageModel:
    return LlamaModel(model_file(settings.model), settings)
