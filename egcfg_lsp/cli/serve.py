"""`egcfg-lsp serve`, and `egcfg-lsp` alone: the language server on stdio."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from pygls.lsp.server import LanguageServer


def serve() -> None:
    """Serve LSP on standard input and output; an editor starts this."""
    from egcfg_lsp.lsp.server import make_server

    serve_on_stdio(make_server)


def serve_on_stdio(make_server: Callable[[], LanguageServer]) -> None:
    """Serve until the client ends the session or closes the stream.

    The protocol gets a private copy of fd 1; whatever else prints, prints to stderr.
    """
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    log_format = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=log_format)
    make_server().start_io(stdin=sys.stdin.buffer, stdout=outgoing)
