"""What failed assertions compared, as real pytest, unittest, doctest and bare asserts raise them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from egcfg_lsp.execution.runner.operands import operands_of
from tests.execution.runner.traced import run

MODULE = """\
def total(items, tax=0):
    result = 0
    for item in items:
        result += item
    return result + tax

class Cart:
    def n(self):
        return 3
"""
BARE: list[tuple[str, dict[str, str] | None]] = [
    (
        "assert total([1, 2]) == 4",
        {"left": "3", "op": "==", "right": "4", "call": "total([1, 2])"},
    ),
    ("assert 4 != total([4])", {"left": "4", "op": "!=", "right": "4", "call": "total([4])"}),
    (
        "x, y = total([1]), [2]\nassert x in y, 'no'",
        {"left": "1", "op": "in", "right": "[2]", "call": ""},
    ),
    ("assert Cart().n() > 5", {"left": "3", "op": ">", "right": "5", "call": "Cart().n()"}),
    (
        "assert (\n    total([1])\n    is None\n)",
        {"left": "1", "op": "is", "right": "None", "call": "total([1])"},
    ),
    ("assert total([])", None),
    ("assert 1 < total([5]) < 3", None),
    ("assert total([1])[0] == 3", None),
    ("assert len([1]) == total([3])", None),
    ("raise ValueError(total([1]))", None),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "operands"), BARE)
def test_bare_asserts(tmp_path: Path, statement: str, operands: dict[str, str] | None) -> None:
    """In a function and at the top level, of a file that is there to be read."""
    for wrap in (False, True):
        path = tmp_path / f"test_it_{wrap}.py"
        text = statement
        if wrap:
            text = "def test():\n" + "\n".join("    " + line for line in statement.split("\n"))
            text += "\n\ntest()"
        path.write_text(text + "\n")
        code = compile(path.read_text(), str(path), "exec")

        def call(names: dict[str, Any], code: Any = code) -> None:
            exec(code, names)

        traced = run(tmp_path, MODULE, call)
        assert traced.error is not None
        if isinstance(traced.error, TypeError):
            assert operands is None
        assert traced.raw["assertion"] == operands


MESSAGES: list[tuple[str, tuple[str, str, str, str] | None]] = [
    ("assert 4 == 3\n +  where 4 = add(1, 2)", ("4", "==", "3", "add(1, 2)")),
    ("no\nassert 4 == 3", ("4", "==", "3", "")),
    ("assert 'a == b' == 'c'", ("'a == b'", "==", "'c'", "")),
    ("assert [1, 2] == [1, 3]\n  \n  At index 1 diff: 2 != 3", ("[1, 2]", "==", "[1, 3]", "")),
    ("assert <A object> is not None", ("<A object>", "is not", "None", "")),
    ("assert {1, 2, ...} <= {1}", ("{1, 2, ...}", "<=", "{1}", "")),
    ("assert 3 in [1]\n +  where 3 = f()\n +  and   [1] = g()", ("3", "in", "[1]", "f()")),
    ("assert False\n +  where False = f()", None),
    ("assert ", None),
    ("anything", None),
    ("assert " + "(" * 5000, None),
    ("assert " + "1 == 2" * 5000, None),
    ("assert <a == <b == <c", None),
]


@pytest.mark.parametrize(("message", "wanted"), MESSAGES)
def test_messages_of_pytest(message: str, wanted: tuple[str, str, str, str] | None) -> None:
    found = operands_of(AssertionError(message), None, {})
    assert (None if found is None else tuple(found.values())) == wanted


SUITE = """\
import json
import unittest

import pytest

from egcfg_lsp.execution.runner.operands import operands_of
from module import total

FOUND = []

def of(call):
    with pytest.raises(AssertionError) as raised:
        call()
    return operands_of(raised.value, raised.tb, {})

class Case(unittest.TestCase):
    def test_all(self):
        found = [
            of(lambda: self.assertEqual(total([1]), 2)),
            of(lambda: self.assertEqual("a\\nb", "a\\nc")),
            of(lambda: self.assertListEqual([1], [2])),
            of(lambda: self.assertIn(total([1]), [2])),
            of(lambda: self.assertAlmostEqual(1.0, 1.5, msg="far")),
            of(lambda: self.assertTrue(total([]))),
        ]
        print("FOUND", json.dumps(found))

def test_rewritten():
    def check():
        assert total([1, 2], tax=1) == 5
    def method():
        x = {"a": total([1])}
        assert x["a"] != 1, "no"
    print("FOUND", json.dumps([of(check), of(method)]))
"""


def test_real_pytest_and_unittest(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "test_suite.py",
    ]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": root}
    )
    assert done.returncode == 0, done.stdout
    found = [
        json.loads(line.partition("FOUND ")[2])
        for line in done.stdout.split("\n")
        if "FOUND" in line
    ]
    shown = [value and tuple(value.values()) for values in found for value in values]
    assert shown == [
        ("1", "==", "2", ""),
        ("'a\\nb'", "==", "'a\\nc'", ""),
        ("[1]", "==", "[2]", ""),
        ("1", "in", "[2]", ""),
        ("1.0", "≈", "1.5", ""),
        None,
        ("4", "==", "5", "total([1, 2], tax=1)"),
        ("1", "!=", "1", ""),
    ]


def test_doctest() -> None:
    import doctest

    example = doctest.Example("f(1)\n", "2\n")
    test = doctest.DocTest([example], {}, "f", None, 0, "")
    error = doctest.DocTestFailure(test, example, "noise\n3\n")
    assert operands_of(error, None, {}) == {"left": "3", "op": "==", "right": "2", "call": "f(1)"}


def test_hostile_errors() -> None:
    class Evil(AssertionError):
        args = property(lambda _: 1 / 0)
        failures = property(lambda _: 1 / 0)

    assert operands_of(Evil("assert 1 == 2"), None, {}) is not None
    assert operands_of(Evil(), None, {}) is None
