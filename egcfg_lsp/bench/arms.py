"""The arms of a benchmark: ways from a problem to a program, one registered function each.

An arm sees the problem and the visible tests, never those that judge (unless they are the same). It
works with the parts that serve the editor. Does not judge, and knows nothing of files of results.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.extract import definitions
from egcfg_lsp.bench.models import MeteredModel, MeteredSandbox
from egcfg_lsp.bench.problems import Judgement, Problem, Suite
from egcfg_lsp.bench.task import READ_COST, CandidateResult
from egcfg_lsp.completion import Considered, Outcome, Request, Rung, Suggestion
from egcfg_lsp.completion.draft import fitting_prompt
from egcfg_lsp.completion.engine import Tools, circumstances, ladder
from egcfg_lsp.model import Continuation, Finished, Line, Priority, Sampling, Stop, Usage
from egcfg_lsp.prompt import Prompt
from egcfg_lsp.prompt.fim import CHAT_FENCE
from egcfg_lsp.prompt.program import program_prompt, rest_prompt
from egcfg_lsp.settings import Settings
from egcfg_lsp.source.edit import splice

HELPERS = ("def ", "class ", "@", "import ", "from ")
"""Lines that belong to a program though they stand below the function that was asked for."""
SIDE_BY_SIDE = 8
"""Samples that are decoded in one batch."""


@dataclass(frozen=True)
class Effort:
    """How much an arm may do for one problem; each arm uses some of it."""

    max_tokens: int = 512
    """Of one continuation."""
    n_samples: int = 8
    temperature: float = 0.8
    top_p: float = 0.95
    budget: int | None = None
    """Cost of a problem (`TaskStats.cost`) from which on nothing more is started, and what samples is
    stopped; None: as long as it takes. An unfinished line counts, so it is overrun a little."""


@dataclass(frozen=True)
class Bench:
    """What an arm works with on one problem."""

    model: MeteredModel
    sandbox: MeteredSandbox
    visible: Suite | None
    run_visible: Callable[[str], Awaitable[Judgement]]
    """What the visible tests say of a program, in the sandbox; counted as a run."""
    tests_text: str
    """Source of the visible tests for the prompt; empty where the problem shows them itself."""
    path: Path
    """An empty module in a project of its own, with the visible tests in a file beside it."""
    effort: Effort
    seed: int

    @property
    def cost(self) -> float:
        """What was used up to now, in generated tokens."""
        usage = self.model.usage
        return usage.n_generated + READ_COST * usage.n_read

    @property
    def is_spent(self) -> bool:
        return self.effort.budget is not None and self.cost >= self.effort.budget


@dataclass(frozen=True)
class Answer:
    code: str
    """A whole program."""
    rung: Rung = Rung.DRAFT
    outcome: str = ""
    """What the visible tests said of it (`completion.Outcome`); empty: they were not run."""
    summary: str = ""
    first_line_seconds: float | None = None
    candidates: tuple[CandidateResult, ...] = ()
    stopped_early: bool = False
    """Whether the budget ended it."""
    extra: dict[str, Any] = field(default_factory=dict)


Run = Callable[[Problem, Bench], Awaitable[Answer]]


@dataclass(frozen=True)
class Arm:
    name: str
    run: Run
    uses: tuple[str, ...]
    """The fields of `Effort` that change what it does."""
    needs_tests: bool = False
    """Whether it makes no sense without visible tests."""
    gamma: float = 0.0
    """Guidance scale."""
    label: str = ""
    """What its configuration is called where that is not the arm's name."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What it does, beyond the effort; the label tells them apart."""

    def config(self, effort: Effort) -> str:
        """A name of its configuration: of the arm, and of what differs from run to run."""
        short = {"n_samples": "ns", "temperature": "t", "budget": "b", "max_tokens": "m"}
        shown = [
            f"{short[name]}{str(getattr(effort, name)).removesuffix('.0')}"
            for name in self.uses
            if name in short and getattr(effort, name) != _IMPLIED.get(name, ...)
        ]
        return "_".join([self.label or self.name, *(["".join(shown)] if shown else [])])

    def configuration(self, effort: Effort) -> dict[str, Any]:
        return {**self.parameters, **{name: getattr(effort, name) for name in self.uses}}

    def limited(self, effort: Effort) -> Effort:
        """The effort without a budget that the arm does not use."""
        return effort if "budget" in self.uses else replace(effort, budget=None)


_IMPLIED = {"max_tokens": Effort().max_tokens, "budget": None}
"""Values that a configuration's name does not tell."""
ARMS: dict[str, Arm] = {}


def arm(
    name: str, *uses: str, needs_tests: bool = False, gamma: float = 0.0
) -> Callable[[Run], Run]:
    """Register a function as an arm."""

    def register(run: Run) -> Run:
        ARMS[name] = Arm(name, run, uses, needs_tests, gamma)
        return run

    return register


