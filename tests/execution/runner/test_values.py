"""Values as text: what is shown, what is bounded, and that nobody's code is executed for it."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.execution.runner.values import MAX_CHARACTERS, field_of, is_plain, render


class Plain:
    pass


class Cart:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


@dataclasses.dataclass
class Point:
    x: int
    y: Any = 2


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    y: Any = 2


class Slots:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class Pair(NamedTuple):
    left: int
    right: Any


class Colour(enum.Enum):
    RED = 1


class Words(list[str]):
    pass


class Odd(ValueError):
    pass


CYCLE: list[Any] = [1]
CYCLE.append(CYCLE)
KNOT = Cart()
KNOT.self = KNOT  # type: ignore[attr-defined]


ROWS: list[tuple[object, str]] = [
    (None, "None"),
    (True, "True"),
    (-5, "-5"),
    (10**35, "1" + 35 * "0"),
    (10**100, "1" + 38 * "0" + "…"),
    (1 << 2000, "<int of 2001 bits>"),
    (-(1 << 10_000_000), "<int of 10000001 bits>"),
    (1.5, "1.5"),
    (float("nan"), "nan"),
    (2j, "2j"),
    ("a'b\n\x1b", '"a\'b\\n\\x1b"'),
    ("\u202e\ud800", r"'\u202e\ud800'"),
    ("x" * 10**6, "'" + "x" * 38 + "…"),
    (b"\xff" * 10**6, "b'" + r"\xff" * 9 + r"\…"),
    (bytearray(b"ab"), "bytearray(b'ab')"),
    ([], "[]"),
    ([1, "a", None], "[1, 'a', None]"),
    (list(range(10**6)), "[0, 1, 2, 3, 4, 5, 6, 7, …]"),
    ([[[[1]]]], "[[[…]]]"),
    ((), "()"),
    ((1,), "(1,)"),
    (set(), "set()"),
    ({3, 1, 2}, "{1, 2, 3}"),
    ({"b", "a"}, "{'a', 'b'}"),
    (frozenset({1}), "frozenset({1})"),
    (frozenset(), "frozenset()"),
    ({}, "{}"),
    ({"a": [1], 2: {}}, "{'a': [1], 2: {}}"),
    (dict.fromkeys(range(9)), "{0: None, 1: None, 2: None, 3: None, 4:…"),
    (collections.Counter("aab"), "Counter({'a': 2, 'b': 1})"),
    (collections.defaultdict(list, a=[1]), "defaultdict({'a': [1]})"),
    (collections.OrderedDict(a=1), "OrderedDict({'a': 1})"),
    (collections.deque([1, 2], 3), "deque([1, 2])"),
    (range(3), "range(0, 3)"),
    (range(3, 9, 2), "range(3, 9, 2)"),
    (slice(1, None), "slice(1, None, None)"),
    (..., "Ellipsis"),
    (CYCLE, "[1, [1, […]]]"),
    (KNOT, "Cart(self=Cart(self=Cart(…)))"),
    (Plain(), "Plain()"),
    (object(), "<object>"),
    (Cart(n=1, items=["a"]), "Cart(n=1, items=['a'])"),
    (Cart(**{f"a{i}": i for i in range(20)}), "Cart(a0=0, a1=1, a2=2, a3=3, a4=4, a5=5…"),
    (Point(1, [2]), "Point(x=1, y=[2])"),
    (Slotted(1, Point(3)), "Slotted(x=1, y=Point(x=3, y=2))"),
    (Slots(), "Slots(a=1)"),
    (Pair(1, Pair(2, 3)), "Pair(left=1, right=Pair(left=2, right=3…"),
    (Colour.RED, "Colour.RED"),
    (Words(["a"]), "<Words>"),
    (Point, "<class Point>"),
    (Colour, "<class Colour>"),
    (len, "<function len>"),
    (lambda: 0, "<function <lambda>>"),
    (Cart(f=1).__init__, "<function __init__>"),  # type: ignore[misc]
    (re, "<module re>"),
    ((i for i in "") , "<generator <genexpr>>"),
    (ValueError("bad", 1), "ValueError('bad', 1)"),
    (Odd(), "Odd()"),
    (KeyError(("k",)), "KeyError(('k',))"),
    (datetime.date(2020, 1, 2), "date(2020, 1, 2)"),
    (datetime.datetime(2020, 1, 2, 3), "datetime(2020, 1, 2, 3, 0)"),
    (datetime.timedelta(1), "timedelta(days=1)"),
    (decimal.Decimal("1.50"), "Decimal('1.50')"),
    (decimal.Decimal(f"1{'0' * 10**5}"), "<Decimal>"),
    (fractions.Fraction(1, 3), "Fraction(1, 3)"),
    (pathlib.Path("a/b"), "Path('a/b')"),
    (pathlib.Path("/tmp/" + "a" * 50 + "/b.txt"), "Path('…" + "a" * 24 + "/b.txt')"),
    (re.compile("a+"), "re.compile('a+')"),
    (numpy.array([1, 2]), "array([1, 2], int64)"),
    (numpy.array([[1.5]]), "array([[1.5]], float64)"),
    (numpy.zeros((30, 4), dtype="f4"), "array(shape=(30, 4), float32)"),
    (numpy.array([Point(1)], dtype=object), "array(shape=(1,), object)"),
    (numpy.float32(1.5), "float32(1.5)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "shown"), ROWS, ids=[shown for _, shown in ROWS])
def test_value(value: object, shown: str) -> None:
    assert render(value) == shown


def test_no_user_code_is_executed() -> None:
    """Every hook that a class has is set; a value that calls one of them is not shown so."""
    called = []

    def hook(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            called.append(name)
            raise AssertionError(name)

        return call

    names = [
        "__repr__",
        "__str__",
        "__format__",
        "__eq__",
        "__hash__",
        "__len__",
        "__iter__",
        "__getattribute__",
        "__getattr__",
        "__getitem__",
        "__contains__",
        "__bool__",
        "__int__",
        "__index__",
        "__float__",
        "__lt__",
        "__dir__",
        "__reduce__",
        "__sizeof__",
        "__next__",
        "__call__",
        "__get__",
        "bit_length",
        "items",
        "keys",
    ]
    hooks: dict[str, Any] = {name: hook(name) for name in names}
    properties = {name: property(hook(name)) for name in ("__class__", "__dict__", "__doc__", "x")}

    class Meta(type):
        __module__ = property(hook("meta.__module__"))
        __name__ = property(hook("meta.__name__"))
        __mro__ = property(hook("meta.__mro__"))
        __getattribute__ = hook("meta.__getattribute__")
        __hash__ = hook("meta.__hash__")
        __eq__ = hook("meta.__eq__")
        __instancecheck__ = hook("meta.__instancecheck__")
        __repr__ = hook("meta.__repr__")

    values: list[Any] = []
    for base in (object, list, dict, str, int, float, tuple, set, bytes, ValueError):
        for meta in (type, Meta):
            kind = meta.__call__(meta, "Hostile", (base,), {**hooks, **properties})
            value = base.__new__(kind)
            values += [value, [value], {"a": value}, (value,), Cart(value=value)]
            if base is object:
                array = numpy.empty(1, dtype=object)
                array.fill(value)
                values += [ValueError(value), array]
    called.clear()  # making them has its own ways
    for value in values:
        assert (
            "Hostile" in render(value) or "object" in render(value) or "ValueError" in render(value)
        )
        is_plain(value)
        field_of(value, "x")
    assert called == []


class EvilKey(str):
    is_armed = False

    def __eq__(self, other: object) -> bool:
        if EvilKey.is_armed:
            raise AssertionError("compared")
        return False

    __hash__ = str.__hash__


def test_keys_that_compare_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    value = Cart()
    value.__dict__[EvilKey("x")] = 1
    kind = type("Kind", (), {EvilKey("__dict__"): 1, EvilKey("_fields"): ()})
    monkeypatch.setattr(EvilKey, "is_armed", True)
    assert field_of(value, "x") is None
    assert render(value) == "Cart()"
    assert render(kind()) == "Kind()"


def test_names_of_classes_and_functions_are_made_printable() -> None:
    kind = type("a\x1b[31m\u202e", (), {})
    assert render(kind()).isprintable()
    function = types.FunctionType((lambda: 0).__code__, {}, "f\x1b\n")
    assert render(function).isprintable()
    module = types.ModuleType("m\x1b")
    assert render(module).isprintable()
    del module.__dict__["__name__"]
    assert render(module) == "<module ?>"


def test_container_that_another_thread_changes() -> None:
    class Changing(dict[str, int]):
        pass

    values: dict[str, int] = {"a": 1}

    def items() -> Iterator[Any]:
        yield 1
        values["b"] = 2

    assert render(values) == "{'a': 1}"
    assert render(items()) == "<generator items>"
    assert render(Changing(a=1)) == "<Changing>"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.builds(Point, st.integers(), inner)
        | st.builds(ValueError, inner)
    ),
    max_leaves=30,
)


@given(VALUES)
def test_any_value_is_one_short_printable_line(value: object) -> None:
    text = render(value)
    assert text.isprintable()
    assert 0 < len(text) <= MAX_CHARACTERS
    assert render(value) == text


@given(st.text(), st.integers())
def test_small_plain_values_are_their_repr(text: str, number: int) -> None:
    for value in (text, number, [number], (text,), {text: number}):
        if len(repr(value)) <= MAX_CHARACTERS and abs(number) < 2**1000:
            assert render(value) == repr(value)
