"""Jobs that are started, interrupted, paused and given up in any order answer like the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from egcfg_lsp.model import Continuation, Finished, Line
from egcfg_lsp.model.llama.engine import Job, LlamaEngine, Reading, Scoring
from egcfg_lsp.model.llama.generation import Generation
from egcfg_lsp.model.llama.native import Row
from egcfg_lsp.prompt import Prompt
from tests.support.reference import (
    EPSILON,
    FILLER,
    Model,
    Reference,
    begun,
    check_answer,
    check_cache,
    check_scores,
    collected,
    guessed,
    logits_of,
)


class Request(Protocol):
    def start(self, engine: LlamaEngine) -> Job: ...

    def check(self, reference: Reference, job: Job, events: list[Line | Finished]) -> None: ...


@dataclass(frozen=True)
class Generates:
    batch: tuple[Continuation, ...]

    def start(self, engine: LlamaEngine) -> Generation:
        return engine.generate(self.batch)

    def check(self, reference: Reference, job: Job, events: list[Line | Finished]) -> None:
        for continuation, got in zip(self.batch, collected(events, len(self.batch)), strict=True):
            check_answer(reference, continuation, got)


@dataclass(frozen=True)
class Scores:
    prompt: Prompt
    texts: tuple[str, ...]

    def start(self, engine: LlamaEngine) -> Scoring:
        return engine.score(self.prompt, self.texts)

    def check(self, reference: Reference, job: Job, events: list[Line | Finished]) -> None:
        assert isinstance(job, Scoring)
        assert events == []
        check_scores(reference, self.prompt, self.texts, job.log_probabilities)


@dataclass(frozen=True)
class Reads:
    prompt: Prompt

    def start(self, engine: LlamaEngine) -> Reading:
        return engine.read(self.prompt)

    def check(self, reference: Reference, job: Job, events: list[Line | Finished]) -> None:
        assert events == []


@dataclass
class Started:
    request: Request
    job: Job
    events: list[Line | Finished] = field(default_factory=list)


choices = st.integers(0, 20)


class EngineMachine(RuleBasedStateMachine):
    """Jobs that are started, interrupted, paused and given up in any order, one at a time."""

    def __init__(self, model: Model, engine: LlamaEngine) -> None:
        super().__init__()
        self.model, self.engine = model, engine
        self.requests: list[Request] = [
            *(Generates((c,)) for c in model.long),
            Generates((model.long[1], *model.continuations[:3])),
            Generates((model.guided[0], model.continuations[4], model.continuations[4])),
            Generates(
                (
                    begun(model.reference, model.long[1], 5),
                    guessed(model.reference, model.long[1], 3),
                    guessed(model.reference, model.guided[1], 1),
                )
            ),
            Generates((guessed(model.reference, begun(model.reference, model.long[0], 3), 0),)),
            *(Reads(c.prompt) for c in model.long),
            Scores(model.long[2].prompt, ("return", "x = price\n", "")),
            Scores(model.continuations[0].prompt, (FILLER[:300],)),
        ]
        self.started: list[Started] = []
        self.current: Started | None = None

    def teardown(self) -> None:
        for one in self.started:
            one.job.pause()
        self.engine.kv.clear()

    @precondition(lambda self: len(self.started) < 3)
    @rule(i=choices)
    def start(self, i: int) -> None:
        request = self.requests[i % len(self.requests)]
        self.started.append(Started(request, request.start(self.engine)))

    @precondition(lambda self: self.started)
    @rule(i=choices, n=st.integers(1, 12))
    def step(self, i: int, n: int) -> None:
        one = self._switched(i)
        for _ in range(n):
            if not one.job.is_done:
                one.events += one.job.step()
        self._ended(one)

    @precondition(lambda self: self.started)
    @rule(i=choices)
    def step_that_llama_gives_up(self, i: int) -> None:
        one, decode = self._switched(i), self.engine._native.decode

        def aborted(rows: Sequence[Row]) -> bool:
            self.engine.abort.set()
            return decode(rows)

        self.engine._native.decode = aborted  # type: ignore[method-assign]
        one.events += one.job.step()
        self.engine._native.decode = decode  # type: ignore[method-assign]
        self.engine.abort.clear()
        self._ended(one)

    @precondition(lambda self: self.started)
    @rule(i=choices)
    def pause(self, i: int) -> None:
        self.started[i % len(self.started)].job.pause()

    @precondition(lambda self: self.started)
    @rule(i=choices)
    def cancel(self, i: int) -> None:
        one = self.started.pop(i % len(self.started))
        one.job.pause()

    @precondition(lambda self: self.started)
    @rule(i=choices)
    def finish(self, i: int) -> None:
        one = self._switched(i)
        while not one.job.is_done:
            one.events += one.job.step()
        self._ended(one)

    @rule(i=choices, cut=st.integers(1, 300))
    def logits_through_the_cache(self, i: int, cut: int) -> None:
        self._pause_current()
        prompts = [c.prompt for c in (*self.model.long, *self.model.continuations)]
        tokens = self.model.reference.tokens(prompts[i % len(prompts)])[:cut]
        got = logits_of(self.engine, tokens)
        np.testing.assert_allclose(got, self.model.reference.logits(tokens), atol=EPSILON)

    @invariant()
    def tree_and_llama_agree(self) -> None:
        check_cache(self.engine)

    def _pause_current(self) -> None:
        if self.current is not None:
            self.current.job.pause()

    def _switched(self, i: int) -> Started:
        one = self.started[i % len(self.started)]
        if one is not self.current:
            self._pause_current()
            self.current = one
        return one

    def _ended(self, one: Started) -> None:
        if one.job.is_done:
            one.request.check(self.model.reference, one.job, one.events)
            one.job.pause()
            self.started.remove(one)


def test_anything_in_any_order(model: Model, engine: LlamaEngine) -> None:
    class Machine(EngineMachine):
        def __init__(self) -> None:
            super().__init__(model, engine)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
