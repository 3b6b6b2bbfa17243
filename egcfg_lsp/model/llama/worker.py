"""The model worker: `python -m egcfg_lsp.model.llama.worker MODEL.gguf OPTIONS`.

Reads frames on its standard input and writes frames to what was its standard output; file descriptor
1 itself leads to stderr, so that no print of a library corrupts the stream. Ends when its standard
input closes, so it never outlives its parent.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import llama_cpp.llama_cpp as llama

from egcfg_lsp.model import Line, ModelError
from egcfg_lsp.model.llama.engine import Job, LlamaEngine, Scoring
from egcfg_lsp.model.llama.messages import (
    HEADER_BYTES,
    Cancel,
    Ended,
    FromWorker,
    Generate,
    GeneratedEnd,
    GeneratedLine,
    Loaded,
    LoadFailed,
    Score,
    Scored,
    Used,
    Working,
    WorkRequest,
    decode_options,
    decode_to_worker,
    encode,
)
from egcfg_lsp.model.llama.scheduler import Scheduler, usage_of

LIFE_SIGN_SECONDS = 1.0


def main() -> None:
    incoming, outgoing = _private_streams()
    _silence_llama()
    try:
        engine = LlamaEngine(Path(sys.argv[1]), decode_options(sys.argv[2]))
    except ModelError as error:
        _send(outgoing, LoadFailed(str(error)))
        return
    scheduler = Scheduler(lambda request: _job(engine, request), engine.abort)
    threading.Thread(target=_receive, args=(incoming, scheduler), daemon=True).start()
    _send(outgoing, Loaded(engine.info))
    _work(scheduler, outgoing)


def _receive(incoming: BinaryIO, scheduler: Scheduler) -> None:
    """Runs until the parent closes the stream; then the process ends, whatever it is doing."""
    status = 1
    try:
        while header := incoming.read(HEADER_BYTES):
            message = decode_to_worker(incoming.read(int.from_bytes(header, "big")))
            if isinstance(message, Cancel):
                scheduler.cancel(message.request)
            else:
                scheduler.add(message)
        status = 0
    finally:
        os._exit(status)


def _job(engine: LlamaEngine, request: WorkRequest) -> Job:
    if isinstance(request, Generate):
        return engine.generate(request.continuations)
    if isinstance(request, Score):
        return engine.score(request.prompt, request.texts)
    return engine.read(request.prompt)


def _work(scheduler: Scheduler, outgoing: BinaryIO) -> None:
    said = time.monotonic()
    for request, job, events, error in scheduler.steps():
        id_ = request.request
        messages: list[FromWorker] = [
            GeneratedLine(id_, event) if isinstance(event, Line) else GeneratedEnd(id_, event)
            for event in events
        ]
        if messages:
            messages.insert(0, Used(id_, usage_of(job)))
        if job is not None and job.is_done and isinstance(job, Scoring):
            messages.append(Scored(id_, tuple(map(tuple, job.log_probabilities))))
        if error or (job is not None and job.is_done):
            messages.append(Ended(id_, usage_of(job), error))
        now = time.monotonic()
        if not messages and now - said >= LIFE_SIGN_SECONDS:
            messages.append(Working())
        if messages:
            said = now
            _send(outgoing, *messages)


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


def _send(outgoing: BinaryIO, *messages: FromWorker) -> None:
    for message in messages:
        outgoing.write(encode(message))
    outgoing.flush()


if __name__ == "__main__":
    main()
