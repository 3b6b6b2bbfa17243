"""Continuations of prompts, decoded in one batch: begun, chosen token by token, or guessed and verified.

A continuation has a strand for its prompt and one for its signal, where both count. Tokens that it
begins with are pushed through its text and appended to its strands before anything is decoded.
Guessed tokens are read behind a strand's last one in the same decode: what follows each of them is
known then, so those that would have been chosen are chosen at once, and the rest is taken out of the
cache again. Knows nothing of processes, and not where guesses come from.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from egcfg_lsp.guidance.cfg import guided, plausible
from egcfg_lsp.model import Continuation, Finished, Line, ModelError, Token, Usage
from egcfg_lsp.model.llama.kv import CacheFullError
from egcfg_lsp.model.llama.logits import Chooser, Floats, TokenIds, log_probability, runner_up
from egcfg_lsp.model.llama.strands import MAX_STRANDS, Strand
from egcfg_lsp.model.llama.text import GeneratedText
from egcfg_lsp.prompt import Control, Marker, Prompt

if TYPE_CHECKING:
    from egcfg_lsp.model.llama.engine import LlamaEngine

ROWS_A_PASS = 16
"""Tokens of a decode with guesses, of all strands together.

Measured with the default model on two cores, in decodes of one token: 2 cost 2.4, 8 cost 3.7, 16 cost
4.6, 32 cost 8.3.
"""
ROWS_AT_ONCE = 4
"""llama.cpp multiplies by so many rows at a time on a CPU; one left over costs as much as four.

