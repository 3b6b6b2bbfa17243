"""Which tests are chosen for a target, and where they are looked for."""

from __future__ import annotations

from pathlib import Path

from egcfg_lsp.source.oracle import MAX_TESTS, OracleTest, find_oracle_tests, oracle_files
from egcfg_lsp.source.target import find_target
from tests.support.cursor import at_cursor

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
