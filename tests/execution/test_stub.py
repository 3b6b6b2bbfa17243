"""Stubs in the place of functions."""

from __future__ import annotations

import pytest

from egcfg_lsp.execution.stub import stub_of
from tests.execution.targets import lines_of

ROWS = {
    "def f(a):\n    ⟨return a⟩\n": "def f(a):\n    raise NotImplementedError\n",
    "@x(1)\ndef f(\n    a=(1,\n2),\n):\n    # why\n    ⟨a\n    b⟩\n\nX = 1\n": (
        "@x(1)\ndef f(\n    a=(1,\n2),\n):\n    # why\n    raise NotImplementedError\n\nX = 1\n"
    ),
    "def f():\n    'D.'\n    ⟨x⟩\n": "def f():\n    'D.'\n    raise NotImplementedError\n",
    "def f(): ⟨return 'é'⟩\n": "def f(): raise NotImplementedError\n",
    "def f():\n    ⟨yield 1⟩\n": "def f():\n    raise NotImplementedError; yield\n",
    "def f():\n    ⟨return lambda: (yield)⟩\n": "def f():\n    raise NotImplementedError\n",
    "class A:\n  def f(self):\n    ⟨return super().f()⟩\n  x = 1\n": "class A:\n  def f(self):\n"
    "    raise NotImplementedError; __class__\n  x = 1\n",
    "class A:\n    async def f(self):\n        ⟨s = '''\n\nx\n'''\n        return s⟩\n": "class A:\n"
    "    async def f(self):\n        raise NotImplementedError\n",
    "def f():\n    ⟨return (⟩\n": None,
    "def f():\r\n    ⟨return 1⟩\r\nX = 1\r\n": "def f():\r\n    raise NotImplementedError\nX = 1\r\n",
    "X = 1\n\x0c\ndef f():\n    ⟨return 1⟩": "X = 1\n\x0c\ndef f():\n    raise NotImplementedError\n",
}


@pytest.mark.parametrize("marked", ROWS)
def test_stub(marked: str) -> None:
    """The body is marked; a function that cannot be parsed has no stub."""
    text, row = (
        marked.replace("⟨", "").replace("⟩", ""),
        marked[: marked.index("⟨")].count("\n") + 1,
    )
    stub = stub_of(text, *(lines_of(text, row) or (1, row)))
    if ROWS[marked] is None:
        assert stub is None
        return
    assert stub is not None
    assert stub.text == ROWS[marked]
    assert stub.function in text
    compile(stub.text, "stub", "exec")


def test_the_stub_does_not_depend_on_the_body() -> None:
    bodies = ("return 1", "x = [\n1,\n]\n    return x", "if a:\n        return\n    # no")
    texts = [f"X = 1\n\ndef f(a):\n    {body}\n\nY = f\n" for body in bodies]
    stubs = [stub_of(text, 3, text[: text.index("\n\nY")].count("\n") + 1) for text in texts]
    assert len({stub and (stub.text, stub.first_line, stub.last_line) for stub in stubs}) == 1
