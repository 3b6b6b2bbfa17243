"""Traces of real runs, and records to be broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egcfg_lsp.trace import Trace
from tests.execution.runner.traced import Traced, run

PRICING = """\
RATES = {"us": 0.07, "de": 0.19}

def total(items, region):
    result = 0
    for price, n in items:
        if n > 10:
            price = discount(price)
        result += price * n
    return round(result * (1 + RATES[region]), 2)

def discount(price):
    return price / 2
"""
TARGET = range(4, 10)


def pricing(folder: Path, call: str) -> Traced:
    return run(folder, PRICING, call, watched=TARGET)


def trace_of(folder: Path, call: str) -> Trace:
    return pricing(folder, call).trace


def record(**changes: Any) -> dict[str, Any]:
    """A good record with other values."""
    return {
        "test": "test_a.py::test_total",
        "stopped": "",
        "at": 0,
        "n_lines": 3,
        "n_calls": 1,
        "hit": [4, 5],
        "missed": [6],
        "exception": {"text": "AssertionError('no')", "line": 0},
        "assertion": {"left": "1", "op": "==", "right": "2", "call": "total([])"},
        "frames": [frame()],
    } | changes


def frame(**changes: Any) -> dict[str, Any]:
    return {
        "call": 1,
        "parent": 0,
        "name": "total",
        "line": 3,
        "caller": ["test_total", 12],
        "arguments": {"items": "[]"},
        "steps": [[4, {"result": "0"}], loop(), {"skipped": 3}, [9, {}]],
        "end": ["return", "1"],
    } | changes


def loop(**changes: Any) -> dict[str, Any]:
    return {
        "loop": 5,
        "n": 9,
        "more": False,
        "iterations": [[0, [[5, {"n": "1"}]]], [8, []]],
    } | changes
