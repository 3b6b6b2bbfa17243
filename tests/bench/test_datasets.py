"""Reading, checking and choosing problems; the rows are made up, in the official shapes."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.datasets import (
    Dataset,
    function_of,
    is_judging,
    read_dataset,
    sample,
    select,
    single_lines,
    visible_tests,
)
from egcfg_lsp.bench.problems import Problem, Suite, Visible

Row = dict[str, Any]

HALF: Row = {
    "task_id": "HumanEval/0",
    "entry_point": "half",
    "prompt": (
        "def double(x):\n    return x * 2\n\n\n"
        'def half(x):\n    """\n    >>> half(4)\n    2.0\n    """\n'
    ),
    "canonical_solution": "    return x / 2\n",
    "test": (
        "METADATA = {}\n\n\ndef check(candidate):\n"
        "    import random\n"
        "    for x in range(3):\n        assert candidate(double(x)) == x\n"
        "    assert True, 'candidate'\n"
        "    assert double(candidate(4)) == 4\n"
        "    assert candidate(random.choice([2])) == 1\n"
        "    assert all(candidate(x) == 1 for x in (2, 2.0)), 'wrong: ' + str(candidate(2))\n"
        "    assert candidate(4) == 2.0\n"
    ),
}
GAPS: list[Row] = [
    {
        **HALF,
        "task_id": "SingleLineInfilling/HumanEval/0/L0",
        "prompt": HALF["prompt"],
        "suffix": "    return y\n",
        "canonical_solution": "    y = x / 2\n",
    },
    {
        **HALF,
        "task_id": "MultiLineInfilling/HumanEval/0/L0_L1",
        "suffix": "",
        "canonical_solution": "    y = x / 2\n    return y\n",
    },
    {
        **HALF,
        "task_id": "RandomSpanInfilling/HumanEval/0/1",
        "prompt": HALF["prompt"] + "    y = x",
        "suffix": "rn y\n",
        "canonical_solution": " / 2\n    retu",
    },
]
CIRCLE: Row = {
    "task_id": 11,
    "text": 'Write a function for the "area"',
    "code": (
        "import math\r\nPI = math.pi\r\ndef helper(r):\r\n\treturn r * r\r\n"
        "def area(r: float, k=PI, n=-1):\r\n\treturn k * helper(r)"
    ),
    "test_setup_code": "",
    "test_list": ["assert math.isclose(area(1), 3.14159, rel_tol=0.001)", "assert not area(0)"],
    "challenge_test_list": [],
}
EVENS: Row = {
    "source_file": "x.ipynb",
    "task_id": 12,
    "prompt": "Write a function for the even ones.",
    "code": "def evens(xs):\n    return [x for x in xs if x % 2 == 0]",
    "test_imports": ["from collections import Counter"],
    "test_list": ["assert set(evens([1, 2, 4])) == set([2, 4])"],
}


def written(folder: Path, *rows: Row) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(folder: Path, name: str, *rows: Row) -> tuple[Problem, ...]:
    return read_dataset(name, written(folder, *rows)).problems


def executed(problem: Problem) -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(problem.before + problem.reference + problem.after, space)
    return space


def test_humaneval(tmp_path: Path) -> None:
    (half,) = read(tmp_path, "humaneval", HALF)
    assert (half.dataset, half.task_id, half.text, half.after) == (
        "HumanEval",
        "HumanEval/0",
        "",
        "",
    )
    assert half.examples == ("assert half(4) == 2.0",)
    assert executed(half)["half"](6) == 3
    judge: dict[str, Any] = {}
    exec(half.tests.setup + half.tests.source, judge)
    judge["check"](lambda x: x / 2)
    with pytest.raises(AssertionError):
        judge["check"](lambda x: x)


def test_infilling_of_three_kinds(tmp_path: Path) -> None:
    gaps = read(tmp_path, "infilling", *GAPS)
    assert [gap.dataset.partition("-")[2] for gap in gaps] == [
        "SingleLineInfilling",
        "MultiLineInfilling",
        "RandomSpanInfilling",
    ]
    for gap in gaps:
        assert executed(gap)["half"](6) == 3
        assert function_of(gap).endswith("Infilling/HumanEval/0")
        assert gap.examples == ("assert half(4) == 2.0",)


def test_mbpp_shows_the_head_and_nothing_else_of_the_reference(tmp_path: Path) -> None:
    circle, evens = read(tmp_path, "mbpp", CIRCLE, EVENS)
    assert circle.before == (
        'def area(r, k=None, n=-1):\n    """Write a function for the "area\\""""\n'
    )
    assert (circle.task_id, circle.entry_point) == ("11", "area")
    assert circle.text == CIRCLE["text"]
    assert "\r" not in circle.reference
    assert executed(circle)["area"](2) > 12
    assert circle.tests == Suite("MBPP's test_list", "\n".join(CIRCLE["test_list"]), "import math")
    assert evens.tests.setup == "from collections import Counter"
    assert executed(evens)["evens"]([1, 2]) == [2]


@pytest.mark.parametrize("text", ['"', '""""', "\\", 'a"""b\\"', "two\nlines", "'''"])
def test_any_text_stands_in_the_docstring(text: str, tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "mbpp", EVENS | {"prompt": text})
    space: dict[str, Any] = {}
    exec(problem.before, space)
    assert space["evens"].__doc__.replace("\n    ", "\n") == text


def test_plain_gzipped_and_array_are_the_same(tmp_path: Path) -> None:
    plain = written(tmp_path, EVENS, CIRCLE)
    packed, array = tmp_path / "data.jsonl.gz", tmp_path / "data.json"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    array.write_text(json.dumps([EVENS, CIRCLE], indent=2))
    assert read_dataset("mbpp", plain) == read_dataset("mbpp", packed)
    assert read_dataset("mbpp", array).problems == read_dataset("mbpp", plain).problems


LINE = json.dumps(HALF)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*: No such file"),
        (b"", "holds no problems"),
        (b"[]", "holds no problems"),
        (b"\x1f\x8b\x08broken", "broken gzip file"),
        (gzip.compress(LINE.encode())[:60], "broken gzip file"),
        (b"\xff\xfe", "not UTF-8"),
        (LINE.encode() + b"\n{", "line 2: not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[[]]", "item 1: not an object"),
        (b"3", "line 1: not an object"),
        (b'{"task_id": "HumanEval/0", "prompt": ""}', "no entry_point, canonical_solution, test"),
        (f"{LINE}\n{LINE}".encode(), "task_id twice"),
        (json.dumps(GAPS[0]).encode(), "line 1: no humaneval problem, it looks like infilling"),
        (json.dumps(EVENS).encode(), "it looks like mbpp"),
        (json.dumps(HALF | {"plus_input": []}).encode(), "given with --judge"),
        (json.dumps(HALF | {"test": "def assertion(out, exp, atol): 1"}).encode(), "--judge"),
        (json.dumps(HALF | {"entry_point": "third"}).encode(), "does not define third"),
        (json.dumps(HALF | {"canonical_solution": " "}).encode(), "canonical_solution is empty"),
        (json.dumps(HALF | {"canonical_solution": "  return ("}).encode(), "does not parse"),
        (json.dumps(HALF | {"test": "assert half(2)"}).encode(), "does not define check"),
    ],
)
def test_wrong_files_give_one_clear_message(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchError, match=message) as caught:
        read_dataset("humaneval", path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_list": []}, "test_list is empty"),
        ({"test_list": "assert evens([])"}, "not a list of strings"),
        ({"test_list": ["assert odds([])"]}, "calls no function that code defines"),
        ({"test_list": ["assert evens("]}, "test_list does not parse"),
        ({"task_id": None}, "no task_id"),
        ({"task_id": True}, "no task_id"),
        ({"code": "def evens(:"}, "code does not parse"),
        ({"code": None}, "no code"),
    ],
)
def test_wrong_mbpp_rows(change: Row, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        read(tmp_path, "mbpp", CIRCLE, EVENS | change)
    assert "line 2" in str(caught.value)


def test_unknown_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="unknown data set apps"):
        read_dataset("apps", tmp_path)
    with pytest.raises(BenchError, match="is no id of HumanEval-Infilling"):
        read(tmp_path, "infilling", GAPS[0] | {"task_id": "HumanEval/0"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (GAPS[1], "not a single line"),
        (GAPS[2], "not a single line"),
        (GAPS[0] | {"prompt": HALF["prompt"] + "    y =", "canonical_solution": " x / 2\n"}, "mid"),
        (GAPS[0] | {"suffix": " / 2\n    return y\n", "canonical_solution": "    y = x"}, "mid"),
    ],
)
def test_gaps_that_are_not_one_line(row: Row, message: str, tmp_path: Path) -> None:
    dataset = read_dataset("infilling", written(tmp_path, row))
    with pytest.raises(BenchError, match=message):
        single_lines(dataset)


def test_gaps_of_one_line(tmp_path: Path) -> None:
    dataset = read_dataset("infilling", written(tmp_path, GAPS[0]))
    assert single_lines(dataset) is dataset


def problems(*counts: int, dataset: str = "HumanEval-SingleLineInfilling") -> list[Problem]:
    """So many gaps of each function."""
    return [
        Problem(dataset, f"Own/HumanEval/{f}/L{line}", "f", "", "", "x", "", (), Suite("", ""))
        for f, n in enumerate(counts)
        for line in range(n)
    ]


def tasks(*task_ids: str) -> list[Problem]:
    (own,) = problems(1, dataset="MBPP")
    return [dataclasses.replace(own, task_id=task_id) for task_id in task_ids]


MBPP, HUMANEVAL = tasks("2", "11", "13", "20", "120"), tasks("HumanEval/1", "HumanEval/11")


@pytest.mark.parametrize(
    ("own", "ids", "wanted"),
    [
        (MBPP, "11-20", {"11", "13", "20"}),
        (MBPP, " 2, 11-13,Mbpp/120, 2 ", {"2", "11", "13", "120"}),
        (HUMANEVAL, "HumanEval/1", {"HumanEval/1"}),
        (HUMANEVAL, "11", {"HumanEval/11"}),
        (HUMANEVAL, None, {"HumanEval/1", "HumanEval/11"}),
        (problems(2, 1), "0", {"Own/HumanEval/0/L0", "Own/HumanEval/0/L1"}),
        (problems(2, 1), "HumanEval/1", {"Own/HumanEval/1/L0"}),
        (problems(2, 1), "Own/HumanEval/0/L1", {"Own/HumanEval/0/L1"}),
    ],
)
def test_select_by_ids(own: list[Problem], ids: str | None, wanted: set[str]) -> None:
    assert {problem.task_id for problem in select(own, ids, None, seed=0)} == wanted


@pytest.mark.parametrize(
    "ids", ["3", "2,3", "14-19", "20-11", "HumanEval/3", "Mbpp/", "1-", "", ",", "*"]
)
def test_ids_that_name_nothing(ids: str) -> None:
    with pytest.raises(BenchError, match="no problem is"):
        select(MBPP, ids, None, seed=0)


def test_sample_is_spread_over_the_functions() -> None:
    chosen = sample(problems(30, 2, 1, 9), 8, seed=3)
    by_function = [[function_of(p) for p in chosen].count(f"Own/HumanEval/{i}") for i in range(4)]
    assert by_function == [3, 2, 1, 2] or by_function == [2, 2, 1, 3]


@pytest.mark.parametrize("n", [1, 5, 42, None])
@pytest.mark.parametrize("every", [problems(30, 2, 1, 9), tasks(*map(str, range(42)))])
def test_larger_sample_begins_with_the_smaller(every: list[Problem], n: int | None) -> None:
    whole = sample(every, None, seed=1)
    assert sorted(whole, key=every.index) == every
    assert sample(every, n, seed=1) == whole[:n]
    assert sample(every, 5, seed=1) != sample(every, 5, seed=2)
    assert select(every, None, n, seed=1) == whole[:n]


@pytest.mark.parametrize(
    ("visible", "source"),
    [
        (Visible.NONE, None),
        (Visible.DOCSTRING, "assert half(4) == 2.0"),
        (Visible.FIRST, "assert all((half(x) == 1 for x in (2, 2.0)))"),
        (Visible.ALL, HALF["test"]),
    ],
)
def test_visible_tests_of_humaneval(visible: Visible, source: str | None, tmp_path: Path) -> None:
    (half,) = read(tmp_path, "humaneval", HALF)
    tests = visible_tests(half, visible)
    assert (tests.source if tests else None) == source
    if tests is not None and visible is not Visible.ALL:
        exec(tests.source, executed(half))
    assert is_judging(visible, half) == (visible is not Visible.NONE)


def test_visible_tests_of_mbpp(tmp_path: Path) -> None:
    circle, _ = read(tmp_path, "mbpp", CIRCLE, EVENS)
    first = visible_tests(circle, Visible.FIRST)
    assert first == Suite("MBPP's first assert", CIRCLE["test_list"][0], "import math")
    assert is_judging(Visible.FIRST, circle)
    with pytest.raises(BenchError, match="MBPP has no docstrings: choose first, all or none"):
        visible_tests(circle, Visible.DOCSTRING)


def test_tests_that_are_not_there(tmp_path: Path) -> None:
    row = HALF | {"prompt": "def half(x):\n", "test": "def check(candidate):\n    assert True\n"}
    (half,) = read(tmp_path, "humaneval", row)
    assert visible_tests(half, Visible.DOCSTRING) is None
    assert visible_tests(half, Visible.FIRST) is None
    assert not is_judging(Visible.FIRST, half)


def test_examples_that_do_not_judge(tmp_path: Path) -> None:
    test = "def check(candidate):\n    assert candidate(8) == 4\n"
    (half,) = read(tmp_path, "humaneval", HALF | {"test": test})
    assert not is_judging(Visible.DOCSTRING, half)
    assert is_judging(Visible.ALL, half)


def test_asserts_of_a_function_called_check(tmp_path: Path) -> None:
    row = EVENS | {"code": "def check(x):\n    return x", "test_list": ["assert check(1) == 1"]}
    (problem,) = read(tmp_path, "mbpp", row)
    first = visible_tests(problem, Visible.FIRST)
    assert first is not None
    assert first.source == "assert check(1) == 1"


def test_hash_is_of_what_the_file_holds(tmp_path: Path) -> None:
    one, other = (read_dataset("mbpp", written(tmp_path, row)) for row in (EVENS, CIRCLE))
    assert isinstance(one, Dataset)
    assert one.sha256 != other.sha256
