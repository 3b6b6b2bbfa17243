"""`egcfg-lsp serve`, and `egcfg-lsp` alone: the language server on stdio."""

from __future__ import annotations

import logging
import os
import sys


def serve() -> None:
    """Serve LSP on standard input and output; an editor starts this."""
    from egcfg_lsp.lsp.server import make_server

    # The protocol gets a private copy of fd 1; whatever else prints, prints to stderr.
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    make_server().start_io(stdin=sys.stdin.buffer, stdout=outgoing)
