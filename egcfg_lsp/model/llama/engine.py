"""Requests to a loaded model as jobs that go on by at most one decode a step.

A job that is interrupted in a step has lost nothing: its next step tries again. A paused job gives
its branches of the KV cache away; what is evicted meanwhile, it reads again. Not for use from two
threads at once, but for `abort`. Knows nothing of processes or messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from egcfg_lsp.guidance.cfg import Mask
from egcfg_lsp.model import Continuation, Finished, Line, ModelError, Usage
from egcfg_lsp.model.llama.generation import Generation
from egcfg_lsp.model.llama.kv import Branch, KvTree
from egcfg_lsp.model.llama.logits import Floats, log_probability
from egcfg_lsp.model.llama.native import BATCH_TOKENS, MAX_SEQUENCES, NativeModel, Row
from egcfg_lsp.model.llama.strands import MAX_STRANDS, Strand
from egcfg_lsp.prompt import Prompt
from egcfg_lsp.settings import ModelOptions


class Job(Protocol):
    @property
    def usage(self) -> Usage: ...

    @property
    def is_done(self) -> bool: ...

    def step(self) -> list[Line | Finished]:
        """Go on by at most one decode. Raises ModelError, after which the job is over."""
        ...

    def pause(self) -> None:
        """Give the cache to others; the next step takes up what is left of it."""
        ...


class LlamaEngine:
    """A model, its KV tree, and the jobs over them. Raises ModelError from all of it."""

    def __init__(self, path: Path, options: ModelOptions) -> None:
        self._native = NativeModel(path, options)
        self.info = self._native.info
        self.abort = self._native.abort
        self.vocabulary = self._native.vocabulary
        self.kv = KvTree(self._native, MAX_SEQUENCES, self.info.n_context, trims=self._native.trims)
        self.scratch: Floats = np.empty((2, self.vocabulary.n_tokens), np.float32)
        self.masks: Mask = np.empty((2, self.vocabulary.n_tokens), np.bool_)
        """With `scratch` two arrays each for the arithmetic of one token."""

    def generate(self, continuations: Sequence[Continuation]) -> Generation:
        return Generation(self, continuations)

    def score(self, prompt: Prompt, texts: Sequence[str]) -> Scoring:
        return Scoring(self, prompt, texts)

    def read(self, prompt: Prompt) -> Reading:
        return Reading(self, prompt)

    def tokenize(self, prompt: Prompt, n_more: int) -> list[int]:
        """Token ids of a prompt, which has to leave room for `n_more` others."""
        tokens = self.vocabulary.tokenize(prompt)
        if not tokens:
            raise ModelError("the prompt is empty")
        if (room := self.info.n_context - n_more) < len(tokens):
            raise ModelError(f"the prompt has {len(tokens)} tokens; {max(room, 0)} fit")
        return tokens

    def attach(self, strand: Strand, n_at_most: int) -> Branch:
        """Give a strand the longest cached prefix of its first `n_at_most` tokens."""
        if strand.branch is None:
            strand.branch = self.kv.fork(strand.tokens[:n_at_most])
        return strand.branch

    def release(self, strand: Strand) -> None:
        if strand.branch is not None:
            self.kv.release(strand.branch)
            strand.branch = None

    def read_up_to(self, strand: Strand, n: int) -> bool:
        """Whether the cache holds the first `n` tokens of a strand; if not, read up to a batch of them."""
        branch = self.attach(strand, n)
        if (n_missing := n - len(branch)) > 0:
            self.decode([(strand, min(n_missing, BATCH_TOKENS))], with_outputs=False)
            return False
        return True

    def decode(
        self,
        parts: Sequence[tuple[Strand, int]],
        *,
        with_outputs: bool,
        guesses: Mapping[Strand, Sequence[int]] | None = None,
    ) -> bool:
        """Read the next so many tokens of each strand; False when interrupted, nothing is read then.

        A strand that is read to its end may be followed by tokens that are only guessed; of these its
        branch is to be rid by `forget`.
        """
        rows = []
        for strand, n in parts:
            branch = self.attach(strand, len(strand.tokens) - 1)
            tokens = strand.tokens[len(branch) : len(branch) + n]
            tokens += guesses.get(strand, ()) if guesses else ()
            rows.append(
                Row(branch.sequence, len(branch), tokens, len(tokens) if with_outputs else 0)
            )
        if self.abort:
            return False
        done = False
        try:
            self.kv.make_room(sum(len(row.tokens) for row in rows))
            done = self._native.decode(rows)
        finally:
            for (strand, _), row in zip(parts, rows, strict=True):
                assert strand.branch is not None
                if done:
                    self.kv.extend(strand.branch, row.tokens)
                else:
                    self.kv.trim(strand.branch, row.position)
        return done

    def forget(self, strand: Strand, n: int) -> None:
        """Take the last `n` tokens out of a strand's branch."""
        if strand.branch is not None and n > 0:
            self.kv.trim(strand.branch, len(strand.branch) - n)

    def logits(self, i: int) -> Floats:
        """A view of the logits behind token `i` of the last decode; valid until the next."""
        return self._native.logits(i)

    def close(self) -> None:
        self._native.close()


