"""Judges of EvalPlus' two forms, executed on right and wrong programs; the rows are made up.

They are executed here as the judge does it: set-up, tests, `check`, the function in its place; and,
where objects of the program matter, by the judge.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.datasets import Dataset
from egcfg_lsp.bench.judge import judge
from egcfg_lsp.bench.plus import Judges, read_judge
from egcfg_lsp.bench.plus_oracle import agrees, is_same
from egcfg_lsp.bench.problems import Problem, Suite

Row = dict[str, Any]

HALF: Row = {
    "task_id": "HumanEval/0",
    "entry_point": "half",
    "prompt": "def half(x):\n",
    "canonical_solution": "    return [half(x[0])] if isinstance(x, list) else x / 2\n",
    "base_input": [[1], [0.1]],
    "plus_input": [[[8]], [1e300]],
    "atol": 0,
    "contract": "",
}
HALF_SOURCE: Row = {
    "task_id": "HumanEval/0",
    "entry_point": "half",
    "prompt": "",
    "canonical_solution": "",
    "test": "def check(candidate):\n    for x in range(9):\n        assert candidate(x) == x / 2\n",
}
PAIR: Row = {
    "task_id": "Mbpp/11",
    "entry_point": "first",
    "prompt": '"""\nThe first.\n"""\n',
    "canonical_solution": "def first(x, y=None):\n    return {x: x[0]}[x]\n",
    "base_input": [[[1, 2]], [[3]]],
    "plus_input": [[[4, 5, 6]]],
    "atol": 0,
    "contract": "",
    "assertion": "assert first((1, 2)) == 1\nassert not first((0,))\n",
}
PAIR_SOURCE: Row = {
    "task_id": 11,
    "code": "",
    "prompt": "",
    "test_imports": ["import math"],
    "test_list": [],
    "test": (
        "def assertion(out, exp, atol):\n    assert math.isclose(out, exp, abs_tol=atol)\n\n"
        "inputs = [[(1, 2)], [(3, 4)]]\nresults = [1, 3]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
        "    assertion(first(*inp), exp, 0.1)\n"
    ),
}


CLOSE = """\
import numpy as np

def assertion(out, exp, atol):
    exact_match = out == exp
    if not exact_match and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert exact_match

