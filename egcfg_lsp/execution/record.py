"""What a run's record says: exactly the record of this run, or nothing.

Pure. The record comes from a process that the candidate shares, so that whatever is in it may have
been written by the candidate: it is read strictly, and no text of it reaches people as it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from egcfg_lsp.execution import RECORD_BYTES, RunResult, Status
from egcfg_lsp.execution.runner.launch import FAILED as LAUNCH_FAILED

log = logging.getLogger(__name__)
NO_RESULT = "the run wrote something that is no result"
REASON_CHARACTERS = 300
VERDICT: Mapping[str, type] = {
    "n_passed": int,
    "n_tests": int,
    "failure": str,
    "blocked": str,
    "missed_lines": list,
    "raised": bool,
    "entered": bool,
}
"""Keys and types of a record besides its nonce; `type(True)` is not `int`."""


def result_of(record: bytes, nonce: str, code: int, errors: bytes) -> RunResult:
    """The verdict of a record; whatever is not exactly a record of this run is inconclusive."""
    if not record or code != 0:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        if code == LAUNCH_FAILED and not record:
            return inconclusive(last)
        log.debug("run without a record: %s", errors.decode(errors="replace"))
        return inconclusive(f"the run ended without a result (exit status {code}) {last}")
    try:
        value = json.loads(record) if len(record) <= RECORD_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or value.pop("nonce", None) != nonce:
        return inconclusive(NO_RESULT)
    if _has_types(value, {"error": str}):
        return inconclusive(value["error"])
    if _has_types(value, {"syntax_error": str}):
        error = value["syntax_error"]
        reason = for_people(f"not run: the file does not compile with it ({error})")
        return RunResult(Status.INCONCLUSIVE, reason=reason, compiles=False)
    return _verdict(**value) if _has_types(value, VERDICT) else inconclusive(NO_RESULT)


def inconclusive(reason: str) -> RunResult:
    return RunResult(Status.INCONCLUSIVE, reason=for_people(reason))


def for_people(text: str) -> str:
    """One printable line of at most `REASON_CHARACTERS`: the run may have written it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= REASON_CHARACTERS else line[: REASON_CHARACTERS - 1] + "…"


def _verdict(
    *,
    n_passed: int,
    n_tests: int,
    failure: str,
    blocked: str,
    missed_lines: list[object],
    raised: bool,
    entered: bool,
) -> RunResult:
    missed = tuple(line for line in missed_lines if type(line) is int)
    if not 0 <= n_passed <= n_tests or n_tests == 0 or len(missed) != len(missed_lines):
        return inconclusive(NO_RESULT)
    if blocked:
        return inconclusive(f"the sandbox blocked the test ({blocked})")
    if n_passed == n_tests and not entered:
        return inconclusive("not reached: the tests pass without entering the function")
    status = Status.PASSED if n_passed == n_tests else Status.FAILED
    return RunResult(status, n_passed, n_tests, for_people(failure), missed, raised)


def _has_types(value: dict[str, Any], types: Mapping[str, type]) -> bool:
    """Whether it has exactly these keys, with values of exactly these types."""
    return {key: type(one) for key, one in value.items()} == types