class Scoring:
    """Log-probabilities of given texts behind one prompt; `log_probabilities` has them when done."""

    def __init__(self, engine: LlamaEngine, prompt: Prompt, texts: Sequence[str]) -> None:
        self._engine = engine
        self._texts = [engine.vocabulary.text_tokens(text) for text in texts]
        longest = max((len(text) for text in self._texts), default=0)
        self._prompt = Strand(engine.tokenize(prompt, longest))
        self._strands = [Strand(self._prompt.tokens + text) for text in self._texts]
        self.usage = Usage()
        self.log_probabilities: list[list[float]] = [[] for _ in texts]
        self._seen = False

    @property
    def is_done(self) -> bool:
        return self._seen and all(
            len(scores) == len(text)
            for scores, text in zip(self.log_probabilities, self._texts, strict=True)
        )

    def step(self) -> list[Line | Finished]:
        n_before = len(self._prompt.tokens) - 1
        if not self._seen:
            n_reused = len(self._engine.attach(self._prompt, n_before))
            self.usage, self._seen = Usage(n_before + 1 - n_reused, n_reused), True
        if not self._engine.read_up_to(self._prompt, n_before):
            return []
        parts: list[tuple[Strand, int]] = []
        numbers: list[int] = []
        room = BATCH_TOKENS
        for i, (scores, text) in enumerate(zip(self.log_probabilities, self._texts, strict=True)):
            n = min(len(text) - len(scores), room)
            if n > 0 and len(parts) < MAX_STRANDS:
                if not self._engine.read_up_to(self._strands[i], n_before + len(scores)):
                    return []
                parts.append((self._strands[i], n))
                numbers.append(i)
                room -= n
        if parts and self._engine.decode(parts, with_outputs=True):
            self._collect(numbers, [n for _, n in parts])
        return []

    def pause(self) -> None:
        for strand in (self._prompt, *self._strands):
            self._engine.release(strand)

    def _collect(self, numbers: list[int], counts: list[int]) -> None:
        row, scratch = 0, self._engine.scratch[0]
        for i, n in zip(numbers, counts, strict=True):
            scores, text = self.log_probabilities[i], self._texts[i]
            for _ in range(n):
                logits = self._engine.logits(row)
                scores.append(log_probability(logits, text[len(scores)], scratch))
                row += 1
            if len(scores) == len(text):
                self._engine.release(self._strands[i])


class Reading:
    """A prompt on its way into the cache."""

    def __init__(self, engine: LlamaEngine, prompt: Prompt) -> None:
        self._engine = engine
        self._strand = Strand(engine.tokenize(prompt, 0))
        self.usage = Usage()
        self.is_done = False
        self._seen = False

    def step(self) -> list[Line | Finished]:
        n = len(self._strand.tokens)
        if not self._seen:
            n_reused = len(self._engine.attach(self._strand, n))
            self.usage, self._seen = Usage(n - n_reused, n_reused), True
        self.is_done = self._engine.read_up_to(self._strand, n)
        if self.is_done:
            self.pause()
        return []

    def pause(self) -> None:
        self._engine.release(self._strand)


def drive(job: Job) -> Iterator[Line | Finished]:
    """Carry out a job alone, to its end."""
    try:
        while not job.is_done:
            yield from job.step()
    finally:
        job.pause()
