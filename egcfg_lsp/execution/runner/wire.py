"""Values and messages between a judge and the program under test: JSON, length first, bounded.

A value travels by its exact builtin type, so that what arrives is made of the receiver's own types
and no `__eq__` of the sender comes along; a subclass that compares as its base does travels as that
base. Whatever else there is becomes a handle, a number for an object that stays where it is. Does not
keep which parts of a value are the same object. Nothing is ever pickled or imported by its name.
"""

from __future__ import annotations

import builtins
import importlib
import json
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, BinaryIO, Callable, Optional

MAX_BYTES = 32 << 20
"""Of one message."""
MAX_DEPTH = 50
"""Of values within values."""
PLAIN_BITS = 1024
"""Integers that are longer travel in hexadecimal: decimal digits are limited, and slow."""
HANDLE = "handle"

_LENGTH = struct.Struct("!I")
_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class WireError(Exception):
    """A value cannot travel, or what came is no message; the message says which."""


def send(stream: BinaryIO, message: dict[str, Any]) -> None:
    """Raises WireError if the message is too large, OSError if nobody reads."""
    data = _JSON.encode(message).encode()
    if len(data) > MAX_BYTES:
        raise WireError("a message of more than %d MiB" % (MAX_BYTES >> 20))
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Optional[dict[str, Any]]:
    """The next message, None at the stream's end. Raises WireError if it is none."""
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise WireError("half a message")
    (length,) = _LENGTH.unpack(head)
    if length > MAX_BYTES:
        raise WireError("a message of more than %d MiB" % (MAX_BYTES >> 20))
    data = stream.read(length)
    if len(data) < length:
        raise WireError("half a message")
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError("a message that is not JSON") from error
    if not isinstance(message, dict):
        raise WireError("a message that is no object")
    return message


def encode(value: Any, refer: Callable[[Any], int], depth: int = MAX_DEPTH) -> Any:
    """A value as JSON; `refer` gives the number of an object that stays. Raises WireError."""
    kind = type(value)
    if kind is bool or kind is float or value is None:
        return value
    if kind is int:
        return value if value.bit_length() <= PLAIN_BITS else {"int": hex(value)}
    if kind is str:
        return value if _is_text(value) else {"str": [ord(character) for character in value]}
    if depth == 0:
        raise WireError("a value nested more than %d deep" % MAX_DEPTH)
    if kind is list:
        return [encode(item, refer, depth - 1) for item in value]
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value, lambda item: encode(item, refer, depth - 1))
    return _encode_other(value, refer, depth)


def decode(data: Any, resolve: Callable[[int, str], Any]) -> Any:
    """The value of `encode`; `resolve` gives the object of a handle's number and type name.

    Raises WireError for data that no `encode` has made.
    """
    try:
        return _decode(data, resolve, 4 * MAX_DEPTH)
    except WireError:
        raise
    except (
        TypeError,
        ValueError,
        LookupError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        raise WireError("a value that is none: %s" % error) from error


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_dict(value: Any, inner: Callable[[Any], Any]) -> Any:
    return [[inner(key), inner(item)] for key, item in dict.items(value)]


def _encode_items(value: Any, inner: Callable[[Any], Any]) -> Any:
    return [inner(item) for item in value]


_Encoder = Callable[[Any, Callable[[Any], Any]], Any]
_ENCODERS: dict[type, _Encoder] = {
    tuple: lambda value, inner: {"tuple": _encode_items(value, inner)},
    set: lambda value, inner: {"set": _encode_items(value, inner)},
    frozenset: lambda value, inner: {"frozenset": _encode_items(value, inner)},
    dict: lambda value, inner: {"dict": _encode_dict(value, inner)},
    # `dict.items` gives the order of insertion, whatever was moved since.
    OrderedDict: lambda value, inner: {
        "OrderedDict": [[inner(key), inner(item)] for key, item in value.items()]
    },
    Counter: lambda value, inner: {"Counter": _encode_dict(value, inner)},
    defaultdict: lambda value, inner: {
        "defaultdict": [inner(value.default_factory), _encode_dict(value, inner)]
    },
    deque: lambda value, inner: {"deque": [_encode_items(value, inner), value.maxlen]},
    range: lambda value, inner: {
        "range": [inner(n) for n in (value.start, value.stop, value.step)]
    },
    complex: lambda value, _: {"complex": [value.real, value.imag]},
    bytes: lambda value, _: {"bytes": value.hex()},
    bytearray: lambda value, _: {"bytearray": value.hex()},
    type({}.keys()): lambda value, inner: {"keys": _encode_items(value, inner)},
    type({}.values()): lambda value, inner: {"values": _encode_items(value, inner)},
    type({}.items()): lambda value, inner: {"items": _encode_items(value, inner)},
}
_BASES: tuple[type, ...] = (int, float, str, list, tuple, dict, set, frozenset)
_AS_BASE: dict[type, Callable[[Any], Any]] = {
    int: int.__pos__,
    float: float.__pos__,
    str: str.__str__,
    dict: lambda value: dict(dict.items(value)),
}
_FUNCTIONS = (
    "abs", "all", "any", "bin", "callable", "chr", "divmod", "hash", "hex", "id", "isinstance",
    "issubclass", "iter", "len", "max", "min", "next", "oct", "ord", "pow", "repr", "round",
    "sorted", "sum",
)  # fmt: skip
BUILTINS: dict[str, Any] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) or name in (*_FUNCTIONS, "Ellipsis", "NotImplemented")
}
"""What travels by its name: types, and functions that only look at their arguments."""
_NAMES = {id(value): name for name, value in BUILTINS.items()}

