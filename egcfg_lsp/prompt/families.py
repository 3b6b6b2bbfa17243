"""Model families with fill-in-the-middle, and telling a model's family from its GGUF file.

Names in GGUF files are odd or missing: a name proposes a family, the vocabulary decides. Knows
nothing of token ids, and does not cover whether a fine-tuned model has unlearned its family's form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from egcfg_lsp.prompt.chat import ChatTemplateError, around_question
from egcfg_lsp.prompt.parts import Marker, PromptForm

CHAT_TEMPLATE_KEY = "tokenizer.chat_template"
_NAME_KEY = re.compile(
    r"general\.(architecture|name|basename|finetune|source\..*|base_model\.\d+\.(name|repo_url))"
)


class Layout(StrEnum):
    """Order of the three texts of a fill-in-the-middle prompt."""

    PREFIX_SUFFIX_MIDDLE = "psm"
    SUFFIX_PREFIX = "spm"
    """The middle follows the prefix without a token between them."""


class OtherFiles(StrEnum):
    """How other files are put before the one at hand."""

    SEPARATED = "separated"
    """Separator, path, line end, source; the file at hand likewise, its path before the prefix token."""
    IN_PREFIX = "in prefix"
    """The same, but the path of the file at hand stands after the prefix token."""
    TERMINATED = "terminated"
    """Source, separator; no paths."""
    COMMENTED = "commented"
    """A comment with the path heads each source; all of it is part of the prefix."""


@dataclass(frozen=True)
class Family:
    name: str
    pattern: re.Pattern[str]
    """Matches its names in lower case without anything but letters and digits."""
    tokens: Mapping[Marker, tuple[str, ...]]
    """The text of each control token, with other spellings that conversions use."""
    architectures: frozenset[str] = frozenset()
    """`general.architecture` of its files: tells families with the same tokens apart."""
    layout: Layout = Layout.PREFIX_SUFFIX_MIDDLE
    other_files: OtherFiles = OtherFiles.COMMENTED
    bos: bool = False
    """Whether its prompts begin with the BOS token, whatever flag a conversion has set."""
    needs_name: bool = False
    """Whether models that were not trained to fill in have its tokens, too."""

    @property
    def fim_markers(self) -> frozenset[Marker]:
        """The markers without which it cannot fill in."""
        ends = {Marker.FIM_PREFIX, Marker.FIM_SUFFIX}
        return frozenset(
            ends if self.layout is Layout.SUFFIX_PREFIX else {*ends, Marker.FIM_MIDDLE}
        )

    def token_texts(self, has_token: Callable[[str], bool]) -> dict[Marker, str]:
        """For each marker the first spelling that the vocabulary has."""
        found = {m: next(filter(has_token, texts), "") for m, texts in self.tokens.items()}
        return {marker: text for marker, text in found.items() if text}


@dataclass(frozen=True)
class Identified:
    """What a model file says about its prompts."""

    form: PromptForm
    markers: Mapping[Marker, str] = field(default_factory=dict)
    """Token text of each marker of the form."""
    note: str = ""
    """What is less than it could be, in one sentence for people; empty when all is well."""

    @property
    def bos(self) -> bool | None:
        """Whether prompts begin with the BOS token; None: as the vocabulary's own flag says."""
        family = FAMILIES.get(self.form.family)
        return family.bos if family is not None else None


