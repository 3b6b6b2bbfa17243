"""What the engine's answers are compared with: naive greedy decoding of tiny models.

All tokens are read anew for each next one. Answers are compared where the best token leads by
`MARGIN`, logits within `EPSILON`: the order of floating-point sums depends on what shares a batch.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt

from egcfg_lsp.model import Continuation, Finished, Line, Stop, StopReason, Token
from egcfg_lsp.model.llama.engine import LlamaEngine, drive
from egcfg_lsp.model.llama.native import BATCH_TOKENS, MAX_SEQUENCES, NativeModel, Row
from egcfg_lsp.model.llama.strands import Strand
from egcfg_lsp.prompt import Prompt
from egcfg_lsp.settings import ModelOptions

# Flash attention keeps its sums in f16: the noise is fifty times larger with it.
OPTIONS = ModelOptions(context_tokens=1024, threads=1, flash_attention=False)
EPSILON, MARGIN = 0.02, 0.06
N_TOKENS = 16

Logits = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What became of one continuation."""

    text: str
    log_probabilities: tuple[float, ...]
    reason: StopReason

    def agrees_with(self, other: Answer) -> bool:
        same = (self.text, self.reason) == (other.text, other.reason)
        scores = self.log_probabilities, other.log_probabilities
        return same and len(scores[0]) == len(scores[1]) and np.allclose(*scores, atol=EPSILON)


class Reference:
    """Naive decoding in one sequence, from the first token on each time."""

    def __init__(self, path: Path) -> None:
        self.native = NativeModel(path, OPTIONS)
        self._logits: dict[tuple[int, ...], Logits] = {}

    def tokens(self, prompt: Prompt) -> list[int]:
        return self.native.vocabulary.tokenize(prompt)

    def logits(self, tokens: Sequence[int]) -> Logits:
        """Behind the last of the tokens."""
        key = tuple(tokens)
        if key not in self._logits:
            self.native.drop(0)
            for start in range(0, len(key), BATCH_TOKENS):
                assert self.native.decode([Row(0, start, key[start : start + BATCH_TOKENS], 1)])
            self._logits[key] = self.native.logits((len(key) - 1) % BATCH_TOKENS).astype(np.float64)
        return self._logits[key]

    def log_probabilities(self, tokens: Sequence[int]) -> Logits:
        logits = self.logits(tokens)
        return np.asarray(logits - np.logaddexp.reduce(logits))

    def choices(self, continuation: Continuation) -> list[Token]:
        """The tokens of an answer that only the end token or the budget ends; their `end` is 0."""
        pieces = self.native.vocabulary.pieces
        prior, signal, typed = self._prompts(continuation)
        chosen = list(continuation.begins)
        written = b"".join(pieces[token.id] for token in chosen)
        while len(chosen) < continuation.stop.max_tokens:
            if chosen and self._is_end(chosen[-1].id):
                break
            ids = [token.id for token in chosen]
            first = self.log_probabilities(prior + ids)
            second = self.log_probabilities(signal + ids)
            scale = continuation.guidance_scale if continuation.signal else 0
            mixed = first + scale * (second - first)
            left = typed[len(written) :]
            if left:
                agree = [bool(p) and (p.startswith(left) or left.startswith(p)) for p in pieces]
                mixed = np.where(agree, mixed, -np.inf)
            if continuation.plausibility and continuation.signal:
                least = np.log(continuation.plausibility)
                among = [np.where(mixed > -np.inf, p, -np.inf) for p in (first, second)]
                kept = [p >= p.max() + least for p in among]
                mixed = np.where(kept[0] | kept[1], mixed, -np.inf)
            mixed -= np.logaddexp.reduce(mixed)
            runner_up, token = (int(i) for i in np.argsort(mixed)[-2:])
            margin = float(mixed[token] - mixed[runner_up])
            is_known = np.isfinite(margin)
            chosen.append(
                Token(token, float(mixed[token]), 0, runner_up if is_known else None, margin)
            )
            written += pieces[token]
        return chosen

    def answer(self, continuation: Continuation) -> tuple[Answer, float]:
        """A greedy answer that only the end token or the budget ends, and its smallest margin."""
        tokens = self.choices(continuation)
        margin = min((t.margin for t in tokens[len(continuation.begins) :]), default=np.inf)
        reason = StopReason.END if self._is_end(tokens[-1].id) else StopReason.BUDGET
        if reason is StopReason.END:
            tokens.pop()
        written = b"".join(self.native.vocabulary.pieces[token.id] for token in tokens)
        text = written[len(self._prompts(continuation)[2]) :].decode(errors="replace")
        return Answer(text, tuple(token.log_probability for token in tokens), reason), margin

    def _prompts(self, continuation: Continuation) -> tuple[list[int], list[int], bytes]:
        """Those of prior and signal, without what is healed, and the healed text."""
        prompts = [continuation.prompt, continuation.signal or continuation.prompt]
        prior, signal = map(self.tokens, prompts)
        typed = b""
        if continuation.heal and prior[-1] == signal[-1]:
            assert not str(continuation.prompt.parts[-1]).endswith("\n")
            typed = self.native.vocabulary.pieces[prior.pop()]
            signal.pop()
        return prior, signal, typed

    def _is_end(self, token: int) -> bool:
        return bool(token == llama.llama_vocab_eos(self.native.vocabulary._vocab))

    def score(self, prompt: Prompt, text: str) -> list[float]:
        tokens, scores = self.tokens(prompt), []
        for token in self.native.vocabulary.text_tokens(text):
            scores.append(float(self.log_probabilities(tokens)[token]))
            tokens.append(token)
        return scores


