"""What the judge makes of the text of tests; `tests/bench/test_judge.py` has what it does with it."""

from __future__ import annotations

import ast

import pytest

from egcfg_lsp.execution.runner.judge import calls_check, free_names, statements_recorded


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("assert add(1, x) == len('a')", {"add", "x"}),
        ("x = 1\nassert add(x)", {"add"}),
        ("import a.b, c as d\nfrom e import f\na.b(c, d, e, f)", {"c", "e"}),
        ("def f(x, *y, **z):\n  w = 1\n  return x, y, z, w, v", {"v"}),
        ("def f():\n  global g\n  g = 1\ng", set()),
        ("def f():\n  def h():\n    return i\n  i = 1\n  return h, j", {"j"}),
        ("class A:\n  x = 1\n  def f(self): return x, A, __name__", {"x"}),
        ("[x for x in y if (z := x)]", {"y"}),
        ("lambda x: x + y", {"y"}),
        ("try:\n  pass\nexcept E as e:\n  e", {"E"}),
        ("for i in n: i", {"n"}),
        ("root.left = Node(1)", {"root", "Node"}),
        ("", set()),
    ],
)
def test_free_names(source: str, names: set[str]) -> None:
    assert free_names(source) == names


def test_free_names_of_several_sources() -> None:
    assert free_names("root = Node(1)\n", "assert depth(root) == 1") == {"Node", "depth"}


@pytest.mark.parametrize(
    ("source", "n_asserts", "n_left"),
    [
        ("assert a", 1, 0),
        ("if a:\n  assert b\nelif c:\n  assert d\nelse:\n  assert e", 3, 0),
        ("while a:\n  assert b\nelse:\n  assert c", 2, 0),
        ("def f():\n  class A:\n    assert b\n  async def g():\n    assert c", 2, 0),
        ("with a:\n  for x in y:\n    assert b", 1, 0),
        ("match a:\n  case 1:\n    assert b\n  case _:\n    assert c", 2, 0),
        ("try:\n  assert a\nfinally:\n  assert b", 2, 0),
        ("try:\n  assert a\nexcept E:\n  assert b\nelse:\n  assert c\nfinally:\n  assert d", 4, 1),
        ("try:\n  if a:\n    assert b\nexcept E:\n  pass", 1, 1),
        ("try:\n  pass\nexcept E:\n  try:\n    assert a\n  finally:\n    assert b", 2, 0),
    ],
)
def test_asserts_become_calls_wherever_they_stand(source: str, n_asserts: int, n_left: int) -> None:
    """But for those whose exception has a handler, which stay."""
    tree, asserts = ast.parse(source), list[ast.Assert]()
    tree.body = list(statements_recorded(tree.body, asserts, is_caught=False))
    compile(tree, "<tests>", "exec")
    calls = ast.unparse(tree).count("__egcfg_judge__.")
    left = sum(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert (len(asserts), left) == (n_asserts, n_left)
    assert calls == 2 * (n_asserts - n_left) + n_left


@pytest.mark.parametrize(
    ("source", "is_called"),
    [
        ("def check(candidate): pass", True),
        ("def check(f): pass", True),
        ("def check(f): pass\ncheck(add)", False),
        ("def check(f, x): pass", False),
        ("def check(): pass", False),
        ("check = 3", False),
        ("if x:\n  def check(f): pass", False),
        ("", False),
    ],
)
def test_check_is_called_if_nothing_else_calls_it(source: str, is_called: bool) -> None:
    assert calls_check(ast.parse(source)) is is_called
