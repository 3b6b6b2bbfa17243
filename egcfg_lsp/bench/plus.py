"""HumanEval+ and MBPP+: many more tests for the problems of HumanEval and MBPP.

Read in both forms in which they are published: as Python source (Hugging Face, `…-OriginFmt.jsonl`),
and EvalPlus' release files, whose expected outputs come from the file's own solution, executed in the
judge's process before the program is asked anything. Nothing is executed here. Does not cover
EvalPlus' time limit for each input.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from egcfg_lsp.bench import BenchError, plus_oracle
from egcfg_lsp.bench.datasets import Dataset, function_of
from egcfg_lsp.bench.problems import Problem, Suite
from egcfg_lsp.bench.rows import Row, id_of, read_uncompressed, rows, strings, texts

_STATEMENTS = """\
for given, wanted in zip(inputs, expected):
    output = {entry_point}(*copy.deepcopy(given))
    is_right = agrees({task_id!r}, output, copy.deepcopy(given), wanted, {tolerance!r})
    assert is_right
"""
_SETUP = """\
import copy
nan, inf = float("nan"), float("inf")
reference_globals = {{}}
exec({program!r}, reference_globals)
reference = reference_globals[{entry_point!r}]
inputs = {inputs!r}
expected = [reference(*copy.deepcopy(given)) for given in inputs]
"""
_CLOSE = "assert np.allclose(out, exp,"
_ALIKE_AND_CLOSE = "assert _is_alike(out, exp) and np.allclose(out, exp,"
_IS_ALIKE = """\
from numbers import Number


def _is_alike(out, exp):
    if isinstance(exp, (list, tuple)):
        is_row = type(out) is type(exp) and len(out) == len(exp)
        return is_row and all(_is_alike(o, e) for o, e in zip(out, exp))
    return isinstance(out, Number)
"""
_NUMBERS = {int, float, complex}
_CONTAINERS = {list, tuple, set, frozenset}
_ASSERT = re.compile(r"^\s*assert\b", re.MULTILINE)
_CALLED = re.compile(r"^ +assertion\((\w+)\(\*inp\)", re.MULTILINE)
_UNUSED = "exact_match = exp == (out is not None)"
_FUTURE = "from __future__ import annotations\n"


@dataclass(frozen=True)
class Judges:
    tests: Mapping[str, Suite]
    """By `Problem.task_id`; problems that the file has no tests for are not in it."""
    sha256: str
    """Of the uncompressed file."""


@dataclass(frozen=True)
class _Found:
    tests: Suite
    entry_point: str
    """The function that they call."""


def read_judge(path: Path, dataset: Dataset) -> Judges:
    """The tests of HumanEval+ or MBPP+ for a data set's problems.

    Problems whose function has another name in the file are left out. HumanEval+ judges infilling
    too. Raises BenchError, also if the file has no tests for any problem.
    """
    raw = read_uncompressed(path)
    found: dict[str, _Found] = {}
    for row, place in rows(raw, path):
        task_id = id_of(row, place, "judge")
        if task_id in found:
            raise BenchError(f"{place}: {task_id} is there twice")
        found[task_id] = _found(row, task_id, place)
    tests: dict[str, Suite] = {}
    for problem in dataset.problems:
        own = found.get(_original_id(problem))
        if own is not None and own.entry_point == problem.entry_point:
            name = f"{own.tests.name} of {path.name}"
            tests[problem.task_id] = replace(own.tests, name=name)
    if not tests:
        raise BenchError(f"{path} has no tests for any problem of {dataset.problems[0].dataset}")
    return Judges(tests, hashlib.sha256(raw).hexdigest())


def _original_id(problem: Problem) -> str:
    """The id in the data set that the problem was made from."""
    if "Infilling" in problem.dataset:
        return function_of(problem).partition("/")[2]
    return problem.task_id


def _found(row: Row, task_id: str, place: str) -> _Found:
    if "plus_input" in row:
        return _of_inputs(row, task_id, place)
    if "test" in row:
        return _of_source(row, task_id, place)
    raise BenchError(f"{place}: no judge: neither test nor plus_input")


def _of_source(row: Row, task_id: str, place: str) -> _Found:
    """The form of Hugging Face; three mistakes of its tests are mended.

    The one of HumanEval/32 unpacks the output instead of the input, so no program passes; three of
    MBPP+ compute whether the output is right and do not assert it, so every program passes; where a
    tolerance holds, NumPy stretches one shape to the other, so that `[]` is close to everything. The
    tests are megabytes of literals and not parsed here.
    """
    (test,) = texts(row, ("test",), place, "judge")
    test = test.replace(
        "assert _poly(*candidate(*inp), inp) <=", "assert abs(_poly(*inp, candidate(*inp))) <="
    )
    test = test.replace(_CLOSE, _ALIKE_AND_CLOSE)
    if not _ASSERT.search(test):
        test = test.replace(_UNUSED, f"{_UNUSED}\n    assert exact_match")
        if not _ASSERT.search(test):
            raise BenchError(f"{place}: the tests of {task_id} assert nothing")
    if task_id.startswith("HumanEval/"):
        (entry_point,) = texts(row, ("entry_point",), place, "judge")
        if "def check(candidate)" not in test:
            raise BenchError(f"{place}: test does not define check(candidate)")
        return _Found(Suite("check(candidate)", test, _IS_ALIKE), entry_point)
    called = _CALLED.search(test)
    if called is None:
        raise BenchError(f"{place}: its test calls no function with inputs")
    imports = "\n".join(strings(row, "test_imports", place))
    return _Found(Suite("test", test, f"{imports}\n{_IS_ALIKE}"), called[1])


def _of_inputs(row: Row, task_id: str, place: str) -> _Found:
    """The form of EvalPlus' releases."""
    names = ("prompt", "entry_point", "canonical_solution")
    prompt, entry_point, solution = texts(row, names, place, "judge of EvalPlus")
    # A data set without further inputs has an empty object here.
    inputs = [*(row.get("base_input") or ()), *(row["plus_input"] or ())]
    tolerance = row.get("atol", 0)
    if not inputs or not all(isinstance(given, list) for given in inputs):
        raise BenchError(f"{place}: base_input and plus_input are no lists of arguments")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise BenchError(f"{place}: atol is not a number")
    if not task_id.startswith("HumanEval/"):
        (assertion,) = texts(row, ("assertion",), place, "judge of EvalPlus")
        inputs = _typed(inputs, _arguments(_parsed(assertion, place), entry_point))
    program = prompt + solution
    _parsed(program, place)
    oracle = Path(plus_oracle.__file__).read_text(encoding="utf-8").replace(_FUTURE, "")
    setup = oracle + _SETUP.format(program=program, entry_point=entry_point, inputs=inputs)
    source = _STATEMENTS.format(entry_point=entry_point, task_id=task_id, tolerance=tolerance)
    return _Found(Suite("inputs", source, setup), entry_point)