_ARGUMENTS: dict[str, Callable[[Any], list[Any]]] = {
    "decimal.Decimal": lambda value: [str(value)],
    "fractions.Fraction": lambda value: [value.numerator, value.denominator],
    "datetime.date": lambda value: [value.year, value.month, value.day],
    "datetime.time": lambda value: [value.hour, value.minute, value.second, value.microsecond],
    "datetime.datetime": lambda value: [*value.timetuple()[:6], value.microsecond],
    "datetime.timedelta": lambda value: [value.days, value.seconds, value.microseconds],
}
"""Immutable types of the standard library, with the arguments that make an equal value."""


def _encode_other(value: Any, refer: Callable[[Any], int], depth: int) -> Any:
    kind = type(value)
    if id(value) in _NAMES:
        return {"builtin": _NAMES[id(value)]}
    numpy: Any = sys.modules.get("numpy")
    if kind.__module__ == "numpy" and isinstance(value, numpy.generic):
        item = value.item()
        if type(item) is not kind:
            return encode(item, refer, depth - 1)
    for base in _BASES:
        if isinstance(value, base) and kind.__eq__ is base.__eq__:
            plain = _AS_BASE[base](value) if base in _AS_BASE else base(base.__iter__(value))  # type: ignore[attr-defined]
            return encode(plain, refer, depth - 1)
    name = "%s.%s" % (kind.__module__, kind.__qualname__)
    if name in _ARGUMENTS and getattr(value, "tzinfo", None) is None:
        arguments = _ARGUMENTS[name](value)
        return {name: [encode(argument, refer, depth - 1) for argument in arguments]}
    return {HANDLE: [refer(value), str(kind.__name__)]}


def _pairs(data: Any) -> list[tuple[Any, Any]]:
    return [(key, item) for key, item in data]


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": lambda items: dict(_pairs(items)),
    "OrderedDict": lambda items: OrderedDict(_pairs(items)),
    "Counter": lambda items: Counter(dict(_pairs(items))),
    "defaultdict": lambda parts: defaultdict(parts[0], _pairs(parts[1])),
    "deque": lambda parts: deque(parts[0], parts[1]),
    "range": lambda bounds: range(*bounds),
    "complex": lambda parts: complex(*parts),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "keys": lambda items: dict.fromkeys(items).keys(),
    "values": lambda items: dict(enumerate(items)).values(),
    "items": lambda items: dict(items).items(),
    "int": lambda text: int(text, 16),
    "str": lambda codes: "".join(map(chr, codes)),
    "builtin": lambda name: BUILTINS[name],
}


def _decode(data: Any, resolve: Callable[[int, str], Any], depth: int) -> Any:
    if depth == 0:
        raise WireError("a value nested more than %d deep" % MAX_DEPTH)
    if isinstance(data, list):
        return [_decode(item, resolve, depth - 1) for item in data]
    if not isinstance(data, dict):
        return data
    ((tag, content),) = data.items()
    if tag == HANDLE:
        number, name = content
        if type(number) is not int or type(name) is not str:
            raise WireError("a handle that is none")
        return resolve(number, name)
    content = _decode(content, resolve, depth - 1)
    if tag in _ARGUMENTS:
        module, _, name = tag.partition(".")
        return getattr(importlib.import_module(module), name)(*content)
    return _DECODERS[tag](content)
