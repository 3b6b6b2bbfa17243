"""The asserts at the top level of the module under test, as tests of their own.

They are taken out of the module, so that it can be imported whatever they say, and run afterwards, a
verdict each. Asserts in `if` and `try` statements of the top level stay, but for those of
`if __name__ == "__main__":`.
"""

from __future__ import annotations

import ast
import copy
import importlib.machinery
import os
import sys
from types import CodeType
from typing import Any, Optional, Sequence

WRAPPER = "__egcfg_assert__"


class ModuleAsserts:
    """The asserts of the module under test that mention one of some words: what is taken out of its
    import, and the tests that are made of it. An import hook for that one module."""

    def __init__(self, path: str, source: bytes, words: set[str], is_served: bool) -> None:
        self.path = os.path.realpath(path)
        self.words = words
        self.is_served = is_served
        """The file says something else, and pytest reads a test module by itself."""
        self.read(source)

    def read(self, source: bytes) -> None:
        """From now on the module has this text. Raises SyntaxError."""
        self.source = source
        words = self.words
        self.tree = ast.parse(source)
        self.tests: list[list[ast.stmt]] = []
        taken: list[ast.stmt] = []
        if words:
            for body in [self.tree.body, *main_blocks(self.tree)]:
                units = [statement for statement in body if is_assert(statement, words)]
                self.tests += with_what_they_need(body, units, body is self.tree.body)
                taken += units
        self.tree.body = [statement for statement in self.tree.body if statement not in taken]

    def intercept_import(self) -> None:
        if self.tests or self.is_served:
            sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or os.path.realpath(spec.origin) != self.path:
            return None
        spec.loader = CodeLoader(name, spec.origin)
        spec.loader.code = self.compile(self.tree.body)
        return spec

    def compile(self, body: Sequence[ast.stmt]) -> CodeType:
        """The code of statements, with pytest's explanations of failed asserts."""
        tree = ast.Module(body=copy.deepcopy(list(body)), type_ignores=[])
        try:
            from _pytest.assertion.rewrite import rewrite_asserts
        except ImportError:  # not public; without it a failure is told without values
            pass
        else:
            rewrite_asserts(tree, self.source, self.path)
        return compile(tree, self.path, "exec", dont_inherit=True)

    def items(self, module: Any) -> list[Any]:
        """pytest's items for the asserts, run in the namespace of the imported module."""
        import pytest

        class AssertItem(pytest.Item):
            code: CodeType

            def runtest(self) -> None:
                namespace = module.obj.__dict__
                exec(self.code, namespace)
                namespace.pop(WRAPPER)()

        items = []
        for i, body in enumerate(self.tests):
            name = "assert %d at line %d" % (i + 1, body[-1].lineno)
            item = AssertItem.from_parent(module, name=name)
            item.code = self.compile([*body[:-1], wrapped(body[-1])])
            items.append(item)
        return items


class CodeLoader(importlib.machinery.SourceFileLoader):
    """Gives a module other code than its file's."""

    code: CodeType

    def get_code(self, _fullname: str) -> CodeType:
        return self.code


def main_blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """The bodies of `if __name__ == "__main__":` at the top level."""
    return [
        statement.body
        for statement in tree.body
        if isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and len(statement.test.ops) == 1
        and isinstance(statement.test.ops[0], ast.Eq)
        and {"__name__", "__main__"}
        == {
            getattr(side, "id", getattr(side, "value", None))
            for side in (statement.test.left, *statement.test.comparators)
        }
    ]


def is_assert(statement: ast.stmt, words: set[str]) -> bool:
    """Whether a statement is an assert, or a `for` or `with` around one, and mentions a word."""
    if not isinstance(statement, (ast.Assert, ast.For, ast.With)):
        return False
    inner = list(ast.walk(statement))
    return any(isinstance(node, ast.Assert) for node in inner) and any(
        getattr(node, "id", getattr(node, "attr", None)) in words for node in inner
    )


def wrapped(statement: ast.stmt) -> ast.stmt:
    """A function that runs a statement of the top level.

    In a function pytest explains `add(1, 2)` by these words, else by the `repr` of `add`.
    """
    function = ast.parse("def %s(): pass" % WRAPPER).body[0]
    assert isinstance(function, ast.FunctionDef)
    bound = sorted(names_in(statement, ast.Store))
    function.body = [*([ast.Global(names=bound)] if bound else []), statement]
    return ast.fix_missing_locations(function)


def with_what_they_need(
    body: Sequence[ast.stmt], units: Sequence[ast.stmt], was_executed: bool
) -> list[list[ast.stmt]]:
    """For each unit what must run before it since the one above, then itself.

    These are the statements that bind or mention a variable of the body on which a unit depends.
    Definitions and imports are among them only where the body was not executed before.
    """
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    others = [
        statement
        for statement in body
        if statement not in units and not (was_executed and isinstance(statement, definitions))
    ]
    bound = {name for statement in others for name in names_in(statement, ast.Store)}
    needed = {name for unit in units for name in names_in(unit, ast.Load)} & bound
    used: list[ast.stmt] = []
    while more := [s for s in others if s not in used and names_in(s) & needed]:
        used += more
        needed |= {name for statement in more for name in names_in(statement)} & bound
    tests: list[list[ast.stmt]] = []
    before: list[ast.stmt] = []
    for statement in body:
        if statement in units:
            tests.append([*before, statement])
            before = []
        elif statement in used:
            before.append(statement)
    return tests


def names_in(statement: ast.stmt, context: Optional[type] = None) -> set[str]:
    """Names that a statement mentions; with `Store` those it binds, with `Load` those it reads."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and (context is None or isinstance(node.ctx, context)):
            found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found |= {node.name} if context is not ast.Load else set()
        elif isinstance(node, ast.alias) and context is not ast.Load:
            found.add((node.asname or node.name).partition(".")[0])
    return found
