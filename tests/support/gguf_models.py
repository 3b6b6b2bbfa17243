"""Tiny random models as GGUF files: llama.cpp loads them in milliseconds.

The vocabulary is of the SentencePiece kind with byte fallback, so that any text survives a round
trip; words have all their beginnings as tokens, as token healing needs. The weights are drawn so
that the best token leads clearly and depends on the context. What they write means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

WORDS = (
    "def", "class", "return", "import", "from", "print", "lambda", "yield", "raise", "assert",
    "while", "for", "in", "if", "else", "elif", "not", "and", "or", "None", "True", "False",
    "self", "value", "total", "result", "price", "name", "items", "number", "count", "area",
    "radius", "test_",
)  # fmt: skip
INDENTS = ("▁▁", "▁▁▁▁", "▁▁▁▁▁▁▁▁")

_Matrix = NDArray[np.float32]
_Metadata = dict[str, str | int | float | bool]


def tiny_model(
    path: Path,
    *,
    seed: int = 0,
    n_layers: int = 2,
    n_embd: int = 64,
    n_ctx_train: int = 2048,
    metadata: Mapping[str, str | int | float | bool] | None = None,
    control_tokens: Sequence[str] = (),
    chat_template: str | None = None,
) -> Path:
    """A transformer with `general.architecture` llama. `metadata` adds keys or replaces values."""
    random, n_heads, n_ff = np.random.default_rng(seed), 4, 2 * n_embd
    tensors = _ends(random, n_embd, control_tokens)
    for i in range(n_layers):
        tensors |= {
            f"blk.{i}.attn_norm.weight": np.ones(n_embd, np.float32),
            f"blk.{i}.attn_q.weight": _matrix(random, n_embd, n_embd, scale=1.5),
            f"blk.{i}.attn_k.weight": _matrix(random, n_embd, n_embd, scale=1.5),
            f"blk.{i}.attn_v.weight": _matrix(random, n_embd, n_embd, scale=1.5),
            f"blk.{i}.attn_output.weight": _matrix(random, n_embd, n_embd, scale=1.5),
            f"blk.{i}.ffn_norm.weight": np.ones(n_embd, np.float32),
            f"blk.{i}.ffn_gate.weight": _matrix(random, n_ff, n_embd),
            f"blk.{i}.ffn_up.weight": _matrix(random, n_ff, n_embd),
            f"blk.{i}.ffn_down.weight": _matrix(random, n_embd, n_ff),
        }
    sizes: _Metadata = {
        "llama.context_length": n_ctx_train,
        "llama.embedding_length": n_embd,
        "llama.block_count": n_layers,
        "llama.feed_forward_length": n_ff,
        "llama.attention.head_count": n_heads,
        "llama.attention.head_count_kv": n_heads,
        "llama.rope.dimension_count": n_embd // n_heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
    }
    template: _Metadata = {"tokenizer.chat_template": chat_template} if chat_template else {}
    return _write(path, "llama", sizes | template | dict(metadata or {}), tensors, control_tokens)


def tiny_mamba(path: Path, seed: int = 0) -> Path:
    """A recurrent model: llama.cpp cannot cut its state to a prefix of what it has read."""
    random, n_embd, n_state, n_rank, n_conv = np.random.default_rng(seed), 64, 8, 4, 4
    n_inner = 2 * n_embd
    tensors = _ends(random, n_embd, ())
    for i in range(2):
        tensors |= {
            f"blk.{i}.attn_norm.weight": np.ones(n_embd, np.float32),
            f"blk.{i}.ssm_in.weight": _matrix(random, 2 * n_inner, n_embd, scale=1.5),
            f"blk.{i}.ssm_conv1d.weight": _matrix(random, n_inner, n_conv),
            f"blk.{i}.ssm_conv1d.bias": np.zeros(n_inner, np.float32),
            f"blk.{i}.ssm_x.weight": _matrix(random, n_rank + 2 * n_state, n_inner),
            f"blk.{i}.ssm_dt.weight": _matrix(random, n_inner, n_rank),
            f"blk.{i}.ssm_dt.bias": np.full(n_inner, -1, np.float32),
            f"blk.{i}.ssm_a": -np.tile(np.arange(1, n_state + 1, dtype=np.float32), (n_inner, 1)),
            f"blk.{i}.ssm_d": np.ones(n_inner, np.float32),
            f"blk.{i}.ssm_out.weight": _matrix(random, n_embd, n_inner, scale=1.5),
        }
    sizes: _Metadata = {
        "mamba.context_length": 2048,
        "mamba.embedding_length": n_embd,
        "mamba.block_count": 2,
        "mamba.feed_forward_length": 0,
        "mamba.attention.head_count": 0,
        "mamba.attention.layer_norm_rms_epsilon": 1e-5,
        "mamba.ssm.conv_kernel": n_conv,
        "mamba.ssm.inner_size": n_inner,
        "mamba.ssm.state_size": n_state,
        "mamba.ssm.time_step_rank": n_rank,
    }
    return _write(path, "mamba", sizes, tensors, ())


def _vocabulary(control_tokens: Sequence[str]) -> list[tuple[str, gguf.TokenType]]:
    """Texts and types; the ids are the places."""
    beginnings = {word[:end] for word in WORDS for end in range(2, len(word) + 1)}
    characters = [chr(code) for code in range(33, 127)]
    texts = [
        "▁",
        "\n",
        *characters,
        *INDENTS,
        *sorted(beginnings, key=lambda text: (len(text), text)),
    ]
    return [
        ("<unk>", gguf.TokenType.UNKNOWN),
        ("<s>", gguf.TokenType.CONTROL),
        ("</s>", gguf.TokenType.CONTROL),
        *((text, gguf.TokenType.CONTROL) for text in control_tokens),
        *((f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)),
        *((text, gguf.TokenType.NORMAL) for text in texts),
    ]


def _ends(
    random: np.random.Generator, n_embd: int, control_tokens: Sequence[str]
) -> dict[str, _Matrix]:
    """The tensors outside the layers.

    A token's scale in the output says how often it is written: lines are short, an answer ends now
    and then, bytes and other control tokens hardly occur.
    """
    vocabulary = _vocabulary(control_tokens)
    output = random.standard_normal((len(vocabulary), n_embd))
    for token, (text, kind) in enumerate(vocabulary):
        usual = 1.0 if kind is gguf.TokenType.NORMAL else 0.05
        output[token] *= {"\n": 2.5, "</s>": 1.2}.get(text, usual)
    return {
        "token_embd.weight": random.standard_normal(output.shape).astype(np.float32),
        "output_norm.weight": np.ones(n_embd, np.float32),
        "output.weight": output.astype(np.float32),
    }


def _matrix(random: np.random.Generator, rows: int, columns: int, scale: float = 1.0) -> _Matrix:
    deviation = scale / columns**0.5
    return random.normal(0, deviation, (rows, columns)).astype(np.float32)


def _write(
    path: Path,
    architecture: str,
    metadata: _Metadata,
    tensors: Mapping[str, _Matrix],
    control_tokens: Sequence[str],
) -> Path:
    vocabulary = _vocabulary(control_tokens)
    values: dict[str, Any] = {
        "general.name": "tiny random model",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_space_prefix": False,
        **metadata,
    }
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in values.items():
        _add(writer, key, value)
    writer.add_token_list([text for text, _ in vocabulary])
    writer.add_token_types([kind for _, kind in vocabulary])
    # Longer tokens are merged first.
    writer.add_token_scores([float(len(text)) for text, _ in vocabulary])
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: str | int | float | bool) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