def clear(reference: Reference, continuations: Iterable[Continuation]) -> Iterator[Continuation]:
    """Those whose answer does not hang on the last digits."""
    return (c for c in continuations if reference.answer(c)[1] > MARGIN)


@dataclass
class Model:
    """A tiny model, with requests whose answers are clear."""

    path: Path
    reference: Reference
    continuations: list[Continuation]
    """Eight with clear answers, `N_TOKENS` tokens each."""
    guided: list[Continuation]
    """Two, with a signal."""
    long: list[Continuation]
    """Three of more than two batches, the second and the third with a common beginning."""


VERBS = ("area", "price", "count", "total", "value", "name")
FILLER = "".join(f"def {a}_{b}(self, radius):\n    return {b}\n" for a in VERBS for b in VERBS)


def short_prompts() -> Iterator[Continuation]:
    for a in VERBS:
        for b in VERBS:
            for text in (
                f"def {a}({b}):\n    return",
                f"class {a}:\n    {b} = 1\n    def",
                f"{a}.{b}",
            ):
                yield Continuation(Prompt((text,)), Stop(N_TOKENS))


def long_prompts(head: str) -> Iterator[Continuation]:
    return (replace(c, prompt=Prompt((head + str(c.prompt.parts[0]),))) for c in short_prompts())


def signalled() -> Iterator[Continuation]:
    for c in short_prompts():
        signal = Prompt(("# returns 1\n" + str(c.prompt.parts[0]),))
        for scale in (0.5, 1.5):
            yield replace(c, signal=signal, guidance_scale=scale)


def tiny(path: Path) -> Model:
    reference = Reference(path)
    return Model(
        path,
        reference,
        continuations=some(reference, short_prompts(), 8),
        guided=some(reference, signalled(), 2),
        long=[
            *some(reference, long_prompts(FILLER[:700]), 1),
            *some(reference, long_prompts("import price\n" + FILLER[:600]), 2),
        ],
    )


def begun(reference: Reference, continuation: Continuation, n: int) -> Continuation:
    """With the first tokens of its answer told; the answer is the same."""
    return replace(continuation, begins=tuple(reference.choices(continuation)[:n]))


