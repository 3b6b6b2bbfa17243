"""Two small problems in the data set's format, written for these tests."""

from __future__ import annotations

import json
from pathlib import Path

from egcfg_lsp.bench.datasets import read_dataset
from egcfg_lsp.bench.problems import Problem

CLAMP = {
    "task_id": "SingleLineInfilling/Own/0/L1",
    "entry_point": "clamp",
    "prompt": (
        "def clamp(value, low, high):\n"
        '    """The nearest number to value from low to high."""\n'
        "    if value < low:\n"
        "        return low\n"
    ),
    "canonical_solution": "    return min(value, high)\n",
    "suffix": "",
    "test": (
        "\n\ndef check(candidate):\n"
        "    assert 'candidate'  # candidate\n"
        "    assert candidate(5, 1, 3) == 3\n"
        "    assert candidate(-1, 1, 3) == 1\n"
        "    assert candidate(2, 1, 3) == 2\n"
    ),
}
EVENS = {
    "task_id": "SingleLineInfilling/Own/1/L0",
    "entry_point": "evens",
    "prompt": (
        'def evens(numbers):\n    """Those of the numbers that are even, in their order."""\n'
        "    found = []\n"
        "    for number in numbers:\n"
    ),
    "canonical_solution": "        if number % 2 == 0:\n",
    "suffix": "            found.append(number)\n    return found\n",
    "test": "def check(candidate):\n    assert candidate([1, 2, 3, 4]) == [2, 4]\n",
}


def data_file(folder: Path) -> Path:
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(raw) + "\n" for raw in (CLAMP, EVENS)))
    return path


def clamp_and_evens(folder: Path) -> tuple[Problem, Problem]:
    clamp, evens = read_dataset("infilling", data_file(folder)).problems
    return clamp, evens
