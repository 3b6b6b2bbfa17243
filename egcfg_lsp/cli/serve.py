"""`egcfg-lsp serve`, and `egcfg-lsp` alone: the language server on stdio, or for one client on TCP."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer
from pygls.io_ import run_async
from pygls.lsp.server import LanguageServer

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


def serve(
    tcp: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Wait for one client on this address (loopback)."),
    ] = None,
) -> None:
    """Serve LSP on standard input and output; an editor starts this."""
    address = None if tcp is None else loopback_address(tcp)
    from egcfg_lsp.lsp.server import make_server

    if address is None:
        serve_on_stdio(make_server)
    else:
        serve_on_tcp(make_server, *address)


def loopback_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Raises typer.BadParameter: whoever connects may run tests."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise typer.BadParameter(f"{text!r} is no HOST:PORT")
    if host not in LOOPBACK:
        allowed = ", ".join(LOOPBACK)
        raise typer.BadParameter(
            f"{host!r} is not this machine: whoever can connect can have code run, so only {allowed}"
        )
    return host, int(port)


def serve_on_stdio(make_server: Callable[[], LanguageServer]) -> None:
    """Serve until the client ends the session or closes the stream.

    The protocol gets a private copy of fd 1; whatever else prints, prints to stderr.
    """
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=_LOG_FORMAT)
    make_server().start_io(stdin=sys.stdin.buffer, stdout=outgoing)


def serve_on_tcp(make_server: Callable[[], LanguageServer], host: str, port: int) -> None:
    """Serve the first client that connects, until it ends the session; nobody else gets in.

    Port 0 takes a free one; the address is told on stderr. Raises typer.Exit if it is in use.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=_LOG_FORMAT)
    try:
        asyncio.run(_serve_one_client(make_server, host, port))
    except OSError as error:
        typer.echo(f"error: cannot listen on {host}:{port}: {error.strerror}", err=True)
        raise typer.Exit(1) from None


async def _serve_one_client(
    make_server: Callable[[], LanguageServer], host: str, port: int
) -> None:
    first: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
        asyncio.get_running_loop().create_future()
    )

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first.done():
            writer.close()
        else:
            first.set_result((reader, writer))

    listener = await asyncio.start_server(connected, host, port)
    address = listener.sockets[0].getsockname()
    typer.echo(f"listening on {address[0]}:{address[1]}", err=True)
    reader, writer = await first
    listener.close()
    server = make_server()
    server.protocol.set_writer(writer)
    await run_async(threading.Event(), reader, server.protocol)
    server.shutdown()  # type: ignore[no-untyped-call]
