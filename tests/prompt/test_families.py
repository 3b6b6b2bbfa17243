"""Telling the family from a GGUF file: metadata as real files have it, and a vocabulary as a set."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from egcfg_lsp.prompt import FAMILIES, Marker, PromptForm, identify
from egcfg_lsp.prompt.families import CHAT_TEMPLATE_KEY

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"}
STARCODER2 = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<repo_name>"}
GRANITE = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<filename>", "<reponame>"}
GRANITE_4 = {f"<|{token[1:-1]}|>" for token in GRANITE}
CODELLAMA = {"▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"}
DEEPSEEK = {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}
CODESTRAL = {"[PREFIX]", "[SUFFIX]", "[MIDDLE]"}
CODEGEMMA = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"}


def metadata(architecture: str, name: str, **others: str) -> dict[str, str]:
    keys = {f"general.{key.replace('__', '.')}": value for key, value in others.items()}
    return {"general.architecture": architecture, "general.name": name, **keys}


@pytest.mark.parametrize(
    ("values", "vocabulary", "family"),
    [
        # Made by today's converter, by Ollama, and with the name of a folder.
        (
            metadata("qwen2", "Qwen2.5 Coder 14B", basename="Qwen2.5-Coder", finetune="Instruct"),
            QWEN, "Qwen2.5-Coder",
        ),
        (metadata("qwen2", "qwen2.5-coder-0.5b-instruct"), QWEN, "Qwen2.5-Coder"),
        (metadata("qwen3moe", "Qwen3-Coder-30B-A3B-Instruct"), QWEN, "Qwen2.5-Coder"),
        (
            metadata("qwen2", "out", base_model__0__name="Qwen2.5 Coder 14B"),
            QWEN, "Qwen2.5-Coder",
        ),
        (metadata("starcoder2", "starcoder2-3b"), STARCODER2, "StarCoder2"),
        (metadata("starcoder2", "model"), STARCODER2, "StarCoder2"),
        (metadata("llama", "codellama_codellama-7b-instruct-hf"), CODELLAMA, "CodeLlama"),
        (metadata("llama", "codellama"), CODELLAMA, "CodeLlama"),
        (metadata("llama", "deepseek-ai_deepseek-coder-6.7b-base"), DEEPSEEK, "DeepSeek-Coder"),
        (metadata("deepseek2", "DeepSeek-Coder-V2-Lite-Instruct"), DEEPSEEK, "DeepSeek-Coder"),
        (metadata("llama", "Codestral-22B-v0.1"), CODESTRAL, "Codestral"),
        (metadata("llama", "Granite 8b Code Base 4k"), GRANITE, "Granite-Code"),
        (metadata("starcoder", "granite-20b-code-base-8k"), GRANITE, "Granite-Code"),
        (metadata("granite", "Granite 3.3 8b Base"), GRANITE, "Granite-Code"),
        (metadata("granitehybrid", "Granite 4.0 H Tiny"), GRANITE_4, "Granite-Code"),
        (metadata("gemma", "codegemma-1.1-2b"), CODEGEMMA, "CodeGemma"),
    ],
)  # fmt: skip
def test_named_families(
    values: Mapping[str, str], vocabulary: Collection[str], family: str
) -> None:
    identified = identify(values, vocabulary.__contains__)
    assert identified.note == ""
    assert identified.form == PromptForm(family, frozenset(identified.markers))
    assert set(identified.markers.values()) <= set(vocabulary)
    assert identified.form.markers == FAMILIES[family].tokens.keys()
    assert identified.bos is FAMILIES[family].bos


@pytest.mark.parametrize(
    ("values", "vocabulary", "family", "note"),
    [
        (metadata("qwen2", "merged"), QWEN, "Qwen2.5-Coder", "its name tells no known family, but "),
        (metadata("llama", "LLaMA v2"), CODELLAMA, "CodeLlama", "its name tells no known family, "),
        (metadata("llama", "hub"), DEEPSEEK, "DeepSeek-Coder", "its name tells no known family, "),
        (metadata("gemma", "model"), CODEGEMMA, "CodeGemma", "tokens of CodeGemma: they are used"),
        (metadata("llama", "model"), GRANITE, "Granite-Code", "tokens of Granite-Code: they are"),
        (metadata("refact", "Refact"), GRANITE, "StarCoder2", "tokens of StarCoder2: they are"),
        (metadata("llama", "Granite 8b"), DEEPSEEK, "DeepSeek-Coder", "it calls itself Granite-Code"),
        # No tokens that a family is told by.
        (
            metadata("llama", "CodeLlama 34B"), {"▁<PRE>", "▁<SUF>"}, "",
            "it calls itself CodeLlama, but its vocabulary lacks ▁<MID>: plain continuation",
        ),
        (metadata("qwen2", "Qwen2.5-Coder"), (), "", "lacks <|fim_prefix|>, <|fim_suffix|>, <|fim_m"),
        (metadata("llama", "Mistral Nemo"), CODESTRAL, "", "unknown model family: plain contin"),
        ({}, (), "", "unknown model family: plain continuation without the text after the cursor"),
    ],
)  # fmt: skip
def test_doubtful_ones_are_told(
    values: Mapping[str, str], vocabulary: Collection[str], family: str, note: str
) -> None:
    identified = identify(values, vocabulary.__contains__)
    assert note in identified.note
    assert identified.form.family == family
    assert identified.form.chat is None
    if not family:
        assert identified.bos is None
        assert identified.markers == {}


def test_the_spelling_of_the_vocabulary_is_taken() -> None:
    identified = identify(metadata("granite", "Granite 4.0"), GRANITE_4.__contains__)
    assert identified.markers[Marker.FIM_PREFIX] == "<|fim_prefix|>"


def test_chat_template() -> None:
    values = metadata("llama", "SmolLM2 135M Instruct") | {CHAT_TEMPLATE_KEY: CHATML}
    identified = identify(values, lambda _: False)
    assert identified.note == "unknown model family: its chat template is used"
    assert identified.form.chat == (
        "<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n",
    )
    known = identify(values | {"general.name": "Qwen2.5 Coder"}, QWEN.__contains__)
    assert (known.form.chat, known.note) == (identified.form.chat, ""), "for tasks in words"


def test_broken_chat_template_is_told() -> None:
    values = metadata("llama", "model") | {CHAT_TEMPLATE_KEY: "{% for %}"}
    identified = identify(values, lambda _: False)
    assert identified.form == PromptForm()
    assert "plain continuation" in identified.note
    assert "its chat template fails" in identified.note
