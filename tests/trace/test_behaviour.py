"""Which runs are the same, seen from outside: two ways to compute one value are."""

from __future__ import annotations

from typing import Any

import pytest

from egcfg_lsp.trace import parse
from egcfg_lsp.trace.behaviour import behaviour
from tests.trace.traces import frame, loop, record


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"hit": [4], "missed": [], "n_lines": 9}, True),
        ({"frames": [frame(steps=[[5, {"x": "3"}]])]}, True),
        ({"frames": [frame(steps=[loop()]), frame(call=2, parent=1, end=["return", "7"])]}, True),
        ({"frames": [frame(end=["return", "2"])]}, False),
        ({"frames": [frame(end=["raise", "KeyError(1)"])]}, False),
        ({"frames": [frame(arguments={"items": "[1]"})]}, False),
        ({"frames": [frame(), frame(call=2)]}, False),
        ({"exception": {"text": "AssertionError('no')", "line": 7}}, True),
        ({"exception": {"text": "KeyError(1)", "line": 7}}, False),
        ({"assertion": {"left": "3", "op": "==", "right": "2", "call": "total([])"}}, False),
        ({"stopped": "fuel"}, False),
        ({"test": "test_a.py::test_other"}, False),
    ],
)
def test_behaviour(changes: dict[str, Any], same: bool) -> None:
    one, other = parse(record()), parse(record(**changes))
    assert one is not None
    assert other is not None
    assert (behaviour(one) == behaviour(other)) is same
