"""A value as one short line of text, without executing any code of the user.

What a value looks like is decided by its exact type: a subclass of `list` is no list here, and no
`__repr__`, `__eq__`, `__hash__`, `__class__`, `__getattribute__` or property of a user's class or
metaclass is called. Fields of an instance are read by the interpreter's own descriptors. Does not
show addresses, nor all of a value: `MAX_ITEMS` elements, `MAX_DEPTH` levels, `MAX_CHARACTERS`.

Not covered: code that replaces the interpreter's or the standard library's own functions.
"""

from __future__ import annotations

import collections
import sys
import types
from itertools import islice
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from .layouts import (
    entry_of_module,
    fields_of,
    is_what_it_says,
    layout_of,
    module_of,
    mro_of,
    name_of,
    own_entry,
)

MAX_CHARACTERS = 40
MAX_ITEMS = 8
MAX_DEPTH = 2
MAX_SORTED = 64
"""Elements of a set that is shown in order."""
MAX_BITS = 1024
"""Of an integer that is shown by its digits."""
ELLIPSIS = "…"
_SHORT = 10**30
"""Integers of smaller size need no further look."""

args_of = BaseException.__dict__["args"].__get__


def render(value: Any, depth: int = MAX_DEPTH) -> str:
    """One printable line of at most `MAX_CHARACTERS`."""
    kind = type(value)
    if kind is int and -_SHORT < value < _SHORT:
        return repr(value)
    # By identity: to look a class up by itself would call its metaclass's `__hash__`.
    renderer = _RENDERERS.get(id(kind))
    try:
        text = _render_instance(value, depth) if renderer is None else renderer(value, depth)
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, MemoryError):
        # Changed by another thread, half made, or at the end of the stack.
        text = "<%s>" % name_of(kind)
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + ELLIPSIS


def is_plain(value: Any) -> bool:
    """Whether what is shown of a value cannot change while the value is the same object."""
    return id(type(value)) in _PLAIN


def field_of(value: Any, name: str) -> Optional[str]:
    """An instance's own field, rendered; None if there is none that can be read without its code."""
    for field, content in fields_of(value):
        if field == name:
            return render(content)
    return None


def _plain(value: Any, _depth: int) -> str:
    return repr(value)


def _integer(value: int, _depth: int) -> str:
    bits = value.bit_length()
    return repr(value) if bits <= MAX_BITS else "<int of %d bits>" % bits


def _text(value: Any, _depth: int) -> str:
    return repr(value if len(value) <= MAX_CHARACTERS else value[:MAX_CHARACTERS])


def _bytearray(value: bytearray, depth: int) -> str:
    return "bytearray(%s)" % _text(bytes(value[: MAX_CHARACTERS + 1]), depth)


def _joined(opening: str, items: Iterable[Any], closing: str, n_items: int, depth: int) -> str:
    """Items within brackets, `…` for those beyond the bounds."""
    parts: List[str] = []
    length = 0
    for item in islice(items, MAX_ITEMS):
        if length > MAX_CHARACTERS:
            break
        is_short = type(item) is int and -_SHORT < item < _SHORT
        text = repr(item) if is_short else render(item, depth - 1)
        parts.append(text)
        length += len(text) + 2
    if n_items > len(parts):
        parts.append(ELLIPSIS)
    return opening + ", ".join(parts) + closing


def _list(value: Any, depth: int) -> str:
    if not value:
        return "[]"
    return _joined("[", value, "]", len(value), depth) if depth else "[…]"


def _tuple(value: Any, depth: int) -> str:
    if not value:
        return "()"
    closing = ",)" if len(value) == 1 else ")"
    return _joined("(", value, closing, len(value), depth) if depth else "(…)"


def _set(value: Any, depth: int) -> str:
    if not value:
        return "set()"
    return _joined("{", _in_order(value), "}", len(value), depth) if depth else "{…}"


def _frozenset(value: Any, depth: int) -> str:
    return "frozenset(%s)" % (_set(value, depth) if value else "")


def _in_order(value: Any) -> Iterable[Any]:
    """Small sets of strings or of integers sorted, so that runs can be compared."""
    items = list(islice(value, MAX_SORTED + 1))
    if len(items) > MAX_SORTED:
        return items
    kind = type(items[0])
    if (kind is str or kind is int) and all(type(item) is kind for item in items):
        items.sort()
    return items


