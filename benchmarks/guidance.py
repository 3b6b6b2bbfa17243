"""The group `guidance`: what two branches a token cost, and what guessed tokens give back.

The lines are of the functions of a HumanEval file, or else of the frozen project: the model's own
candidates for each line are told in the signal, with results that are made up, and are the guesses.
Does not say whether guidance is worth anything.
"""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.bare import BarePair
from benchmarks.decoding import BLOCK_TOKENS, COUNTING, Endless, first_plan, opened, run
from benchmarks.figures import Benchmark, Figure, Figures, Setup, median
from benchmarks.typing_sessions import PROJECT
from egcfg_lsp.bench.datasets import read_dataset
from egcfg_lsp.guidance.signal import Seen, Tried, outcome_signal
from egcfg_lsp.model import Continuation, Line, Sampling, Stop
from egcfg_lsp.model.llama.engine import LlamaEngine
from egcfg_lsp.model.llama.generation import Generation
from egcfg_lsp.prompt import Prompt, PromptForm
from egcfg_lsp.prompt.program import answering, rest_prompt
from egcfg_lsp.source.lines import indent_of, split_lines

HINT = Prompt(("# Zero is no number here.\n", *COUNTING.parts))
SCALE = 1.5
"""Of `guided_token_ratio`; neither 0 nor 1, so that the formula is computed."""
PLAUSIBILITY = 0.1
"""Of the lines, which are guided at γ = 1: with a mask both branches are needed there, too."""
N_LINES = 24
LINES_A_FUNCTION = 2
LINE_TOKENS, CANDIDATE_TOKENS = 40, 64
CANDIDATES = (Sampling(), Sampling(0.8, 0.95, seed=1), Sampling(0.8, 0.95, seed=2))


def guided_token_ratio(setup: Setup) -> Figures:
    """Time of a guided token, ours over a bare loop's over two sequences."""
    with opened(setup) as engine:
        plan, n_context = first_plan(setup), engine.info.n_context
        with closing(BarePair(setup.model, plan, n_context, SCALE)) as bare:
            ours = Endless(engine, COUNTING, HINT, SCALE)
            bare.read_pair(engine.tokenize(COUNTING, 1), engine.tokenize(HINT, 1))
            ratios: list[float] = []
            for i in range(-1, setup.rounds(40)):
                ms = [0.0, 0.0]
                for side in (0, 1) if i % 2 else (1, 0):
                    ms[side] = _ms_of((ours, bare)[side].step, BLOCK_TOKENS)
                ratios += [ms[0] / ms[1]] if i >= 0 else []
    details = {"scale": SCALE, "tokens_a_block": BLOCK_TOKENS}
    return {"guided_token_ratio": median(ratios, "ratio", at_most=1.05, details=details)}


def speculated_lines(setup: Setup) -> Figures:
    """Guided lines with their candidates as guesses over plain greedy decoding, a token."""
    rounds: list[_Round] = []
    with opened(setup) as engine:
        for before in _places(setup, setup.rounds(N_LINES)):
            if (one := _round(engine, before, in_turn=len(rounds))) is not None:
                rounds.append(one)
    if not rounds:
        missing = Figure(None, "ratio", note="no line came about")
        return {"speculated_line_ratio": missing}
    n_read, n_right = sum(r.n_guessed for r in rounds), sum(r.n_right for r in rounds)
    details: dict[str, object] = {
        "of": "HumanEval" if setup.humaneval else "the frozen project",
        "plausibility": PLAUSIBILITY,
    }
    return {
        "speculated_line_ratio": median(
            [r.speculated for r in rounds], "ratio", at_most=1.2, details=details
        ),
        "guided_line_ratio": median([r.guided for r in rounds], "ratio"),
        "accepted_share": Figure(n_right / n_read if n_read else None, "share", n=n_read),
    }


BENCHMARKS: tuple[Benchmark, ...] = (guided_token_ratio, speculated_lines)


@dataclass(frozen=True)
class _Round:
    """One line, all three ways; times are those of a token, over plain decoding's."""

    guided: float
    speculated: float
    n_guessed: int
    n_right: int


