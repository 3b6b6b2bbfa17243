"""The controls of `decode_ratio` and `guided_token_ratio`: decoding as llama.cpp's own examples do it.

Nothing of ours but the parameters: one context, one sequence and `llama_batch_get_one`, or two
sequences in one batch; argmax.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np

from egcfg_lsp.model.llama.hardware import Plan
from egcfg_lsp.model.llama.native import BATCH_TOKENS, MAX_SEQUENCES


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _drop_log(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    pass


def silence_llama() -> None:
    """No hundreds of lines on stderr while a model is loaded in this process."""
    llama.llama_log_set(_drop_log, ctypes.c_void_p(0))


class BareLoop:
    """A model and a context of its own; `step` decodes one token more."""

    def __init__(self, path: Path, plan: Plan, n_context: int) -> None:
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = plan.n_gpu_layers
        self._model = llama.llama_model_load_from_file(str(path).encode(), parameters)
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = n_context
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.n_seq_max = MAX_SEQUENCES
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = plan.n_threads
        parameters.flash_attn_type = int(plan.flash_attention)
        self._context = llama.llama_init_from_model(self._model, parameters)
        self._n_vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self._model))
        self.token = 0

    def read(self, tokens: Sequence[int]) -> None:
        """Start a new text; the token behind it is chosen."""
        llama.llama_memory_clear(llama.llama_get_memory(self._context), False)
        for start in range(0, len(tokens), BATCH_TOKENS):
            self._decode(tokens[start : start + BATCH_TOKENS])
        self._choose()

    def step(self) -> None:
        self._decode([self.token])
        self._choose()

    def close(self) -> None:
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)

    def _decode(self, tokens: Sequence[int]) -> None:
        ids = (llama.llama_token * len(tokens))(*tokens)
        code = llama.llama_decode(self._context, llama.llama_batch_get_one(ids, len(tokens)))
        assert code == 0, f"llama_decode: {code}"

    def _choose(self) -> None:
        logits = llama.llama_get_logits_ith(self._context, -1)
        self.token = int(np.ctypeslib.as_array(logits, shape=(self._n_vocab,)).argmax())


class BarePair(BareLoop):
    """Two texts side by side, one token a `step` for both: `prior + γ (signal − prior)`, argmax."""

    def __init__(self, path: Path, plan: Plan, n_context: int, scale: float) -> None:
        super().__init__(path, plan, n_context)
        self._scale = np.float32(scale)
        self._batch = llama.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._lengths = [0, 0]

    def read_pair(self, prior: Sequence[int], signal: Sequence[int]) -> None:
        """Start two new texts, of whose last tokens is read what is to be followed."""
        llama.llama_memory_clear(llama.llama_get_memory(self._context), False)
        self._lengths = [0, 0]
        for sequence, tokens in enumerate((prior, signal)):
            for start in range(0, len(tokens) - 1, BATCH_TOKENS):
                part = tokens[start : min(start + BATCH_TOKENS, len(tokens) - 1)]
                self._decode_rows([(sequence, token) for token in part])
        self._decode_rows([(0, prior[-1]), (1, signal[-1])])
        self._choose_of_both()

    def step(self) -> None:
        self._decode_rows([(0, self.token), (1, self.token)])
        self._choose_of_both()

    def close(self) -> None:
        llama.llama_batch_free(self._batch)
        super().close()

    def _decode_rows(self, rows: Sequence[tuple[int, int]]) -> None:
        batch = self._batch
        for i, (sequence, token) in enumerate(rows):
            batch.token[i], batch.pos[i] = token, self._lengths[sequence]
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = len(rows) == 2
            self._lengths[sequence] += 1
        batch.n_tokens = len(rows)
        code = llama.llama_decode(self._context, batch)
        assert code == 0, f"llama_decode: {code}"

    def _choose_of_both(self) -> None:
        prior, signal = (
            np.ctypeslib.as_array(
                llama.llama_get_logits_ith(self._context, i), shape=(self._n_vocab,)
            )
            for i in range(2)
        )
        self.token = int((prior + self._scale * (signal - prior)).argmax())
