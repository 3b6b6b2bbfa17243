"""Values there and back: what arrives is equal, of the same builtin types, and carries no code."""

from __future__ import annotations

import enum
import io
import math
import struct
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.execution.runner import wire
from egcfg_lsp.execution.runner.wire import WireError


class Always(int):
    def __eq__(self, _other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Plain(list[int]):
    pass


class Level(enum.IntEnum):
    LOW = 1


Point = namedtuple("Point", "x y")


def there_and_back(value: Any) -> Any:
    """Through a message; objects that stay become `("handle", number, name)`."""
    stream = io.BytesIO()
    kept: list[Any] = []

    def refer(item: Any) -> int:
        kept.append(item)
        return len(kept) - 1

    wire.send(stream, {"value": wire.encode(value, refer)})
    stream.seek(0)
    message = wire.receive(stream)
    assert message is not None
    assert wire.receive(stream) is None
    return wire.decode(message["value"], lambda number, name: ("handle", number, name))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.binary()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.tuples(st.integers()), inner)
    ),
)


@given(anything)
def test_values_arrive_as_they_were(value: Any) -> None:
    assert repr(there_and_back(value)) == repr(value)


@given(st.sets(st.integers() | st.text()))
def test_sets(value: set[Any]) -> None:
    for one in (value, frozenset(value)):
        arrived = there_and_back(one)
        assert (arrived, type(arrived)) == (one, type(one))


@pytest.mark.parametrize(
    "value",
    [
        10**5000,
        -(2**1024),
        math.inf,
        -0.0,
        5e-324,
        "\ud83d\ude00",
        "😀",
        range(1, 10**30, 7),
        deque([1, [2]], maxlen=3),
        Counter("abca"),
        OrderedDict([("b", 1), ("a", 2)]),
        defaultdict(list, {"a": [1]}),
        defaultdict(None, {1: 2}),
        bytearray(b"\x00\xff"),
        {(1, 2): {3: [4]}},
        Decimal("1.10"),
        Fraction(1, 3),
        date(2020, 2, 29),
        datetime(2020, 2, 29, 1, 2, 3, 4),
        timedelta(days=-1, microseconds=5),
        int,
        ValueError,
        len,
        ...,
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_types_of_the_standard_library(value: Any) -> None:
    arrived = there_and_back(value)
    assert type(arrived) is type(value)
    assert arrived == value
    assert not isinstance(value, float) or math.copysign(1, arrived) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Plain([1, 2]), [1, 2]),
        (Point(1, 2), (1, 2)),
        (Level.LOW, 1),
        (np.float64(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        ({"a": 1}.keys(), {"a": 1}.keys()),
        ({"a": 1}.items(), {"a": 1}.items()),
        (Always(3), ("handle", 0, "Always")),
        (Always, ("handle", 0, "type")),
        (lambda: 1, ("handle", 0, "function")),
        (eval, ("handle", 0, "builtin_function_or_method")),
        (math, ("handle", 0, "module")),
        (np.array([1, 2]), ("handle", 0, "ndarray")),
        (datetime(2020, 1, 1, tzinfo=UTC), ("handle", 0, "datetime")),
        ([iter(())], [("handle", 0, "tuple_iterator")]),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_what_arrives_as_something_else(value: Any, arrives: Any) -> None:
    arrived = there_and_back(value)
    assert type(arrived) is type(arrives)
    assert arrived == arrives


def test_order_of_an_ordered_dict_whose_items_were_moved() -> None:
    value = OrderedDict(a=1, b=2)
    value.move_to_end("a")
    assert there_and_back(value) == value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_values_that_cannot_travel() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (nested(wire.MAX_DEPTH), nested(100_000), circle, {0: circle}):
        with pytest.raises(WireError, match="nested"):
            there_and_back(value)
    assert there_and_back(nested(wire.MAX_DEPTH - 1)) == nested(wire.MAX_DEPTH - 1)
    deep: Any = 1
    for _ in range(wire.MAX_DEPTH - 1):
        deep = defaultdict(list, {(1,): deep})
    assert there_and_back(deep) == deep
    with pytest.raises(WireError, match="nested"):
        wire.decode(nested(1000), lambda *_: None)
    with pytest.raises(WireError, match="more than 32 MiB"):
        there_and_back("x" * wire.MAX_BYTES)


@pytest.mark.parametrize(
    "data",
    [
        {"tuple": 5},
        {"set": [[]]},
        {"dict": [[1]]},
        {"dict": [[[], 1]]},
        {"int": "nothing"},
        {"int": 5},
        {"bytes": "0g"},
        {"str": [-1]},
        {"range": [1, 2, 0]},
        {"complex": ["x"]},
        {"deque": [[], "x"]},
        {"builtin": "eval"},
        {"builtin": []},
        {"nothing": []},
        {"os.system": ["true"]},
        {"decimal.Decimal": ["x"]},
        {"fractions.Fraction": [1, 0]},
        {"datetime.date": [0, 0, 0]},
        {"tuple": [], "list": []},
        {},
        {"handle": 5},
        {"handle": ["x", "y"]},
        {"handle": [1, 2]},
        {"tuple": {"range": [0, 10**18, 1]}},
    ],
    ids=str,
)
def test_data_that_no_value_has(data: Any) -> None:
    with pytest.raises(WireError):
        wire.decode(data, lambda *_: None)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00",
        struct.pack("!I", 5) + b"{}",
        struct.pack("!I", 2) + b"[]",
        struct.pack("!I", 2) + b"{x",
        struct.pack("!I", 2) + b"\xff\xff",
        struct.pack("!I", 2**32 - 1),
        struct.pack("!I", 200_000) + b"[" * 200_000,
    ],
)
def test_bytes_that_are_no_message(raw: bytes) -> None:
    with pytest.raises(WireError):
        wire.receive(io.BytesIO(raw))