def arms_named(names: Sequence[str]) -> list[Arm]:
    """Raises BenchError."""
    if unknown := [name for name in names if name not in ARMS]:
        raise BenchError(f"unknown arm {', '.join(unknown)} (known: {', '.join(ARMS)})")
    if not names:
        raise BenchError("no arm is named")
    return [ARMS[name] for name in dict.fromkeys(names)]


@arm("greedy", "max_tokens")
async def greedy(problem: Problem, bench: Bench) -> Answer:
    """The most probable tokens, asked for in a chat; where code stands below, as by `fim`."""
    asked = await asked_in_words(problem, bench)
    (text,) = await continued(asked, [Sampling()], bench)
    return Answer(asked.program(text))


@arm("fim", "max_tokens")
async def fim(problem: Problem, bench: Bench) -> Answer:
    """The most probable tokens behind the product's own prompt for a cursor in the gap."""
    asked = await asked_at_cursor(problem, bench)
    (text,) = await continued(asked, [Sampling()], bench)
    return Answer(asked.program(text))


@arm("sample", "temperature", "top_p", "max_tokens")
async def sample(problem: Problem, bench: Bench) -> Answer:
    """One sample from the prompt of `greedy`: its rate is pass@1 at the temperature."""
    asked = await asked_in_words(problem, bench)
    (text,) = await continued(asked, samplings(bench, 0, 1), bench)
    return Answer(asked.program(text))


@arm("best-of-n", "n_samples", "temperature", "top_p", "budget", "max_tokens")
async def best_of_n(problem: Problem, bench: Bench) -> Answer:
    """Samples from the prompt of `greedy`, ranked by the visible tests that pass, then by mean
    log-probability; as many as the effort says, or as its budget allows."""
    asked = await asked_in_words(problem, bench)
    texts: list[Text] = []
    while len(texts) < bench.effort.n_samples and not bench.is_spent:
        n = min(SIDE_BY_SIDE, bench.effort.n_samples - len(texts))
        texts += await continued(asked, samplings(bench, len(texts), n), bench)
    judgements: dict[str, Judgement] = {}
    candidates = []
    for text in _worth_running(texts):
        code = asked.program(text)
        if bench.visible is not None and code not in judgements:
            judgements[code] = await bench.run_visible(code)
        candidates.append(_candidate(code, text, judgements.get(code)))
    best = max(candidates, key=rank)
    said = judgements.get(best.code)
    return Answer(
        best.code,
        outcome=outcome_of(said) if said is not None else "",
        summary=said.reason if said is not None else "",
        candidates=tuple(candidates),
        stopped_early=bench.is_spent,
    )


@arm("verify", needs_tests=True)
async def verify(problem: Problem, bench: Bench) -> Answer:
    """The ladder's draft, and what running it against the visible tests says.

    In a gap with code below the ladder suggests one line.
    """
    return await _climbed(problem, bench, Settings(trusted=True, highest_rung="verify"))


@arm("ladder", needs_tests=True)
async def whole_ladder(problem: Problem, bench: Bench) -> Answer:
    """What the editor shows in the end: as `verify`, and where that fails what exploring finds."""
    return await _climbed(problem, bench, Settings(trusted=True))


@arm("guide", needs_tests=True)
async def guided_ladder(problem: Problem, bench: Bench) -> Answer:
    """As `ladder`, and where all that fails, decoding guided by what was seen (`highestRung`)."""
    return await _climbed(problem, bench, Settings(trusted=True, highest_rung="guide"))


async def _climbed(problem: Problem, bench: Bench, settings: Settings) -> Answer:
    """The best suggestion of the ladder, in the place of the gap."""
    text, offset = _buffer(problem)
    request = Request(text, offset, bench.path, bench.path.parent, settings)
    shown: Suggestion | None = None
    first_line: float | None = None
    summary = ""
    considered: tuple[Considered, ...] = ()
    async with aclosing(ladder(request, Tools(bench.model, bench.sandbox))) as updates:
        async for update in updates:
            considered = update.considered
            shown = update.suggestions[0] if update.suggestions else None
            first_line = update.timings.get("first_line")
            summary = shown.summary if shown else ", ".join(drop.cause for drop in update.drops)
    if shown is None:
        return Answer(text, summary=summary)
    has_run = bench.sandbox.n_runs > 0
    return Answer(
        splice(text, offset, shown.text, shown.replaces),
        rung=Rung.VERIFY if has_run and shown.rung is Rung.DRAFT else shown.rung,
        outcome=shown.outcome.value if has_run else "",
        summary=summary,
        first_line_seconds=first_line,
        extra={"considered": [asdict(one) for one in considered]},
    )


@dataclass
class Text:
    """One continuation as it was received."""

    text: str = ""
    log_probabilities: list[float] = field(default_factory=list)
    is_cut: bool = True
    """Whether it was stopped from outside."""


