"""One program written line by line, guided by what candidates for its next lines do when they run.

For each line: candidates are sampled, made executable, run against every visible test, and told to
the model as a signal; the line is then the most probable one under guidance (EG-CFG, arXiv
2506.10948). Or, without a signal, the candidate that runs best gives the line. Written from the
paper. Does not know other configurations, nor the editor's ladder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Any

from egcfg_lsp.bench.arms import HELPERS, Bench
from egcfg_lsp.bench.extract import definitions
from egcfg_lsp.bench.observing import Observer
from egcfg_lsp.bench.problems import Judgement, Problem
from egcfg_lsp.bench.task import CandidateResult
from egcfg_lsp.guidance.configuration import TOP_P, Configuration
from egcfg_lsp.guidance.executable import Executable, executable, first_lines
from egcfg_lsp.guidance.signal import Tried, failing_signal, outcome_signal, trace_signal
from egcfg_lsp.model import (
    Continuation,
    Finished,
    Line,
    Priority,
    Sampling,
    Stop,
    StopReason,
    Usage,
)
from egcfg_lsp.prompt import Prompt, PromptForm
from egcfg_lsp.prompt.fim import CHAT_FENCE
from egcfg_lsp.prompt.published import ProgramTask, Style, published_prompt
from egcfg_lsp.source.lines import split_lines

COUNTED = (
    "lines", "guided_lines", "lines_as_candidate", "signals", "candidates", "executable", "distinct",
    "tokens",
)  # fmt: skip
"""What is counted of a program: lines written, those with a signal, and those of them that are some
candidate's first line; signals that were not empty; candidates sampled, made executable, and those
that differ; tokens of the program itself."""
_ENDED = (StopReason.END, StopReason.STRING, StopReason.DEDENT)


class Signal(StrEnum):
    """What is told of the candidates' runs; all but the first are ablations."""

    TRACE = "trace"
    OUTCOME = "outcome"
    """Pass or fail, and the line that says why."""
    FAILING = "failing"
    """That, with the values of the failing example."""
    NONE = "none"
    """Nothing: the candidate that runs best gives the line."""


@dataclass
class Writing:
    """One program as it is written line by line, and what that took."""

    so_far: str
    is_finished: bool = False
    candidates: Sequence[Candidate] = ()
    """The latest, distinct and executable, in the order they were sampled."""
    signal: str = ""
    """What is told of them."""
    n_lines_due: int = 0
    """Lines until the next candidates are sampled."""
    log_probabilities: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def count(self, name: str, n: int = 1) -> None:
        self.counts[name] += n

    def take(self, lines: Sequence[Line]) -> None:
        """The program goes on with these."""
        for line in lines:
            self.so_far += line.text
            self.log_probabilities += line.log_probabilities
            self.count("tokens", max(1, len(line.log_probabilities)))
        n = n_lines(text_of(lines))
        self.count("lines", n)
        self.n_lines_due -= n


@dataclass
class Sampled:
    """One continuation as it was received."""

    lines: list[Line] = field(default_factory=list)
    has_ended: bool = False
    """Whether the model ended it, and not a bound."""

    @property
    def text(self) -> str:
        return text_of(self.lines)


@dataclass(frozen=True)
class Candidate:
    sampled: Sampled
    program: Executable
    tried: Tried

    @property
    def log_probability(self) -> float:
        """Mean, per token."""
        return _mean(p for line in self.sampled.lines for p in line.log_probabilities)

    def first(self, n: int) -> list[Line]:
        """Its first lines, up to n with text on them, as far as they are executable."""
        kept = first_lines(self.program.kept, n)
        return self.sampled.lines[: len(kept)]


@dataclass(frozen=True)
class Attempt:
    """One configuration's program."""

    configuration: Configuration
    writing: Writing
    result: CandidateResult
    said: Judgement | None

    @property
    def told(self) -> dict[str, Any]:
        return {
            "configuration": self.configuration.name,
            "gamma": self.configuration.scale,
            "visible_passed": self.result.visible_passed,
            "visible_tests": self.result.visible_tests,
            **self.writing.counts,
        }


@dataclass
class Task:
    """What all attempts at one problem have in common."""

    problem: Problem
    bench: Bench
    form: PromptForm
    observer: Observer
    signal: Signal
    judgements: dict[str, Judgement] = field(default_factory=dict)
    """Of the visible tests, by program."""

    @property
    def asked(self) -> ProgramTask:
        problem = self.problem
        before = "" if problem.text else problem.before
        return ProgramTask(problem.text, before, problem.entry_point, self.bench.tests_text)

    def prompt(self, style: Style, writing: Writing, signal: str = "") -> Prompt:
        return published_prompt(self.asked, style, writing.so_far, signal, self.form)

    def stop(self, writing: Writing, *, at_line_end: bool) -> Stop:
        """A program in words may do anything above its function, which then ends like any other."""
        begins = f"def {self.problem.entry_point}("
        return Stop(
            max_tokens=max(1, self.bench.effort.max_tokens - writing.counts["tokens"]),
            at_line_end=at_line_end,
            min_indent=1 if begins in writing.so_far else None,
            dedents=HELPERS,
            strings=(CHAT_FENCE,) if self.form.chat is not None else (),
        )

    def program(self, writing: Writing) -> str:
        return definitions(writing.so_far) if self.problem.text else writing.so_far

    async def judged(self, code: str) -> Judgement | None:
        """What the visible tests say of a program; None without any."""
        if self.bench.visible is None:
            return None
        if code not in self.judgements:
            self.judgements[code] = await self.bench.run_visible(code)
        return self.judgements[code]

    def is_spent(self, writing: Writing) -> bool:
        return self.bench.is_spent or writing.counts["tokens"] >= self.bench.effort.max_tokens


