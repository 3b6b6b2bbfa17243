"""Requests to a loaded model as jobs that go on by at most one decode a step.

A job that is interrupted in a step has lost nothing: its next step tries again. A paused job gives
its branches of the KV cache away; what is evicted meanwhile, it reads again. Not for use from two
threads at once, but for `abort`. Knows nothing of processes or messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from egcfg_lsp.model import Continuation, Finished, Line, ModelError, Usage
from egcfg_lsp.model.llama.kv import Branch, KvTree
from egcfg_lsp.model.llama.logits import (
    Chooser,
    Floats,
    guided,
    log_probability,
    log_softmax,
)
from egcfg_lsp.model.llama.native import BATCH_TOKENS, MAX_SEQUENCES, NativeModel, Row
from egcfg_lsp.model.llama.text import GeneratedText
from egcfg_lsp.prompt import Control, Marker, Prompt
from egcfg_lsp.settings import ModelOptions

MAX_STRANDS = MAX_SEQUENCES // 2
"""Prompts that one job may decode side by side."""


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
        self.scratch: Floats = np.empty((4, self.vocabulary.n_tokens), np.float32)
        """Four arrays for the arithmetic of one token."""

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

    def decode(self, parts: Sequence[tuple[Strand, int]], *, with_outputs: bool) -> bool:
        """Read the next so many tokens of each strand; False when interrupted, nothing is read then."""
        rows = []
        for strand, n in parts:
            branch = self.attach(strand, len(strand.tokens) - 1)
            tokens = strand.tokens[len(branch) : len(branch) + n]
            rows.append(Row(branch.sequence, len(branch), tokens, n if with_outputs else 0))
        if self.abort:
            return False
        done = False
        try:
            self.kv.make_room(sum(n for _, n in parts))
            done = self._native.decode(rows)
        finally:
            for (strand, _), row in zip(parts, rows, strict=True):
                assert strand.branch is not None
                if done:
                    self.kv.extend(strand.branch, row.tokens)
                else:
                    self.kv.trim(strand.branch, row.position)
        return done

    def logits(self, i: int) -> Floats:
        """A view of the logits behind token `i` of the last decode; valid until the next."""
        return self._native.logits(i)

    def close(self) -> None:
        self._native.close()


@dataclass(eq=False)
class Strand:
    """Tokens to be continued, and the branch of the cache that holds a part of them."""

    tokens: list[int]
    branch: Branch | None = None

    def split(self, token: int) -> Strand:
        return Strand([*self.tokens, token])


@dataclass(eq=False)
class _Sequence:
    """One continuation on its way; shares its strands with others until its first token."""

    strands: list[Strand]
    text: GeneratedText
    chooser: Chooser
    guidance_scale: float
    typed: bytes
    """What the next tokens have to repeat."""


class Generation:
    """Continuations, decoded in one batch; one that has ended leaves it."""

    def __init__(self, engine: LlamaEngine, continuations: Sequence[Continuation]) -> None:
        self._engine = engine
        self._usage: dict[Strand, Usage] = {}
        self._n_generated = 0
        self._tokenize = cache(engine.tokenize)  # continuations of one prompt tokenise it once
        strands: dict[tuple[int, ...], Strand] = {}
        self._alive = [
            self._sequence(i, continuation, strands) for i, continuation in enumerate(continuations)
        ]
        self._prompts = list(strands.values())
        if sum(len(sequence.strands) for sequence in self._alive) > MAX_STRANDS:
            raise ModelError(f"more than {MAX_STRANDS} continuations at once")

    @property
    def usage(self) -> Usage:
        return _total(self._usage.values(), self._n_generated)

    @property
    def is_done(self) -> bool:
        return not self._alive

    def step(self) -> list[Line | Finished]:
        strands = list(dict.fromkeys(s for sequence in self._alive for s in sequence.strands))
        for strand in strands:
            n = len(strand.tokens) - 1
            if strand in self._prompts and strand not in self._usage:
                n_reused = len(self._engine.attach(strand, n))
                self._usage[strand] = Usage(n + 1 - n_reused, n_reused)
            if not self._engine.read_up_to(strand, n):
                return []
        if not self._engine.decode([(strand, 1) for strand in strands], with_outputs=True):
            return []
        rows = {strand: i for i, strand in enumerate(strands)}
        events: list[Line | Finished] = []
        for sequence in list(self._alive):
            events += self._advance(sequence, [rows[strand] for strand in sequence.strands])
        return events

    def pause(self) -> None:
        for sequence in self._alive:
            for strand in sequence.strands:
                self._engine.release(strand)

    def _sequence(
        self, i: int, continuation: Continuation, strands: dict[tuple[int, ...], Strand]
    ) -> _Sequence:
        signal = continuation.signal
        prompts = [continuation.prompt] if signal is None else [continuation.prompt, signal]
        n_more = continuation.stop.max_tokens
        tokens = [self._tokenize(prompt, n_more) for prompt in prompts]
        last = continuation.prompt.parts[-1] if continuation.prompt.parts else ""
        before = "" if isinstance(last, Marker | Control) else last
        starts_line = before == "" or before.endswith("\n")
        typed = b""
        if continuation.heal and not starts_line:
            tokens, typed = self._without_last(tokens)
        return _Sequence(
            strands=[strands.setdefault(tuple(prompt), Strand([*prompt])) for prompt in tokens],
            text=GeneratedText(continuation.stop, i, starts_line=starts_line),
            chooser=Chooser(continuation.sampling),
            guidance_scale=continuation.guidance_scale,
            typed=typed,
        )

    def _without_last(self, tokens: list[list[int]]) -> tuple[list[list[int]], bytes]:
        """The prompts without their last token, and its text; unchanged where they disagree on it."""
        last = {prompt[-1] for prompt in tokens}
        typed = self._engine.vocabulary.pieces[tokens[0][-1]]
        if len(last) > 1 or not typed or any(len(prompt) < 2 for prompt in tokens):
            return tokens, b""
        return [prompt[:-1] for prompt in tokens], typed

    def _advance(self, sequence: _Sequence, rows: list[int]) -> list[Line | Finished]:
        """Choose a sequence's next token; its lines that are complete by it, and its end."""
        token, log_probability = self._chosen(sequence, rows)
        self._n_generated += 1
        vocabulary, text = self._engine.vocabulary, sequence.text
        if vocabulary.is_end(token):
            lines = text.end()
        else:
            piece = vocabulary.pieces[token]
            typed, sequence.typed = sequence.typed, sequence.typed[len(piece) :]
            lines = text.push(piece[len(typed) :], log_probability)
        if text.reason is None:
            self._append(sequence, token)
            return list(lines)
        self._alive.remove(sequence)
        for strand in sequence.strands:
            if not self._is_shared(strand):
                self._engine.release(strand)
        return [*lines, Finished(text.index, text.reason)]

    def _append(self, sequence: _Sequence, token: int) -> None:
        # A signal that equals its prompt has the same strand.
        for strand in set(sequence.strands):
            if self._is_shared(strand, but=sequence):
                split = strand.split(token)
                sequence.strands = [split if s is strand else s for s in sequence.strands]
            else:
                strand.tokens.append(token)

    def _is_shared(self, strand: Strand, but: _Sequence | None = None) -> bool:
        return any(strand in other.strands for other in self._alive if other is not but)

    def _chosen(self, sequence: _Sequence, rows: list[int]) -> tuple[int, float]:
        """The next token of a sequence and its log-probability."""
        first, second, mixed, scratch = self._engine.scratch
        logits = self._engine.logits(rows[0])
        if len(rows) > 1:
            prior = log_softmax(logits, first, scratch)
            signal = log_softmax(self._engine.logits(rows[1]), second, scratch)
            logits = guided(prior, signal, sequence.guidance_scale, mixed)
        if not sequence.typed:
            token = sequence.chooser.choose(logits, scratch)
            return token, log_probability(logits, token, scratch)
        agreeing = self._engine.vocabulary.index.agreeing(sequence.typed)
        among = logits[agreeing]
        i = sequence.chooser.choose(among, scratch[: len(among)])
        return int(agreeing[i]), log_probability(among, i, scratch[: len(among)])


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
        row, scratch = 0, self._engine.scratch[3]
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


def _total(prompts: Iterable[Usage], n_generated: int) -> Usage:
    each = list(prompts)
    return Usage(sum(u.n_read for u in each), sum(u.n_reused for u in each), n_generated)
