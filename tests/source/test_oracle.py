"""Which tests are chosen for a target, in which order, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Node

from egcfg_lsp.source.facts import Facts, facts_of
from egcfg_lsp.source.nearness import nearness
from egcfg_lsp.source.oracle import (
    MAX_TESTS,
    OracleKind,
    OracleTest,
    find_oracle_tests,
    guess_tests,
)
from egcfg_lsp.source.parse import parse
from egcfg_lsp.source.pytest_config import PytestConfig, collected_files
from egcfg_lsp.source.target import find_target
from tests.support.cursor import at_cursor

ROOT = Path("/project")
MODULE = "pkg/calc.py"


@dataclass(frozen=True)
class Texts:
    """`Sources` from a dictionary of texts."""

    files: dict[str, str]
    config: PytestConfig = field(default_factory=PytestConfig)

    def test_files(self) -> tuple[Path, ...]:
        return collected_files([ROOT / name for name in self.files], ROOT, self.config)

    def text(self, path: Path) -> str | None:
        return self.files.get(path.relative_to(ROOT).as_posix())

    def facts(self, path: Path) -> Facts | None:
        text = self.text(path)
        return None if text is None else facts_of(parse(text))

    def module(self, path: Path, text: str) -> Node:
        return parse(text)


def oracle_tests(
    marked: str,
    files: dict[str, str] | None = None,
    config: PytestConfig | None = None,
    module: str = MODULE,
) -> tuple[OracleTest, ...]:
    text, offset = at_cursor(marked)
    target = find_target(text, offset)
    assert target is not None
    sources = Texts({module: text, **(files or {})}, config or PytestConfig())
    return find_oracle_tests(target, ROOT / module, ROOT, text, sources)


def names(tests: tuple[OracleTest, ...]) -> list[str]:
    return [test.name for test in tests]


ADD = "def add(a, b):\n    |\n"
STACK = "class Stack:\n    def push(self, x):\n        |\n"


def special(name: str) -> str:
    return f"class Stack:\n    def {name}(self, *a):\n        |\n"


# ---- in the same file

SAME_FILE: dict[str, tuple[str, list[str]]] = {
    "doctest": ("def add(a, b):\n    '''\n    >>> add(1, 2)\n    3\n    '''\n    |\n", ["add"]),
    "docstring without an example": ("def add(a, b):\n    '''Adds.'''\n    |\n", []),
    "function that names it": (
        ADD + "\ndef test_add():\n    assert add(1, 2) == 3\n\ndef test_other():\n    addition()\n",
        ["test_add"],
    ),
    "its name within the test's name only": (ADD + "def test_add():\n    assert True\n", []),
    "in a string or a comment only": (ADD + "def test_it():\n    # add\n    x('add')\n", []),
    "as an attribute of something else": (ADD + "def test_it():\n    s.add(1)\n", []),
    "as a keyword argument only": (ADD + "def test_it():\n    f(add=1)\n", []),
    "in an f-string's field": (ADD + "def test_it():\n    f'{add(1)}'\n", ["test_it"]),
    "in a decorator": (
        ADD + "@pytest.mark.parametrize('f', [add])\ndef test_it(f):\n    f(1)\n", ["test_it"],
    ),
    "a parameter of its name": (ADD + "def test_it(add):\n    add(1)\n", []),
    "a variable of its name": (ADD + "def test_it():\n    add = 1\n    f(add)\n", []),
    "a loop variable of its name": (ADD + "def test_it():\n    for add in x:\n        add()\n", []),
    "a function within the test of its name": (
        ADD + "def test_it():\n    def add(): pass\n    add()\n", [],
    ),
    "imported in the test": (
        ADD + "def test_it():\n    from pkg.calc import add\n    add(1)\n", ["test_it"],
    ),
    "only imported in the test": (ADD + "def test_it():\n    from pkg.calc import add\n", []),
    "test within a function is none": (ADD + "def f():\n    def test_it():\n        add(1)\n", []),
    "test below a condition": (ADD + "if x:\n    def test_it():\n        add(1)\n", ["test_it"]),
    "async test": (ADD + "async def test_it():\n    await add(1)\n", ["test_it"]),
    "method of a test class": (
        ADD + "class TestAdd:\n    def test_it(self):\n        add(1)\n"
        "    def other(self):\n        add(1)\n", ["TestAdd.test_it"],
    ),
    "class in a test class": (
        ADD + "class TestA:\n    class TestB:\n        def test_it(self): add(1)\n",
        ["TestA.TestB.test_it"],
    ),
    "class that pytest does not collect": (
        ADD + "class Add:\n    def test_it(self): add(1)\n", [],
    ),
    "test class with a constructor": (
        ADD + "class TestAdd:\n    def __init__(self): pass\n    def test_it(self): add(1)\n", [],
    ),
    "unittest, whatever its name": (
        ADD + "class Sums(unittest.TestCase):\n    def test_it(self): add(1)\n", ["Sums.test_it"],
    ),
    "unittest through a base of the file": (
        ADD + "class Base(IsolatedAsyncioTestCase): pass\n"
        "class Sums(Base):\n    def test_it(self): add(1)\n", ["Sums.test_it"],
    ),
    "fixture called like a test": (
        ADD + "@pytest.fixture(scope='module')\ndef test_data():\n    return add(1)\n", [],
    ),
    "example of a function within it only": (
        "def outer():\n    |\n    def add(a):\n        '>>> add(1)'\n", [],
    ),
    "inherited from a class of the file": (
        (
            "class Mixin:\n    def test_it(self): add(1)\n    def test_own(self): add(2)\n\n"
            + ADD + "class TestA(Mixin):\n    def test_own(self): pass\n"
        ),
        ["TestA.test_it"],
    ),
    "bases in a circle": (
        ADD + "class TestA(TestB):\n    def test_it(self): add(1)\nclass TestB(TestA): pass\n",
        ["TestA.test_it", "TestB.test_it"],
    ),
    "asserts of the module": (ADD + "assert add(1, 2) == 3\nassert sub(1)\n", ["add"]),
    "asserts in a loop": (ADD + "for a, b in CASES:\n    assert add(a) == b\n", ["add"]),
    "asserts in the main block": (
        ADD + "if __name__ == '__main__':\n    x()\n    assert add(1) == 2\n", ["add"],
    ),
    "asserts in another condition": (ADD + "if DEBUG:\n    assert add(1) == 2\n", []),
    "asserts in functions are none of the module": (ADD + "def f():\n    assert add(1) == 2\n", []),
    "doctest, asserts, then tests": (
        ("def test_first():\n    add(1)\n\ndef add(a, b):\n    '''>>> add(1)'''\n    |\n\n"
        "assert add(1)\n"), ["add", "add", "test_first"],
    ),
    "nested function": (
        ("def outer():\n    '''\n    >>> outer()\n    1\n    '''\n    def add(a):\n        |\n"
        "    return add(1)\n\ndef test_it():\n    assert outer() == 1\n"), ["outer", "test_it"],
    ),
    "function in a method": (
        ("class Stack:\n    def push(self):\n        def add(a):\n            |\n        add(1)\n\n"
        "def test_it():\n    Stack().push()\n"), ["test_it"],
    ),
    "private, through its caller": (
        ("def public(a):\n    return _add(a)\n\ndef _add(a):\n    |\n\n"
        "def test_it():\n    assert public(1) == 1\n"), ["test_it"],
    ),
    "private, through the doctest of its caller": (
        ("def public(a):\n    '''\n    >>> public(1)\n    1\n    '''\n    return _add(a)\n\n"
        "def _add(a):\n    |\n"), ["public"],
    ),
    "private, through asserts on its caller": (
        "def public(a):\n    return _add(a)\n\ndef _add(a):\n    |\n\nassert public(1)\n", ["public"],
    ),
    "through two callers": (
        ("def public(a):\n    return _more(a)\n\ndef _more(a):\n    return _add(a)\n\n"
        "def _add(a):\n    |\n\ndef test_it():\n    public(1)\n"), ["test_it"],
    ),
    "through several callers, each test once": (
        (
            "def a():\n    _add(1)\n\ndef b():\n    _add(2)\n\ndef _add(a):\n    |\n\n"
            "def test_both():\n    a(), b()\n\ndef test_b():\n    b()\n"
        ),
        ["test_both", "test_b"],
    ),
    "callers in a circle": (
        "def a():\n    b()\n\ndef b():\n    a()\n    |\n\ndef test_it():\n    c()\n", [],
    ),
    "directly named goes before through": (
        ("def public(a):\n    return _add(a)\n\ndef _add(a):\n    |\n\n"
        "def test_public():\n    public(1)\n\ndef test_add():\n    _add(1)\n"), ["test_add"],
    ),
    "private method, through a public one": (
        ("class Stack:\n    def push(self):\n        self._grow()\n\n    def _grow(self):\n        |\n\n"
        "def test_it():\n    Stack().push()\n"), ["test_it"],
    ),
    "a test is not its own oracle": ("def test_it():\n    |\n    test_it()\n", []),
    "half-typed assert above the test": (
        "def add(a, b):\n    assert foo(|\n\nassert add(1, 2) == 3\n", ["add"],
    ),
    "broken by the cursor's line": (
        "def add(a, b):\n    return (a|\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
        ["test_add"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_FILE)
def test_in_the_same_file(name: str) -> None:
    marked, found = SAME_FILE[name]
    assert names(oracle_tests(marked)) == found


# ---- in files named after the module

USE = "def test_it():\n    assert add(1, 2) == 3\n"

NAMESAKES: dict[str, tuple[str, str, list[str]]] = {
    "imported from the module": (ADD, "from pkg.calc import add\n" + USE, ["test_it"]),
    "imported under another name": (
        ADD, "from pkg.calc import add as plus\ndef test_it(): plus(1)\ndef test_b(): add(1)\n",
        ["test_it"],
    ),
    "not imported yet": (ADD, USE, ["test_it"]),
    "all names imported": (ADD, "from pkg.calc import *\n" + USE, ["test_it"]),
    "attribute of the module": (ADD, "import pkg.calc\ndef test_it(): pkg.calc.add(1)\n", ["test_it"]),
    "attribute of the module by alias": (
        ADD, "import pkg.calc as c\ndef test_it(): c.add(1)\ndef test_b(): d.add(1)\n", ["test_it"],
    ),
    "attribute of an imported module": (
        ADD, "from pkg import calc\ndef test_it(): calc.add(1)\n", ["test_it"],
    ),
    "attribute of an imported module by alias": (
        ADD, "from pkg import calc as c\ndef test_it(): c.add(1)\n", ["test_it"],
    ),
    "by a path that is not known": (ADD, "import calc\ndef test_it(): calc.add(1)\n", ["test_it"]),
    "from a path that is not known": (ADD, "from calc import add\n" + USE, ["test_it"]),
    "from something else": (ADD, "from operator import add\n" + USE, []),
    "from another module of the project": (ADD, "from pkg.other import add\n" + USE, []),
    "defined in the test file": (ADD, "def add(a, b): return 1\n" + USE, []),
    "assigned in the test file": (ADD, "add = other\n" + USE, []),
    "method by its name": (STACK, "def test_it(): assert Stack().push(1) == 1\n", ["test_it"]),
    "method of a fixture": (STACK, "def test_it(stack): stack.push(1)\n", ["test_it"]),
    "method where its class is in sight, first": (
        STACK, "def test_a(): x.push(1)\ndef test_b(): Stack().push(1)\n", ["test_b", "test_a"],
    ),
    "through a helper": (
        ADD, "def check(a, b): assert add(a) == b\ndef test_a(): check(1, 2)\ndef test_b(): x()\n",
        ["test_a"],
    ),
    "through helpers of helpers": (
        ADD, "def f(): add(1)\ndef g(): f()\nclass TestA:\n    def test_it(self): g()\n",
        ["TestA.test_it"],
    ),
    "through a method of the test class": (
        ADD, "class TestA:\n    def check(self): add(1)\n    def test_it(self): self.check()\n",
        ["TestA.test_it"],
    ),
    "through a fixture": (
        ADD, "@pytest.fixture\ndef total(): return add(1)\ndef test_it(total): assert total == 1\n",
        ["test_it"],
    ),
    "the most direct first": (
        ADD, ("def help(): add(0)\ndef test_helper(): help()\ndef test_named(): f(add)\n"
        "def test_called():\n    x = add(1)\n    assert x\n"
        "def test_asserted(): assert 3 == add(1)\n"),
        ["test_asserted", "test_called", "test_named", "test_helper"],
    ),
    "asserted in the ways of libraries": (
        ADD, ("def test_a(): add(1)\ndef test_b(): self.assertEqual(add(1), 2)\n"
        "def test_c():\n    with pytest.raises(E): add(1)\n"
        "def test_d(): np.testing.assert_allclose(add(1), 2)\n"),
        ["test_b", "test_c", "test_d", "test_a"],
    ),
    "through a name of the top level": (
        STACK, "from pkg.calc import Stack\nS = Stack\ns = S()\ndef test_it(): s.push(1)\n", ["test_it"],
    ),
    "a special method, through a name of the top level": (
        special("__call__"), "from pkg.calc import Stack\nS = Stack\ndef test_it(): S()(1)\n", ["test_it"],
    ),
    "a special method of what the class assigns": (
        special("__len__"),
        ("from pkg.calc import Stack\nclass TestA:\n    made = Stack\n"
        "    def test_it(self): assert len(self.made()) == 0\n    def test_b(self): self.made()\n"
        "class TestC:\n    def test_c(self): len(x)\n"),
        ["TestA.test_it", "TestA.test_b"],
    ),
    "a special method of what is set up": (
        special("__repr__"),
        ("from pkg.calc import Stack\nclass TestA:\n    def setup_method(self): self.s = Stack()\n"
        "    def test_it(self): repr(self.s)\n"),
        ["TestA.test_it"],
    ),
    "a function that is called to set up": (
        ADD, ("from pkg.calc import add\nclass A(TestCase):\n    def setUp(self): self.s = add(1)\n"
        "    def test_it(self): check(self.s)\nclass B(TestCase):\n    def test_b(self): x()\n"),
        ["A.test_it"],
    ),
    "a special method by its own name": (
        special("__name__"), "from pkg.calc import stack\ndef test_it(): stack(1).__name__\n", ["test_it"],
    ),
    "method where the class of tests is called like its class, first": (
        STACK, ("class TestA:\n    def test_a(self): x.push(1)\n"
        "class TestStack:\n    def test_b(self): x.push(1)\n"
        "class StackTests(TestCase):\n    def test_c(self): x.push(1)\n"),
        ["TestStack.test_b", "StackTests.test_c", "TestA.test_a"],
    ),
    "somebody else's constructor": (
        special("__init__"), "def test_it(): super().__init__()\n", [],
    ),
    "that does not parse": (ADD, "x = (:\n\ndef test_it():\n    add(1)\n", ["test_it"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMESAKES)
def test_in_a_file_named_after_the_module(name: str) -> None:
    marked, source, expected = NAMESAKES[name]
    files = {"tests/test_calc.py": source, "pkg/other.py": "def add(a): pass\n"}
    found = oracle_tests(marked, files)
    assert names(found) == expected
    assert {test.reason for test in found} <= {"names it, in test_calc.py"}


# ---- with more than one file of tests

FROM = "from pkg.calc import Stack\n"
TOGETHER: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "inherited from another file": (
        special("__len__"),
        {
            "tests/__init__.py": "class Mixin:\n    def test_len(self): len(self.made())\n",
            "tests/test_a.py": "from . import Mixin\n" + FROM
            + "class TestA(Mixin):\n    made = Stack\nclass TestB(Mixin):\n    made = dict\n",
        },
        ["TestA.test_len"],
    ),
    "the method is named where the tests are inherited from": (
        STACK,
        {
            "tests/base.py": "class Mixin:\n    def test_push(self): self.made().push(1)\n",
            "tests/test_a.py": "import tests.base as b\n" + FROM
            + "class TestA(b.Mixin):\n    made = Stack\n",
            "tests/test_b.py": "import tests.base\n" + FROM
            + "class TestB(tests.base.Mixin):\n    made = Stack\n",
            "tests/test_c.py": "from tests import base\n" + FROM
            + "class TestC(base.Mixin):\n    made = Stack\n",
        },
        ["TestA.test_push", "TestB.test_push", "TestC.test_push"],
    ),
    "a TestCase by a base in another file": (
        STACK,
        {
            "tests/base.py": "class Base(unittest.TestCase):\n    pass\n",
            "tests/test_a.py": "from tests.base import Base\n" + FROM
            + "class Stacks(Base):\n    def test_it(self): Stack().push(1)\n",
        },
        ["Stacks.test_it"],
    ),
    "a base that is nowhere": (
        STACK,
        {
            "tests/test_a.py": "from x import B\n" + FROM
            + "class TestA(B):\n    def test_it(self): Stack().push(1)\n",
        },
        ["TestA.test_it"],
    ),
    "a fixture of conftest.py makes the object": (
        STACK,
        {
            "tests/conftest.py": FROM + "@pytest.fixture\ndef stack(): return Stack()\n"
            "@pytest.fixture\ndef full(stack): return stack\n"
            "@pytest.fixture\ndef other(): return 1\n",
            "tests/sub/test_a.py": "def test_a(stack): stack.push(1)\ndef test_b(full): full.push(1)\n"
            "def test_c(other): other.push(1)\ndef test_d(stack): stack.pop()\n",
        },
        ["test_a", "test_b"],
    ),
    "a fixture of conftest.py calls the function": (
        ADD,
        {
            "conftest.py": "import pkg.calc\n@pytest.fixture\ndef total(): return pkg.calc.add(1)\n",
            "tests/test_a.py": "def test_a(total): assert total\ndef test_b(): assert total\n",
        },
        ["test_a"],
    ),
    "a conftest.py beside": (
        STACK,
        {
            "tests/one/conftest.py": FROM + "@pytest.fixture\ndef stack(): return Stack()\n",
            "tests/two/test_a.py": "def test_a(stack): stack.push(1)\n",
        },
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOGETHER)
def test_of_several_files(name: str) -> None:
    marked, files, expected = TOGETHER[name]
    assert names(oracle_tests(marked, {"pkg/__init__.py": "", **files})) == expected


# ---- guesses

GUESSES: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "a word of its name, most in the test's name first": (
        "def do_first(x):\n    |\n",
        {
            "tests/test_a.py": "def test_b(e): e('x|first')\ndef test_first(e): e('x|first')\n"
            "def test_c(): x()\n",
        },
        ["test_first", "test_b"],
    ),
    "the module's namesakes first": (
        "def do_first(x):\n    |\n",
        {
            "tests/test_a.py": "def test_first(e): e('first')\n",
            "tests/test_calc.py": "def test_it(e): e('first')\n",
        },
        ["test_it", "test_first"],
    ),
    "words of its class count less": (
        "class HTTPError:\n    def first_line(self):\n        |\n",
        {
            "tests/test_a.py": "def test_a(): x('first')\ndef test_b(): x('first http')\n"
            "def test_c(): x('http')\n",
        },
        ["test_b", "test_a"],
    ),
    "not those that name it, callers' before words": (
        (
            "def public(a):\n    return _total(a)\n\ndef _total(a):\n    |\n\n"
            "def test_named():\n    _total(1)\n\ndef test_public():\n    public(1)\n"
        ),
        {"tests/test_a.py": "def test_total(): x()\n"},
        ["test_public", "test_total"],
    ),
    "no telling word": (
        "class A:\n    def __init__(self):\n        |\n",
        {"tests/test_a.py": "def test_init(): x('init')\n"},
        [],
    ),
    "no tests": ("def do_first(x):\n    |\n", {}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", GUESSES)
def test_guesses(name: str) -> None:
    marked, files, expected = GUESSES[name]
    text, offset = at_cursor(marked)
    target = find_target(text, offset)
    assert target is not None
    sources = Texts({MODULE: text, **files}, PytestConfig())
    found = guess_tests(target, ROOT / MODULE, ROOT, text, sources)
    assert names(found) == expected
    named = find_oracle_tests(target, ROOT / MODULE, ROOT, text, sources)
    assert set(names(found)).isdisjoint(names(named))


def test_more_than_the_best() -> None:
    tests = "".join(f"def test_{i}(): add({i})\n" for i in range(3 * MAX_TESTS))
    text, offset = at_cursor(ADD)
    target = find_target(text, offset)
    assert target is not None
    sources = Texts({MODULE: text, "tests/test_calc.py": tests}, PytestConfig())
    found = find_oracle_tests(target, ROOT / MODULE, ROOT, text, sources, limit=2 * MAX_TESTS)
    assert len(found) == 2 * MAX_TESTS
    assert found[:MAX_TESTS] == find_oracle_tests(target, ROOT / MODULE, ROOT, text, sources)


@pytest.mark.parametrize(
    ("module", "test_file", "expected"),
    [
        ("pkg/calc.py", "pkg/test_calc.py", 0),
        ("pkg/calc.py", "pkg/calc_test.py", 0),
        ("pkg/calc.py", "tests/pkg/test_calc.py", 1),
        ("pkg/calc.py", "pkg/tests/test_calc.py", 1),
        ("pkg/calc.py", "tests/test_calc.py", 2),
        ("pkg/calc.py", "tests/unit/test_calc.py", 2),
        ("pkg/calc.py", "tests/unit/pkg/test_calc.py", 1),
        ("pkg/calc.py", "test_calc.py", 2),
        ("pkg/calc.py", "tests/test_pkg_calc.py", 2),
        ("pkg/calc.py", "tests/test_other_calc.py", None),
        ("pkg/calc.py", "tests/test_calculus.py", None),
        ("pkg/calc.py", "tests/other/test_calc.py", None),
        ("pkg/calc.py", "tests/pkg/calc.py", None),
        ("src/pkg/sub/calc.py", "tests/sub/test_calc.py", 2),
        ("src/pkg/sub/calc.py", "tests/pkg/sub/test_calc.py", 1),
        ("packages/foo/src/foo/calc.py", "packages/foo/tests/test_calc.py", 2),
        ("packages/foo/src/foo/calc.py", "packages/bar/tests/test_calc.py", None),
        ("pkg/_calc.py", "tests/test_calc.py", 2),
        ("pkg/_calc.py", "tests/test__calc.py", 2),
        ("pkg/__init__.py", "tests/test_pkg.py", 2),
        ("calc.py", "tests/test_calc.py", 1),
    ],
)
def test_files_named_after_a_module(module: str, test_file: str, expected: int | None) -> None:
    assert nearness(ROOT / test_file, ROOT / module, ROOT, PytestConfig()) == expected


@pytest.mark.parametrize("name", ["check_calc.py", "calc_spec.py", "testcalc.py", "test_calc.py"])
def test_files_named_after_a_module_by_the_projects_patterns(name: str) -> None:
    config = PytestConfig(python_files=("check_*.py", "*_spec.py", "test*.py"))
    assert nearness(ROOT / "tests" / name, ROOT / "pkg/calc.py", ROOT, config) == 2


# ---- in files that import the module

IMPORTERS: dict[str, tuple[str, str, list[str]]] = {
    "name": (ADD, "from pkg.calc import add\n" + USE, ["test_it"]),
    "name, in a function": (
        ADD, "def test_it():\n    from pkg.calc import add\n    add(1)\n", ["test_it"],
    ),
    "other name": (ADD, "from pkg.calc import add as plus\ndef test_it(): plus(1)\n", ["test_it"]),
    "relative": (ADD, "from ..pkg.calc import add\n" + USE, ["test_it"]),
    "module": (ADD, "import pkg.calc\ndef test_it(): pkg.calc.add(1)\n", ["test_it"]),
    "package above it": (ADD, "import pkg.other\ndef test_it(): pkg.calc.add(1)\n", ["test_it"]),
    "module by alias": (ADD, "import pkg.calc as m\ndef test_it(): m.add(1)\n", ["test_it"]),
    "module from its package": (ADD, "from pkg import calc\ndef test_it(): calc.add(1)\n", ["test_it"]),
    "all names": (ADD, "from pkg.calc import *\n" + USE, ["test_it"]),
    "re-exported by the package": (ADD, "from pkg import add\n" + USE, ["test_it"]),
    "re-exported, as an attribute": (ADD, "import pkg\ndef test_it(): pkg.add(1)\n", ["test_it"]),
    "re-exported by another module": (ADD, "from pkg.api import add\n" + USE, ["test_it"]),
    "not imported": (ADD, USE, []),
    "imported from elsewhere": (ADD, "from pkg.other import add\n" + USE, []),
    "imported and not named": (ADD, "from pkg.calc import add\ndef test_it(): pass\n", []),
    "method of an imported class": (
        STACK, "from pkg.calc import Stack\ndef test_it(): Stack().push(1)\n", ["test_it"],
    ),
    "method on a fixture": (
        STACK, ("from pkg.calc import Stack\n@fixture\ndef s(): return Stack()\n"
        "def test_it(s): s.push(1)\n"), ["test_it"],
    ),
    "method of a class of an imported module": (
        STACK, "from pkg import calc\ndef test_it(): calc.Stack().push(1)\n", ["test_it"],
    ),
    "method of some class": (STACK, "def test_it(): Stack().push(1)\n", []),
    "method, and its class imported from elsewhere": (
        STACK, "from other import Stack\ndef test_it(): Stack().push(1)\n", [],
    ),
    "method of a class within a class": (
        "class A:\n    class B:\n        def push(self):\n            |\n",
        "from pkg.calc import A\ndef test_it(): A.B().push()\n", ["test_it"],
    ),
    "property": (
        "class Stack:\n    @property\n    def size(self):\n        |\n",
        ("from pkg.calc import Stack\ndef test_it(): assert Stack().size == 0\n"
        "def test_b(): assert Stack()\n"), ["test_it"],
    ),
    "class method": (
        "class Stack:\n    @classmethod\n    def of(cls):\n        |\n",
        "from pkg.calc import Stack\ndef test_it(): Stack.of(1)\n", ["test_it"],
    ),
    "constructor": (
        special("__init__"), ("from pkg.calc import Stack\ndef test_it(): Stack(1)\n"
        "def test_b(): other()\n"), ["test_it"],
    ),
    "dataclass": (
        "@dataclass\nclass Stack:\n    x: int\n    def __post_init__(self):\n        |\n",
        "from pkg.calc import Stack\ndef test_it(): Stack(1)\n", ["test_it"],
    ),
    "call": (
        special("__call__"), "from pkg.calc import Stack\ndef test_it(): Stack()(1)\n", ["test_it"],
    ),
    "operator": (
        special("__add__"), ("from pkg.calc import Stack\ndef test_a(): assert Stack()\n"
        "def test_b(): assert Stack() + Stack()\n"), ["test_b", "test_a"],
    ),
    "length": (
        special("__len__"), ("from pkg.calc import Stack\ndef test_a(): assert Stack()\n"
        "def test_b(): assert len(Stack()) == 0\n"), ["test_b", "test_a"],
    ),
    "operator on a fixture": (
        special("__getitem__"), ("from pkg.calc import Stack\n@fixture\ndef s(): return Stack()\n"
        "def test_it(s): assert s[0] == 1\n"), ["test_it"],
    ),
    "special method of a class within a class": (
        "class A:\n    class B:\n        def __init__(self):\n            |\n",
        "from pkg.calc import A\ndef test_it(): A.B()\ndef test_b(): A()\n", ["test_it"],
    ),
    "through its caller": (
        "def public(a):\n    return _add(a)\n\ndef _add(a):\n    |\n",
        "from pkg.calc import public\ndef test_it(): public(1)\n", ["test_it"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPORTERS)
def test_in_a_file_that_imports_the_module(name: str) -> None:
    marked, source, expected = IMPORTERS[name]
    files = {
        "tests/test_behaviour.py": source,
        "pkg/__init__.py": "from .sub import *\n",
        "pkg/sub/__init__.py": "from ..calc import add\n",
        "pkg/api.py": "import os\nfrom pkg.calc import add\n",
        "pkg/other.py": "from operator import add\ndef f(): pass\n",
    }
    found = oracle_tests(marked, files)
    assert names(found) == expected
    for test in found:
        assert test.path == ROOT / "tests/test_behaviour.py"
        assert test.reason.endswith("imports and names it, in tests/test_behaviour.py")


@pytest.mark.parametrize("module", ["src/pkg/calc.py", "packages/a/src/pkg/calc.py", "pkg/calc.py"])
def test_source_folders_are_no_packages(module: str) -> None:
    tests = Path(module.partition("src/")[0] if "src/" in module else "") / "tests" / "test_it.py"
    files = {tests.as_posix(): "from pkg.calc import add\n" + USE}
    assert names(oracle_tests(ADD, files, module=module)) == ["test_it"]


def test_re_exports_in_a_circle_end() -> None:
    files = {
        "tests/test_it.py": "from pkg import add\n" + USE,
        "pkg/__init__.py": "from .a import *\n",
        "pkg/a.py": "from . import *\nfrom .a import add\n",
    }
    assert oracle_tests(ADD, files) == ()


def test_only_test_files_count() -> None:
    source = "from pkg.calc import add\n" + USE
    files = {"pkg/use.py": source, "tests/conftest.py": source, "build/test_calc.py": source}
    assert oracle_tests(ADD, files) == ()


def test_configuration_of_the_project_is_respected() -> None:
    config = PytestConfig(("checks",), ("*_spec.py",), ("Describe",), ("it_",), ())
    source = (
        "from pkg.calc import add\ndef it_adds(): add(1)\ndef test_it(): add(1)\n"
        "class DescribeAdd:\n    def it_adds(self): add(1)\n"
        "class TestAdd:\n    def it_adds(self): add(1)\n"
        "class Old(TestCase):\n    def test_old(self): add(1)\n    def it_adds(self): add(1)\n"
    )
    files = {
        "checks/calc_spec.py": source,
        "other/calc_spec.py": source,
        "checks/test_calc.py": source,
    }
    found = oracle_tests(ADD, files, config)
    assert names(found) == ["it_adds", "DescribeAdd.it_adds", "Old.test_old"]
    assert {test.path for test in found} == {ROOT / "checks/calc_spec.py"}


def test_ranks_and_bound() -> None:
    many = "".join(f"def test_{i}():\n    add(1, 2)\n\n" for i in range(20))
    marked = "def add(a, b):\n    '''>>> add(1, 2)'''\n    |\n\ndef test_here():\n    f(add)\n"
    imported = "from pkg.calc import add\n"
    files = {
        "tests/test_a.py": imported + "def test_import():\n    assert add(1)\n",
        "tests/test_calc.py": "def test_far():\n    assert add(1)\n",
        "pkg/test_calc.py": "def test_near():\n    f(add)\n",
    }
    found = oracle_tests(marked, files)
    assert names(found) == ["add", "test_here", "test_near", "test_far", "test_import"]
    assert [test.kind for test in found] == [OracleKind.DOCTEST, *[OracleKind.FUNCTION] * 4]
    assert len(oracle_tests(marked, {"pkg/test_calc.py": many})) == MAX_TESTS


def test_among_importers_the_direct_then_the_near_then_the_small_go_first() -> None:
    head = "from pkg.calc import add\n"
    files = {
        "tests/test_big.py": head + "def test_big():\n    assert add(1) == 1\n    assert x\n",
        "tests/test_small.py": head + "def test_small():\n    assert add(1)\n",
        "tests/deep/er/test_far.py": head + "def test_far():\n    assert add(1)\n",
        "tests/test_called.py": head + "def test_called():\n    add(1)\n",
    }
    expected = ["test_small", "test_big", "test_far", "test_called"]
    assert names(oracle_tests(ADD, files)) == expected


def test_source_for_the_prompt_has_decorators_and_no_indentation() -> None:
    source = (
        "class TestAdd:\n    @mark.parametrize('a', [1])\n    def test_it(self, a):\n"
        "        assert add(a)\n"
    )
    (test,) = oracle_tests(ADD, {"tests/test_calc.py": source})
    assert test.source == ("@mark.parametrize('a', [1])\ndef test_it(self, a):\n    assert add(a)")
    tabs = source.replace("    ", "\t")
    (test,) = oracle_tests(ADD, {"tests/test_calc.py": tabs})
    assert test.source.endswith("def test_it(self, a):\n\tassert add(a)")


def test_asserts_carry_the_name_to_look_for_and_their_text() -> None:
    marked = (
        special("__len__") + "\n\nassert len(Stack()) == 0\nfor s in []:\n    assert Stack(s)\n"
    )
    (test,) = oracle_tests(marked)
    assert (test.kind, test.name) == (OracleKind.ASSERTS, "Stack")
    assert test.source == "assert len(Stack()) == 0\nfor s in []:\n    assert Stack(s)"


def test_reason_names_the_caller() -> None:
    (test,) = oracle_tests(SAME_FILE["private, through its caller"][0])
    assert test.reason == "reaches it through public: in the same file"


@given(st.lists(st.sampled_from([*list("()[]:.,@=*'\"#\\ \n\tdefassert"), "add", "def test_"])))
def test_any_text_is_read(parts: list[str]) -> None:
    oracle_tests(ADD + "".join(parts), {"tests/test_calc.py": "from pkg import " + "".join(parts)})
