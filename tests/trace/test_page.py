"""docs/trace.md says what is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import egcfg_lsp
from egcfg_lsp.execution.runner import calls, values
from egcfg_lsp.execution.runner.recording import Limits
from egcfg_lsp.execution.runner.tracer import MAX_LINES
from egcfg_lsp.trace import parse
from tests.trace.traces import frame, record

PAGE = (Path(egcfg_lsp.__file__).parents[1] / "docs" / "trace.md").read_text()


def keys_in(heading: str, until: str) -> set[str]:
    text = PAGE.split(heading)[1].split(until)[0]
    cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", " ".join(cells)))


def test_example_is_a_trace() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    trace = parse(json.loads(example))
    assert trace is not None
    assert trace.assertion is not None


def test_keys() -> None:
    assert keys_in("## As JSON", "A call:") == set(record())
    assert keys_in("A call:", "A step is") == set(frame())


def test_bounds() -> None:
    limits = Limits()
    numbers = [
        (
            f"{values.MAX_CHARACTERS} characters, {values.MAX_ITEMS} elements, {values.MAX_DEPTH} levels"
        ),
        f"{values.MAX_BITS:,} bits",
        f"| {limits.n_values:,} a test |",
        f"| {limits.n_lines:,} a test |",
        f"| {limits.n_calls} a test |",
        f"| {limits.fuel:,} a test |",
        f"| the first {limits.n_frames // 2} and the latest {limits.n_frames // 2} |",
        f"| {limits.n_bytes >> 10} KiB of JSON |",
        f"| {calls.N_EAGER} |",
        f"| {calls.N_FIRST}, {calls.N_PATHS} that took another path, the last |",
        f"{MAX_LINES} at most",
    ]
    for number in numbers:
        assert number in PAGE, number