async def attempted(configuration: Configuration, task: Task) -> Attempt:
    """One configuration's program, and what the visible tests say of it. Raises ModelError."""
    writing = Writing(task.asked.before)
    while not writing.is_finished and not task.is_spent(writing):
        if writing.n_lines_due <= 0:
            await _refresh(configuration, task, writing)
            if task.is_spent(writing):
                break
        if task.signal is Signal.NONE and writing.candidates:
            _select(configuration, writing)
        else:
            await _write_line(configuration, task, writing)
    code = task.program(writing)
    said = await task.judged(code)
    is_known = said is not None and said.passed is not None
    result = CandidateResult(
        code,
        mean_log_probability=_mean(writing.log_probabilities),
        visible_passed=said.n_passed if said is not None and is_known else None,
        visible_tests=said.n_tests if said is not None and is_known else None,
    )
    return Attempt(configuration, writing, result, said)


async def _refresh(configuration: Configuration, task: Task, writing: Writing) -> None:
    """New candidates and their signal; one try, whatever comes of it."""
    writing.candidates, writing.signal = (), ""
    writing.n_lines_due = configuration.refresh
    needs_candidates = task.signal is Signal.NONE or configuration.scale != 0
    if not needs_candidates or not task.observer.tests:
        return
    found: dict[str, Candidate] = {}
    for sampled in await _sampled(configuration, task, writing):
        program = executable(writing.so_far, sampled.text, configuration.horizon)
        if program is None:
            continue
        writing.count("executable")
        if program.key not in found:
            is_whole = sampled.has_ended and program.kept == sampled.text
            seen = await task.observer.seen(program)
            found[program.key] = Candidate(sampled, program, Tried(program.kept, is_whole, seen))
    writing.candidates = list(found.values())
    writing.count("distinct", len(found))
    writing.signal = _FORMS[task.signal]([one.tried for one in writing.candidates])
    writing.count("signals", bool(writing.signal))


_FORMS: dict[Signal, Callable[[Sequence[Tried]], str]] = {
    Signal.TRACE: trace_signal,
    Signal.OUTCOME: outcome_signal,
    Signal.FAILING: failing_signal,
    Signal.NONE: lambda _: "",
}


async def _sampled(configuration: Configuration, task: Task, writing: Writing) -> list[Sampled]:
    """s continuations in one batch, until each has d lines or has ended, or the budget is spent."""
    bench, horizon = task.bench, configuration.horizon
    seed = bench.seed + writing.counts["candidates"]
    prompt = task.prompt(configuration.style, writing)
    stop = task.stop(writing, at_line_end=False)
    found = [Sampled() for _ in range(configuration.n_samples)]
    is_done = [False] * len(found)
    wanted = [
        Continuation(prompt, stop, Sampling(configuration.temperature, TOP_P, seed=seed + i))
        for i in range(len(found))
    ]
    async with aclosing(bench.model.generate(wanted, Priority.EXPLORATION)) as events:
        async for event in events:
            if isinstance(event, Usage):
                continue
            one = found[event.index]
            if isinstance(event, Finished):
                one.has_ended = event.reason in _ENDED and not is_done[event.index]
                is_done[event.index] = True
            elif not is_done[event.index]:
                one.lines.append(event)
                is_done[event.index] = n_lines(one.text) >= horizon
            if all(is_done) or bench.is_spent:
                break
    writing.count("candidates", len(found))
    return found


async def _write_line(configuration: Configuration, task: Task, writing: Writing) -> None:
    """The most probable next line, guided where there is a signal."""
    prompt = task.prompt(configuration.style, writing)
    conditioned = None
    if writing.signal and configuration.scale != 0:
        conditioned = task.prompt(configuration.style, writing, writing.signal)
    wanted = Continuation(
        prompt,
        task.stop(writing, at_line_end=True),
        signal=conditioned,
        guidance_scale=configuration.scale,
    )
    lines, reason = [], None
    async with aclosing(task.bench.model.generate([wanted], Priority.EXPLORATION)) as events:
        async for event in events:
            if isinstance(event, Line):
                lines.append(event)
            elif isinstance(event, Finished):
                reason = event.reason
    written = text_of(lines).strip("\n").rstrip()
    writing.is_finished = reason is not StopReason.LINE_END or not written
    writing.take(lines)
    if conditioned is not None and written:
        firsts = [text_of(one.first(1)).strip("\n").rstrip() for one in writing.candidates]
        writing.count("guided_lines")
        writing.count("lines_as_candidate", written in firsts)


def _select(configuration: Configuration, writing: Writing) -> None:
    """The next k lines of the candidate that passes most tests, of equal ones the most probable."""
    best = max(writing.candidates, key=lambda one: (one.tried.n_passed, one.log_probability))
    lines = best.first(configuration.refresh)
    writing.is_finished = best.tried.is_whole and len(lines) == len(best.sampled.lines)
    writing.take(lines)
    writing.n_lines_due = 0


def text_of(lines: Sequence[Line]) -> str:
    return "".join(line.text for line in lines)


def n_lines(text: str) -> int:
    """Those with text on them."""
    return sum(bool(line.strip()) for line in split_lines(text))


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return fmean(known) if known else 0.0
