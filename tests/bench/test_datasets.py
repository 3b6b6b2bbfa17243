"""Reading and sampling the infilling problems."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.datasets import Problem, read_infilling, sample
from tests.bench.problems import CLAMP, data_file

LINE = json.dumps(CLAMP)


def test_gzipped_or_not_is_the_same(tmp_path: Path) -> None:
    plain = data_file(tmp_path)
    packed = tmp_path / "own.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_infilling(plain) == read_infilling(packed)
    clamp, evens = read_infilling(plain).problems
    assert clamp.line == "    return min(value, high)"
    assert evens.function_id == "SingleLineInfilling/Own/1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*: No such file"),
        (b"", "holds no problems"),
        (b"\x1f\x8b\x08broken", "broken gzip file"),
        (gzip.compress(LINE.encode())[:60], "broken gzip file"),
        (b"\xff\xfe", "not UTF-8"),
        (LINE.encode() + b"\n{", "line 2: not JSON"),
        (b"[]", "line 1: not an object"),
        (b'{"task_id": "HumanEval/0", "prompt": ""}', "no entry_point, canonical_solution, suffix"),
        (LINE.replace("high)\\n", "high)\\n\\n").encode(), "not a single line"),
        (f"{LINE}\n{LINE}".encode(), "task_id twice"),
    ],
)
def test_wrong_files_give_one_clear_message(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchError, match=message) as caught:
        read_infilling(path)
    assert str(path) in str(caught.value)


def problems(*counts: int) -> list[Problem]:
    """So many problems of each function."""
    return [
        Problem(f"Own/{function}/L{line}", "f", "", "x", "", "")
        for function, n in enumerate(counts)
        for line in range(n)
    ]


def test_sample_is_spread_over_the_functions() -> None:
    chosen = sample(problems(30, 2, 1, 9), 8, seed=3)
    by_function = [[p.function_id for p in chosen].count(f"Own/{i}") for i in range(4)]
    assert by_function == [3, 2, 1, 2] or by_function == [2, 2, 1, 3]


@pytest.mark.parametrize("n", [1, 5, 42, None])
def test_larger_sample_begins_with_the_smaller(n: int | None) -> None:
    every = problems(30, 2, 1, 9)
    whole = sample(every, None, seed=1)
    assert sorted(whole, key=every.index) == every
    assert sample(every, n, seed=1) == whole[:n]
    assert sample(every, 5, seed=1) != sample(every, 5, seed=2)
