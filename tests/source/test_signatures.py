"""Stubs of definitions: what of a module a model gets to see."""

from __future__ import annotations

import ast

import pytest

from egcfg_lsp.source.parse import parse
from egcfg_lsp.source.signatures import MAX_MEMBERS, identifiers, signatures

MODULE = '''\
import os
RATE = 0.07
TABLE = {
    "a": 1,
}

def area(r: float, *, unit: str = "m") -> float:
    """The area of a circle.

    More of it.
    """
    return 3 * r * r

async def fetch(
    url: str,  # where
    timeout=3,
): return url

@dataclass(frozen=True)
class Item:
    """One line of an order."""

    price: float
    quantity: int = 1

    def total(self) -> float:
        """Price of all."""
        return self.price * self.quantity

    def _hidden(self): ...

    def __init__(self, x): self.x = x

class Empty(Base): pass

@cache
def cached(n): return n
'''


@pytest.mark.parametrize(
    ("names", "stub"),
    [
        (["area"], 'def area(r: float, *, unit: str = "m") -> float:\n    """The area of a circle."""'),
        (["fetch"], "async def fetch(url: str, timeout=3): ..."),
        (["RATE"], "RATE = 0.07"),
        (["TABLE"], ""),
        (["nothing", "os"], ""),
        (["Empty"], "class Empty(Base): ..."),
        (["cached"], "def cached(n): ..."),
        (
            ["Item"],
            (
                '@dataclass(frozen=True)\nclass Item:\n    """One line of an order."""\n'
                "    price: float\n    quantity: int = 1\n    def total(self) -> float: ...\n"
                "    def __init__(self, x): ..."
            ),
        ),
        (["cached", "RATE"], "RATE = 0.07\ndef cached(n): ..."),
        (["total"], ""),
    ],
)  # fmt: skip
def test_stub(names: list[str], stub: str) -> None:
    assert signatures(parse(MODULE), names) == stub


def test_every_stub_is_python() -> None:
    names = ["area", "fetch", "RATE", "Empty", "cached", "Item"]
    ast.parse(signatures(parse(MODULE), names))


def test_a_large_class_is_cut() -> None:
    body = "".join(f"    def m{i}(self): ...\n" for i in range(50))
    assert signatures(parse(f"class C:\n{body}"), ["C"]).count("def") == MAX_MEMBERS


@pytest.mark.parametrize(
    "broken", ["def f(", "def f(a, b", "class", "class C(:\n  x", "def f():", "@"]
)
def test_broken_source_never_raises(broken: str) -> None:
    signatures(parse(broken), ["f", "C", ""])


def test_identifiers() -> None:
    assert identifiers(parse("a.b(c, d=e) # f\n'g'")) == {"a", "b", "c", "d", "e"}
