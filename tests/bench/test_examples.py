"""Docstring examples as asserts: rows of a docstring and what is read from it."""

from __future__ import annotations

import pytest

from egcfg_lsp.bench.examples import docstring_examples


def examples(docstring: str, head: str = "def f(x):") -> list[str]:
    indented = docstring.replace("\n", "\n    ")
    source = f'import math\n\n{head}\n    r"""{indented}\n    """\n    return x\n'
    return [line.removeprefix("assert ") for line in docstring_examples(source, "f")]


@pytest.mark.parametrize(
    ("docstring", "wanted"),
    [
        (">>> f(1)\n2", ["f(1) == 2"]),
        ("Doubles.\n\n>>> f([1,\n...    2])\n[2,\n 4]", ["f([1, 2]) == [2, 4]"]),
        (">>> f('')\n''\n>>> f(1)\n1", ["f('') == ''", "f(1) == 1"]),
        (">>> f(1) == 2\n>>> f(-3) == None", ["f(1) == 2", "f(-3) == None"]),
        (">>> round(f([1, 2]), 2) # a remark\n-0.5", ["round(f([1, 2]), 2) == -0.5"]),
        (">>> f(0)\n\n>>> f(1)\n1.5", ["f(1) == 1.5"]),
        ('>>> f("a\nb")\n1\n>>> f("c")\n"2"', ["f('c') == '2'"]),
        ("f(1) == 2\nf(2) = 3\nf(3)=>4\nf(4) ==> 5", ["f(1) == 2", "f(2) == 3", "f(3) == 4", "f(4) == 5"]),
        ("f(1) ➞ 2 \n* f(2) -> 3\n- f(3) → 4", ["f(1) == 2", "f(2) == 3", "f(3) == 4"]),
        ("f(1) returns 2\nf('a') # => 'b' (the next)", ["f(1) == 2", "f('a') == 'b'"]),
        ("f(1) should return 3.\nf(2) should\n  return 1.5.", ["f(1) == 3", "f(2) == 1.5"]),
        ("f([\n  [1],\n  [2]\n], 1) == [(0, 0)]", ["f([[1], [2]], 1) == [(0, 0)]"]),
        ("f(1) returns [2] # the odd ones\nf(2) == true", ["f(1) == [2]", "f(2) == True"]),
        ("f('5 and 6', 19) -> 19 - 5 - 6 = 8", ["f('5 and 6', 19) == 8"]),
        ("f(x=1) == 2\nf(1) == 2\nf(1) == 2", ["f(x=1) == 2", "f(1) == 2"]),
        ("For x = [1,2] the output should be 14", ["f([1, 2]) == 14"]),
        ("Input: [4, 2]\nOutput: [2, 1]\n", ["f([4, 2]) == [2, 1]"]),
        ("Input: x = 'a b'\n  Output: 24 # the sum", ["f('a b') == 24"]),
    ],
)  # fmt: skip
def test_shapes_that_are_read(docstring: str, wanted: list[str]) -> None:
    assert examples(docstring) == wanted


@pytest.mark.parametrize(
    "docstring",
    [
        "",
        "No examples, but f is named and f(x) is 3.",
        "f(x) == 2",
        "f(n) -> f(n-1) + f(n-2)",
        "f(abc) => True",
        "f(1) == 2 or so",
        "f(1) ==> 1 2 3",
        "g.f(1) == 2\nmy_f(1) == 2\nff(1) == 2",
        ">>> f(1)\n<object at 0x1>",
        ">>> f(print('a'))\n1",
        ">>> __import__('os').remove(f(1))\n1",
        ">>> f(1",
        "f(((((",
        "Input: x = 1, y = 2\nOutput: 3",
        "Input: 1, 2\nOutput: 3",
        "For x = [1, 2 the output should be 14",
        "f(1)) == 2\nf('a' == 2",
    ],
)
def test_what_is_no_literal_example_is_left_out(docstring: str) -> None:
    assert examples(docstring) == []


def test_parameters_by_name_are_put_in_their_order() -> None:
    docstring = 'For b = "ae", a = 1, the result should be ("b", False)'
    assert examples(docstring, "def f(a: int, b: str) -> tuple:") == ["f(1, 'ae') == ('b', False)"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def f(:", "f"),
        ('def g():\n    """g() == 1"""', "f"),
        ("def f():\n    pass", "f"),
        ("f = 3", "f"),
        ("\0", "f"),
    ],
)
def test_without_a_function_with_docstring_there_are_none(source: str, name: str) -> None:
    assert docstring_examples(source, name) == ()


def test_docstring_below_an_import() -> None:
    assert docstring_examples('def f():\n    import os\n    """f() == 1"""', "f") == (
        "assert f() == 1",
    )
