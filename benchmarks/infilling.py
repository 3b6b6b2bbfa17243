"""Single-line infilling, exact match: what the form of the prompt costs or gives in quality.

Problems of `HumanEval-SingleLineInfilling.jsonl.gz` (Bavarian et al., arXiv 2207.14255); the text is
never executed. Greedy, the first line with text on it, trailing white space left out.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.decoding import opened
from benchmarks.figures import Figure, Figures, Setup
from egcfg_lsp.model import Continuation, Line, Stop
from egcfg_lsp.model.llama.engine import LlamaEngine, drive
from egcfg_lsp.prompt import Marker, Prompt, infill_prompt
from egcfg_lsp.source.target import find_target

FILE = "HumanEval-SingleLineInfilling.jsonl.gz"
N_PROBLEMS = 70
MAX_TOKENS = 64


@dataclass(frozen=True)
class Problem:
    before: str
    """Up to the cursor: with the beginning of the line where that stands in the middle of it."""
    line: str
    """What belongs at the cursor, without its line end."""
    after: str
    """From the cursor on, with the line end of the cursor's line."""


Variant = Callable[[Prompt], Continuation]


def infilling(setup: Setup) -> Figures:
    """Exact match with the product's prompt and beside it, at the line's start and in its middle."""
    if setup.data is None or not (setup.data / FILE).is_file():
        note = f"no {FILE}: give its folder with --data"
        return {name: Figure(None, "fraction", note=note) for name in _names()}
    problems = sample(setup.data / FILE, setup.rounds(N_PROBLEMS, 3), setup.seed)
    chance = random.Random(setup.seed)
    hits = dict.fromkeys(_names(), 0)
    with opened(setup) as engine:
        for problem in problems:
            for name, variant in _AT_START.items():
                hits[name] += is_solved(engine, problem, variant)
            cut = in_mid_line(problem, chance)
            for name, variant in _IN_MID_LINE.items():
                hits[name] += is_solved(engine, cut, variant)
    n = len(problems)
    return {
        name: Figure(
            n_hits / n,
            "fraction",
            n=n,
            details={"matches": n_hits, "model": setup.name, "seed": setup.seed},
        )
        for name, n_hits in hits.items()
    }


def sample(path: Path, n: int, seed: int) -> list[Problem]:
    """`n` problems with the cursor at the line's start."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        raw = [json.loads(line) for line in stream]
    return [
        Problem(one["prompt"], one["canonical_solution"].rstrip("\n"), "\n" + one["suffix"])
        for one in random.Random(seed).sample(raw, n)
    ]


def in_mid_line(problem: Problem, chance: random.Random) -> Problem:
    """The same with a part of the line typed: at least one character of its text, not all of it."""
    indent = len(problem.line) - len(problem.line.lstrip())
    cut = chance.randint(min(indent + 1, len(problem.line) - 1), len(problem.line) - 1)
    return Problem(problem.before + problem.line[:cut], problem.line[cut:], problem.after)


def is_solved(engine: LlamaEngine, problem: Problem, variant: Variant) -> bool:
    target = find_target(problem.before + problem.after, len(problem.before))
    prompt = infill_prompt(
        problem.before,
        problem.after,
        form=engine.info.form,
        function_line=0 if target is None else target.start_line,
    )
    text = "".join(e.text for e in drive(engine.generate([variant(prompt)])) if isinstance(e, Line))
    starts_line = problem.before.endswith("\n")
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "") if starts_line else lines[0]
    return first.rstrip() == problem.line.rstrip()


def without_anchor(prompt: Prompt) -> Prompt:
    """The prompt with all before the cursor in the prefix, and nothing behind the middle marker."""
    parts = list(prompt.parts)
    if Marker.FIM_MIDDLE not in parts or Marker.FIM_PREFIX not in parts:
        return prompt
    prefix = parts.index(Marker.FIM_PREFIX) + 1
    middle = parts.pop()
    parts[prefix] = f"{parts[prefix]}{middle}"
    return Prompt((*parts, ""))


def _plain(prompt: Prompt) -> Continuation:
    return Continuation(prompt, Stop(MAX_TOKENS, at_line_end=True))


def _unhealed(prompt: Prompt) -> Continuation:
    return Continuation(prompt, Stop(MAX_TOKENS, at_line_end=True), heal=False)


def _unanchored(prompt: Prompt) -> Continuation:
    return _plain(without_anchor(prompt))


_AT_START: dict[str, Variant] = {
    "infill_exact_match": _plain,
    "infill_exact_match_no_anchor": _unanchored,
}
_IN_MID_LINE: dict[str, Variant] = {
    "infill_mid_line": _plain,
    "infill_mid_line_no_healing": _unhealed,
    "infill_mid_line_no_anchor": _unanchored,
}


def _names() -> list[str]:
    return [*_AT_START, *_IN_MID_LINE]
