"""The engine on tiny models: whatever happened before, its answers are those of a naive reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egcfg_lsp.model import Continuation, ModelError, Sampling, Stop, StopReason, Usage
from egcfg_lsp.model.llama.engine import Job, LlamaEngine, Scoring, drive
from egcfg_lsp.model.llama.native import Row
from egcfg_lsp.model.llama.strands import MAX_STRANDS
from egcfg_lsp.prompt import Prompt
from tests.support.gguf_models import tiny_model
from tests.support.reference import (
    EPSILON,
    FILLER,
    MARGIN,
    N_TOKENS,
    OPTIONS,
    VERBS,
    Model,
    answer,
    answers,
    check_answer,
    check_cache,
    check_scores,
    collected,
    logits_of,
    short_prompts,
)

# What was read before changes no answer.


def test_forked_is_fresh(model: Model, engine: LlamaEngine) -> None:
    tokens = model.reference.tokens(model.long[1].prompt)
    other = model.reference.tokens(model.long[2].prompt)
    for wanted in (
        tokens,
        tokens[:200] + other[200:],
        tokens[:90],
        tokens,
        other,
        tokens + other[:9],
    ):
        got = logits_of(engine, wanted)
        np.testing.assert_allclose(got, model.reference.logits(wanted), atol=EPSILON)
        check_cache(engine)


def test_trimmed_is_read_again(model: Model, engine: LlamaEngine) -> None:
    tokens = model.reference.tokens(model.long[0].prompt)
    logits_of(engine, tokens)
    for n in (len(tokens) - 1, 200, 129, 128, 127, 2):
        branch = engine.kv.fork(tokens)
        engine.kv.trim(branch, n)
        assert len(branch) in ((n,) if model.reference.native.trims else (0, n))
        engine.kv.release(branch)
        got = logits_of(engine, tokens)
        np.testing.assert_allclose(got, model.reference.logits(tokens), atol=EPSILON)
        check_cache(engine)


def test_flash_attention_changes_only_the_noise(model: Model) -> None:
    engine = LlamaEngine(model.path, replace(OPTIONS, flash_attention=True))
    for continuation in model.long:
        tokens = model.reference.tokens(continuation.prompt)
        difference = logits_of(engine, tokens) - model.reference.logits(tokens)
        assert np.abs(difference).max() < 0.5
    engine.close()


def test_answers_are_those_of_the_reference(model: Model, engine: LlamaEngine) -> None:
    for continuation in (*model.continuations, *model.guided, *model.long):
        check_answer(model.reference, continuation, answer(engine, continuation))
        check_cache(engine)


def test_a_batch_answers_as_each_alone(model: Model, engine: LlamaEngine) -> None:
    batch = [*model.continuations, *model.guided]
    for continuation, got in zip(batch, answers(engine, batch), strict=True):
        check_answer(model.reference, continuation, got)
    check_cache(engine)


def test_what_is_sampled_depends_on_the_seed_alone(model: Model, engine: LlamaEngine) -> None:
    prompt = model.continuations[0].prompt
    batch = [
        Continuation(prompt, Stop(N_TOKENS), Sampling(temperature=1.2, top_p=0.95, seed=seed))
        for seed in range(8)
    ]
    together = answers(engine, batch)
    assert len({one.text for one in together}) > 4
    with_others = answers(engine, [*model.continuations, *reversed(batch)])[:7:-1]
    for continuation, first, second in zip(batch, together, with_others, strict=True):
        engine.kv.clear()
        alone = answer(engine, continuation)
        assert alone.text == first.text == second.text


def test_continuations_that_part_share_no_tokens(model: Model, engine: LlamaEngine) -> None:
    """Greedy and sampled ones of the same prompt, in one batch."""
    greedy = model.continuations[0]
    wild = [replace(greedy, sampling=Sampling(temperature=3.0, seed=seed)) for seed in range(5)]
    got = answers(engine, [*wild[:2], greedy, *wild[2:], greedy])
    check_answer(model.reference, greedy, got[2])
    check_answer(model.reference, greedy, got[6])


# Interruptions change no answer.


def test_interrupted_at_every_decode(model: Model, engine: LlamaEngine) -> None:
    """llama.cpp itself gives up decode k, for every k."""
    batch = [model.long[1], model.continuations[0], model.guided[0]]
    decode, k, n_calls, n_aborted = engine._native.decode, 0, 0, 0

    def aborted_at_k(rows: Sequence[Row]) -> bool:
        nonlocal n_calls, n_aborted
        n_calls += 1
        if n_calls == k + 1:
            engine.abort.set()
        done = decode(rows)
        n_aborted += not done
        return done

    engine._native.decode = aborted_at_k  # type: ignore[method-assign]
    while n_calls == 0 or n_calls > k:
        n_calls = n_aborted = 0
        engine.kv.clear()
        job, events = engine.generate(batch), []
        while not job.is_done:
            events += job.step()
            engine.abort.clear()
        assert n_aborted == (n_calls > k)
        for continuation, got in zip(batch, collected(events, len(batch)), strict=True):
            check_answer(model.reference, continuation, got)
        check_cache(engine)
        k += 1
    assert k > N_TOKENS


def test_interrupted_before_every_step(model: Model, engine: LlamaEngine) -> None:
    batch = [model.long[2], model.continuations[1]]
    job, events = engine.generate(batch), []
    while not job.is_done:
        engine.abort.set()
        n_used = engine.kv.n_used
        assert job.step() == []
        assert not job.is_done
        assert engine.kv.n_used == n_used
        engine.abort.clear()
        events += job.step()
    for continuation, got in zip(batch, collected(events, len(batch)), strict=True):
        check_answer(model.reference, continuation, got)


def test_interrupted_scoring_and_reading(model: Model, engine: LlamaEngine) -> None:
    prompt, text = model.long[0].prompt, FILLER[300:800]
    for job in (engine.read(prompt), engine.score(prompt, [text, "total"])):
        n_steps = 0
        while not job.is_done:
            if n_steps % 2:
                engine.abort.set()
            job.step()
            engine.abort.clear()
            n_steps += 1
            assert n_steps < 100
            check_cache(engine)
        job.pause()
    assert isinstance(job, Scoring)
    check_scores(model.reference, prompt, [text, "total"], job.log_probabilities)


@pytest.mark.parametrize("evicted", [False, True])
def test_paused_after_every_step(model: Model, engine: LlamaEngine, evicted: bool) -> None:
    batch = [model.long[1], model.continuations[2], model.guided[1], model.continuations[2]]
    job, events = engine.generate(batch), []
    while not job.is_done:
        events += job.step()
        job.pause()
        assert not any(branch.is_pinned for branch in engine.kv.branches)
        if evicted and len(events) % 2:
            engine.kv.clear()
            events += job.step() + job.step()
    for continuation, got in zip(batch, collected(events, len(batch)), strict=True):
        check_answer(model.reference, continuation, got)


def test_nothing_stays_pinned_behind_a_job(model: Model, engine: LlamaEngine) -> None:
    prompt = model.long[0].prompt
    for job in (
        engine.generate([*model.continuations, *model.guided]),
        engine.score(prompt, ["return", "x = 1\n", ""]),
        engine.read(prompt),
    ):
        list(drive(job))
        assert not any(branch.is_pinned for branch in engine.kv.branches)
        check_cache(engine)
    for n_steps in range(6):
        job = engine.generate(model.long)
        for _ in range(n_steps):
            job.step()
        job.pause()
        assert not any(branch.is_pinned for branch in engine.kv.branches)


# Room.


def test_answers_are_right_under_pressure(model: Model, engine: LlamaEngine) -> None:
    assert engine.info.n_context == 1024
    for i in range(24):
        continuation = model.long[i % 3]
        filler = Prompt((f"# {VERBS[i % 6]} {i}\n" + FILLER[: 40 * i],))
        list(drive(engine.read(filler)))
        check_answer(model.reference, continuation, answer(engine, continuation))
        check_cache(engine)


def test_what_does_not_fit_at_once_is_an_error_and_fits_apart(
    model: Model, engine: LlamaEngine
) -> None:
    halves = [Continuation(Prompt((f"{a}\n" + FILLER[:1100],)), Stop(4)) for a in VERBS]
    with pytest.raises(ModelError, match="the KV cache of 1024 tokens is full"):
        answers(engine, halves)
    for half in halves:
        answer(engine, half)
    check_answer(model.reference, model.continuations[0], answer(engine, model.continuations[0]))
    check_cache(engine)


def test_a_prompt_that_is_too_long_is_an_error(model: Model, engine: LlamaEngine) -> None:
    tokens = [0]
    text = ""
    while len(tokens) <= 1000:
        text += "x\n"
        tokens = model.reference.tokens(Prompt((text,)))
    n = len(tokens)
    prompt = Prompt((text,))
    assert answer(engine, Continuation(prompt, Stop(1024 - n)))
    list(drive(engine.score(prompt, ["x" * (1024 - n)])))
    for make in (
        lambda: engine.generate([Continuation(prompt, Stop(1025 - n))]),
        lambda: engine.generate([replace(model.guided[0], signal=prompt, stop=Stop(1025 - n))]),
        lambda: engine.score(prompt, ["x", "x" * (1025 - n)]),
        lambda: engine.read(Prompt((text * 2,))),
    ):
        with pytest.raises(ModelError, match=r"the prompt has \d+ tokens; \d+ fit"):
            make()
    check_answer(model.reference, model.continuations[0], answer(engine, model.continuations[0]))


def test_an_empty_prompt_is_an_error_where_nothing_begins_a_text(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.gguf", metadata={"tokenizer.ggml.add_bos_token": False})
    engine = LlamaEngine(path, OPTIONS)
    for prompt in (Prompt(()), Prompt(("",))):
        with pytest.raises(ModelError, match="the prompt is empty"):
            engine.generate([Continuation(prompt, Stop(4))])
        with pytest.raises(ModelError, match="the prompt is empty"):
            engine.score(prompt, ["x"])
        with pytest.raises(ModelError, match="the prompt is empty"):
            engine.read(prompt)
    assert answer(engine, Continuation(Prompt(("x",)), Stop(4)))
    engine.close()


def test_an_empty_file_is_continued_from_the_begin_token(model: Model, engine: LlamaEngine) -> None:
    continuation = Continuation(Prompt(("",)), Stop(N_TOKENS), heal=False)
    check_answer(model.reference, continuation, answer(engine, continuation))


def test_as_many_strands_as_fit_and_no_more(model: Model, engine: LlamaEngine) -> None:
    one, two = model.continuations[0], model.guided[0]
    different = [replace(one, prompt=Prompt((f"x{i}",)), stop=Stop(2)) for i in range(MAX_STRANDS)]
    assert len(answers(engine, different)) == MAX_STRANDS
    assert len(answers(engine, [one] * MAX_STRANDS)) == MAX_STRANDS
    for too_many in (
        [one] * (MAX_STRANDS + 1),
        [two] * (MAX_STRANDS // 2 + 1),
        [two] * (MAX_STRANDS // 2) + [one],
    ):
        with pytest.raises(ModelError, match="more than 32"):
            engine.generate(too_many)
    check_cache(engine)


def test_no_continuations_are_done_at_once(engine: LlamaEngine) -> None:
    assert engine.generate([]).is_done


# How much is read.


def n_decoded(engine: LlamaEngine, job: Job) -> int:
    """Tokens that llama.cpp computes for a job."""
    decode, total = engine._native.decode, 0

    def counted(rows: Sequence[Row]) -> bool:
        nonlocal total
        total += sum(len(row.tokens) for row in rows)
        return decode(rows)

    engine._native.decode = counted  # type: ignore[method-assign]
    list(drive(job))
    engine._native.decode = decode  # type: ignore[method-assign]
    return total


def test_usage_says_what_was_read(model: Model, engine: LlamaEngine) -> None:
    trims = model.reference.native.trims
    prompt = model.long[1].prompt
    n = len(model.reference.tokens(prompt))
    first = engine.read(prompt)
    assert n_decoded(engine, first) == n
    assert (first.usage.n_read, first.usage.n_reused) == (n, 0)
    again = engine.read(prompt)
    assert n_decoded(engine, again) == 0
    assert (again.usage.n_read, again.usage.n_reused) == (0, n)
    generated = engine.generate([Continuation(prompt, Stop(1), heal=False)])
    n_computed = n_decoded(engine, generated)
    assert (generated.usage.n_read, generated.usage.n_reused) == ((1, n - 1) if trims else (n, 0))
    assert n_computed == generated.usage.n_read
    healed = engine.generate([Continuation(prompt, Stop(1))])
    assert n_decoded(engine, healed) == healed.usage.n_read
    assert healed.usage.n_read + healed.usage.n_reused == n - 1
    scored = engine.score(prompt, ["x", "xx"])
    n_scored = sum(len(engine.vocabulary.text_tokens(text)) for text in ("x", "xx"))
    assert n_decoded(engine, scored) == scored.usage.n_read - 1 + n_scored
    assert scored.usage.n_read + scored.usage.n_reused == n


def test_typing_on_reads_a_token_or_two(transformer: Path) -> None:
    engine = LlamaEngine(transformer, OPTIONS)
    text, typed = FILLER[:600], "    total = self.price + radius\n    return"
    answer(engine, Continuation(Prompt((text,)), Stop(8)))
    for end in range(1, len(typed)):
        job = engine.generate([Continuation(Prompt((text + typed[:end],)), Stop(8))])
        list(drive(job))
        assert 1 <= job.usage.n_read <= 2
        assert not list(drive(engine.read(Prompt((text + typed[:end],)))))
    engine.close()


def test_continuations_of_one_prompt_read_it_once(model: Model, engine: LlamaEngine) -> None:
    prompt = model.long[0].prompt
    n = len(model.reference.tokens(prompt))
    batch = [
        Continuation(prompt, Stop(1), Sampling(temperature=1, seed=seed), heal=False)
        for seed in range(8)
    ]
    job = engine.generate(batch)
    assert n_decoded(engine, job) == n
    assert job.usage == Usage(n, 0, 8)
    engine.kv.clear()
    longer = engine.generate([replace(one, stop=Stop(6)) for one in batch])
    assert n_decoded(engine, longer) > n + 8
    assert (longer.usage.n_read, longer.usage.n_reused) == (n, 0), "what is written is not read"
    assert 8 < longer.usage.n_generated <= 8 * 6


def test_a_signal_reads_only_what_it_has_of_its_own(transformer: Path) -> None:
    engine = LlamaEngine(transformer, OPTIONS)
    prior, signal = Prompt((FILLER[:600] + "price",)), Prompt((FILLER[:600] + "# 1\nprice",))
    n_common = len(engine.vocabulary.tokenize(Prompt((FILLER[:600],))))
    guided = Continuation(prior, Stop(1), signal=signal, guidance_scale=0.5, heal=False)
    job = engine.generate([guided])
    n_computed = n_decoded(engine, job)
    assert n_computed == job.usage.n_read <= n_common + 12
    assert job.usage.n_reused >= n_common - 1
    engine.close()


# Scores.


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["return"],
        ["", "x", ""],
        ["return price", "return value", "return", "é𝄞", "\n"],
        [FILLER[:350], FILLER[:280], "x"],
        [f"{a}.{b}\n" for a in VERBS for b in VERBS],
    ],
    ids=["none", "empty", "one", "some empty", "several", "over a batch", "over the strands"],
)
def test_scores_are_those_of_the_reference(
    model: Model, engine: LlamaEngine, texts: list[str]
) -> None:
    for prompt in (model.continuations[0].prompt, model.long[1].prompt):
        job = engine.score(prompt, texts)
        assert list(drive(job)) == []
        check_scores(model.reference, prompt, texts, job.log_probabilities)
        check_cache(engine)


def test_scores_are_what_generating_reports(model: Model, engine: LlamaEngine) -> None:
    n_compared = 0
    for continuation in (*short_prompts(),):
        got = answer(engine, replace(continuation, heal=False, stop=Stop(8)))
        if len(engine.vocabulary.text_tokens(got.text)) == len(got.log_probabilities) > 0:
            job = engine.score(continuation.prompt, [got.text])
            list(drive(job))
            np.testing.assert_allclose(
                job.log_probabilities[0], got.log_probabilities, atol=EPSILON
            )
            n_compared += 1
    assert n_compared > 5


# Guidance.


def test_no_guidance_is_the_prompt_alone_and_full_guidance_the_signal_alone(
    model: Model, engine: LlamaEngine
) -> None:
    for prior, signal in zip(model.continuations[:4], model.continuations[4:], strict=True):
        for scale, wanted in ((0.0, prior), (1.0, signal)):
            alone = replace(wanted, heal=False)
            guided = replace(prior, signal=signal.prompt, guidance_scale=scale, heal=False)
            assert answer(engine, guided).agrees_with(answer(engine, alone))


@pytest.mark.parametrize("scale", [0.0, 0.7, 1.0, 3.0])
def test_a_signal_equal_to_the_prompt_changes_nothing(
    model: Model, engine: LlamaEngine, scale: float
) -> None:
    one = model.continuations[0]
    guided = replace(one, signal=one.prompt, guidance_scale=scale)
    for got in answers(engine, [guided, one, guided]):
        check_answer(model.reference, one, got)


def test_prompts_that_end_differently_are_not_healed(model: Model, engine: LlamaEngine) -> None:
    n_healed = 0
    for word in VERBS:
        prior, signal = Prompt((f"def {word}",)), Prompt((f"def {word[:-1]}",))
        assert len({model.reference.tokens(prompt)[-1] for prompt in (prior, signal)}) == 2
        guided = Continuation(prior, Stop(40), signal=signal, guidance_scale=0.0)
        plain = answer(engine, replace(guided, heal=False))
        assert answer(engine, guided).agrees_with(plain)
        n_healed += not answer(engine, Continuation(prior, Stop(40))).agrees_with(plain)
    assert n_healed > 0


# Ends.


def test_every_reason_to_stop_occurs(transformer: Path) -> None:
    engine = LlamaEngine(transformer, OPTIONS)
    prompt = Prompt((FILLER[:200] + "\n",))
    free = answer(engine, Continuation(prompt, Stop(40)))
    lines = free.text.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.strip())
    assert len(lines) > first + 2
    later = lines[first + 2].strip("\n")
    part = lines[first + 1][1:4]
    for stop, text, reason in (
        (Stop(40), free.text, StopReason.BUDGET),
        (Stop(40, at_line_end=True), "".join(lines[: first + 1]), StopReason.LINE_END),
        (Stop(40, suffix_line=later), free.text[: free.text.index(later)], StopReason.SUFFIX),
        (Stop(40, strings=("#", part)), free.text[: free.text.index(part)], StopReason.STRING),
        (Stop(40, min_indent=4), "".join(lines[:first]), StopReason.DEDENT),
    ):
        got = answer(engine, Continuation(prompt, stop))
        assert (got.text, got.reason) == (text, reason)
    reasons = {answer(engine, replace(c, stop=Stop(60))).reason for c in short_prompts()}
    assert reasons == {StopReason.END, StopReason.BUDGET}
    engine.close()


# Typed text is repeated.

SAMPLE = "def total_price(items):\n        for item in items:\n    \tnumber = 'é𝄞' + \"  x\"\n"


def test_no_answer_contradicts_what_was_typed(model: Model, engine: LlamaEngine) -> None:
    """For every place of the cursor: answers are the reference's, and begin with what is typed."""
    n_compared = 0
    for cut in range(1, len(SAMPLE) + 1):
        typed = SAMPLE[:cut]
        engine.kv.clear()
        continuation = Continuation(Prompt((typed,)), Stop(8))
        got = answer(engine, continuation)
        branch = max(engine.kv.branches, key=len)
        written = b"".join(engine.vocabulary.pieces[token] for token in branch.tokens)
        n_shared = min(len(written), len(typed.encode()))
        assert written[:n_shared] == typed.encode()[:n_shared]
        answered = (typed + got.text).encode()
        n_shared = min(len(written), len(answered))
        assert written[:n_shared] == answered[:n_shared]
        if not typed.endswith("\n") and model.reference.answer(continuation)[1] > MARGIN:
            check_answer(model.reference, continuation, got)
            n_compared += 1
    assert n_compared > len(SAMPLE) // 3


def test_indentation_grows_by_healing(transformer: Path) -> None:
    """Four spaces are one token: without healing eight could only be written as four and four."""
    engine = LlamaEngine(transformer, OPTIONS)
    vocabulary = engine.vocabulary
    eight, four = vocabulary.text_tokens(" " * 8), vocabulary.text_tokens(" " * 4)
    assert (len(eight), len(four)) == (1, 1)
    agreeing = vocabulary.index.agreeing(b"    ")
    assert {*eight, *four} <= set(agreeing.tolist())
    for token, left in ((eight[0], "    "), (four[0], "")):
        piece = vocabulary.pieces[token]
        assert piece[4:].decode() == left
    n_grown = 0
    for a in VERBS:
        for seed in range(8):
            sampling = Sampling(temperature=8.0, seed=seed)
            prompt = Prompt((f"def {a}(self):\n    ",))
            got = answer(engine, Continuation(prompt, Stop(30), sampling))
            n_grown += got.text.startswith("    ")
    assert n_grown > 0
    engine.close()