@dataclass(frozen=True)
class Asked:
    """A prompt, where its answer ends, and what the answer belongs between."""

    prompt: Prompt
    stop: Stop
    head: str = ""
    tail: str = ""
    """Begins with a line end where the gap has one."""
    is_whole: bool = False
    """Whether the answer is a whole program, perhaps with a demonstration."""

    def program(self, text: Text) -> str:
        if self.is_whole:
            return definitions(text.text)
        gap = text.text[: _repeats(text.text, self.tail)]
        tail = self.tail.removeprefix("\n") if gap.endswith("\n") else self.tail
        return f"{self.head}{gap}{tail}"


async def asked_in_words(problem: Problem, bench: Bench) -> Asked:
    """The question of the arms that chat."""
    form = (await bench.model.info()).form
    if problem.after:
        return await asked_at_cursor(problem, bench)
    fence = (CHAT_FENCE,) if form.chat is not None else ()
    stop = Stop(bench.effort.max_tokens, strings=fence)
    if problem.text:
        prompt = program_prompt(problem.text, problem.entry_point, bench.tests_text, form)
        return Asked(prompt, stop, is_whole=True)
    prompt = rest_prompt(problem.before, bench.tests_text, form)
    return Asked(prompt, replace(stop, min_indent=1, dedents=HELPERS), head=problem.before)


async def asked_at_cursor(problem: Problem, bench: Bench) -> Asked:
    """The product's question for the gap, answered to the model's own end."""
    text, offset = _buffer(problem)
    request = Request(text, offset, bench.path, bench.path.parent)
    tools = Tools(bench.model, bench.sandbox)
    here = await asyncio.to_thread(circumstances, request, tools)
    info = await bench.model.info()
    prompt = await asyncio.to_thread(fitting_prompt, request, here, info, tools.limits)
    below = next((line for line in problem.after.splitlines() if line.strip()), "")
    stop = Stop(
        bench.effort.max_tokens,
        min_indent=here.target.indent + 1 if here.target is not None else None,
        suffix_line=below if problem.gap_ends_line else "",
        strings=(CHAT_FENCE,),
    )
    return Asked(prompt, stop, head=text[:offset], tail=text[offset:])


async def continued(asked: Asked, sampled: Sequence[Sampling], bench: Bench) -> list[Text]:
    """A continuation for each sampling, decoded side by side until they end or the budget is spent.

    Raises ModelError.
    """
    texts = [Text() for _ in sampled]
    wanted = [Continuation(asked.prompt, asked.stop, sampling) for sampling in sampled]
    async with aclosing(bench.model.generate(wanted, Priority.EXPLORATION)) as events:
        async for event in events:
            if isinstance(event, Line):
                texts[event.index].text += event.text
                texts[event.index].log_probabilities += event.log_probabilities
            elif isinstance(event, Finished):
                texts[event.index].is_cut = False
            if not isinstance(event, Usage) and bench.is_spent:
                break
    return texts


def samplings(bench: Bench, first: int, n: int) -> list[Sampling]:
    """Those of sample `first` and the following; the sample's number chooses its random numbers."""
    effort = bench.effort
    return [
        Sampling(effort.temperature, effort.top_p, seed=bench.seed + i)
        for i in range(first, first + n)
    ]


def rank(candidate: CandidateResult) -> tuple[int, int, float]:
    """Passes most visible tests, then unknown before none; then the higher mean log-probability."""
    passed = candidate.visible_passed
    known = 1 if passed is None else 2 if passed else 0
    return known, passed or 0, candidate.mean_log_probability


def outcome_of(judgement: Judgement) -> str:
    """The word for what the visible tests say of a program."""
    if judgement.passed is None:
        return Outcome.UNVERIFIED.value
    if judgement.passed:
        return Outcome.VERIFIED.value
    return (Outcome.PARTIAL if judgement.n_passed else Outcome.FAILS).value


def _repeats(text: str, tail: str) -> int:
    """Where a text begins to repeat what stands behind it, two lines of it; its end if nowhere."""
    lines = tail.lstrip("\n").splitlines(keepends=True)[:2]
    place = text.find("".join(lines).rstrip()) if len(lines) > 1 else -1
    return len(text) if place < 0 else place


def _worth_running(texts: Sequence[Text]) -> Sequence[Text]:
    """Those that came to their end; if none did, those that began."""
    whole = [text for text in texts if not text.is_cut]
    return whole or [text for text in texts if text.text] or texts[:1]


def _candidate(code: str, text: Text, said: Judgement | None) -> CandidateResult:
    logs = text.log_probabilities
    is_known = said is not None and said.passed is not None
    return CandidateResult(
        code,
        mean_log_probability=statistics.fmean(logs) if logs else 0.0,
        visible_passed=said.n_passed if said is not None and is_known else None,
        visible_tests=said.n_tests if said is not None and is_known else None,
    )


def _buffer(problem: Problem) -> tuple[str, int]:
    """The text of an editor with the cursor in the gap, and the cursor's offset."""
    end = "\n" if problem.after and problem.gap_ends_line else ""
    return f"{problem.before}{end}{problem.after}", len(problem.before)
