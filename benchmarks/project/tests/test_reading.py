"""Targets, tests, edits and filters."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import (
    MAX_TESTS,
    OracleTest,
    ends_function,
    find_oracle_tests,
    find_target,
    indent_of,
    is_noise,
    oracle_files,
    rejects_cursor,
    rejects_text,
    splice,
    split_lines,
    without_overlap,
)
from support import at_cursor


@pytest.mark.parametrize(
    ("marked", "name"),
    [
        ("def f(x):\n    |", "f"),
        ("def f(x):\n|", "f"),
        ("def f(x):\n    '''doc'''\n    |\n", "f"),
        ("def f(x):\n    '''doc'''\n|", "f"),
        ("def f(x): ret|", "f"),
        ("def f(x):\n    return x.|\n\ndef g(): pass\n", "f"),
        ("def f(x):\n    if x:\n        |\n    return 1\n\ndef g(): pass\n", "f"),
        ("def f():\n    y = foo(\n        1, |\n    )\n    return y\n", "f"),
        ("class A:\n    def g(self):\n        retu|\n\n    def h(self):\n        pass\n", "A.g"),
        ("class A:\n    async def g(self):\n        |\n", "A.g"),
        ("def outer():\n    def inner():\n        |\n    return inner\n", "outer.inner"),
        ("def outer():\n    def inner():\n        pass\n    |\n", "outer"),
        ("@cached\ndef f(x):\n    |\n", "f"),
        ("def f(x):\r\n    a = 1\r\n    |\r\n", "f"),
        ("def f(x):\n\tif x:\n\t\t|\n", "f"),
        ("def f(x):\n    s = '\x0c'\n    |\n", "f"),
        ("def f(x):\n    s = '𝄞é'\n    t = '𝄞' + |\n", "f"),
        ("x = 1\n|\n", None),
        ("|", None),
        ("def f():\n    return 1\n\n\n|\ndef g():\n    pass\n", None),
        ("class A:\n    x = 1\n    |\n", None),
        ("def f():\n    x = 1\n\n|", None),
    ],
)
def test_find_target(marked: str, name: str | None) -> None:
    target = find_target(*at_cursor(marked))
    assert (None if target is None else target.qualified_name) == name


@pytest.mark.parametrize(
    ("marked", "is_open"),
    [
        ("def f():\n    |\n", True),
        ("def f():\n    |\n    pass\n", True),
        ("def f():\n    |\n    ...\n\nx = 1\n", True),
        ("def f():\n    |\n    raise NotImplementedError\n", True),
        ("def f():\n    |\n    raise NotImplementedError('later')  # soon\n", True),
        ("def f():\n    |\n    return 1\n", False),
        ("def f():\n    if x:\n        |\n    return 1\n", False),
        ("def f():\n    |\n\n\ndef g():\n    return 1\n", True),
    ],
)
def test_is_open_when_only_a_placeholder_stands_below(marked: str, is_open: bool) -> None:
    target = find_target(*at_cursor(marked))
    assert target is not None
    assert target.is_open is is_open


def test_target_knows_where_it_stands() -> None:
    target = find_target(
        *at_cursor("import x\n\nclass A:\n    def g(self):\n        '''d'''\n        |\n")
    )
    assert target is not None
    assert (target.start_line, target.end_line, target.indent) == (3, 6, 4)
    assert target.docstring == "'''d'''"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a\n"]),
        ("a\r\nb\n\n", ["a\r\n", "b\n", "\n"]),
        ("a\x0cb\u2028c\x85\n", ["a\x0cb\u2028c\x85\n"]),
    ],
)
def test_split_lines(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


@pytest.mark.parametrize(("line", "columns"), [("x", 0), ("    x", 4), ("\tx", 8), ("  \tx", 8)])
def test_indent_of(line: str, columns: int) -> None:
    assert indent_of(line) == columns


ROOT = Path("/project")
MODULE = ROOT / "pkg" / "calc.py"


def oracle_tests(marked: str, files: dict[str, str] | None = None) -> tuple[OracleTest, ...]:
    text, offset = at_cursor(marked)
    target = find_target(text, offset)
    assert target is not None
    there = {ROOT / name: source for name, source in (files or {}).items()}
    return find_oracle_tests(target, MODULE, ROOT, text, there.get)


def names(tests: tuple[OracleTest, ...]) -> list[str]:
    return [test.name for test in tests]


def test_doctest_of_the_target() -> None:
    (test,) = oracle_tests("def add(a, b):\n    '''\n    >>> add(1, 2)\n    3\n    '''\n    |\n")
    assert (test.name, test.is_doctest) == ("add", True)


def test_functions_of_the_same_file_that_name_it() -> None:
    marked = (
        "def add(a, b):\n    |\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
        "def test_other():\n    assert addition\n"
    )
    assert names(oracle_tests(marked)) == ["test_add"]


def test_functions_and_methods_of_the_test_file() -> None:
    source = (
        "from pkg.calc import add\n\n\nclass TestAdd:\n    def test_one(self):\n        add(1, 1)\n\n"
        "    def helper(self):\n        add(2, 2)\n\n\n"
        "@pytest.mark.parametrize('a', [1])\ndef test_two(a):\n    add(a, 1)\n\n\n"
        "def test_outer():\n    def test_inner():\n        add(1, 1)\n"
    )
    found = oracle_tests("def add(a, b):\n    |\n", {"tests/test_calc.py": source})
    assert names(found) == ["TestAdd.test_one", "test_two", "test_outer"]
    assert found[0].reason == "names it, in test_calc.py"


def test_method_is_found_by_its_name() -> None:
    source = "def test_it():\n    assert Stack().push(1) == 1\n"
    marked = "class Stack:\n    def push(self, x):\n        |\n"
    assert names(oracle_tests(marked, {"tests/pkg/test_calc.py": source})) == ["test_it"]


def test_order_and_bound() -> None:
    many = "".join(f"def test_{i}():\n    add(1, 2)\n\n" for i in range(20))
    marked = "def add(a, b):\n    '''>>> add(1, 2)'''\n    |\n\ndef test_here():\n    add(1, 2)\n"
    found = oracle_tests(marked, {"pkg/test_calc.py": many})
    assert names(found)[:3] == ["add", "test_here", "test_0"]
    assert len(found) == MAX_TESTS


def test_where_test_files_are_looked_for() -> None:
    found = [str(path.relative_to(ROOT)) for path in oracle_files(MODULE, ROOT)]
    assert found[:2] == ["pkg/test_calc.py", "pkg/calc_test.py"]
    for path in ("tests/test_calc.py", "tests/pkg/test_calc.py", "pkg/tests/test_calc.py"):
        assert path in found
    assert oracle_files(Path("/elsewhere/calc.py"), ROOT) == []


def test_test_files_that_do_not_parse_are_no_error() -> None:
    found = oracle_tests(
        "def add(a, b):\n    |\n", {"tests/test_calc.py": "def test_x(:\n  add(\n"}
    )
    assert len(found) <= 1


def test_splice_keeps_the_line_ends_of_the_buffer() -> None:
    text = "def f():\r\n    \r\nx = 1\r\n"
    assert splice(text, 14, "y = 1\n    z = 2") == (
        "def f():\r\n    y = 1\r\n    z = 2\r\nx = 1\r\n"
    )
    assert splice("ab", 1, "X\nY") == "aX\nYb"


@pytest.mark.parametrize(
    ("line", "ends"),
    [("        x = 1\n", False), ("    def h(self):\n", True), ("\n", False), ("x = 1\n", True)],
)
def test_ends_function(line: str, ends: bool) -> None:
    target = find_target("class A:\n    def g(self):\n        \n", 32)
    assert target is not None
    assert ends_function(line, target) is ends


@pytest.mark.parametrize(
    ("after", "rejected"),
    [
        ("", False),
        ("\nx", False),
        (")", False),
        (" x", False),
        ("x", True),
        ("_", True),
        ("é", True),
    ],
)
def test_rejects_cursor(after: str, rejected: bool) -> None:
    assert (rejects_cursor(after) is not None) is rejected


@pytest.mark.parametrize(
    ("text", "after", "reason"),
    [
        ("return x", "\n", None),
        ("  \n ", "\n", "the model has nothing to add here"),
        ("x", "\n", "under 2 visible characters"),
        ("x", ")\n", None),
        ("return x", "\n\n    return x\n", "repeats the line below"),
        ("return x", "\n    return y\n", None),
    ],
)
def test_rejects_text(text: str, after: str, reason: str | None) -> None:
    assert rejects_text(text, after) == reason


@pytest.mark.parametrize(
    ("text", "after", "kept"),
    [
        ("a, b)", ")\n", "a, b"),
        ("a, b", ")\n", "a, b"),
        ("f(a))", "))\n", "f(a"),
        ("x = 1", "\n", "x = 1"),
        ("a]", ")\n", "a]"),
    ],
)
def test_without_overlap(text: str, after: str, kept: str) -> None:
    assert without_overlap(text, after) == kept


def test_is_noise() -> None:
    assert is_noise("```python\n", [])
    assert is_noise("x = 1\n", ["x = 1\n", "x = 1\n"])
    assert not is_noise("x = 1\n", ["x = 1\n"])
    assert not is_noise("\n", ["\n", "\n"])