def _round(engine: LlamaEngine, before: str, in_turn: int) -> _Round | None:
    """None where the model has no line to say."""
    form, chance = engine.info.form, random.Random(before)
    prior = rest_prompt(before, "", form)
    candidates = _candidates(engine, prior, indent_of(split_lines(before)[-1]))
    guesses = tuple(tokens for _, tokens in candidates)
    best = chance.randrange(len(candidates))
    tried = [
        Tried(text, True, (Seen("the example", i == best, note="AssertionError"),))
        for i, (text, _) in enumerate(candidates)
    ]
    signal = _signalled(before, outcome_signal(tried), form)
    stop = Stop(LINE_TOKENS, at_line_end=True)
    guided = Continuation(prior, stop, signal=signal, plausibility=PLAUSIBILITY)
    n_tokens = _timed(engine, guided)[1]
    if n_tokens < 2:
        return None
    ways = (
        Continuation(prior, Stop(n_tokens)),
        guided,
        replace(guided, guesses=guesses),
    )
    seconds = [0.0] * len(ways)
    for i in range(len(ways)):
        way = (i + in_turn) % len(ways)
        elapsed, n, job = _timed(engine, ways[way])
        seconds[way] = elapsed / max(n, 1)
        if way == 2:
            n_guessed, n_right = job.n_guessed, job.n_guessed_right
    return _Round(seconds[1] / seconds[0], seconds[2] / seconds[0], n_guessed, n_right)


def _timed(engine: LlamaEngine, continuation: Continuation) -> tuple[float, int, Generation]:
    """Seconds without the reading of its prompts, and the number of its tokens."""
    for prompt in (continuation.prompt, continuation.signal):
        if prompt is not None:
            run(engine.read(prompt))
    job = engine.generate([continuation])
    started = time.perf_counter()
    run(job)
    return time.perf_counter() - started, job.usage.n_generated, job


def _candidates(
    engine: LlamaEngine, prior: Prompt, indent: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Texts and tokens of the greedy continuation and of sampled ones, without repetitions."""
    stop = Stop(CANDIDATE_TOKENS, min_indent=max(indent, 1))
    job = engine.generate([Continuation(prior, stop, sampling) for sampling in CANDIDATES])
    texts = [""] * len(CANDIDATES)
    tokens: list[tuple[int, ...]] = [()] * len(CANDIDATES)
    while not job.is_done:
        for event in job.step():
            tokens[event.index] += tuple(token.id for token in event.tokens)
            texts[event.index] += event.text if isinstance(event, Line) else ""
    job.pause()
    return list(dict(zip(texts, tokens, strict=True)).items())


def _signalled(before: str, signal: str, form: PromptForm) -> Prompt:
    """`rest_prompt` of the same function, with the candidates told behind the question."""
    if form.chat is None:
        told = "".join(f"# {line}\n" for line in signal.splitlines())
        return Prompt((told + before,))
    question = f"Finish this Python function.\n\n{before}\n\nTried so far:\n\n{signal}"
    return answering(form.chat, question, before)


def _places(setup: Setup, n: int) -> Iterator[str]:
    """`n` programs up to a line of a function, `LINES_A_FUNCTION` of each function in turn."""
    functions = sorted(_humaneval(setup.humaneval) if setup.humaneval else _project())
    chance = random.Random(setup.seed)
    chance.shuffle(functions)
    places = [
        head + "".join(body[:line])
        for head, body in functions
        for line in sorted(chance.sample(range(len(body)), min(LINES_A_FUNCTION, len(body))))
        if body[line].strip() and indent_of(body[line]) == indent_of(body[0])
    ]
    yield from places[:n]


def _humaneval(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Programs above their gaps, and the lines that belong there."""
    for problem in read_dataset("humaneval", path).problems:
        yield problem.before, tuple(split_lines(problem.reference))


def _project() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Heads with docstrings of the frozen project's functions, and the lines of their bodies."""
    text = (PROJECT / "reading.py").read_text()
    lines = split_lines(text)
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) and len(node.body) > 1:
            first = node.body[1].lineno - 1
            head = "".join(lines[node.lineno - 1 : first])
            yield head, tuple(lines[first : node.end_lineno])


def _ms_of(step: Callable[[], None], n: int) -> float:
    """Milliseconds a step."""
    started = time.perf_counter()
    for _ in range(n):
        step()
    return (time.perf_counter() - started) * 1000 / n
