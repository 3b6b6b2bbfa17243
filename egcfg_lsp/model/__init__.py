"""Language models. `LanguageModel` is the seam: what the ladder knows of a model is this protocol."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

from egcfg_lsp.prompt import Prompt, PromptForm


class ModelError(Exception):
    """The model cannot answer; the message is for people and says what to do where that is known."""


class Priority(IntEnum):
    """Whose tokens are decoded first; a more urgent request interrupts a less urgent one."""

    KEYSTROKE = 0
    VERIFICATION = 1
    EXPLORATION = 2
    IDLE = 3


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model is, and how it was loaded."""

    description: str
    """Family, size and quantisation as llama.cpp describes them."""
    form: PromptForm
    """How the model wants its prompts."""
    n_context: int
    """Tokens, prompt and answer together; also the cap of the KV cache, in cells."""
    load_seconds: float
    device: str = "CPU"
    """Where it computes, for people."""
    on_gpu: bool = False
    """Whether a part of it, or all, is on a GPU."""
    trims: bool = True
    """Whether the KV cache can be cut to a prefix; if not, a changed prompt is read from its start."""
    notes: tuple[str, ...] = ()
    """What is less than was asked for, and why; for people."""
    rss_bytes: int = 0
    """Resident memory of the worker after loading."""
    anonymous_bytes: int = 0
    """The part of it that is no mapped file."""
    file_bytes: int = 0


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen: greedily at temperature 0, else from the tempered, truncated distribution."""

    temperature: float = 0.0
    top_p: float = 1.0
    """The smallest set of most probable tokens with at least this mass is kept."""
    min_p: float = 0.0
    """Tokens less probable than this fraction of the most probable one are left out."""
    seed: int = 0


@dataclass(frozen=True)
class Stop:
    """When a continuation ends; the first condition that is met counts."""

    max_tokens: int
    at_line_end: bool = False
    """After the first line that is not blank."""
    min_indent: int | None = None
    """Before a line that is indented by fewer columns: a block's end, or a function's."""
    dedents: tuple[str, ...] = ()
    """Beginnings of lines that may be indented less: `def ` for a helper below the function."""
    suffix_line: str = ""
    """Before a line that equals this one, the first below the cursor with text on it."""
    strings: tuple[str, ...] = ()
    """Before any of these texts, each without a line end."""


class StopReason(StrEnum):
    END = "end"
    """The model said so."""
    BUDGET = "budget"
    """`max_tokens`; the unfinished line is not part of the answer."""
    LINE_END = "line end"
    DEDENT = "dedent"
    SUFFIX = "suffix"
    STRING = "string"


@dataclass(frozen=True)
class Token:
    """A token of an answer, and what nearly stood in its place."""

    id: int
    """Of use only for `Continuation.begins` and `Continuation.guesses` of the same model."""
    log_probability: float
    """Natural; under the distribution before temperature and truncation.

    For tokens that repeat typed text (token healing), among those that agree with it.
    """
    end: int = 0
    """Code points of the answer's text up to and with this token; typed text is not part of it."""
    runner_up: int | None = None
    """The second most probable token where the most probable one was taken; None: not known."""
    margin: float = math.inf
    """`log p(best) − log p(runner-up)` of the distribution that it was chosen from, ≥ 0."""


@dataclass(frozen=True)
class Continuation:
    """A request for one continuation of a prompt.

    With a `signal`, a second prompt for the same text, each token is chosen from
    `log p = log p_prior + γ (log p_signal − log p_prior)`, normalised (classifier-free guidance as
    in EG-CFG, arXiv 2506.10948): γ = 0 is the prompt alone, γ = 1 the signal alone.
    """

    prompt: Prompt
    stop: Stop
    sampling: Sampling = field(default_factory=Sampling)
    signal: Prompt | None = None
    guidance_scale: float = 1.0
    plausibility: float = 0.0
    """With a signal: the fraction of the mask of `guidance.cfg.plausible`; 0 masks nothing."""
    heal: bool = True
    """Write the last token of the prompt's last text again, so that it may become a longer one."""
    begins: tuple[Token, ...] = ()
    """Tokens that the answer begins with, as an earlier answer to the same prompt told them.

    They are part of its text, its lines and its budget as if they had just been chosen, with their
    own log-probabilities; an end token among them ends it. The last may be a runner-up.
    """
    guesses: tuple[tuple[int, ...], ...] = ()
    """Token ids, from the answer's first token on, that it may well consist of.

    They change nothing but the time: at temperature 0 several tokens are then read in one decode.
    """


@dataclass(frozen=True)
class Line:
    """Generated text up to and with its line end; only the last one of an answer may lack it."""

    text: str
    tokens: tuple[Token, ...] = ()
    """Those that ended in this line: one that goes on into the next line too, in the first."""
    index: int = 0
    """Which of the requested continuations."""

    @property
    def log_probabilities(self) -> tuple[float, ...]:
        """Of its tokens."""
        return tuple(token.log_probability for token in self.tokens)


@dataclass(frozen=True)
class Finished:
    """A continuation has ended."""

    index: int
    reason: StopReason
    tokens: tuple[Token, ...] = ()
    """Behind those of the last line: the end token, or what showed a dedent."""


@dataclass(frozen=True)
class Usage:
    """Tokens of an answer, so far."""

    n_read: int = 0
    """Of its prompts."""
    n_reused: int = 0
    """Of its prompts, found in the KV cache."""
    n_generated: int = 0
    """Of all continuations, those of unfinished lines too, but not those of `begins`."""


Event = Line | Finished | Usage


class LanguageModel(Protocol):
    async def info(self) -> ModelInfo:
        """What the model is; loads it if need be. Raises ModelError."""
        ...

    def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Event]:
        """Continuations decoded in one batch; each line as soon as it is complete.

        What was used so far comes before the lines and ends that it is for. Closing the generator
        stops the decoding. Raises ModelError.
        """
        ...

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        """For each text the log-probability of each of its tokens behind the prompt.

        Raises ModelError.
        """
        ...

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        """Put a prompt into the KV cache, for a request that is expected. Raises ModelError."""
        ...

    async def close(self) -> None: ...