def _fim(prefix: str, suffix: str, middle: str, **others: str) -> dict[Marker, tuple[str, ...]]:
    """Alternative spellings are separated by a space."""
    texts = {
        Marker.FIM_PREFIX: prefix,
        Marker.FIM_SUFFIX: suffix,
        Marker.FIM_MIDDLE: middle,
        **{Marker(role): text for role, text in others.items()},
    }
    return {marker: tuple(text.split(" ")) for marker, text in texts.items() if text}


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        # Its technical report (arXiv 2409.12186) and its examples for repositories.
        Family(
            name="Qwen2.5-Coder",
            pattern=re.compile("qwen.*coder"),
            tokens=_fim(
                "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
                file_separator="<|file_sep|>", repository="<|repo_name|>",
            ),
            architectures=frozenset({"qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen3next"}),
            other_files=OtherFiles.SEPARATED,
        ),
        # arXiv 2402.19173, section 5.1.
        Family(
            name="StarCoder2",
            pattern=re.compile("starcoder2"),
            tokens=_fim(
                "<fim_prefix>", "<fim_suffix>", "<fim_middle>",
                file_separator="<file_sep>", repository="<repo_name>",
            ),
            architectures=frozenset({"starcoder2"}),
            other_files=OtherFiles.IN_PREFIX,
        ),
        # arXiv 2308.12950, section 2.3; the 34B, Python and most other variants lack the tokens.
        Family(
            name="CodeLlama",
            pattern=re.compile("codellama"),
            tokens=_fim("▁<PRE> <PRE>", "▁<SUF> <SUF>", "▁<MID> <MID>", fim_end="▁<EOT> <EOT>"),
            architectures=frozenset({"llama"}),
            bos=True,
        ),
        # Its README: "hole" stands where the middle was taken out, "end" after the suffix.
        Family(
            name="DeepSeek-Coder",
            pattern=re.compile("deepseekcoder"),
            tokens=_fim("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
            architectures=frozenset({"llama", "deepseek2"}),
            bos=True,
        ),
        # mistral-common's `encode_fim`: suffix first, and no middle token.
        Family(
            name="Codestral",
            pattern=re.compile("codestral"),
            tokens=_fim("[PREFIX]", "[SUFFIX]", ""),
            architectures=frozenset({"llama"}),
            layout=Layout.SUFFIX_PREFIX,
            bos=True,
            needs_name=True,
        ),
        # arXiv 2405.04324; Granite 4 writes the tokens with bars.
        Family(
            name="Granite-Code",
            pattern=re.compile("granite"),
            tokens=_fim(
                "<fim_prefix> <|fim_prefix|>",
                "<fim_suffix> <|fim_suffix|>",
                "<fim_middle> <|fim_middle|>",
                file_separator="<filename> <|filename|>",
                repository="<reponame> <|reponame|>",
            ),
            architectures=frozenset(
                {"llama", "starcoder", "granite", "granitemoe", "granitehybrid"}
            ),
        ),
        # arXiv 2406.11409, table 1 and figure 2.
        Family(
            name="CodeGemma",
            pattern=re.compile("codegemma"),
            tokens=_fim(
                "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
                file_separator="<|file_separator|>",
            ),
            architectures=frozenset({"gemma"}),
            other_files=OtherFiles.TERMINATED,
            bos=True,
        ),
    )
}  # fmt: skip
"""By name."""


def identify(
    metadata: Mapping[str, str], has_token: Callable[[str], bool], *, bos: str = "", eos: str = ""
) -> Identified:
    """The form of a model's prompts, from its GGUF metadata.

    `has_token` tells whether a text is exactly one control or user-defined token of the vocabulary;
    `bos` and `eos` are the texts of those tokens. Its chat template may be run here (see `chat`).
    """
    names = [_squeezed(value) for key, value in metadata.items() if _NAME_KEY.fullmatch(key)]
    named = next((f for f in FAMILIES.values() if any(map(f.pattern.search, names))), None)
    family = _by_tokens(named, metadata.get("general.architecture", ""), has_token)
    chat, fallback = None, "plain continuation without the text after the cursor"
    if template := metadata.get(CHAT_TEMPLATE_KEY, ""):
        try:
            chat, fallback = (
                around_question(template, bos=bos, eos=eos),
                "its chat template is used",
            )
        except ChatTemplateError as error:
            fallback += f" ({error})"
    if family is not None:
        texts = family.token_texts(has_token)
        form = PromptForm(family.name, frozenset(texts), chat)
        return Identified(form, texts, "" if family is named else _borrowed(named, family))
    reason = "unknown model family" if named is None else _lack(named, has_token)
    return Identified(PromptForm(chat=chat), note=f"{reason}: {fallback}")


def _squeezed(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _by_tokens(
    named: Family | None, architecture: str, has_token: Callable[[str], bool]
) -> Family | None:
    """Of the families whose tokens are all there the named one, else the best by architecture."""
    fitting = [f for f in FAMILIES.values() if f.token_texts(has_token).keys() >= f.fim_markers]
    if named in fitting:
        return named
    guesses = [family for family in fitting if not family.needs_name]
    return max(guesses, key=lambda family: architecture in family.architectures, default=None)


def _borrowed(named: Family | None, family: Family) -> str:
    who = "its name tells no known family" if named is None else f"it calls itself {named.name}"
    return f"{who}, but its vocabulary has the fill-in-the-middle tokens of {family.name}: they are used"


def _lack(family: Family, has_token: Callable[[str], bool]) -> str:
    missing = family.fim_markers - family.token_texts(has_token).keys()
    texts = [spellings[0] for marker, spellings in family.tokens.items() if marker in missing]
    return f"it calls itself {family.name}, but its vocabulary lacks {', '.join(texts)}"
