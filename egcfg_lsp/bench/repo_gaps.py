"""Functions of a project on disk, each with a gap: a statement or the body, taken out.

Source files are read, nothing is imported. The same seed makes the same gap in a function, whatever
else is asked for. Does not cover files that are not UTF-8 or do not parse here, functions whose body
stands on the line of `def`, or statements that share a line with others.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from egcfg_lsp.completion.project import Project
from egcfg_lsp.source.lines import offset_of_line


class Remove(StrEnum):
    LINE = "line"
    """One simple statement, all its lines."""
    BODY = "body"
    """What stands behind the docstring."""


@dataclass(frozen=True)
class Gap:
    """A file taken apart: `above` + `removed` + `below` are its text again."""

    path: Path
    function: str
    """Qualified, without `<locals>`."""
    remove: Remove
    above: str
    """Ends with the white space of the gap's first line."""
    removed: str
    """From its first character to the end of its last line, without the line end."""
    below: str

    @property
    def first_line(self) -> int:
        """1-based."""
        return self.above.count("\n") + 1


def source_files(project: Project) -> list[Path]:
    """The project's own modules, sorted: no tests, and none of what only serves development."""
    tests = set(project.test_files())
    return sorted(
        path
        for path in project.files()
        if path not in tests
        and path.name not in _NO_SOURCES
        and _NO_SOURCE_FOLDERS.isdisjoint(path.relative_to(project.root).parts[:-1])
    )


def gaps_in_order(paths: Sequence[Path], remove: Remove, seed: int) -> Iterator[Gap]:
    """A gap for each function of the files that has one, in an order drawn by the seed.

    Raises OSError.
    """
    functions = [(path, index) for path in paths for index in range(len(_functions(_read(path))))]
    random.Random(f"{seed}").shuffle(functions)
    for path, index in functions:
        if (gap := _gap(path, index, remove, seed)) is not None:
            yield gap


_NO_SOURCES = {"setup.py", "conftest.py", "noxfile.py", "tasks.py"}
_NO_SOURCE_FOLDERS = {
    "test", "tests", "testing", "doc", "docs", "example", "examples", "benchmark", "benchmarks",
    "script", "scripts", "tool", "tools", "ci",
}  # fmt: skip
_UNCERTAIN_LINES = re.compile(r"[\f\v\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)")
"""What Python and editors may not count alike."""
_SIMPLE = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr, ast.Raise, ast.Assert, ast.Delete,
)  # fmt: skip
_Definition = ast.FunctionDef | ast.AsyncFunctionDef


def _read(path: Path) -> str:
    """Empty where a file is left out."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if _UNCERTAIN_LINES.search(text) or text.startswith("\ufeff") else text


def _functions(text: str) -> list[tuple[str, _Definition]]:
    """Functions with their qualified names, in source order."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[tuple[str, _Definition]] = []
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        if isinstance(node, _Definition | ast.ClassDef):
            if isinstance(node, _Definition):
                found.append((f"{prefix}{node.name}", node))
            prefix = f"{prefix}{node.name}."
        pending += [(child, prefix) for child in ast.iter_child_nodes(node)]
    return sorted(found, key=lambda pair: pair[1].lineno)


def _gap(path: Path, index: int, remove: Remove, seed: int) -> Gap | None:
    text = _read(path)
    name, definition = _functions(text)[index]
    choices = list(_spans(text, definition, remove))
    if not choices:
        return None
    first, last = random.Random(f"{seed} {path.name} {name} {index}").choice(choices)
    start = offset_of_line(text, first)
    start += len(text[start:]) - len(text[start:].lstrip(" \t"))
    line = text.split("\n")[last]
    end = offset_of_line(text, last) + len(line.removesuffix("\r"))
    return Gap(path, name, remove, text[:start], text[start:end], text[end:])


def _spans(text: str, definition: _Definition, remove: Remove) -> Iterator[tuple[int, int]]:
    """What may be taken out, as 0-based first and last lines."""
    body = definition.body[_has_docstring(definition) :]
    lines = text.encode().split(b"\n")
    if not body or _is_stub(body) or not _stands_alone(lines, body[0], body[-1]):
        return
    if remove is Remove.BODY:
        yield _first_line(body[0]) - 1, (body[-1].end_lineno or 0) - 1
        return
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, _Definition | ast.ClassDef):
            continue  # has gaps of its own
        if isinstance(node, _SIMPLE) and _stands_alone(lines, node, node):
            yield node.lineno - 1, (node.end_lineno or 0) - 1
        pending += ast.iter_child_nodes(node)


def _has_docstring(definition: _Definition) -> bool:
    return ast.get_docstring(definition, clean=False) is not None


def _is_stub(body: Sequence[ast.stmt]) -> bool:
    """Whether there is nothing in it that a test could need."""
    return all(
        isinstance(statement, ast.Pass | ast.Global | ast.Nonlocal)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or "NotImplementedError" in ast.unparse(statement)
        for statement in body
    )


def _stands_alone(lines: Sequence[bytes], first: ast.stmt, last: ast.stmt) -> bool:
    """Whether nothing else but a comment stands on the lines of some statements."""
    head = lines[_first_line(first) - 1]
    head_ends = first.col_offset if _first_line(first) == first.lineno else 0
    tail = lines[(last.end_lineno or 0) - 1][last.end_col_offset or 0 :].strip()
    return not head[:head_ends].strip() and (not tail or tail.startswith(b"#"))


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])