def _dict(value: Any, depth: int) -> str:
    if not len(value):
        return "{}"
    if not depth:
        return "{…}"
    parts: List[str] = []
    length = 0
    for key, item in islice(dict.items(value), MAX_ITEMS):
        if length > MAX_CHARACTERS:
            break
        parts.append("%s: %s" % (render(key, depth - 1), render(item, depth - 1)))
        length += len(parts[-1]) + 2
    if len(value) > len(parts):
        parts.append(ELLIPSIS)
    return "{%s}" % ", ".join(parts)


def _named(renderer: Callable[[Any, int], str]) -> Callable[[Any, int], str]:
    return lambda value, depth: "%s(%s)" % (name_of(type(value)), renderer(value, depth))


def _deque(value: Any, depth: int) -> str:
    return "deque(%s)" % (_joined("[", value, "]", len(value), depth) if depth else "[…]")


def _slice(value: slice, depth: int) -> str:
    return _joined("slice(", (value.start, value.stop, value.step), ")", 3, depth or 1)


def _range(value: range, _depth: int) -> str:
    parts = (value.start, value.stop) if value.step == 1 else (value.start, value.stop, value.step)
    return "range(%s)" % ", ".join(_integer(part, 0) for part in parts)


def _type(value: type, _depth: int) -> str:
    return "<class %s>" % name_of(value)


def _function(value: Any, _depth: int) -> str:
    name = value.__name__
    return "<function %s>" % (_clean(name) if type(name) is str else "?")


def _method(value: types.MethodType, depth: int) -> str:
    function = value.__func__
    return render(function, depth) if type(function) is types.FunctionType else "<method>"


def _module(value: types.ModuleType, _depth: int) -> str:
    name = object.__getattribute__(value, "__dict__").get("__name__")
    return "<module %s>" % (_clean(name) if type(name) is str else "?")


def _generator(value: Any, _depth: int) -> str:
    return "<%s %s>" % (name_of(type(value)), _clean(value.__name__))


def _clean(name: str) -> str:
    return name[:MAX_CHARACTERS] if name.isprintable() else repr(name[:MAX_CHARACTERS])


_RENDERERS: Dict[int, Callable[[Any, int], str]] = {
    id(kind): renderer
    for kind, renderer in (
        (type(None), _plain),
        (bool, _plain),
        (int, _integer),
        (float, _plain),
        (complex, _plain),
        (str, _text),
        (bytes, _text),
        (bytearray, _bytearray),
        (type(Ellipsis), _plain),
        (type(NotImplemented), _plain),
        (list, _list),
        (tuple, _tuple),
        (set, _set),
        (frozenset, _frozenset),
        (dict, _dict),
        (collections.defaultdict, _named(_dict)),
        (collections.OrderedDict, _named(_dict)),
        (collections.Counter, _named(_dict)),
        (collections.deque, _deque),
        (slice, _slice),
        (range, _range),
        (type, _type),
        (types.FunctionType, _function),
        (types.BuiltinFunctionType, _function),
        (types.MethodType, _method),
        (types.ModuleType, _module),
        (types.GeneratorType, _generator),
        (types.CoroutineType, _generator),
        (types.AsyncGeneratorType, _generator),
    )
}
_PLAIN = frozenset(
    id(kind)
    for kind in (
        type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented),
        slice, range, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType,
        types.ModuleType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType,
    )
)  # fmt: skip


_BUILTIN_BASES = (list, tuple, dict, set, frozenset, str, bytes, bytearray, int, float, complex)
_Special = Callable[[Any, int], str]
_specials: Dict[int, Optional[_Special]] = {}


def _render_instance(value: Any, depth: int) -> str:
    kind = type(value)
    layout = layout_of(kind)
    # The layout keeps the class, whose identity is therefore its own.
    if id(kind) not in _specials:
        _specials[id(kind)] = _special(kind)
    special = _specials[id(kind)]
    if special is not None:
        return special(value, depth)
    parts: List[str] = []
    length = 0
    is_cut = False
    for name, item in fields_of(value):
        if not depth:
            return layout.name + "(…)"
        is_cut = len(parts) == MAX_ITEMS or length > MAX_CHARACTERS
        if is_cut:
            break
        parts.append("%s=%s" % (_clean(name), render(item, depth - 1)))
        length += len(parts[-1]) + 2
    if not parts:
        has_fields = layout.read_dict is not None or layout.slots
        return "%s()" % layout.name if has_fields else "<%s>" % layout.name
    return "%s(%s)" % (layout.name, ", ".join(parts) + (", …" if is_cut else ""))