"""
OF_HUMANEVAL = "def check(candidate):\n    assertion(candidate(1), {}, 1e-6)\n"
OF_MBPP = "for inp in [[1]]:\n    assertion(first(*inp), {}, 1e-6)\n"


def problem(task_id: str, entry_point: str, dataset: str = "HumanEval") -> Problem:
    return Problem(dataset, task_id, entry_point, "", "", "x", "", (), Suite("own", ""))


DATASET = Dataset(
    "any",
    (
        problem("HumanEval/0", "half"),
        problem("HumanEval/1", "other"),
        problem("11", "first", "MBPP"),
        problem("SingleLineInfilling/HumanEval/0/L0", "half", "HumanEval-SingleLineInfilling"),
    ),
    "",
)


def judges(folder: Path, *rows: Row) -> Judges:
    path = folder / "plus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_judge(path, DATASET)


def passes(tests: Suite, name: str, program: Callable[..., Any]) -> bool:
    space: dict[str, Any] = {}
    exec(tests.setup, space)
    space[name] = program
    try:
        exec(tests.source, space)
        if "def check(candidate)" in tests.source:
            space["check"](program)
    except AssertionError:
        return False
    return True


def half(x: Any) -> Any:
    return [x[0] / 2] if isinstance(x, list) else x / 2


def emptying(x: Any) -> Any:
    return [x.pop() / 2] if isinstance(x, list) else x * 0.5


@pytest.mark.parametrize(
    ("row", "program", "is_right"),
    [
        (HALF, half, True),
        (HALF, emptying, True),
        (HALF, lambda x: 4 if isinstance(x, list) else x / 2, False),
        (HALF, lambda x: None, False),
        (HALF, lambda x: half(x) if x == 1 else None, False),
        (HALF | {"plus_input": {}}, lambda x: x / 2, True),
        (HALF_SOURCE, half, True),
        (HALF_SOURCE, lambda x: 0, False),
        (PAIR, lambda x: x[0], True),
        (PAIR, lambda x: x[-1], False),
        (PAIR, lambda x: x[0] if isinstance(x, tuple) else None, True),
        (PAIR_SOURCE, lambda x: x[0], True),
        (PAIR_SOURCE, lambda x: x[1], False),
    ],
)
def test_right_programs_pass(
    row: Row, program: Callable[..., Any], is_right: bool, tmp_path: Path
) -> None:
    for task_id, tests in judges(tmp_path, row).tests.items():
        assert passes(tests, "first" if task_id == "11" else "half", program) == is_right


def test_which_problems_are_judged(tmp_path: Path) -> None:
    found = judges(tmp_path, HALF, PAIR, HALF | {"task_id": "HumanEval/1"}).tests
    assert {task_id: tests.name for task_id, tests in found.items()} == {
        "HumanEval/0": "inputs of plus.jsonl",
        "11": "inputs of plus.jsonl",
        "SingleLineInfilling/HumanEval/0/L0": "inputs of plus.jsonl",
    }
    found = judges(tmp_path, HALF_SOURCE, PAIR_SOURCE).tests
    assert {tests.name for tests in found.values()} == {
        "check(candidate) of plus.jsonl",
        "test of plus.jsonl",
    }


def test_mistakes_of_the_published_tests_are_mended(tmp_path: Path) -> None:
    root = (
        "def _poly(xs, x):\n    return xs[0] + xs[1] * x\n\n"
        "def check(candidate):\n    for inp in [[[-10, -2]]]:\n"
        "        assert _poly(*candidate(*inp), inp) <= 0.0001\n"
    )
    tests = judges(tmp_path, HALF_SOURCE | {"test": root}).tests["HumanEval/0"]
    assert passes(tests, "half", lambda xs: -5.0)
    assert not passes(tests, "half", lambda xs: 5.0)
    found = (
        "def assertion(out, exp, atol):\n    if isinstance(out, bool):\n"
        "        exact_match = out == exp\n    else:\n"
        "        exact_match = exp == (out is not None)\n\n"
        "for inp, exp in [(['a'], True), (['b'], False)]:\n    assertion(first(*inp), exp, 0)\n"
    )
    tests = judges(tmp_path, PAIR_SOURCE | {"test": found}).tests["11"]
    assert passes(tests, "first", lambda x: x == "a")
    assert passes(tests, "first", lambda x: x if x == "a" else None)
    assert not passes(tests, "first", lambda x: True)
    assert not passes(tests, "first", lambda x: None)


def suites_expecting(value: str, folder: Path) -> list[tuple[Suite, str]]:
    """Of both data sets, in the form of Hugging Face, with a tolerance; and the entry points."""
    of_humaneval = HALF_SOURCE | {"test": CLOSE + OF_HUMANEVAL.format(value)}
    of_mbpp = PAIR_SOURCE | {"test": CLOSE + OF_MBPP.format(value)}
    tests = judges(folder, of_humaneval, of_mbpp).tests
    return [(tests["HumanEval/0"], "half"), (tests["11"], "first")]


@pytest.mark.parametrize(
    ("expected", "output", "is_right"),
    [
        ("0.5", 0.5 + 1e-9, True),
        ("0.5", 0.5, True),
        ("1.0000000001", 1, True),
        ("1.0000000001", True, True),
        ("0.5j", 0.5j + 1e-9, True),
        ("[0.5, 1.0]", [0.5 + 1e-9, 1], True),
        ("[[0.5], (1.0,)]", [[0.5 + 1e-9], (1,)], True),
        ("[]", [], True),
        ("0.5", [], False),
        ("0.5", [[]], False),
        ("0.5", [0.5], False),
        ("0.5", (), False),
        ("0.5", bytearray(), False),
        ("0.5", range(0), False),
        ("0.5", None, False),
        ("0.5", "0.5", False),
        ("[]", 0.5, False),
        ("[0.5]", [], False),
        ("[0.5]", [[]], False),
        ("[0.5]", 0.5 + 1e-9, False),
        ("[0.5]", (0.5 + 1e-9,), False),
        ("[0.5, 0.5]", [0.5], False),
        ("[[0.5]]", [[]], False),
        ("[[0.5]]", [0.5], False),
        ("0.5", float("nan"), False),
    ],
)
def test_shapes_are_not_stretched(
    expected: str, output: Any, is_right: bool, tmp_path: Path
) -> None:
    for tests, name in suites_expecting(expected, tmp_path):
        try:
            has_passed = passes(tests, name, lambda _: output)
        except (TypeError, ValueError):
            has_passed = False
        assert has_passed is is_right


@pytest.mark.parametrize(
    ("body", "is_right"),
    [
        ("return 0.5 + 1e-9", True),
        ("import numpy; return numpy.float64(0.5 + 1e-9)", True),
        ("return []", False),
        ("return [[]]", False),
        ("return Odd()", False),
        ("return [Odd()]", False),
    ],
)
async def test_a_tolerance_does_not_hold_for_objects(
    body: str, is_right: bool, tmp_path: Path
) -> None:
    odd = (
        "class Odd:\n    __eq__ = __ne__ = lambda *_: True\n    __len__ = lambda self: 0\n"
        "    __getitem__ = __float__ = lambda *_: 0.5\n"
        "    def __array__(self, *_, **__): import numpy; return numpy.array(0.5)\n"
    )
    for tests, name in suites_expecting("0.5", tmp_path):
        judgement = await judge(f"{odd}def {name}(x):\n    {body}\n", tests, name)
        assert judgement.passed is is_right, judgement


@pytest.mark.parametrize("name", ["check", "solution", "sum", "reference"])
async def test_functions_of_any_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "plus.jsonl"
    solution = f"def {name}(x, y=None):\n    return x[0]\n"
    row = PAIR | {
        "entry_point": name,
        "canonical_solution": solution,
        "assertion": f"assert {name}((1, 2)) == 1",
    }
    path.write_text(json.dumps(row))
    tests = read_judge(path, Dataset("any", (problem("11", name),), "")).tests["11"]
    right = await judge(solution, tests, name)
    assert (right.passed, right.n_tests) == (True, 3), right
    assert (await judge(solution.replace("0", "-1"), tests, name)).passed is False


@pytest.mark.parametrize(
    ("task_id", "output", "given", "expected", "tolerance", "is_right"),
    [
        ("1", 1, [], 1, 0, True),
        ("1", True, [], 1, 0, True),
        ("1", 0.1 + 0.2, [], 0.3, 0, True),
        ("1", 0.30001, [], 0.3, 0, False),
        ("1", [0.1 + 0.2], [], [0.3], 0, True),
        ("1", (0.1 + 0.2,), [], [0.3], 0, False),
        ("1", [0.3, 0.3], [], [0.3], 0, False),
        ("1", [], [], [], 0, True),
        ("1", 1, [], 1.0000001, 0, False),
        ("1", 10**9 + 1, [], 10**9, 0, False),
        ("1", 10**400, [], 1.0, 1e-4, False),
        ("1", math.nan, [], math.nan, 0, False),
        ("1", math.inf, [], math.inf, 0, True),
        ("1", 1.0, [], math.inf, 1e-4, False),
        ("1", [["a", 0.1 + 0.2]], [], [["a", 0.3]], 1e-4, True),
        ("1", [["b", 0.3]], [], [["a", 0.3]], 1e-4, False),
        ("1", "1.0", [], 1.0, 1e-4, False),
        ("1", None, [], 1.0, 0, False),
        ("2", (4, 5, 5), [], [5, 4], 0, True),
        ("2", (4,), [], [5, 4], 0, False),
        ("737", "a match", [], "another", 0, True),
        ("737", None, [], "a match", 0, False),
        ("737", False, [], None, 0, True),
        ("737", True, [], False, 0, False),
        ("295", 0, [7], 1, 0, True),
        ("295", 2, [7], 1, 0, False),
        ("558", 2, [12, 3], 99, 0, True),
        ("558", 3, [12, 3], 99, 0, False),
        ("581", 33, [3, 4], 99, 0, False),
        ("581", 35, [3, 4], 99, 0, True),
        ("581", 96, [6, 4], 99, 0, True),
        ("164", True, [], False, 0, False),
        ("HumanEval/32", -5.0, [[-10, -2]], None, 1e-4, True),
        ("HumanEval/32", 5.0, [[-10, -2]], None, 1e-4, False),
    ],
)
def test_what_counts_as_right(
    task_id: str, output: Any, given: list[Any], expected: Any, tolerance: float, is_right: bool
) -> None:
    assert agrees(task_id, output, given, expected, tolerance) == is_right


def test_a_tolerance_holds_for_one_output_only() -> None:
    assert is_same(0.1 + 0.2, 0.3, 0)
    assert not is_same(10**9 + 1, 10**9, 0)


@pytest.mark.parametrize(
    ("assertion", "given", "wanted"),
    [
        ("first((1, 2))", [[3, 4]], [(3, 4)]),
        ("first([1, 2])", [[3, 4]], [[3, 4]]),
        ("first([(1, 2)], 3)", [[[3, 4], []], 1], [[(3, 4), ()], 1]),
        ("first([{1}, {}])", [[[3, 4], []]], [[{3, 4}, {}]]),
        ("first((1, (2, (3, 4))))", [[1, [2, [3, [4]]]]], [(1, (2, (3, (4,))))]),
        ("first((1, 2))", [[1, [2]]], [(1, [2])]),
        ("first((1, ['a'], (2,)))", [[1, ["b"], [3]]], [(1, ["b"], (3,))]),
        ("first({'a': (1, 2)})", [{"b": [3, 4]}], [{"b": (3, 4)}]),
        ("first(1j)", ["(1+2j)"], [1 + 2j]),
        ("first(1)", ["word"], ["word"]),
        ("first(set((1, 2)))", [[1]], [[1]]),
        ("other((1, 2))", [[1], "2"], [[1], "2"]),
    ],
)
def test_types_that_json_has_not(
    assertion: str, given: list[Any], wanted: list[Any], tmp_path: Path
) -> None:
    row = PAIR | {"assertion": f"assert {assertion} == 1", "base_input": [given], "plus_input": []}
    row |= {"canonical_solution": "def first(*_): pass\n"}
    space: dict[str, Any] = {}
    exec(judges(tmp_path, row).tests["11"].setup, space)
    assert repr(space["inputs"]) == repr([wanted])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "no judge: no task_id"),
        ({"task_id": "HumanEval/0"}, "no judge: neither test nor plus_input"),
        (HALF | {"canonical_solution": None}, "no canonical_solution"),
        (HALF | {"canonical_solution": "  return ("}, "does not parse"),
        (HALF | {"base_input": [], "plus_input": []}, "no lists of arguments"),
        (HALF | {"base_input": [1]}, "no lists of arguments"),
        (HALF | {"base_input": {"a": 1}}, "no lists of arguments"),
        (HALF | {"atol": "0"}, "atol is not a number"),
        ({k: v for k, v in PAIR.items() if k != "assertion"}, "no assertion"),
        (PAIR | {"assertion": "assert ("}, "does not parse"),
        (HALF_SOURCE | {"test": "def check(candidate):\n    candidate(1)"}, "assert nothing"),
        (HALF_SOURCE | {"test": "assert half(1)"}, "does not define check"),
        (HALF_SOURCE | {"test": 3}, "no test"),
        (HALF_SOURCE | {"entry_point": None}, "no entry_point"),
        (PAIR_SOURCE | {"test": "assert True"}, "calls no function with inputs"),
        (PAIR_SOURCE | {"test_imports": "import math"}, "not a list of strings"),
    ],
)
def test_wrong_rows(row: Row, message: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        judges(tmp_path, HALF | {"task_id": "HumanEval/9"}, row)
    assert "plus.jsonl, line 2" in str(caught.value)


def test_files_that_judge_nothing(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="has no tests for any problem of HumanEval"):
        judges(tmp_path, HALF | {"task_id": "HumanEval/9"}, HALF | {"entry_point": "third"})
    with pytest.raises(BenchError, match="HumanEval/0 is there twice"):
        judges(tmp_path, HALF, HALF)
