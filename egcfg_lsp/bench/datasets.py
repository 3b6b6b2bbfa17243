"""Data sets in their official file formats: read, checked, chosen from; and which tests guide.

HumanEval, MBPP and HumanEval-Infilling. None is part of this package, and nothing here executes their
code. Does not cover other judges than a data set's own (`plus`), or getting the files (`hub`).
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import itertools
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.examples import docstring_examples
from egcfg_lsp.bench.problems import Problem, Suite, Visible
from egcfg_lsp.bench.rows import Row, id_of, read_uncompressed, rows, strings, texts

MBPP = "MBPP"
"""`Problem.dataset` of MBPP."""
HUMANEVAL_TESTS, MBPP_TESTS = "HumanEval's check(candidate)", "MBPP's test_list"
EXAMPLES = "the docstring's examples"
_INFILLING = re.compile(r"(\w+Infilling\w*)/.+/.+")


@dataclass(frozen=True)
class Dataset:
    name: str
    """One of `DATASETS`."""
    problems: tuple[Problem, ...]
    sha256: str
    """Of the uncompressed file."""


def read_dataset(name: str, path: Path) -> Dataset:
    """The problems of a file, in its order: JSON Lines, gzipped or not, or one JSON array.

    `humaneval`: the gap is the function's body. `infilling`: any of HumanEval-Infilling's
    files. `mbpp`, the full or the sanitized one: `before` is the head of the reference's function
    with the wanted in its docstring, so the names of the parameters are shown, but none of the
    reference's imports, annotations and helpers; `reference` is the whole reference program, which
    defines the function anew. Raises BenchError.
    """
    if name not in DATASETS:
        raise BenchError(f"unknown data set {name} (known: {', '.join(DATASETS)})")
    raw = read_uncompressed(path)
    problems = tuple(_problem(name, row, place) for row, place in rows(raw, path))
    if not problems:
        raise BenchError(f"{path} holds no problems")
    if len({problem.task_id for problem in problems}) < len(problems):
        raise BenchError(f"{path} holds a task_id twice")
    return Dataset(name, problems, hashlib.sha256(raw).hexdigest())


def single_lines(dataset: Dataset) -> Dataset:
    """The data set, if each of its gaps is one whole line; raises BenchError."""
    for problem in dataset.problems:
        line = problem.reference.removesuffix("\n")
        if "\n" in line or not line.strip():
            raise BenchError(f"{problem.task_id}: the missing code is not a single line")
        if problem.before and not problem.before.endswith("\n"):
            raise BenchError(f"{problem.task_id}: the missing code begins in mid-line")
        if problem.after and not problem.reference.endswith("\n"):
            raise BenchError(f"{problem.task_id}: the missing code ends in mid-line")
    return dataset


def select(
    problems: Sequence[Problem], ids: str | None, limit: int | None, seed: int
) -> list[Problem]:
    """Those asked for, or all; at most `limit`, in the order of `sample`.

    `ids`: a list with commas of ids (`HumanEval/3`), numbers (`3`) and ranges (`11-20`, of which the
    numbers that exist are taken). Of infilling, the id or number of a function is all its gaps.
    Raises BenchError for what names no problem.
    """
    if ids is None:
        return sample(problems, limit, seed)
    items = [item.strip() for item in ids.split(",") if item.strip()]
    if not items:
        raise BenchError("no problem is named")
    chosen: set[str] = set()
    for item in items:
        named = {problem.task_id for problem in problems if _is_named(problem, item)}
        if not named:
            raise BenchError(f"no problem is called {item}")
        chosen |= named
    return sample([problem for problem in problems if problem.task_id in chosen], limit, seed)


def sample(problems: Sequence[Problem], n: int | None, seed: int) -> list[Problem]:
    """`n` problems spread over the functions, or all; a larger sample begins with the smaller one."""
    chance = random.Random(seed)
    functions: dict[str, list[Problem]] = {}
    for problem in problems:
        functions.setdefault(function_of(problem), []).append(problem)
    groups = list(functions.values())
    for group in groups:
        chance.shuffle(group)
    chance.shuffle(groups)
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return [problem for problem in rounds if problem is not None][:n]


def function_of(problem: Problem) -> str:
    """Names the function that the problem is from: gaps of one function share it."""
    return problem.task_id.rpartition("/")[0] if "Infilling" in problem.dataset else problem.task_id


def visible_tests(problem: Problem, visible: Visible) -> Suite | None:
    """The tests that guide; None if the problem has none of this kind.

    Raises BenchError where the data set has none of this kind at all.
    """
    match visible:
        case Visible.NONE:
            return None
        case Visible.ALL:
            return problem.tests
        case Visible.FIRST:
            return _first_assert(problem)
        case Visible.DOCSTRING:
            if problem.dataset == MBPP:
                raise BenchError("MBPP has no docstrings: choose first, all or none")
            return Suite(EXAMPLES, "\n".join(problem.examples)) if problem.examples else None


def is_judging(visible: Visible, problem: Problem) -> bool:
    """Whether one of the calls that guide is, word for word, one of those of the data set's tests."""
    seen = visible_tests(problem, visible)
    if seen is None or visible is Visible.ALL:
        return seen is not None
    return bool(_calls(seen, problem.entry_point) & _calls(problem.tests, problem.entry_point))