def _arguments(tree: ast.Module, entry_point: str) -> list[list[Any]]:
    """The literal arguments of each call of the function."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name(name), arguments) if name == entry_point:
                try:
                    found.append([ast.literal_eval(argument) for argument in arguments])
                except ValueError:
                    continue
    return found


def _typed(inputs: Sequence[list[Any]], examples: Sequence[list[Any]]) -> list[list[Any]]:
    """The inputs with the tuples, sets and complex numbers that JSON has not.

    Their places are those where `examples`, the arguments of the original asserts, have them.
    """
    columns = [list(column) for column in itertools.zip_longest(*examples)]
    return [
        [_argument(value, columns[i] if i < len(columns) else []) for i, value in enumerate(given)]
        for given in inputs
    ]


def _argument(value: Any, examples: Sequence[Any]) -> Any:
    """A string where the examples are numbers is a complex one: `1j`, `(1+2j)`."""
    kinds = {type(example) for example in examples}
    if isinstance(value, str) and kinds and kinds <= _NUMBERS:
        try:
            return complex(value)
        except ValueError:
            return value
    return _as(value, examples, ())


def _as(value: Any, examples: Sequence[Any], around: tuple[type, ...]) -> Any:
    """`around`: the kinds of what it is in.

    Where the examples show nothing, a list stays one, but in a tuple in a tuple it is a third.
    """
    kinds = {type(example) for example in examples}
    if isinstance(value, list):
        if not value and dict in kinds and list not in kinds:
            return {}
        containers = kinds & _CONTAINERS
        if not kinds and around[-2:] == (tuple, tuple):
            containers = {tuple}
        kind = containers.pop() if len(containers) == 1 else list
        own = [list(example) for example in examples if type(example) in _CONTAINERS]
        return kind(_items(value, own, (*around, kind)))
    if isinstance(value, dict):
        known = [item for e in examples if type(e) is dict for item in e.values()]
        return {key: _as(item, known, ()) for key, item in value.items()}
    return value


def _items(
    values: Sequence[Any], examples: Sequence[Sequence[Any]], around: tuple[type, ...]
) -> list[Any]:
    """By all items of the examples; where those are of several kinds, by the one at the place."""
    pooled = [item for example in examples for item in example]
    if len({type(item) for item in pooled} & _CONTAINERS) < 2:
        lists = [item for item in pooled if type(item) in _CONTAINERS | {dict}]
        return [_as(value, lists, around) for value in values]
    return [_as(v, [e[i] for e in examples if i < len(e)], around) for i, v in enumerate(values)]


def _parsed(source: str, place: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise BenchError(f"{place}: its source does not parse: {error}") from error
