"""The decode loop over llama.cpp's low-level API: one context, one sequence, greedy.

A new prompt keeps the KV cache of its longest common prefix with the last one. Does not cover
sampling, batches or log-probabilities, and knows nothing of processes or messages.
"""

from __future__ import annotations

import codecs
import ctypes
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np

from egcfg_lsp.model import Line, ModelError, ModelInfo
from egcfg_lsp.prompt import Marker, PromptPart

N_CONTEXT = 8192
"""Tokens; the KV cache of the 0.5B model takes 12 KiB a token."""
BATCH_TOKENS = 128
"""Rows of one decode of a prompt: bounds the logits buffer, and on a GPU the wait for a cancel."""
_ABORTED = 2
"""Return code of `llama_decode` when the abort callback said yes."""

_C_LIBRARY = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)

_MARKERS = {
    Marker.FIM_PREFIX: llama.llama_vocab_fim_pre,
    Marker.FIM_SUFFIX: llama.llama_vocab_fim_suf,
    Marker.FIM_MIDDLE: llama.llama_vocab_fim_mid,
    Marker.FILE_SEPARATOR: llama.llama_vocab_fim_sep,
}


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


@dataclass
class Usage:
    """Prompt tokens of one answer."""

    n_read: int = 0
    n_reused: int = 0


class LlamaEngine:
    """Owns model and context; not for use from two threads at once. Raises ModelError from all of it."""

    def __init__(self, path: Path, n_threads: int) -> None:
        started = time.monotonic()
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = -1 if llama.llama_supports_gpu_offload() else 0
        self._model = llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise ModelError(f"llama.cpp cannot load {path}: not a GGUF file, damaged, or too new")
        self._context = self._new_context(n_threads)
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._n_vocab = llama.llama_vocab_n_tokens(self._vocab)
        self._batch = llama.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._cached: list[int] = []
        self.abort = Abort()
        self.abort.attach(self._context)
        self.info = ModelInfo(
            description=self._description(),
            markers=frozenset(m for m, token in _MARKERS.items() if token(self._vocab) >= 0),
            n_context=llama.llama_n_ctx(self._context),
            gpu=bool(llama.llama_supports_gpu_offload()),
            load_seconds=time.monotonic() - started,
        )

    def tokenize(self, parts: Sequence[PromptPart]) -> list[int]:
        """Token ids of a prompt; text never becomes a control token."""
        tokens: list[int] = []
        first = llama.llama_vocab_bos(self._vocab)
        if llama.llama_vocab_get_add_bos(self._vocab) and first >= 0:
            tokens.append(first)
        for part in parts:
            if isinstance(part, Marker):
                tokens.append(int(_MARKERS[part](self._vocab)))
            else:
                tokens += self._text_tokens(part)
        return tokens

    def lines(self, parts: Sequence[PromptPart], max_tokens: int, usage: Usage) -> Iterator[Line]:
        """Greedy continuation up to the end of generation, the budget, or until `abort` is set."""
        tokens = self.tokenize(parts)
        if len(tokens) + max_tokens > self.info.n_context:
            raise ModelError(
                f"the prompt has {len(tokens)} tokens; {self.info.n_context - max_tokens} fit"
            )
        self._trim_to_common_prefix(tokens)
        usage.n_reused = len(self._cached)
        usage.n_read = len(tokens) - usage.n_reused
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, n_tokens, pending = "", 0, tokens[usage.n_reused :]
        for _ in range(max_tokens):
            if not self._read(pending):
                return
            token = self._best_token()
            if llama.llama_vocab_is_eog(self._vocab, token) or self.abort:
                break
            pending = [token]
            text, n_tokens = text + decoder.decode(self._piece(token)), n_tokens + 1
            while "\n" in text:
                line, _, text = text.partition("\n")
                yield Line(line + "\n", n_tokens)
                n_tokens = 0
        else:
            return  # the budget cut the last line short; half a line is no suggestion
        text += decoder.decode(b"", final=True)
        if text and not self.abort:
            yield Line(text, n_tokens)

    def close(self) -> None:
        llama.llama_batch_free(self._batch)
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)

    def _new_context(self, n_threads: int) -> Any:
        parameters = llama.llama_context_default_params()
        trained = llama.llama_model_n_ctx_train(self._model)
        parameters.n_ctx = min(N_CONTEXT, trained) if trained > 0 else N_CONTEXT
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.n_threads = parameters.n_threads_batch = n_threads
        context = llama.llama_init_from_model(self._model, parameters)
        if not context:
            raise ModelError(f"no memory for a context of {parameters.n_ctx} tokens")
        return context

    def _description(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        llama.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode(errors="replace")

    def _text_tokens(self, text: str) -> list[int]:
        data = text.encode(errors="replace")
        room = len(data) + 2
        ids = (llama.llama_token * room)()
        n = llama.llama_tokenize(self._vocab, data, len(data), ids, room, False, False)
        if n < 0:
            raise ModelError("llama.cpp could not tokenise the prompt")
        return list(ids[:n])

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        n = llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
        return bytes(buffer.raw[: max(n, 0)])

    def _trim_to_common_prefix(self, tokens: list[int]) -> None:
        """Keep what the cache shares with `tokens`, but leave at least one token to decode for logits."""
        n_common = 0
        for cached, wanted in zip(self._cached, tokens[:-1], strict=False):
            if cached != wanted:
                break
            n_common += 1
        self._forget_from(n_common)

    def _forget_from(self, position: int) -> None:
        memory = llama.llama_get_memory(self._context)
        if llama.llama_memory_seq_rm(memory, 0, position, -1):
            del self._cached[position:]
        else:  # a recurrent model cannot trim: everything is read again
            llama.llama_memory_clear(memory, True)
            self._cached.clear()

    def _read(self, tokens: list[int]) -> bool:
        """Decode tokens behind the cached ones; False when aborted, the cache then holds what is known."""
        if self._cached == [] and len(tokens) == 0:
            raise ModelError("an empty prompt")
        for start in range(0, len(tokens), BATCH_TOKENS):
            chunk = tokens[start : start + BATCH_TOKENS]
            if self.abort:
                return False
            code = llama.llama_decode(self._context, self._filled_batch(chunk))
            if code != 0:
                self._forget_from(len(self._cached))
                if code == _ABORTED:
                    return False
                raise ModelError(f"llama_decode failed with code {code}")
            self._cached += chunk
        return True

    def _filled_batch(self, tokens: list[int]) -> Any:
        batch, first = self._batch, len(self._cached)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = first + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i == len(tokens) - 1
        return batch

    def _best_token(self) -> int:
        logits = llama.llama_get_logits_ith(self._context, -1)
        return int(np.argmax(np.ctypeslib.as_array(logits, shape=(self._n_vocab,))))