def _problem(name: str, row: Row, place: str) -> Problem:
    looks = _looks_like(row)
    if looks and looks != name:
        raise BenchError(f"{place}: no {name} problem, it looks like {looks}")
    return DATASETS[name](row, place)


def _looks_like(row: Row) -> str:
    """A name of `DATASETS`, or what it is in words; empty: nothing known."""
    if "plus_input" in row:
        return "a judge of EvalPlus, which is given with --judge"
    if "test_list" in row:
        return "mbpp"
    if "canonical_solution" in row and "test" in row:
        if "suffix" in row:
            return "infilling"
        if "def assertion(" in str(row["test"]):
            return "HumanEval+, which is a judge and given with --judge"
        return "humaneval"
    return ""


def _humaneval(row: Row, place: str) -> Problem:
    names = ("task_id", "entry_point", "prompt", "canonical_solution", "test")
    task_id, *fields = texts(row, names, place, "HumanEval problem")
    entry_point, prompt, solution, test = fields
    return _checked(task_id, "HumanEval", entry_point, (prompt, solution, ""), test, place)


def _infilling(row: Row, place: str) -> Problem:
    names = ("task_id", "entry_point", "prompt", "canonical_solution", "suffix", "test")
    task_id, *fields = texts(row, names, place, "infilling problem")
    entry_point, prompt, solution, suffix, test = fields
    match = _INFILLING.fullmatch(task_id)
    if match is None:
        raise BenchError(f"{place}: {task_id} is no id of HumanEval-Infilling")
    dataset = f"HumanEval-{match[1]}"
    return _checked(task_id, dataset, entry_point, (prompt, solution, suffix), test, place)


def _checked(
    task_id: str, dataset: str, entry_point: str, parts: tuple[str, str, str], test: str, place: str
) -> Problem:
    """A problem of HumanEval's kind, whose tests may use the prompt's helpers."""
    program = "".join(parts)
    if not parts[1].strip():
        raise BenchError(f"{place}: the canonical_solution is empty")
    if entry_point not in _functions(_parsed(program, place, "the program")):
        raise BenchError(f"{place}: the program does not define {entry_point}")
    if "check" not in _functions(_parsed(test, place, "test")):
        raise BenchError(f"{place}: test does not define check(candidate)")
    return Problem(
        dataset=dataset,
        task_id=task_id,
        entry_point=entry_point,
        text="",
        before=parts[0],
        reference=parts[1],
        after=parts[2],
        examples=docstring_examples(program, entry_point),
        tests=Suite(HUMANEVAL_TESTS, test, setup=program),
    )


def _mbpp(row: Row, place: str) -> Problem:
    words = "text" if "text" in row else "prompt"
    text, code = (_unix(value) for value in texts(row, (words, "code"), place, "MBPP problem"))
    task_id = id_of(row, place, "MBPP problem")
    asserts = [_unix(line) for line in strings(row, "test_list", place)]
    if not asserts:
        raise BenchError(f"{place}: test_list is empty")
    setup = [_unix(line) for line in strings(row, "test_imports", place)]
    setup.append(_unix(str(row.get("test_setup_code") or "")))
    tree = _parsed(code, place, "code")
    functions, first = _functions(tree), _parsed(asserts[0], place, "test_list")
    entry_point = next((name for name in _called(first) if name in functions), None)
    if entry_point is None:
        raise BenchError(f"{place}: the first of test_list calls no function that code defines")
    tests = _parsed("\n".join((*setup, *asserts)), place, "test_list or test_setup_code")
    missing = _names(tests) - _bound(tests.body)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    setup += [ast.unparse(node) for node in imports if _imported([node]) & missing]
    return Problem(
        dataset=MBPP,
        task_id=task_id,
        entry_point=entry_point,
        text=text,
        before=_head(functions[entry_point], text),
        reference=f"\n\n{code.strip()}\n",
        after="",
        examples=(),
        tests=Suite(MBPP_TESTS, "\n".join(asserts), "\n".join(part for part in setup if part)),
    )


