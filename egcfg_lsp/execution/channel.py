"""The server's end of a socket to a zygote's process: a length, then one JSON object, both ways.

What comes is written by code that nobody trusts: it is bounded, and read by whoever asked for it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

from egcfg_lsp.execution import RECORD_BYTES

_HEADER = struct.Struct(">I")


class Channel:
    """Owns a socket; the other end is handed out once."""

    def __init__(self) -> None:
        self._socket, self.other = socket.socketpair()
        self._socket.setblocking(False)
        self._read = bytearray()

    async def send(self, value: Mapping[str, object], other: Channel | None = None) -> None:
        """With the other end of another channel, which is closed here. Raises OSError."""
        data = json.dumps(value).encode()
        data = _HEADER.pack(len(data)) + data
        if other is not None:
            with other.other:
                n_sent = socket.send_fds(self._socket, [data], [other.other.fileno()])
            data = data[n_sent:]
        if data:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self, most: int = RECORD_BYTES) -> bytes | None:
        """The next message; None if it ends before, or is larger. Raises OSError."""
        if not await self._filled(_HEADER.size):
            return None
        (size,) = _HEADER.unpack_from(self._read)
        end = _HEADER.size + size
        if size > most or not await self._filled(end):
            return None
        data = bytes(self._read[_HEADER.size : end])
        del self._read[:end]
        return data

    async def receive_object(self, most: int = RECORD_BYTES) -> dict[str, Any] | None:
        """None also if it is no JSON object. Raises OSError."""
        data = await self.receive(most)
        try:
            value = None if data is None else json.loads(data)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def close(self) -> None:
        self._socket.close()
        self.other.close()

    async def _filled(self, size: int) -> bool:
        loop = asyncio.get_running_loop()
        while len(self._read) < size:
            part = await loop.sock_recv(self._socket, max(size - len(self._read), RECORD_BYTES))
            if not part:
                return False
            self._read += part
        return True
