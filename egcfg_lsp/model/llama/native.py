"""llama.cpp's model and context through its low-level API: loading, decoding, the KV cache's memory.

With `vocabulary` the only module that calls llama.cpp, but for the worker's silencing of its log. Knows
nothing of what is decoded or why.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt
import psutil

from egcfg_lsp.model import ModelError, ModelInfo
from egcfg_lsp.model.llama.hardware import Plan, plans
from egcfg_lsp.model.llama.vocabulary import Vocabulary, read_metadata
from egcfg_lsp.settings import ModelOptions

BATCH_TOKENS = 128
"""Rows of one decode: bounds the wait for a cancel on a GPU, where a decode cannot be interrupted."""
MAX_SEQUENCES = 64
_ABORTED = 2
"""Return code of `llama_decode` when the abort callback said yes."""
_NO_CELLS = 1
_KV_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}
"""`ggml_type` numbers."""

_C_LIBRARY = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)


class Abort:
    """A flag that llama.cpp polls while it computes.

    The callback is libc's `atoi` on a one-character string, so that polling at every graph node runs no
    Python and takes no lock. llama.cpp polls it on the CPU only.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(b"0")

    def set(self) -> None:
        self._text[0] = b"1"

    def clear(self) -> None:
        self._text[0] = b"0"

    def __bool__(self) -> bool:
        return self._text.value == b"1"

    def attach(self, context: Any) -> None:
        callback = ctypes.cast(_C_LIBRARY.atoi, llama.ggml_abort_callback)
        llama.llama_set_abort_callback(context, callback, ctypes.addressof(self._text))


@dataclass(frozen=True)
class Row:
    """Tokens of one sequence in a decode."""

    sequence: int
    position: int
    """Of the first of the tokens."""
    tokens: Sequence[int]
    n_outputs: int
    """Logits are computed for this many of the last tokens."""


class NativeModel:
    """A loaded model with one context; a `kv.Memory`. Raises ModelError from all of it."""

    def __init__(self, path: Path, options: ModelOptions) -> None:
        started = time.monotonic()
        llama.llama_backend_init()
        self._model: Any = None
        self._context: Any = None
        note = self._load(path, options)
        self._memory = llama.llama_get_memory(self._context)
        self._batch = llama.llama_batch_init(BATCH_TOKENS, 0, 1)
        self.abort = Abort()
        self.abort.attach(self._context)
        self.vocabulary = Vocabulary(self._model, read_metadata(self._model))
        self.trims = not (
            llama.llama_model_is_recurrent(self._model) or llama.llama_model_is_hybrid(self._model)
        )
        self._warm_up()
        identified = self.vocabulary.identified
        memory = psutil.Process().memory_info()
        self.info = ModelInfo(
            description=self._description(),
            form=identified.form,
            n_context=llama.llama_n_ctx(self._context),
            load_seconds=time.monotonic() - started,
            device=_device(self.plan),
            on_gpu=self.plan.n_gpu_layers != 0,
            trims=self.trims,
            notes=tuple(filter(None, (note, identified.note))),
            rss_bytes=memory.rss,
            anonymous_bytes=memory.rss - memory.shared if hasattr(memory, "shared") else memory.rss,
            file_bytes=path.stat().st_size,
        )

    def decode(self, rows: Sequence[Row]) -> bool:
        """Compute at most `BATCH_TOKENS` tokens; False when aborted.

        Then, and after an error, the cache holds some of the tokens or none: trim the sequences to what
        is known.
        """
        batch, i = self._batch, 0
        for row in rows:
            first_output = len(row.tokens) - row.n_outputs
            for n, token in enumerate(row.tokens):
                batch.token[i] = token
                batch.pos[i] = row.position + n
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = row.sequence
                batch.logits[i] = n >= first_output
                i += 1
        batch.n_tokens = i
        code = llama.llama_decode(self._context, batch)
        if code not in (0, _ABORTED):
            reason = "no free cells" if code == _NO_CELLS else f"code {code}"
            raise ModelError(f"llama.cpp failed to decode ({reason})")
        return bool(code == 0)

    def logits(self, i: int) -> npt.NDArray[np.float32]:
        """A view, (n_vocab,), of the logits behind token `i` of the last decode; valid until the next."""
        row = llama.llama_get_logits_ith(self._context, i)
        return np.ctypeslib.as_array(row, shape=(self.vocabulary.n_tokens,))

    def share(self, source: int, target: int, n: int) -> None:
        # A recurrent state has no cells: it is copied as a whole.
        llama.llama_memory_seq_cp(self._memory, source, target, 0, n if self.trims else -1)

    def trim(self, sequence: int, n: int) -> bool:
        return self.trims and bool(llama.llama_memory_seq_rm(self._memory, sequence, n, -1))

    def drop(self, sequence: int) -> None:
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def close(self) -> None:
        llama.llama_batch_free(self._batch)
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)

    def _load(self, path: Path, options: ModelOptions) -> str:
        """Load by the first plan that works; what it lacks."""
        offloads = bool(llama.llama_supports_gpu_offload())
        n_layers, n_context_trained = 0, 0
        plan, note = next(plans(options, n_layers=0, n_context_trained=0, offloads=offloads))
        self._model = self._new_model(path, plan)
        if self._model:
            n_layers = llama.llama_model_n_layer(self._model)
            n_context_trained = llama.llama_model_n_ctx_train(self._model)
        elif not offloads:
            raise ModelError(f"llama.cpp cannot load {path}: not a GGUF file, damaged, or too new")
        loaded = plan.n_gpu_layers
        for plan, note in plans(
            options, n_layers=n_layers or 64, n_context_trained=n_context_trained, offloads=offloads
        ):
            if not self._model or plan.n_gpu_layers != loaded:
                if self._model:
                    llama.llama_model_free(self._model)
                self._model, loaded = self._new_model(path, plan), plan.n_gpu_layers
            if self._model and (context := self._new_context(plan)):
                self._context, self.plan = context, plan
                return note
        if not self._model:
            raise ModelError(f"llama.cpp cannot load {path}: not a GGUF file, damaged, or too new")
        llama.llama_model_free(self._model)
        raise ModelError(
            f"there is no memory for {path.name} with a context of {plan.n_context} tokens"
        )

    def _new_model(self, path: Path, plan: Plan) -> Any:
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = plan.n_gpu_layers
        return llama.llama_model_load_from_file(str(path).encode(), parameters)

    def _new_context(self, plan: Plan) -> Any:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = plan.n_context
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.n_seq_max = MAX_SEQUENCES
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = plan.n_threads
        parameters.flash_attn_type = int(plan.flash_attention)
        parameters.type_k = parameters.type_v = _KV_TYPES[plan.kv_type]
        return llama.llama_init_from_model(self._model, parameters)

    def _warm_up(self) -> None:
        """One decode, so that the first request does not pay for buffers and page faults."""
        self.decode([Row(0, 0, [0], n_outputs=1)])
        self.drop(0)
        _ = self.vocabulary.pieces, self.vocabulary.index

    def _description(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        llama.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode(errors="replace")


def _device(plan: Plan) -> str:
    if plan.n_gpu_layers == 0:
        return f"CPU, {plan.n_threads} threads"
    return "GPU" if plan.n_gpu_layers < 0 else f"GPU, {plan.n_gpu_layers} layers"