Measured so: 14 rows cost 5.4 decodes of one token, 16 cost 4.5.
"""
REJOINING = 2
"""Tokens by which an answer that has parted from a guess is found to have come back to one."""


@dataclass(eq=False)
class _Sequence:
    """One continuation on its way; shares its strands with others until its first token."""

    strands: list[Strand]
    text: GeneratedText
    chooser: Chooser
    asked: Continuation
    typed: bytes
    """What the next tokens have to repeat."""
    tokens: list[int] = field(default_factory=list)
    """Of the answer."""


class Generation:
    """Continuations, decoded in one batch; one that has ended leaves it."""

    def __init__(self, engine: LlamaEngine, continuations: Sequence[Continuation]) -> None:
        self.n_guessed = 0
        """Guessed tokens that were read."""
        self.n_guessed_right = 0
        self._engine = engine
        self._usage: dict[Strand, Usage] = {}
        self._n_generated = 0
        self._begun: list[Line | Finished] = []
        """What came of the tokens that the continuations begin with, until it is told."""
        self._alive: list[_Sequence] = []
        self._tokenize = cache(engine.tokenize)  # continuations of one prompt tokenise it once
        strands: dict[tuple[int, ...], Strand] = {}
        for i, continuation in enumerate(continuations):
            self._begin(i, continuation, strands)
        self._unread = set(strands.values())
        if sum(len(sequence.strands) for sequence in self._alive) > MAX_STRANDS:
            raise ModelError(f"more than {MAX_STRANDS} continuations at once")

    @property
    def usage(self) -> Usage:
        return _total(self._usage.values(), self._n_generated)

    @property
    def is_done(self) -> bool:
        return not self._alive and not self._begun

    def step(self) -> list[Line | Finished]:
        if self._begun:
            begun, self._begun = self._begun, []
            return begun
        strands = list(dict.fromkeys(s for sequence in self._alive for s in sequence.strands))
        for strand in strands:
            n = len(strand.tokens) - 1
            if strand in self._unread:
                self._unread.remove(strand)
                n_reused = len(self._engine.attach(strand, n))
                self._usage[strand] = Usage(n + 1 - n_reused, n_reused)
            if not self._engine.read_up_to(strand, n):
                return []
        return self._decoded(strands)

    def pause(self) -> None:
        for sequence in self._alive:
            for strand in sequence.strands:
                self._engine.release(strand)

    def _begin(
        self, i: int, continuation: Continuation, strands: dict[tuple[int, ...], Strand]
    ) -> None:
        """Take up a continuation, with the tokens that it begins with."""
        starts_line = _starts_line(continuation.prompt)
        tokens, typed = self._prompts(continuation, heal=continuation.heal and not starts_line)
        sequence = _Sequence(
            strands=[],
            text=GeneratedText(continuation.stop, i, starts_line=starts_line),
            chooser=Chooser(continuation.sampling),
            asked=continuation,
            typed=typed,
        )
        ids = [token.id for token in continuation.begins]
        self._check(sequence, ids)
        for token in continuation.begins:
            self._begun += self._taken(sequence, token)
            if sequence.text.reason is not None:
                return
        sequence.strands = [
            strands.setdefault((*prompt, *ids), Strand([*prompt, *ids])) for prompt in tokens
        ]
        self._alive.append(sequence)

    def _prompts(self, continuation: Continuation, *, heal: bool) -> tuple[list[list[int]], bytes]:
        """The tokens of prompt and signal, so far as they count, and the text that was taken back."""
        prompts = [continuation.prompt]
        if continuation.signal is not None:
            prompts.append(continuation.signal)
        tokens = [self._tokenize(prompt, continuation.stop.max_tokens) for prompt in prompts]
        typed = b""
        if heal:
            tokens, typed = self._without_last(tokens)
        if len(tokens) > 1 and continuation.plausibility == 0:
            # At γ = 0 and γ = 1 one of the two says nothing.
            tokens = {0.0: tokens[:1], 1.0: tokens[1:]}.get(continuation.guidance_scale, tokens)
        return tokens, typed

    def _without_last(self, tokens: list[list[int]]) -> tuple[list[list[int]], bytes]:
        """The prompts without their last token, and its text; unchanged where they disagree on it."""
        last = {prompt[-1] for prompt in tokens}
        typed = self._engine.vocabulary.pieces[tokens[0][-1]]
        if len(last) > 1 or not typed or any(len(prompt) < 2 for prompt in tokens):
            return tokens, b""
        return [prompt[:-1] for prompt in tokens], typed

    def _check(self, sequence: _Sequence, begins: list[int]) -> None:
        """Tokens from outside: such as the model has, and begun ones that repeat what is typed."""
        vocabulary = self._engine.vocabulary
        given = itertools.chain(begins, *sequence.asked.guesses)
        if not all(0 <= token < vocabulary.n_tokens for token in given):
            raise ModelError("the model has no such token")
        written = b"".join(vocabulary.pieces[token] for token in begins)
        n = min(len(written), len(sequence.typed))
        if written[:n] != sequence.typed[:n]:
            raise ModelError("the answer begins with tokens that contradict the prompt")

    def _decoded(self, strands: list[Strand]) -> list[Line | Finished]:
        """Read the last token of each strand, and guesses behind it; what comes of it."""
        guesses = self._guesses(len(strands))
        behind = _behind(guesses, len(strands))
        parts = [(strand, 1) for strand in strands]
        try:
            done = self._engine.decode(parts, with_outputs=True, guesses=behind)
        except CacheFullError:
            if not guesses:
                raise
            guesses, behind = {}, {}
            done = self._engine.decode(parts, with_outputs=True)
        if not done:
            return []
        n_rows = [1 + len(behind.get(strand, ())) for strand in strands]
        rows = dict(zip(strands, itertools.accumulate(n_rows, initial=0), strict=False))
        events: list[Line | Finished] = []
        for sequence in list(self._alive):
            first_rows = [rows[strand] for strand in sequence.strands]
            n_behind = len(behind.get(sequence.strands[0], ()))
            events += self._advance(sequence, first_rows, guesses.get(sequence, ()), n_behind)
        return events

    def _guesses(self, n_strands: int) -> dict[_Sequence, tuple[int, ...]]:
        """What is read behind the last tokens of the sequences that have a guess."""
        if not self._engine.info.trims:
            return {}
        n_at_most = max(ROWS_A_PASS // n_strands - 1, 0)
        guesses = {sequence: self._guess(sequence, n_at_most) for sequence in self._alive}
        return {sequence: guess for sequence, guess in guesses.items() if guess}

    def _guess(self, sequence: _Sequence, n_at_most: int) -> tuple[int, ...]:
        """What is guessed to follow a sequence, so far as something may follow that."""
        is_alone = not any(self._is_shared(strand, but=sequence) for strand in sequence.strands)
        if not sequence.asked.guesses or not sequence.chooser.is_greedy or not is_alone:
            return ()
        vocabulary, stop = self._engine.vocabulary, sequence.text.stop
        n = min(n_at_most, stop.max_tokens - sequence.text.n_tokens - 1)
        guess = following(sequence.asked.guesses, sequence.tokens)[: max(n, 0)]
        for i, token in enumerate(guess):
            ends_line = stop.at_line_end and b"\n" in vocabulary.pieces[token]
            if ends_line or vocabulary.is_end(token):
                return guess[:i]
        return guess

    def _advance(
        self, sequence: _Sequence, rows: list[int], guess: tuple[int, ...], n_behind: int
    ) -> list[Line | Finished]:
        """Choose a sequence's next token, and as many more as were guessed right.

        `rows` are those of the last decode for its strands' last tokens; the guess's follow them.
        `n_behind` tokens were read behind the last ones.
        """
        events: list[Line | Finished] = []
        strands, n_right = set(sequence.strands), 0
        for i, guessed in enumerate((*guess, None)):
            token = self._chosen(sequence, [row + i for row in rows])
            self._n_generated += 1
            events += self._taken(sequence, token)
            n_right += token.id == guessed
            if token.id != guessed or sequence.text.reason is not None:
                break
        for strand in strands:
            self._engine.forget(strand, n_behind - n_right)
        self.n_guessed += len(guess)
        self.n_guessed_right += n_right
        if sequence.text.reason is not None:
            self._alive.remove(sequence)
            for strand in sequence.strands:
                if not self._is_shared(strand):
                    self._engine.release(strand)
        return events

    def _taken(self, sequence: _Sequence, token: Token) -> list[Line | Finished]:
        """Append a token to a sequence: lines that are complete by it, and the end, if it is one."""
        vocabulary, text = self._engine.vocabulary, sequence.text
        if vocabulary.is_end(token.id):
            lines = text.end(token)
        else:
            piece = vocabulary.pieces[token.id]
            typed, sequence.typed = sequence.typed, sequence.typed[len(piece) :]
            lines = text.push(piece[len(typed) :], token)
        if text.reason is not None:
            return [*lines, text.finished]
        sequence.tokens.append(token.id)
        self._append(sequence, token.id)
        return list(lines)

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

    def _chosen(self, sequence: _Sequence, rows: list[int]) -> Token:
        """The next token of a sequence."""
        logits, ids = self._distribution(sequence, rows)
        scratch = self._engine.scratch[1][: len(logits)]
        i = sequence.chooser.choose(logits, scratch)
        second, margin = runner_up(logits, i) if sequence.chooser.is_greedy else (None, math.inf)
        if ids is not None:
            second = None if second is None else int(ids[second])
        token = i if ids is None else int(ids[i])
        return Token(token, log_probability(logits, i, scratch), runner_up=second, margin=margin)

    def _distribution(self, sequence: _Sequence, rows: list[int]) -> tuple[Floats, TokenIds | None]:
        """Logits of the tokens that may come next, and which these are; None for all of them."""
        logits = [self._engine.logits(row) for row in rows]
        ids: TokenIds | None = None
        if sequence.typed:
            ids = self._engine.vocabulary.index.agreeing(sequence.typed)
            logits = [all_[ids] for all_ in logits]
        if len(logits) == 1:
            return logits[0], ids
        # Of logits the formula gives what it gives of log-probabilities, but for a constant.
        prior, signal = logits
        if sequence.asked.plausibility > 0:
            out, scratch = (mask[: len(prior)] for mask in self._engine.masks)
            mask = plausible(prior, signal, sequence.asked.plausibility, out, scratch)
            kept = np.flatnonzero(mask)
            ids = kept if ids is None else ids[kept]
            prior, signal = prior[kept], signal[kept]
        out = self._engine.scratch[0][: len(prior)]
        return guided(prior, signal, sequence.asked.guidance_scale, out), ids


def _behind(
    guesses: Mapping[_Sequence, tuple[int, ...]], n_strands: int
) -> dict[Strand, tuple[int, ...]]:
    """What each strand is read with behind its last token: guesses, and what makes the rows even."""
    behind = {strand: guess for sequence, guess in guesses.items() for strand in sequence.strands}
    n_rows = n_strands + sum(len(guess) for guess in behind.values())
    for sequence, guess in guesses.items():
        strands = set(sequence.strands)
        for n in range(ROWS_AT_ONCE):
            if (n_rows + n * len(strands)) % ROWS_AT_ONCE == 0:
                return behind | dict.fromkeys(strands, guess + n * guess[-1:])
    return behind


def following(guesses: Sequence[tuple[int, ...]], tokens: Sequence[int]) -> tuple[int, ...]:
    """What stands behind the tokens in the first guess that begins with them and goes on.

    If there is none, what stands in the first guess behind the last `REJOINING` of them.
    """
    begin, n = tuple(tokens), len(tokens)
    for guess in guesses:
        if len(guess) > n and guess[:n] == begin:
            return guess[n:]
    last = begin[-REJOINING:]
    for guess in guesses if n >= REJOINING else ():
        for end in range(REJOINING, len(guess)):
            if guess[end - REJOINING : end] == last:
                return guess[end:]
    return ()


def _starts_line(prompt: Prompt) -> bool:
    """Whether what follows the prompt stands at a line's start."""
    last = prompt.parts[-1] if prompt.parts else ""
    return isinstance(last, Marker | Control) or last == "" or last.endswith("\n")


def _total(prompts: Iterable[Usage], n_generated: int) -> Usage:
    each = list(prompts)
    return Usage(sum(u.n_read for u in each), sum(u.n_reused for u in each), n_generated)