def guessed(reference: Reference, continuation: Continuation, seed: int) -> Continuation:
    """With guesses that are right, wrong from somewhere on, nonsense, or take turns."""
    chance = random.Random(seed)
    right = [token.id for token in reference.choices(continuation)]
    n_tokens = reference.native.vocabulary.n_tokens

    def some(n: int) -> list[int]:
        return [chance.randrange(n_tokens) for _ in range(n)]

    guesses = []
    for _ in range(chance.randint(1, 4)):
        n = chance.randint(0, len(right))
        kind = chance.randrange(4)
        guesses.append([right, right[:n], right[:n] + some(chance.randint(1, 9)), some(3)][kind])
    return replace(continuation, guesses=tuple(map(tuple, guesses)))


def some(reference: Reference, those: Iterable[Continuation], n: int) -> list[Continuation]:
    found = [c for c, _ in zip(clear(reference, those), range(n), strict=False)]
    assert len(found) == n
    return found


def collected(events: Iterable[Line | Finished], n: int) -> list[Answer]:
    """Answers of `n` continuations; each has to end once, with nothing behind its end."""
    lines: list[list[Line]] = [[] for _ in range(n)]
    reasons: dict[int, StopReason] = {}
    for event in events:
        assert event.index not in reasons
        if isinstance(event, Line):
            lines[event.index].append(event)
        else:
            reasons[event.index] = event.reason
    for those in lines:
        assert all(line.text.endswith("\n") for line in those[:-1])
        assert not any("\n" in line.text[:-1] for line in those)
    return [
        Answer(
            "".join(line.text for line in lines[i]),
            tuple(p for line in lines[i] for p in line.log_probabilities),
            reasons[i],
        )
        for i in range(n)
    ]


def answers(engine: LlamaEngine, continuations: Sequence[Continuation]) -> list[Answer]:
    return collected(drive(engine.generate(continuations)), len(continuations))


def answer(engine: LlamaEngine, continuation: Continuation) -> Answer:
    return answers(engine, [continuation])[0]


def expected(reference: Reference, continuation: Continuation) -> Answer:
    """The reference's answer without the unfinished line of one that the budget ended."""
    whole, _ = reference.answer(continuation)
    if whole.reason is StopReason.END:
        return whole
    return replace(whole, text=whole.text[: whole.text.rfind("\n") + 1])


def check_answer(reference: Reference, continuation: Continuation, got: Answer) -> None:
    wanted = expected(reference, continuation)
    assert (got.text, got.reason) == (wanted.text, wanted.reason)
    scores = wanted.log_probabilities[: len(got.log_probabilities)]
    np.testing.assert_allclose(got.log_probabilities, scores, atol=EPSILON)
    if got.reason is StopReason.END:
        # The end token has a log-probability of its own, but no line it could stand in.
        assert len(got.log_probabilities) == len(wanted.log_probabilities)


def logits_of(engine: LlamaEngine, tokens: list[int]) -> Logits:
    """Behind the last token, through whatever the cache holds."""
    strand = Strand(tokens)
    while not engine.read_up_to(strand, len(tokens) - 1):
        pass
    assert engine.decode([(strand, 1)], with_outputs=True)
    logits = engine.logits(0).astype(np.float64)
    engine.release(strand)
    return logits


def check_cache(engine: LlamaEngine) -> None:
    """The tree and llama.cpp agree on what is cached, and it is not more than there is room for."""
    memory = engine._native._memory
    lengths = {branch.sequence: len(branch) for branch in engine.kv.branches}
    for sequence in range(MAX_SEQUENCES):
        last = llama.llama_memory_seq_pos_max(memory, sequence)
        assert last + 1 == lengths.get(sequence, 0)
    assert engine.kv.n_used <= engine.info.n_context


def check_scores(
    reference: Reference, prompt: Prompt, texts: Sequence[str], got: list[list[float]]
) -> None:
    for text, scores in zip(texts, got, strict=True):
        np.testing.assert_allclose(scores, reference.score(prompt, text), atol=EPSILON)
