"""Answers that begin with given tokens, runners-up, and guesses, on tiny models against a naive reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egcfg_lsp.model import (
    Continuation,
    Finished,
    Line,
    ModelError,
    Sampling,
    Stop,
    StopReason,
    Token,
)
from egcfg_lsp.model.llama.engine import Job, LlamaEngine, drive
from egcfg_lsp.model.llama.generation import ROWS_A_PASS, Generation, following
from egcfg_lsp.model.llama.native import Row
from egcfg_lsp.model.llama.strands import Strand
from egcfg_lsp.prompt import Prompt
from tests.support.gguf_models import tiny_model
from tests.support.reference import (
    EPSILON,
    FILLER,
    MARGIN,
    N_TOKENS,
    OPTIONS,
    Model,
    answer,
    answers,
    begun,
    check_answer,
    check_cache,
    clear,
    collected,
    guessed,
    logits_of,
    short_prompts,
    signalled,
    tiny,
)


def told(events: Sequence[Line | Finished], index: int = 0) -> list[Token]:
    """All tokens of an answer, its end token too."""
    return [token for event in events if event.index == index for token in event.tokens]


def all_of(model: Model) -> list[Continuation]:
    return [*model.continuations, *model.guided, *model.long]


# What nearly stood in a token's place.


def test_runners_up_and_margins_are_the_reference_s(model: Model, engine: LlamaEngine) -> None:
    n_compared = n_healed = 0
    for continuation in all_of(model):
        wanted = model.reference.choices(continuation)
        got = told(list(drive(engine.generate([continuation]))))
        assert [token.id for token in got] == [token.id for token in wanted]
        for mine, theirs in zip(got, wanted, strict=True):
            assert mine.margin == pytest.approx(theirs.margin, abs=2 * EPSILON)
            assert mine.log_probability == pytest.approx(theirs.log_probability, abs=EPSILON)
            n_compared += mine.runner_up == theirs.runner_up
        n_healed += got[0].end == 0
    assert n_compared > 100
    assert n_healed > 0, "typed text is no part of the answer"


def test_ends_cut_the_text_at_tokens(model: Model, engine: LlamaEngine) -> None:
    pieces = engine.vocabulary.pieces
    for continuation in (replace(c, heal=False, stop=Stop(60)) for c in model.continuations):
        events = list(drive(engine.generate([continuation])))
        text, n_bytes = "".join(e.text for e in events if isinstance(e, Line)), 0
        whole = b"".join(pieces[t.id] for t in told(events) if not engine.vocabulary.is_end(t.id))
        assert whole.decode(errors="replace").startswith(text)
        for token in told(events):
            n_bytes += 0 if engine.vocabulary.is_end(token.id) else len(pieces[token.id])
            if b"\xff" not in whole and whole[:n_bytes].isascii():
                assert token.end == n_bytes


def test_sampled_tokens_have_no_runner_up(model: Model, engine: LlamaEngine) -> None:
    sampling = Sampling(temperature=0.7, seed=3)
    tokens = told(
        list(drive(engine.generate([replace(model.continuations[0], sampling=sampling)])))
    )
    assert {(token.runner_up, token.margin) for token in tokens} == {(None, math.inf)}


def test_masked_guidance_is_the_reference_s(model: Model, engine: LlamaEngine) -> None:
    n_compared, n_alone = 0, 0
    for continuation in signalled():
        masked = replace(
            continuation,
            plausibility=0.3,
            guidance_scale=3.0,
            stop=Stop(8),
            heal=n_compared % 2 == 0,
        )
        if model.reference.answer(masked)[1] > MARGIN and n_compared < 12:
            check_answer(model.reference, masked, answer(engine, masked))
            n_alone += sum(t.runner_up is None for t in model.reference.choices(masked))
            n_compared += 1
    assert n_compared == 12
    assert n_alone > 0, "the mask leaves one token"


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_branch_that_says_nothing_is_not_read(
    model: Model, engine: LlamaEngine, scale: float
) -> None:
    prior, signal = (c.prompt for c in model.long[:2])
    n = len(model.reference.tokens(signal if scale else prior))
    for plausibility in (0.0, 0.2):
        engine.kv.clear()
        guided = replace(
            model.long[0], signal=signal, guidance_scale=scale, plausibility=plausibility
        )
        job = engine.generate([guided])
        (got,) = collected(list(drive(job)), 1)
        if model.reference.answer(guided)[1] > MARGIN:
            check_answer(model.reference, guided, got)
        assert (job.usage.n_read <= n) == (plausibility == 0)


# Answers that begin with given tokens.


def branches(model: Model, continuation: Continuation) -> Iterator[Continuation]:
    """Forks of an answer: at every token its runner-up, and all tokens up to each."""
    tokens = model.reference.choices(continuation)
    for n, token in enumerate(tokens):
        yield replace(continuation, begins=tuple(tokens[:n]))
        if token.runner_up is not None:
            forked = Token(token.runner_up, token.log_probability - token.margin)
            yield replace(continuation, begins=(*tokens[:n], forked))


def endless(model: Model) -> tuple[Continuation, tuple[Token, ...]]:
    """A long continuation that the budget ends, and its tokens."""
    each = ((c, tuple(model.reference.choices(c))) for c in (*model.long, *model.continuations))
    return next(
        (c, tokens)
        for c, tokens in each
        if model.reference.answer(c)[0].reason is StopReason.BUDGET
    )


def test_branches_are_those_of_the_reference(model: Model, engine: LlamaEngine) -> None:
    n_compared = 0
    for continuation in all_of(model):
        for branch in branches(model, continuation):
            if model.reference.answer(branch)[1] > MARGIN:
                check_answer(model.reference, branch, answer(engine, branch))
                n_compared += 1
        check_cache(engine)
    assert n_compared > 100


def test_branches_of_a_draft_in_one_batch(model: Model, engine: LlamaEngine) -> None:
    draft = model.long[1]
    clear = [b for b in branches(model, draft) if model.reference.answer(b)[1] > MARGIN]
    assert len(clear) > 10
    if not engine.info.trims:  # each branch reads the prompt anew
        clear = clear[:2]
    for batch in (clear, clear[::-1], [*clear[::3], model.guided[0]]):
        engine.kv.clear()
        for continuation, got in zip(batch, answers(engine, batch), strict=True):
            check_answer(model.reference, continuation, got)
        check_cache(engine)


def test_behind_a_draft_a_branch_reads_what_differs(transformer: Path) -> None:
    engine = LlamaEngine(transformer, OPTIONS)
    draft = Continuation(Prompt((FILLER[:600] + "price",)), Stop(N_TOKENS))
    tokens = told(list(drive(engine.generate([draft]))))
    forks = [n for n, token in enumerate(tokens) if token.runner_up is not None][:6]
    assert len(forks) == 6
    n_used = engine.kv.n_used
    batch = []
    for n in forks:
        runner_up = tokens[n].runner_up
        assert runner_up is not None
        batch.append(replace(draft, begins=(*tokens[:n], Token(runner_up, -1.0))))
    job = engine.generate(batch)
    list(drive(job))
    assert job.usage.n_read == len(batch)
    assert job.usage.n_generated <= len(batch) * N_TOKENS - sum(n + 1 for n in forks)
    assert engine.kv.n_used <= n_used + len(batch) + job.usage.n_generated
    engine.close()


def test_branches_share_what_none_has_read(model: Model, engine: LlamaEngine) -> None:
    """Without a draft in the cache the prompt is read once, and so is each begun token."""
    draft, tokens = endless(model)
    n = len(model.reference.tokens(draft.prompt)) - 1
    batch = [replace(draft, begins=tokens[:k], stop=Stop(k + 1)) for k in (3, 9, 6)]
    job = engine.generate(batch)
    list(drive(job))
    if engine.info.trims:
        assert job.usage.n_read <= n + 9 + len(batch)
    assert job.usage.n_generated == len(batch)


@pytest.mark.parametrize("n", [0, 1, 5, N_TOKENS])
def test_begun_tokens_count_in_the_budget(model: Model, engine: LlamaEngine, n: int) -> None:
    continuation, tokens = endless(model)
    whole = replace(continuation, begins=tokens, stop=Stop(max(n, 1)))
    job = engine.generate([whole])
    events = list(drive(job))
    assert [t.id for t in told(events)] == [t.id for t in tokens[: max(n, 1)]]
    assert job.usage.n_generated == 0
    assert (job.usage.n_read, job.is_done) == (0, True)
    assert isinstance(events[-1], Finished)
    with_room = replace(whole, stop=Stop(N_TOKENS + 4))
    assert answer(engine, with_room).agrees_with(answer(engine, replace(with_room, begins=())))


def test_an_end_token_among_them_ends_the_answer(model: Model, engine: LlamaEngine) -> None:
    continuation, tokens = endless(model)
    eos = next(t for t in range(9) if engine.vocabulary.is_end(t))
    for n in (0, 1, 7):
        begins = (*tokens[:n], Token(eos, -2.0), *tokens[n:])
        job = engine.generate([replace(continuation, begins=begins)])
        events = list(drive(job))
        assert isinstance(events[-1], Finished)
        assert events[-1].reason is StopReason.END
        assert [token.id for token in told(events)] == [token.id for token in begins[: n + 1]]
        assert job.usage.n_read == 0


def test_lines_and_stops_of_begun_tokens_are_those_of_chosen_ones(transformer: Path) -> None:
    engine = LlamaEngine(transformer, OPTIONS)
    prompt = Prompt((FILLER[:200] + "\n",))
    tokens = told(list(drive(engine.generate([Continuation(prompt, Stop(60))]))))
    for stop in (
        Stop(40),
        Stop(40, at_line_end=True),
        Stop(40, min_indent=4),
        Stop(40, strings=("e",)),
    ):
        wanted = list(drive(engine.generate([Continuation(prompt, stop)])))
        for n in (1, 4, 20, 60):
            continuation = Continuation(prompt, stop, begins=tuple(tokens[:n]))
            got = list(drive(engine.generate([continuation])))
            assert [(e.text if isinstance(e, Line) else e.reason) for e in got] == [
                (e.text if isinstance(e, Line) else e.reason) for e in wanted
            ]
            assert [t.id for t in told(got)] == [t.id for t in told(wanted)]
    engine.close()


def test_tokens_that_cannot_be_are_an_error(model: Model, engine: LlamaEngine) -> None:
    typed = Continuation(Prompt(("radi",)), Stop(4))
    n = engine.vocabulary.n_tokens
    for wrong in (
        replace(typed, begins=(Token(n, -1.0),)),
        replace(typed, begins=(Token(-1, -1.0),)),
        replace(typed, guesses=((1, n),)),
    ):
        with pytest.raises(ModelError, match="no such token"):
            engine.generate([wrong])
    (other,) = engine.vocabulary.text_tokens("x")
    with pytest.raises(ModelError, match="contradict the prompt"):
        engine.generate([replace(typed, begins=(Token(other, -1.0),))])


# Guesses.


@pytest.mark.parametrize(
    ("guesses", "tokens", "wanted"),
    [
        ((), (), ()),
        (((), (1, 2)), (), (1, 2)),
        (((1, 2, 3), (1, 4, 5, 6)), (1,), (2, 3)),
        (((1, 2, 3), (1, 4, 5, 6)), (1, 4), (5, 6)),
        (((1, 2), (1, 2, 3)), (1, 2), (3,)),
        (((1, 2, 3),), (1, 2, 3), ()),
        (((1, 2, 3, 4),), (9, 2), ()),
        (((1, 2, 3, 4),), (9, 2, 3), (4,)),
        (((1, 2, 3, 4, 2, 3, 5),), (2, 3), (4, 2, 3, 5)),
        (((1, 2), (2, 3)), (9, 2, 3), ()),
        (((1, 2, 3),), (3,), ()),
    ],
)
def test_what_is_guessed_to_follow(
    guesses: tuple[tuple[int, ...], ...], tokens: Sequence[int], wanted: tuple[int, ...]
) -> None:
    assert following(guesses, tokens) == wanted


def test_guesses_change_no_answer(model: Model, engine: LlamaEngine) -> None:
    n_right = 0
    for seed in range(15):
        for continuation in all_of(model):
            job = engine.generate([guessed(model.reference, continuation, seed)])
            (got,) = collected(list(drive(job)), 1)
            check_answer(model.reference, continuation, got)
            n_right += job.n_guessed_right
            assert job.n_guessed_right <= job.n_guessed
        check_cache(engine)
        if seed % 4 == 3:
            engine.kv.clear()
    assert (n_right > 1000) == engine.info.trims
    assert n_right == 0 or engine.info.trims


@pytest.mark.parametrize("seed", range(1, 7))
def test_guesses_change_no_answer_of_other_models(tmp_path: Path, seed: int) -> None:
    model = tiny(tiny_model(tmp_path / "m.gguf", seed=seed))
    engine = LlamaEngine(model.path, OPTIONS)
    for i in range(6):
        for continuation in all_of(model):
            check_answer(
                model.reference,
                continuation,
                answer(engine, guessed(model.reference, continuation, 10 * seed + i)),
            )
        check_cache(engine)
    engine.close()
    model.reference.native.close()


def test_a_batch_with_guesses(model: Model, engine: LlamaEngine) -> None:
    for seed in range(4):
        batch = [*(guessed(model.reference, c, seed) for c in all_of(model)[:7]), *all_of(model)]
        sampled = replace(batch[0], sampling=Sampling(1.0, seed=seed))
        together = answers(engine, [sampled, *batch])
        for continuation, got in zip(batch, together[1:], strict=True):
            check_answer(model.reference, continuation, got)
        alone = answer(engine, replace(sampled, guesses=()))
        assert alone.text == together[0].text
        check_cache(engine)


def decodes(engine: LlamaEngine, job: Job) -> list[int]:
    """Rows of each decode of a job."""
    counts, decode = [], engine._native.decode

    def counted(rows: Sequence[Row]) -> bool:
        counts.append(sum(len(row.tokens) for row in rows))
        return decode(rows)

    engine._native.decode = counted  # type: ignore[method-assign]
    list(drive(job))
    engine._native.decode = decode  # type: ignore[method-assign]
    return counts


def test_right_guesses_save_decodes(transformer: Path) -> None:
    model = tiny(transformer)
    engine = LlamaEngine(transformer, OPTIONS)
    for continuation in (model.continuations[0], model.guided[0]):
        list(drive(engine.generate([replace(continuation, stop=Stop(1))])))
        tokens = [token.id for token in model.reference.choices(continuation)]
        plain = decodes(engine, engine.generate([continuation]))
        engine.kv.clear()
        list(drive(engine.generate([replace(continuation, stop=Stop(1))])))
        job = engine.generate([replace(continuation, guesses=(tuple(tokens),))])
        fast = decodes(engine, job)
        assert len(fast) <= len(plain) // 4
        assert job.n_guessed_right == job.n_guessed > 0
    engine.close()
    model.reference.native.close()


def test_with_guesses_a_decode_has_the_rows_that_cost_least(transformer: Path) -> None:
    model = tiny(transformer)
    engine = LlamaEngine(transformer, OPTIONS)
    for continuation in (*model.continuations[:3], *model.guided):
        tokens = [token.id for token in model.reference.choices(continuation)]
        for n in range(1, 12):
            list(drive(engine.generate([replace(continuation, stop=Stop(1))])))
            guessed_ = replace(continuation, guesses=(tuple(tokens[:n]),))
            first, *_ = decodes(engine, engine.generate([guessed_]))
            assert first % 4 == 0
            n_strands = 1 if continuation.signal is None else 2
            assert (n + 1) * n_strands <= first < (n + 1) * n_strands + 4 or first == ROWS_A_PASS
    engine.close()
    model.reference.native.close()


def test_behind_a_parting_the_next_guess_takes_over(transformer: Path) -> None:
    model = tiny(transformer)
    engine = LlamaEngine(transformer, OPTIONS)
    continuation = model.long[0]
    right = [token.id for token in model.reference.choices(continuation)]
    wrong = [*right[:4], (right[4] + 1) % engine.vocabulary.n_tokens, *right[5:]]
    for guesses, least in (((wrong,), 4), ((wrong, right), 10)):
        job = engine.generate([replace(continuation, guesses=tuple(map(tuple, guesses)))])
        check_answer(model.reference, continuation, collected(list(drive(job)), 1)[0])
        assert job.n_guessed_right >= least
    engine.close()
    model.reference.native.close()


def test_nothing_is_guessed_behind_an_end(transformer: Path) -> None:
    """Nor behind the budget, nor behind the line that is asked for."""
    model = tiny(transformer)
    engine = LlamaEngine(transformer, OPTIONS)
    ends = set()
    for continuation in (
        *clear(model.reference, (replace(c, stop=Stop(40)) for c in short_prompts())),
        *(replace(c, stop=Stop(N_TOKENS, at_line_end=True)) for c in all_of(model)),
        *(replace(c, stop=Stop(n)) for n, c in enumerate(model.continuations, start=1)),
    ):
        *events, end = drive(engine.generate([continuation]))
        assert isinstance(end, Finished)
        ends.add(end.reason)
        tokens = told([*events, end])
        ids = (*(token.id for token in tokens), *range(3, 12))
        job = engine.generate([replace(continuation, guesses=(ids,))])
        assert [t.id for t in told(list(drive(job)))] == [t.id for t in tokens]
        assert job.n_guessed == job.n_guessed_right < len(tokens)
    assert ends == {StopReason.END, StopReason.LINE_END, StopReason.BUDGET}
    engine.close()
    model.reference.native.close()


def test_a_cache_without_room_for_guesses_has_room_for_the_answer(transformer: Path) -> None:
    model = tiny(transformer)
    engine = LlamaEngine(transformer, OPTIONS)
    draft, tokens = endless(model)
    right = [token.id for token in tokens[:9]]
    last = engine.vocabulary.pieces[tokens[9].id].decode()
    continuation = replace(draft, stop=Stop(100, strings=(last,)))
    wanted = answer(engine, continuation)
    assert wanted.reason is StopReason.STRING
    n_needed = engine.kv.n_used - 1  # the first token is that of every prompt
    guess = (*right, *range(40, 60))
    for n_spare in range(-2, 12):
        engine.kv.clear()
        other = Strand(model.reference.tokens(Prompt(("x" * 2000,)))[: 1024 - n_needed - n_spare])
        while not engine.read_up_to(other, len(other.tokens)):
            pass
        for guesses in ((), (guess,)):
            if n_spare < 0:
                with pytest.raises(ModelError, match="full"):
                    answer(engine, replace(continuation, guesses=guesses))
            else:
                assert answer(engine, replace(continuation, guesses=guesses)).agrees_with(wanted)
        check_cache(engine)
        engine.release(other)
    engine.close()
    model.reference.native.close()


# Interruptions.


def mixed(model: Model) -> list[Continuation]:
    """Begun, guessed and guided ones, and a plain one."""
    return [
        begun(model.reference, model.long[1], 5),
        guessed(model.reference, model.long[1], 3),
        guessed(model.reference, model.guided[0], 1),
        model.continuations[0],
    ]


def check_all(model: Model, batch: list[Continuation], events: list[Line | Finished]) -> None:
    for continuation, got in zip(batch, collected(events, len(batch)), strict=True):
        check_answer(model.reference, continuation, got)


def test_interrupted_at_every_decode(model: Model, engine: LlamaEngine) -> None:
    batch, decode, k, n_calls = mixed(model), engine._native.decode, 0, 0

    def aborted_at_k(rows: Sequence[Row]) -> bool:
        nonlocal n_calls
        n_calls += 1
        if n_calls == k + 1:
            engine.abort.set()
        return decode(rows)

    engine._native.decode = aborted_at_k  # type: ignore[method-assign]
    while n_calls == 0 or n_calls > k:
        n_calls = 0
        engine.kv.clear()
        job, events = engine.generate(batch), []
        while not job.is_done:
            events += job.step()
            engine.abort.clear()
        check_all(model, batch, events)
        check_cache(engine)
        k += 1
    assert k > 5


@pytest.mark.parametrize("evicted", [False, True])
def test_paused_after_every_step(model: Model, engine: LlamaEngine, evicted: bool) -> None:
    batch, n_steps = mixed(model), 0
    job, events = engine.generate(batch), []
    while not job.is_done:
        events += job.step()
        job.pause()
        assert not any(branch.is_pinned for branch in engine.kv.branches)
        check_cache(engine)
        n_steps += 1
        if evicted and n_steps % 12 == 0:
            engine.kv.clear()
        assert n_steps < 200
    check_all(model, batch, events)


def test_what_was_guessed_wrong_is_out_of_the_cache(model: Model, engine: LlamaEngine) -> None:
    for seed in range(6):
        continuation = guessed(model.reference, model.long[0], seed)
        job = engine.generate([continuation])
        while not job.is_done:
            job.step()
            known = {tuple(strand.tokens) for s in job._alive for strand in s.strands}
            for branch in engine.kv.branches:
                if branch.is_pinned:
                    assert any(tokens[: len(branch)] == tuple(branch.tokens) for tokens in known)
        tokens = model.reference.tokens(continuation.prompt)[:-1]
        tokens += [token.id for token in model.reference.choices(continuation)]
        wanted = model.reference.logits(tokens)
        np.testing.assert_allclose(logits_of(engine, tokens), wanted, atol=EPSILON)


def test_a_generation_is_what_the_engine_makes(engine: LlamaEngine) -> None:
    job = engine.generate([])
    assert isinstance(job, Generation)
    assert job.is_done
