"""What is written of one problem and one arm: the content of a result file, documented in
`docs/benchmark.md`. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from egcfg_lsp.bench import BenchModel
from egcfg_lsp.bench.problems import AssertResult, Visible

READ_COST = 0.2
"""Cost of reading a token, in generated ones: about what it takes on a CPU."""


@dataclass(frozen=True)
class TaskStats:
    """Names and units of the published method's result files, and ours below."""

    start: str
    """UTC, ISO 8601."""
    end: str
    duration: float
    """Seconds of the arm, its runs included; those of the judge are not in it."""
    input_tokens: int
    """Prompt tokens that were read, those found in the KV cache not counted."""
    output_tokens: int
    """Tokens that were generated, those of lines that were not used included."""
    reused_tokens: int = 0
    """Prompt tokens found in the KV cache."""
    runs: int = 0
    """Executions of a candidate against the visible tests."""
    judge_seconds: float = 0.0

    @property
    def cost(self) -> float:
        """In generated tokens."""
        return self.output_tokens + READ_COST * self.input_tokens


@dataclass(frozen=True)
class CandidateResult:
    """One of several programs that an arm has chosen from."""

    code: str
    mean_log_probability: float
    """Natural logarithm, per token."""
    visible_passed: int | None = None
    """Visible asserts that passed; None: it was not run, or nothing can be said."""
    visible_tests: int | None = None


@dataclass(frozen=True)
class TaskResult:
    """One problem, one arm in one configuration."""

    task_id: str
    entry_point: str
    dataset: str
    arm: str
    config: str
    """Name of the arm's configuration, and of its folder: `best-of-n_ns8_t0.8`."""
    configuration: Mapping[str, Any]
    """The arm's parameters."""
    gamma: float
    """Guidance scale; 0: without guidance."""
    seed: int
    model: BenchModel
    version: str
    visible: Visible
    """Which tests guide."""
    tests_seen: str
    """Name of the tests that the arm could see; empty: none."""
    tests_judging: str
    judging_seen: bool
    """Whether a call of the data set's own tests was among those seen."""
    code: str
    """The program that was judged."""
    passed: bool | None
    """None: nothing can be said; counts as not passed."""
    accuracy: float
    """Share of the executed asserts that passed; 0 where none was."""
    results: tuple[AssertResult, ...]
    """The first `judge.MAX_RESULTS` executed asserts."""
    n_tests: int
    """Executed asserts of the judge."""
    general_error: str
    """Why it did not pass, one line."""
    has_testcase_error: bool
    """Whether an assert failed."""
    rung: str
    """The rung of the ladder that gave the program: draft, verify, explore, guide."""
    outcome: str
    """What the visible tests said of it (`completion.Outcome`); empty: nothing was run."""
    summary: str
    """The engine's line on that outcome."""
    first_line_seconds: float | None
    """Until the first suggestion was shown; None where nothing is streamed."""
    candidates: tuple[CandidateResult, ...]
    """In the order they were made; empty for an arm that makes one."""
    stats: TaskStats
    stopped_early: bool = False
    """Whether the budget ended it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What an arm alone has to tell."""
