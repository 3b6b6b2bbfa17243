"""Oracle tests: those that reach the target, found by reading source, never by running it.

Covers doctests of the target, test functions in the same file, and those of the test files that are
named after the module. Does not cover tests found by import, or pytest's own configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Node

from egcfg_lsp.source.parse import name_of, parse, qualified_name, text_of, walk
from egcfg_lsp.source.target import Target

MAX_TESTS = 8


@dataclass(frozen=True)
class OracleTest:
    """One test function, or the doctest of one function."""

    path: Path
    name: str
    """`test_total`, `TestTotal.test_empty`, or for a doctest the target's qualified name."""
    is_doctest: bool
    reason: str
    """Why it was chosen, for people."""
    source: str
    """Its text, for the prompt."""


def find_oracle_tests(
    target: Target, path: Path, root: Path, text: str, read: Callable[[Path], str | None]
) -> tuple[OracleTest, ...]:
    """At most `MAX_TESTS` tests of the target, the most telling first.

    `path` and `text` are the module with the target; `read` gives another file's text, or None
    where there is no such file.
    """
    found: list[OracleTest] = []
    if ">>>" in target.docstring:
        reason = "doctest of the function"
        found.append(OracleTest(path, target.qualified_name, True, reason, ""))
    found += _tests_naming(target, path, text, "in the same file")
    for test_path in oracle_files(path, root):
        if (source := read(test_path)) is not None:
            found += _tests_naming(target, test_path, source, f"names it, in {test_path.name}")
    return tuple(found[:MAX_TESTS])


def oracle_files(path: Path, root: Path) -> list[Path]:
    """Where a module's tests may lie, nearest first: beside it, and in `tests/` of each parent."""
    names = [f"test_{path.stem}.py", f"{path.stem}_test.py"]
    if not path.is_relative_to(root):
        return []
    folders = [path.parent]
    for parent in [path.parent, *path.parent.parents]:
        inner = path.parent.relative_to(parent)
        mirrors = [Path(*inner.parts[i:]) for i in range(len(inner.parts) + 1)]
        folders += [parent / tests / mirror for tests in ("tests", "test") for mirror in mirrors]
        if parent == root:
            break
    return [
        folder / name
        for folder in dict.fromkeys(folders)
        for name in names
        if folder / name != path
    ]


def _tests_naming(target: Target, path: Path, text: str, reason: str) -> Iterator[OracleTest]:
    for function in _test_functions(parse(text)):
        if name_of(function) != target.name and _names(function, target.name):
            name = qualified_name(function)
            yield OracleTest(path, name, False, reason, text_of(function))


def _test_functions(root: Node) -> Iterator[Node]:
    """Functions that pytest would collect: at the top level, or directly in a class."""
    for node in walk(root):
        if node.type == "function_definition" and name_of(node).startswith("test"):
            owner = node.parent
            while owner is not None and owner.type in ("block", "decorated_definition"):
                owner = owner.parent
            if owner is not None and owner.type in ("module", "class_definition"):
                yield node


def _names(function: Node, name: str) -> bool:
    return any(node.type == "identifier" and text_of(node) == name for node in walk(function))
