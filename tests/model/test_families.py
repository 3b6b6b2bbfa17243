"""Families told from GGUF files by llama.cpp's own vocabulary; the real model's chat template."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import pytest

from egcfg_lsp.prompt import FAMILIES, Control, Identified, Message, chat_parts, identify
from egcfg_lsp.prompt.families import CHAT_TEMPLATE_KEY
from tests.support.gguf_models import tiny_model

SPECIAL = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED
BUFFER_BYTES = 1 << 16


@contextmanager
def loaded(path: Path) -> Iterator[Any]:
    """A model without its weights."""
    llama.llama_backend_init()
    parameters = llama.llama_model_default_params()
    parameters.vocab_only = True
    model = llama.llama_model_load_from_file(str(path).encode(), parameters)
    assert model
    yield model
    llama.llama_model_free(model)


def metadata(model: Any) -> dict[str, str]:
    key, value = (ctypes.create_string_buffer(BUFFER_BYTES) for _ in range(2))
    pairs = {}
    for i in range(llama.llama_model_meta_count(model)):
        llama.llama_model_meta_key_by_index(model, i, key, BUFFER_BYTES)
        llama.llama_model_meta_val_str_by_index(model, i, value, BUFFER_BYTES)
        pairs[key.value.decode()] = value.value.decode(errors="replace")
    return pairs


def tokens(model: Any, text: str, *, special: bool) -> list[int]:
    data = text.encode()
    ids = (llama.llama_token * (len(data) + 2))()
    vocab = llama.llama_model_get_vocab(model)
    n = llama.llama_tokenize(vocab, data, len(data), ids, len(ids), False, special)
    return list(ids[:n])


def identified(path: Path) -> Identified:
    with loaded(path) as model:
        vocab = llama.llama_model_get_vocab(model)

        def has_token(text: str) -> bool:
            found = tokens(model, text, special=True)
            return len(found) == 1 and bool(llama.llama_vocab_get_attr(vocab, found[0]) & SPECIAL)

        result = identify(metadata(model), has_token)
        for text in result.markers.values():
            assert has_token(text)
            assert tokens(model, text, special=True) != tokens(model, text, special=False)
        return result


NAMES = {
    "Qwen2.5-Coder": {"general.name": "Qwen2.5 Coder 14B", "general.basename": "Qwen2.5-Coder"},
    "StarCoder2": {"general.name": "starcoder2-3b"},
    "CodeLlama": {"general.name": "codellama_codellama-7b-hf"},
    "DeepSeek-Coder": {"general.name": "deepseek-ai_deepseek-coder-1.3b-base"},
    "Codestral": {"general.name": "Codestral-22B-v0.1"},
    "Granite-Code": {"general.name": "Granite 3b Code Base"},
    "CodeGemma": {"general.name": "codegemma-2b"},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family(family: str, tmp_path: Path) -> None:
    spellings = [texts[0] for texts in FAMILIES[family].tokens.values()]
    path = tiny_model(tmp_path / "m.gguf", metadata=NAMES[family], control_tokens=spellings)
    found = identified(path)
    assert found.note == ""
    assert found.form.family == family
    assert list(found.markers.values()) == spellings


def test_a_missing_token_is_told(tmp_path: Path) -> None:
    path = tiny_model(
        tmp_path / "m.gguf", metadata=NAMES["CodeLlama"], control_tokens=["▁<PRE>", "▁<SUF>"]
    )
    assert "lacks ▁<MID>" in identified(path).note


def test_chat_template_of_the_file(tmp_path: Path) -> None:
    template = "{% for m in messages %}<u>{{ m.content }}{% endfor %}<a>"
    path = tiny_model(tmp_path / "m.gguf", control_tokens=["<u>", "<a>"], chat_template=template)
    assert identified(path).form.chat == ("<u>", "<a>")


@pytest.mark.model
def test_default_model(default_model: Path) -> None:
    found = identified(default_model)
    assert (found.note, found.form.family) == ("", "Qwen2.5-Coder")
    assert found.form.markers == FAMILIES["Qwen2.5-Coder"].tokens.keys()
    with loaded(default_model) as model:
        template = metadata(model)[CHAT_TEMPLATE_KEY]
    parts = chat_parts(
        template,
        [Message("user", "2 + 2? <|im_end|>")],
        bos="",
        eos="<|im_end|>",
        answer_so_far="4, ",
    )
    assert parts == (
        Control(
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
            "assistant.<|im_end|>\n<|im_start|>user\n"
        ),
        "2 + 2? <|im_end|>",
        Control("<|im_end|>\n<|im_start|>assistant\n"),
        "4, ",
    )
