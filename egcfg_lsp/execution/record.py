"""What a run's record says: exactly the record of this run, or nothing.

Pure. The record comes from a process that the candidate shares, so that whatever is in it may have
been written by the candidate: it is read strictly, and no text of it reaches people as it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from egcfg_lsp.execution import (
    OUTPUT_CHARACTERS,
    RECORD_BYTES,
    Ending,
    RunResult,
    Status,
    TestResult,
)
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
    "tests": list,
    "output": str,
    "stopped": str,
}
"""Keys and types of a record besides its nonce and its trace; `type(True)` is not `int`."""
OUTCOMES = ("passed", "failed", "skipped", "error")
STOPPED = {"timeout": Ending.TIMEOUT, "fuel": Ending.FUEL}


def result_of(record: bytes, nonce: str, code: int, errors: bytes) -> RunResult:
    """The verdict of a record; whatever is not exactly a record of this run is inconclusive."""
    if not record or code != 0:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        if code == LAUNCH_FAILED and not record:
            return inconclusive(last)
        log.debug("run without a record: %s", errors.decode(errors="replace"))
        return without_record(code, last)
    return result_of_object(object_in(record), nonce)


def object_in(record: bytes) -> dict[str, Any] | None:
    """None if it is no JSON object, or too large a one."""
    try:
        value = json.loads(record) if len(record) <= RECORD_BYTES else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def result_of_object(value: dict[str, Any] | None, nonce: str) -> RunResult:
    """Of a record that has been read; takes the nonce out of it."""
    if value is None or value.pop("nonce", None) != nonce:
        return inconclusive(NO_RESULT)
    if _has_types(value, {"error": str}):
        return inconclusive(value["error"], Ending.ERROR)
    if _has_types(value, {"unable": str}):
        return inconclusive(value["unable"], Ending.DIED)
    if _has_types(value, {"late": str}):
        return inconclusive(value["late"], Ending.TIMEOUT)
    if _has_types(value, {"syntax_error": str}):
        error = value["syntax_error"]
        reason = for_people(f"not run: the file does not compile with it ({error})")
        return RunResult(Status.INCONCLUSIVE, reason=reason, compiles=False, ending=Ending.ERROR)
    trace = value.pop("trace", 0)
    if not _has_types(value, VERDICT) or not isinstance(trace, dict | None):
        return inconclusive(NO_RESULT)
    result = _verdict(**value)
    return result if trace is None else replace(result, trace=trace)


def without_record(code: int, last_error: str = "") -> RunResult:
    """The run ended by itself; `code` is its exit status, negative (or 128 and more) by a signal."""
    reason = f"the run ended without a result (exit status {code}) {last_error}"
    is_signal = code < 0 or code > 128
    return inconclusive(reason, Ending.CRASHED if is_signal else Ending.DIED)


def inconclusive(reason: str, ending: Ending = Ending.DIED) -> RunResult:
    return RunResult(Status.INCONCLUSIVE, reason=for_people(reason), ending=ending)


def timed_out(seconds: float) -> RunResult:
    return inconclusive(late(seconds), Ending.TIMEOUT)


def late(seconds: float) -> str:
    return f"no result within {seconds:g} s"


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
    tests: list[object],
    output: str,
    stopped: str,
) -> RunResult:
    missed = tuple(line for line in missed_lines if type(line) is int)
    each = tuple(one for test in tests if (one := _test_result(test)) is not None)
    if len(missed) != len(missed_lines) or len(each) != len(tests):
        return inconclusive(NO_RESULT)
    if not 0 <= n_passed <= n_tests or stopped not in ("", *STOPPED):
        return inconclusive(NO_RESULT)
    evidence = RunResult(Status.INCONCLUSIVE, tests=each, output=_printable(output))
    if stopped:
        said = "no result within its time" if stopped == "timeout" else "it runs and runs"
        return replace(evidence, reason=said, ending=STOPPED[stopped])
    if n_tests == 0:
        return inconclusive(NO_RESULT)
    if blocked:
        reason = for_people(f"the sandbox blocked the test ({blocked})")
        return replace(evidence, reason=reason, ending=Ending.BLOCKED)
    if n_passed == n_tests and not entered:
        reason = "not reached: the tests pass without entering the function"
        return replace(evidence, reason=reason, ending=Ending.NOT_REACHED)
    status = Status.PASSED if n_passed == n_tests else Status.FAILED
    if status is Status.PASSED and (failure or any(one.outcome == "failed" for one in each)):
        return inconclusive(NO_RESULT)
    return replace(
        evidence,
        status=status,
        ending=Ending(status.value),
        n_passed=n_passed,
        n_tests=n_tests,
        failure=for_people(failure),
        missed_lines=missed,
        raised=raised,
    )


def _test_result(value: object) -> TestResult | None:
    """From a name, an outcome and seconds."""
    if not isinstance(value, list) or [type(one) for one in value] != [str, str, float]:
        return None
    name, outcome, seconds = value
    if outcome not in OUTCOMES or not 0 <= seconds < 1e6:
        return None
    return TestResult(for_people(name), outcome, seconds)


def _printable(text: str) -> str:
    """Lines of what a run wrote."""
    text = text[:OUTPUT_CHARACTERS]
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _has_types(value: dict[str, Any], types: Mapping[str, type]) -> bool:
    """Whether it has exactly these keys, with values of exactly these types."""
    return {key: type(one) for key, one in value.items()} == types
