"""Records, most of which no honest run writes."""

from __future__ import annotations

import json

import pytest

from egcfg_lsp.execution import RECORD_BYTES, RunResult, Status
from egcfg_lsp.execution.record import NO_RESULT, REASON_CHARACTERS, inconclusive, result_of

NONCE = "f00d"
GOOD = {
    "n_passed": 2,
    "n_tests": 2,
    "failure": "",
    "blocked": "",
    "missed_lines": [3],
    "raised": False,
    "entered": True,
    "tests": [["t.py::a", "passed", 0.1], ["t.py::b", "skipped", 0.0]],
    "output": "",
    "stopped": "",
    "trace": None,
}


def read(value: object, code: int = 0) -> RunResult:
    if isinstance(value, dict):
        value = json.dumps({"nonce": NONCE} | value)
    return result_of(str(value).encode(), NONCE, code, b"")


def test_good_record() -> None:
    assert read(GOOD) == RunResult(Status.PASSED, 2, 2, missed_lines=(3,))
    assert read(GOOD | {"n_passed": 1, "failure": "x"}).status is Status.FAILED


@pytest.mark.parametrize(
    "value",
    [
        "",
        "null",
        "[]",
        "1",
        "{" * 5000,
        "not JSON",
        {},
        GOOD | {"nonce": "f00"},
        GOOD | {"nonce": None},
        GOOD | {"nonce": [NONCE]},
        GOOD | {"n_passed": True, "n_tests": True},
        GOOD | {"n_passed": 2.0, "n_tests": 2.0},
        GOOD | {"n_passed": 3},
        GOOD | {"n_passed": -1},
        GOOD | {"n_passed": 0, "n_tests": 0},
        GOOD | {"missed_lines": [True]},
        GOOD | {"missed_lines": [[1]]},
        GOOD | {"missed_lines": None},
        GOOD | {"raised": 0},
        GOOD | {"failure": None},
        GOOD | {"blocked": "reading"},
        GOOD | {"entered": False},
        GOOD | {"more": 1},
        GOOD | {"error": "both"},
        {key: GOOD[key] for key in GOOD if key != "entered"},
        {"error": ["a list"]},
        {"error": "an error"},
        {"syntax_error": 3},
        json.dumps(GOOD | {"nonce": NONCE}) * 2,
        json.dumps(GOOD | {"nonce": NONCE}) + " " * RECORD_BYTES,
    ],
)
def test_other_records_are_inconclusive(value: object) -> None:
    result = read(value)
    assert result.status is Status.INCONCLUSIVE
    assert result.reason
    assert result.n_tests == 0


def test_good_record_of_a_process_that_failed_is_none() -> None:
    for code in (1, -9, 137):
        assert read(GOOD, code).status is Status.INCONCLUSIVE


def test_text_that_does_not_compile() -> None:
    result = read({"syntax_error": "line 3: invalid syntax"})
    assert not result.compiles
    assert result.reason.endswith("(line 3: invalid syntax)")


@pytest.mark.parametrize("wild", ["a\x1b[31m\n\u202eb" + "x" * 4000, "\ud800", "\x00\r\t"])
def test_texts_are_one_printable_line(wild: str) -> None:
    for text in (
        read(GOOD | {"n_passed": 1, "failure": wild}).failure,
        read({"error": wild}).reason,
        read({"syntax_error": wild}).reason,
        read(GOOD | {"blocked": wild}).reason,
        result_of(b"", NONCE, 1, wild.encode(errors="replace")).reason,
        inconclusive(wild).reason,
    ):
        assert text.isprintable() or not text
        assert len(text) <= REASON_CHARACTERS


def test_forged_text_is_told_as_what_it_is() -> None:
    assert read("{}").reason == NO_RESULT
