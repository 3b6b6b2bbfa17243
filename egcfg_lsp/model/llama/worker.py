"""The model worker: `python -m egcfg_lsp.model.llama.worker MODEL.gguf`.

Reads frames on its standard input and writes frames to what was its standard output; file descriptor
1 itself leads to stderr, so that no print of a library corrupts the stream. Ends when its standard
input closes, so it never outlives its parent.
"""

from __future__ import annotations

import ctypes
import os
import queue
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import llama_cpp.llama_cpp as llama

from egcfg_lsp.model import ModelError
from egcfg_lsp.model.llama.engine import LlamaEngine, Usage
from egcfg_lsp.model.llama.messages import (
    HEADER_BYTES,
    Cancel,
    Ended,
    FromWorker,
    Generate,
    GeneratedLine,
    Loaded,
    LoadFailed,
    decode_to_worker,
    encode,
)


def main() -> None:
    incoming, outgoing = _private_streams()
    _silence_llama()
    try:
        engine = LlamaEngine(Path(sys.argv[1]), n_threads=physical_cores())
    except ModelError as error:
        _send(outgoing, LoadFailed(str(error)))
        return
    _send(outgoing, Loaded(engine.info))
    inbox = Inbox(engine)
    threading.Thread(target=inbox.receive, args=(incoming,), daemon=True).start()
    while True:
        _answer(engine, inbox.next_request(), outgoing)


class Inbox:
    """Requests in order, and which of them were cancelled; shared with the receiving thread."""

    def __init__(self, engine: LlamaEngine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[Generate] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._current = 0

    def receive(self, incoming: BinaryIO) -> None:
        """Runs until the parent closes the stream; then the process ends, whatever it is doing."""
        status = 1
        try:
            while header := incoming.read(HEADER_BYTES):
                message = decode_to_worker(incoming.read(int.from_bytes(header, "big")))
                if isinstance(message, Generate):
                    self._waiting.put(message)
                else:
                    self._cancel(message)
            status = 0
        finally:
            os._exit(status)

    def next_request(self) -> Generate:
        request = self._waiting.get()
        with self._lock:
            self._current = request.request
            self._engine.abort.clear()
            if request.request in self._cancelled:
                self._engine.abort.set()
            self._cancelled = {id_ for id_ in self._cancelled if id_ > request.request}
        return request

    def _cancel(self, message: Cancel) -> None:
        with self._lock:
            if message.request == self._current:
                self._engine.abort.set()
            elif message.request > self._current:
                self._cancelled.add(message.request)


def _answer(engine: LlamaEngine, request: Generate, outgoing: BinaryIO) -> None:
    usage, error = Usage(), ""
    try:
        for line in engine.lines(request.parts, request.max_tokens, usage):
            _send(outgoing, GeneratedLine(request.request, line.text, line.n_tokens))
    except ModelError as problem:
        error = str(problem)
    _send(outgoing, Ended(request.request, usage.n_read, usage.n_reused, error))


def physical_cores() -> int:
    """Cores this process may use, hyper-threads counted once; at least 1."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    siblings = {
        path.read_text()
        for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/core_cpus_list")
    }
    return max(1, min(usable or 1, len(siblings) or usable or 1))


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return incoming, outgoing


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _drop_log(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """llama.cpp reports hundreds of lines while loading; failures arrive as return codes."""


def _silence_llama() -> None:
    llama.llama_log_set(_drop_log, ctypes.c_void_p(0))


def _send(outgoing: BinaryIO, message: FromWorker) -> None:
    outgoing.write(encode(message))
    outgoing.flush()


if __name__ == "__main__":
    main()
