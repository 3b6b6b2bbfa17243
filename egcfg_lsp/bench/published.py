"""The arm `eg-cfg`: execution-guided line-by-line generation as published (arXiv 2506.10948).

Which configurations are tried, and which program wins: the first that passes the visible tests. How
one is written is `line_by_line`. Nothing of it is improved: no gate, no mask, no reuse of candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.arms import ARMS, Answer, Arm, Bench, Run, outcome_of, rank
from egcfg_lsp.bench.line_by_line import Attempt, Signal, Task, attempted
from egcfg_lsp.bench.observing import observer
from egcfg_lsp.bench.problems import Problem
from egcfg_lsp.completion import Rung
from egcfg_lsp.guidance.configuration import Configuration, parse, published_grid

EG_CFG = "eg-cfg"
WHOLE_GRID = "published"
"""Names all configurations of the published grid."""
DEFAULT_NAMES = "ns3t0.7d3_ln"
MAX_LABEL = 80
"""Characters; a longer one becomes a number and a hash."""


@dataclass(frozen=True)
class Grid:
    """What is tried, one after the other."""

    configurations: tuple[Configuration, ...]
    signal: Signal = Signal.TRACE

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(one.name for one in self.configurations))

    @property
    def scales(self) -> list[float]:
        return list(dict.fromkeys(one.scale for one in self.configurations))

    @property
    def label(self) -> str:
        """`ns3t0.75d5k1_lci_ln` for one as published; of several γ all are told."""
        parts = [_joined(self.names)]
        if len(self.scales) > 1:
            parts.append("g" + "-".join(f"{scale:g}" for scale in self.scales))
        if self.signal is not Signal.TRACE:
            parts.append("selection" if self.signal is Signal.NONE else self.signal.value)
        return "_".join(parts)


def _joined(names: Sequence[str]) -> str:
    if names == [one.name for one in published_grid((1.0,))]:
        return f"{EG_CFG}-{WHOLE_GRID}"
    joined = "+".join(names)
    if len(joined) <= MAX_LABEL:
        return joined
    return f"{EG_CFG}-{len(names)}-{hashlib.sha256(joined.encode()).hexdigest()[:8]}"


def grid_of(names: Sequence[str], scales: Sequence[float], signal: Signal) -> Grid:
    """The configurations of some names, each with every γ; `published` names the whole grid.

    No γ: 1, and for the whole grid those published. Without a signal there is no γ, and it is 0.
    Raises BenchError.
    """
    if not names:
        raise BenchError("no configuration of eg-cfg is named")
    is_guided = signal is not Signal.NONE
    found: list[Configuration] = []
    try:
        for name in names:
            own = tuple(scales) if is_guided else (0.0,)
            if name == WHOLE_GRID:
                found += published_grid(own) if own else published_grid()
            else:
                found += [parse(name, scale) for scale in own or (1.0,)]
    except ValueError as error:
        raise BenchError(str(error)) from error
    return Grid(tuple(dict.fromkeys(found)), signal)


def eg_cfg(grid: Grid) -> Arm:
    """The arm on a grid; its γ is the largest."""
    return Arm(
        EG_CFG,
        _run_of(grid),
        ("budget", "max_tokens"),
        needs_tests=True,
        gamma=max(grid.scales),
        label=grid.label,
        parameters={
            "configurations": grid.names,
            "gammas": grid.scales,
            "signal": grid.signal.value,
        },
    )


def with_grid(arms: Sequence[Arm], grid: Grid) -> tuple[Arm, ...]:
    """The arms, `eg-cfg` on this grid."""
    return tuple(eg_cfg(grid) if arm.name == EG_CFG else arm for arm in arms)


def _run_of(grid: Grid) -> Run:
    async def run(problem: Problem, bench: Bench) -> Answer:
        if problem.after:
            raise BenchError(
                f"{EG_CFG} writes programs to their end: it has no place for code below"
            )
        form = (await bench.model.info()).form
        seer = observer(bench.path, problem.entry_point, bench.sandbox)
        task = Task(problem, bench, form, seer, grid.signal)
        made: list[Attempt] = []
        for configuration in grid.configurations:
            if made and (_is_over(made) or bench.is_spent):
                break
            if not _is_repetition(configuration, grid.signal, made):
                made.append(await attempted(configuration, task))
        return _answer(made, task)

    return run


def _is_over(made: Sequence[Attempt]) -> bool:
    """Whether a program passes, or there is nothing to tell programs apart by."""
    return any(one.said is None or one.said.passed for one in made)


def _is_repetition(configuration: Configuration, signal: Signal, made: Sequence[Attempt]) -> bool:
    """At γ = 0 only the prompt makes a difference."""
    return _is_plain(configuration, signal) and any(
        _is_plain(one.configuration, signal) and one.configuration.style is configuration.style
        for one in made
    )


def _is_plain(configuration: Configuration, signal: Signal) -> bool:
    """Whether nothing of a run reaches the program."""
    return signal is not Signal.NONE and configuration.scale == 0


def _answer(made: Sequence[Attempt], task: Task) -> Answer:
    """The program that passes most visible tests, of equal ones the first."""
    best = max(made, key=lambda one: rank(one.result)[:2])
    said = best.said
    return Answer(
        best.result.code,
        rung=Rung.DRAFT if _is_plain(best.configuration, task.signal) else Rung.GUIDE,
        outcome=outcome_of(said) if said is not None else "",
        summary=said.reason if said is not None else "",
        candidates=tuple(one.result for one in made),
        stopped_early=task.bench.is_spent,
        extra={
            "signal": task.signal.value,
            **best.told,
            "attempts": [one.told for one in made],
        },
    )


ARMS[EG_CFG] = eg_cfg(grid_of([DEFAULT_NAMES], [], Signal.TRACE))
