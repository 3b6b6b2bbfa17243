"""Functions of installed packages to type again, and a copy of the package to type them in.

Source files are read, nothing is imported. Does not cover namespace packages, or functions whose
body stands on the line of `def`.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from egcfg_lsp.bench import BenchError
from egcfg_lsp.source.lines import split_lines

MIN_LINES, MAX_LINES = 4, 25
"""Of a body that is typed."""
_UNTYPED = re.compile(r"[\r\f\t]|[ ]$", re.MULTILINE)
"""A file with these is left out: `keys` does not type them."""


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    folder: Path


@dataclass(frozen=True)
class Function:
    """A function taken apart: `above` + body + `below` are the file again."""

    package: str
    version: str
    path: str
    """Relative to the folder that holds the package, with slashes."""
    name: str
    first_line: int
    """Of the body, 1-based."""
    above: str
    """The file up to the end of the line above the body, without that line end."""
    body: str
    """The lines behind the docstring, without the last line end."""
    below: str
    """From the body's last line end on."""

    @property
    def task_id(self) -> str:
        return f"{self.path}:{self.first_line}:{self.name}"


def installed(name: str) -> Package:
    """An installed distribution with a package of its own name; raises BenchError."""
    try:
        version = importlib.metadata.version(name)
        spec = importlib.util.find_spec(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise BenchError(f"the package {name} is not installed beside egcfg-lsp") from None
    if spec is None or not spec.submodule_search_locations:
        raise BenchError(f"{name} has no package folder of that name")
    return Package(name, version, Path(spec.submodule_search_locations[0]))


def sample_functions(package: Package, n: int, seed: int) -> list[Function]:
    """`n` functions, or all there are; a larger sample begins with the smaller one.

    Raises BenchError if the package has none.
    """
    found: list[Function] = []
    for path in sorted(package.folder.rglob("*.py")):
        relative = PurePosixPath(package.folder.name) / path.relative_to(package.folder).as_posix()
        with path.open(encoding="utf-8", newline="") as stream:
            text = stream.read()
        if not _UNTYPED.search(text):
            found += functions_of(text, package, str(relative))
    if not found:
        raise BenchError(f"{package.name} has no function with {MIN_LINES} to {MAX_LINES} lines")
    random.Random(f"{seed} {package.name}").shuffle(found)
    return found[:n]


def copy_project(package: Package, folder: Path) -> Path:
    """Copy the package's Python files into a folder, and return it, resolved, as a project's root."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    shutil.copytree(
        package.folder,
        folder / package.folder.name,
        ignore=lambda at, names: [
            name for name in names if not (Path(at, name).is_dir() or name.endswith(".py"))
        ],
    )
    return folder.resolve()


def functions_of(text: str, package: Package, path: str) -> Iterator[Function]:
    """Functions with `MIN_LINES` to `MAX_LINES` lines behind the docstring."""
    lines = split_lines(text)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        span = _body_lines(node, lines)
        if span is None or not MIN_LINES <= span[1] - span[0] <= MAX_LINES:
            continue
        start, end = span
        yield Function(
            package=package.name,
            version=package.version,
            path=path,
            name=node.name,
            first_line=start + 1,
            above="".join(lines[:start]).removesuffix("\n"),
            body="".join(lines[start:end]).removesuffix("\n"),
            below="".join(["\n" if lines[end - 1].endswith("\n") else "", *lines[end:]]),
        )


def _body_lines(
    node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]
) -> tuple[int, int] | None:
    """0-based first line of the body behind the docstring, and the line behind its end."""
    statements = node.body
    if ast.get_docstring(node, clean=False) is not None:
        start = statements[0].end_lineno or 0
        statements = statements[1:]
    elif statements:
        start = _first_line(statements[0]) - 1
    if not statements or _first_line(statements[0]) - 1 < start:
        return None
    if not lines[start - 1].rstrip().endswith((":", '"""', "'''", '"', "'")):
        return None  # comments, or statements on the line above
    return start, node.end_lineno or start


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])
