"""Messages between the server and the zygote's processes: a length, then one JSON object.

A message may bring one file descriptor with its first byte. Nothing is trusted here: the server
reads what comes from these processes by itself.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from typing import Any, Dict, Optional, Tuple

HEADER = struct.Struct(">I")
MAX_BYTES = 16 << 20


def send(descriptor: int, value: Dict[str, Any]) -> None:
    """Raises OSError."""
    send_bytes(descriptor, json.dumps(value).encode())


def send_bytes(descriptor: int, data: bytes) -> None:
    """Raises OSError."""
    data = HEADER.pack(len(data)) + data
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> Optional[Dict[str, Any]]:
    """None at the end of the stream. Raises OSError, ValueError."""
    header = _exactly(descriptor, HEADER.size)
    return None if header is None else _body(descriptor, header)


def receive_with_descriptor(channel: socket.socket) -> Tuple[Optional[Dict[str, Any]], int]:
    """A message, and the descriptor it brings or -1. Raises OSError, ValueError."""
    numbers = array.array("i")
    header, extras, _, _ = channel.recvmsg(HEADER.size, socket.CMSG_SPACE(numbers.itemsize))
    for level, kind, data in extras:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    rest = _exactly(channel.fileno(), HEADER.size - len(header)) if header else None
    if rest is None:
        return None, -1
    value = _body(channel.fileno(), header + rest)
    return value, numbers[0] if numbers else -1


def _body(descriptor: int, header: bytes) -> Optional[Dict[str, Any]]:
    (size,) = HEADER.unpack(header)
    if size > MAX_BYTES:
        raise ValueError("a message of %d bytes" % size)
    data = _exactly(descriptor, size)
    if data is None:
        return None
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("a message that is no object")
    return value


def _exactly(descriptor: int, size: int) -> Optional[bytes]:
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