DATASETS: Mapping[str, Callable[[Row, str], Problem]] = {
    "humaneval": _humaneval,
    "mbpp": _mbpp,
    "infilling": _infilling,
}


def _head(function: ast.FunctionDef, text: str) -> str:
    """`def name(parameters):` and the docstring, without a name that only the reference defines."""
    arguments = function.args
    everything = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    starred = (arguments.vararg, arguments.kwarg)
    for argument in (*everything, *(star for star in starred if star)):
        argument.annotation = None
    arguments.defaults = [_without_names(default) for default in arguments.defaults]
    arguments.kw_defaults = [d and _without_names(d) for d in arguments.kw_defaults]
    escaped = text.replace("\\", "\\\\").replace('"""', r"\"\"\"").replace("\n", "\n    ")
    if escaped.endswith('"'):
        escaped = escaped[:-1] + r"\""
    return f'def {function.name}({ast.unparse(arguments)}):\n    """{escaped}"""\n'


def _without_names(default: ast.expr) -> ast.expr:
    return ast.Constant(None) if _names(default) else default


def _first_assert(problem: Problem) -> Suite | None:
    tests = problem.tests
    first = next(_asserts(tests, problem.entry_point), None)
    if first is None:
        return None
    if problem.dataset == MBPP:
        return Suite("MBPP's first assert", first, tests.setup)
    return Suite("HumanEval's first assert", first)


def _asserts(tests: Suite, entry_point: str) -> Iterator[str]:
    """Its asserts that call the function and stand in no loop, without their messages.

    Of a `check(candidate)` only those that need nothing but the function, under its own name.
    """
    try:
        body = ast.parse(tests.source).body
    except (SyntaxError, ValueError):
        return
    check = next((n for n in body if isinstance(n, ast.FunctionDef) and n.name == "check"), None)
    known = {entry_point, *dir(builtins)}
    for statement in body if check is None else check.body:
        if isinstance(statement, ast.Assert):
            for node in ast.walk(statement.test) if check is not None else ():
                if isinstance(node, ast.Name) and node.id == "candidate":
                    node.id = entry_point
            used, own = _names(statement.test), _bound([statement])
            if entry_point in used and (check is None or used <= known | own):
                yield f"assert {ast.unparse(statement.test)}"


def _calls(tests: Suite, entry_point: str) -> set[str]:
    """The arguments of the calls of the function, by its name or as `candidate`, as source."""
    names = (entry_point, "candidate")
    return {
        ast.unparse(ast.Tuple([*node.args, *(keyword.value for keyword in node.keywords)]))
        for node in ast.walk(ast.parse(tests.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    }


def _is_named(problem: Problem, item: str) -> bool:
    function = function_of(problem)
    if item in (problem.task_id, function, function.partition("/")[2]):
        return True
    number = next((int(part) for part in function.split("/") if part.isdecimal()), None)
    match = re.fullmatch(r"(?:Mbpp/)?(\d+)(?:-(\d+))?", item)
    if match is None or number is None:
        return False
    return int(match[1]) <= number <= int(match[2] or match[1])


def _parsed(source: str, place: str, what: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise BenchError(f"{place}: {what} does not parse: {error}") from error


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _bound(statements: Sequence[ast.stmt]) -> set[str]:
    """Names that the statements bind, in whatever scope, but for definitions."""
    found = _imported(statements)
    for node in itertools.chain.from_iterable(map(ast.walk, statements)):
        match node:
            case ast.Name(name, ast.Store()) | ast.arg(name):
                found.add(name)
    return found


def _imported(statements: Sequence[ast.stmt]) -> set[str]:
    nodes = itertools.chain.from_iterable(map(ast.walk, statements))
    imports = [node.names for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return {(name.asname or name.name).partition(".")[0] for names in imports for name in names}


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _called(tree: ast.AST) -> list[str]:
    """Names that are called, the outermost first."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [function.id for function in calls if isinstance(function, ast.Name)]


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