def _special(kind: type) -> Optional[_Special]:
    """How else than by its fields an instance is shown; those of a builtin's subclass by its name."""
    mro = mro_of(kind)
    if any(base is BaseException for base in mro):
        return _exception
    if any(base is type for base in mro):
        return _type
    if type(kind) is getattr(sys.modules.get("enum"), "EnumMeta", None):
        return _enum_member
    module = module_of(kind)
    name = name_of(kind)
    by_name = _BY_NAME.get((module, name)) if type(module) is str else None
    if by_name is not None and is_what_it_says(kind, module, name):
        return by_name
    if (
        type(module) is str
        and module == "numpy"
        and any(base is entry_of_module("numpy", "generic") for base in mro)
    ):
        return _numpy_scalar
    if any(base is tuple for base in mro) and type(own_entry(kind, "_fields")) is tuple:
        return _named_tuple
    if any(base is builtin for base in mro for builtin in _BUILTIN_BASES):
        return lambda _value, _depth: "<%s>" % name
    return None


def _exception(value: BaseException, depth: int) -> str:
    arguments = args_of(value)
    return _joined(name_of(type(value)) + "(", arguments, ")", len(arguments), depth or 1)


def _enum_member(value: Any, _depth: int) -> str:
    for name, item in fields_of(value):
        if name == "_name_" and type(item) is str:
            return "%s.%s" % (name_of(type(value)), _clean(item))
    return "<%s>" % name_of(type(value))


def _named_tuple(value: Any, depth: int) -> str:
    name = name_of(type(value))
    if not depth:
        return name + "(…)"
    parts = []
    named = zip(own_entry(type(value), "_fields"), tuple.__iter__(value))  # noqa: B905, of 3.10
    for field, item in islice(named, MAX_ITEMS):
        label = _clean(field) if type(field) is str else "?"
        parts.append("%s=%s" % (label, render(item, depth - 1)))
    return "%s(%s)" % (name, ", ".join(parts))


def _moment(value: Any, _depth: int) -> str:
    zone = getattr(value, "tzinfo", None)
    if zone is not None and type(zone) is not entry_of_module("datetime", "timezone"):
        return "<%s>" % name_of(type(value))
    return repr(value).replace("datetime.", "")


def _decimal(value: Any, _depth: int) -> str:
    return repr(value) if value.__sizeof__() < 1024 else "<Decimal>"


def _fraction(value: Any, _depth: int) -> str:
    fields = dict(fields_of(value))
    return "Fraction(%s, %s)" % tuple(map(render, (fields["_numerator"], fields["_denominator"])))


def _path(value: Any, _depth: int) -> str:
    # The end tells more than the beginning, which is the folder of the tests.
    text = str(value)
    room = MAX_CHARACTERS - 10
    return "Path(%r)" % (text if len(text) <= room else ELLIPSIS + text[-room:])


def _pattern(value: Any, _depth: int) -> str:
    return "re.compile(%s)" % _text(value.pattern, 0)


def _array(value: Any, _depth: int) -> str:
    dtype = value.dtype
    kind = str(dtype)
    if value.size <= MAX_ITEMS and dtype.kind in "biuf" and value.ndim:
        return "array(%s, %s)" % (render(value.tolist(), MAX_DEPTH + 1), kind)
    return "array(shape=%s, %s)" % (render(value.shape), kind)


def _numpy_scalar(value: Any, depth: int) -> str:
    item = value.item()
    known = id(type(item)) in _PLAIN
    return "%s(%s)" % (name_of(type(value)), render(item, depth) if known else ELLIPSIS)


_BY_NAME: Dict[Tuple[str, str], Callable[[Any, int], str]] = {
    ("datetime", "date"): _moment,
    ("datetime", "datetime"): _moment,
    ("datetime", "time"): _moment,
    ("datetime", "timedelta"): _moment,
    ("datetime", "timezone"): _moment,
    ("decimal", "Decimal"): _decimal,
    ("fractions", "Fraction"): _fraction,
    ("pathlib", "PosixPath"): _path,
    ("pathlib", "WindowsPath"): _path,
    ("pathlib", "PurePosixPath"): _path,
    ("pathlib", "PureWindowsPath"): _path,
    ("pathlib._local", "PosixPath"): _path,
    ("re", "Pattern"): _pattern,
    ("numpy", "ndarray"): _array,
}
