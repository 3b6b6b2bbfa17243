"""Rung 3: other candidates than the draft, each run as soon as it is complete.

First the draft's branches, which share its beginning, then samples; the first verified one ends the
search, and with it the decoding. What a candidate's failure was in a process that only exchanged
the function's code is believed here: where there was a draft, it has failed in one that imported
the buffer, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import NamedTuple

from egcfg_lsp.completion import Drop, Outcome, Rung, Suggestion, Written
from egcfg_lsp.completion.branches import branches
from egcfg_lsp.completion.candidates import Candidates, new_id, suggested
from egcfg_lsp.completion.draft import Answer, Circumstances
from egcfg_lsp.completion.policy import Plan
from egcfg_lsp.completion.verdicts import judge, judge_unfinished
from egcfg_lsp.completion.verify import Verifier, judged, settled, tried
from egcfg_lsp.execution import RunResult, Status
from egcfg_lsp.model import Continuation, Finished, LanguageModel, Line, Priority, Sampling

TOP_P = 0.95
MAX_ROWS = 8
"""Continuations that are decoded side by side."""


class Asked(NamedTuple):
    """The questions of a request."""

    at_cursor: Continuation
    """The draft's."""
    in_words: Continuation | None = None
    """The same in a chat, where that is possible."""


@dataclass(frozen=True)
class Attempt:
    """A continuation to be decoded, and how it came about, for people."""

    asked: Continuation
    origin: str


async def search(
    batches: Iterable[list[Attempt]],
    rung: Rung,
    here: Circumstances,
    candidates: Candidates,
    verifier: Verifier,
    model: LanguageModel,
) -> AsyncGenerator[Outcome]:
    """The outcome of each candidate that was run; `candidates` holds them. Raises ModelError.

    A batch is decoded at once; the first candidate that is verified ends it all, and behind a batch
    in which one passes without being verified there is no other.
    """
    for attempts in batches:
        if candidates.has_passed:
            return
        async with aclosing(_finished(attempts, here, model)) as answers:
            async for attempt, answer in answers:
                outcome = await _considered(attempt, answer, rung, here, candidates, verifier)
                if outcome is not None:
                    yield outcome
                if outcome is Outcome.VERIFIED:
                    return


def waves(asked: Asked, draft: Written, here: Circumstances, plan: Plan) -> Iterator[list[Attempt]]:
    """What is decoded in one batch each: branches, then other texts."""
    forks = [
        Attempt(
            replace(asked.at_cursor, begins=branch.tokens),
            f"token {branch.number} of the draft another one (margin {branch.margin:.2f})",
        )
        for branch in branches(draft, here.place.scope)[: plan.n_branches]
    ]
    others = [] if asked.in_words is None else [Attempt(asked.in_words, "asked in words")]
    others += [_sampled(asked, plan, i) for i in range(plan.n_samples)]
    for wave in (forks, others):
        yield from (wave[i : i + MAX_ROWS] for i in range(0, len(wave), MAX_ROWS))


def _sampled(asked: Asked, plan: Plan, i: int) -> Attempt:
    """The `i`-th sample; every other one is asked for in words, where there is such a question."""
    heat = plan.temperatures[i % len(plan.temperatures)]
    sampling = Sampling(heat, TOP_P, seed=i)
    if asked.in_words is not None and i % 2:
        return Attempt(replace(asked.in_words, sampling=sampling), f"in words, sampled at {heat:g}")
    return Attempt(replace(asked.at_cursor, sampling=sampling), f"sampled at {heat:g}")


async def _finished(
    attempts: Sequence[Attempt], here: Circumstances, model: LanguageModel
) -> AsyncGenerator[tuple[Attempt, Answer]]:
    """Each attempt with its answer as it ends."""
    answers = [Answer(here.place) for _ in attempts]
    async with aclosing(
        model.generate([attempt.asked for attempt in attempts], Priority.EXPLORATION)
    ) as events:
        async for event in events:
            if not isinstance(event, Line | Finished) or answers[event.index].is_over:
                continue
            answer = answers[event.index]
            if isinstance(event, Line):
                answer.push(event)
            else:
                answer.finish(event)
            if answer.is_over:
                yield attempts[event.index], answer


async def _considered(
    attempt: Attempt,
    answer: Answer,
    rung: Rung,
    here: Circumstances,
    candidates: Candidates,
    verifier: Verifier,
) -> Outcome | None:
    """The outcome of a candidate; None: it was not run."""
    assert answer.draft is not None, "an answer that has ended has one"
    is_automatic = verifier.request.is_automatic
    found = suggested(answer.draft, here, new_id(), is_automatic=is_automatic)
    if isinstance(found, Drop):
        candidates.drop(found, attempt.origin, rung)
        return None
    if not await asyncio.to_thread(candidates.is_new, found.text, attempt.origin, rung):
        return None
    return await _run(replace(found, rung=rung), attempt.origin, candidates, verifier)


async def _run(
    found: Suggestion, origin: str, candidates: Candidates, verifier: Verifier
) -> Outcome:
    """Runs a candidate: what does not pass at once gets no second look."""
    trial = await tried(verifier, found)
    if trial.result.status is Status.PASSED:
        trial = await settled(verifier, trial)
        verdict = await judged(verifier, trial)
    elif trial.candidate.is_as_shown:
        verdict = judge(trial.result, RunResult(Status.INCONCLUSIVE))
    else:
        verdict = judge_unfinished(trial.result)
    outcome = verdict.outcome
    judged_as = replace(found, outcome=outcome, summary=verdict.summary)
    await asyncio.to_thread(candidates.add, judged_as, trial, origin)
    return outcome
