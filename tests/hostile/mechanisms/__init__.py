"""All cases of the suite, by mechanism; and those that the benchmark's judge gets too."""

from __future__ import annotations

from tests.hostile.cases import Case, Expect
from tests.hostile.mechanisms import (
    controls,
    descriptors,
    filesystem,
    forging,
    interpreter,
    kernel,
    memory,
    network,
    processes,
    siblings,
    signals,
    timing,
)

MECHANISMS: dict[str, tuple[Case, ...]] = {
    "controls": controls.CASES,
    "filesystem": filesystem.CASES,
    "processes": processes.CASES,
    "signals": signals.CASES,
    "network": network.CASES,
    "memory": memory.CASES,
    "descriptors": descriptors.CASES,
    "time": timing.CASES,
    "kernel": kernel.CASES,
    "interpreter": interpreter.CASES,
    "forging": forging.CASES,
    "siblings": siblings.CASES,
}
CASES: dict[str, Case] = {
    f"{mechanism}: {case.name}": case for mechanism, cases in MECHANISMS.items() for case in cases
}
ABOUT_VERDICTS = ("time", "interpreter", "forging")
"""Mechanisms by which the user makes no difference, since they do not aim at the host."""
JUDGED: tuple[str, ...] = (
    "controls: honest and right",
    "controls: honest and wrong",
    *(name for name, case in CASES.items() if case.expect is Expect.FORGEABLE),
    "filesystem: read secrets by their paths",
    "filesystem: modes, owners, times",
    "processes: fork bomb",
    "processes: daemon that outlives the run",
    "processes: descriptors of other processes",
    "processes: memory of other processes",
    "signals: kill everything",
    "signals: deaf to every signal",
    "network: TCP to a listener of the host",
    "memory: list without end that swallows its errors",
    "descriptors: every pipe is flooded",
    "descriptors: all descriptors are closed, the answer is right",
    "time: loop at import",
    "kernel: new namespaces",
    "interpreter: os._exit at import",
    "forging: a record behind another",
)
