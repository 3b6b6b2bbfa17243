"""A run in one line: `✗ 3/5 · total([(1, 100)], 'us') → 108.07, want 107.0`, `⏱ loop at line 11`.

Says what was seen. Whether a suggestion deserves a ✓ is `verify`'s matter.
"""

from __future__ import annotations

from egcfg_lsp.execution import Ending, RunResult, Status
from egcfg_lsp.execution.record import for_people
from egcfg_lsp.execution.runner.confinement import NO_NETWORK
from egcfg_lsp.trace import parse, summary


def one_line(result: RunResult) -> str:
    """For people, also where the run means to deceive them: printable, and of a bounded length."""
    if result.status is Status.PASSED:
        return summary.passed(result.n_passed, result.n_tests)
    if result.status is Status.FAILED:
        trace = parse(result.trace)
        return for_people(summary.failed(result.n_passed, result.n_tests, trace, result.failure))
    if result.ending in (Ending.TIMEOUT, Ending.FUEL):
        return for_people(summary.unfinished(parse(result.trace), result.reason))
    if result.ending is Ending.BLOCKED and f"({NO_NETWORK}" in result.reason:
        return summary.blocked("network")
    return f"⊘ {result.reason}"
