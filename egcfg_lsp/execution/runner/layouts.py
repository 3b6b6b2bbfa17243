"""Classes and their instances, read without executing anything of theirs.

No attribute of a class or of an instance is looked up: names, bases and fields are read by the
interpreter's own descriptors, since a metaclass, a property or `__getattribute__` could be the
user's. Does not decide how anything is shown.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

_name_of_type = type.__dict__["__name__"].__get__
_namespace_of_type = type.__dict__["__dict__"].__get__
module_of = type.__dict__["__module__"].__get__
mro_of = type.__dict__["__mro__"].__get__


class Layout(NamedTuple):
    """How instances of a class are read."""

    kind: type
    """Kept, so that its identity is not given to another class."""
    name: str
    read_dict: Optional[Callable[[Any], Any]]
    slots: Tuple[Tuple[str, Callable[[Any], Any]], ...]


_layouts: Dict[int, Layout] = {}


def layout_of(kind: type) -> Layout:
    # By identity: to look a class up by itself would call its metaclass's `__hash__`.
    layout = _layouts.get(id(kind))
    if layout is None:
        layout = _layouts[id(kind)] = _make_layout(kind)
    return layout


def fields_of(value: Any) -> Iterable[Tuple[str, Any]]:
    """The names and values in an instance's own dictionary and in its slots."""
    layout = layout_of(type(value))
    if layout.read_dict is not None:
        content = layout.read_dict(value)
        if type(content) is dict:
            for name, item in dict.items(content):
                if type(name) is str:
                    yield name, item
    for name, read in layout.slots:
        try:
            item = read(value)
        except AttributeError:
            continue
        yield name, item


def name_of(kind: type) -> str:
    name = _name_of_type(kind)
    text = name if type(name) is str else "?"
    return text if text.isprintable() else repr(text)[1:-1]


def own_entry(kind: type, name: str) -> Any:
    """An entry of a class's own namespace."""
    for key, entry in list(_namespace_of_type(kind).items()):
        if type(key) is str and key == name:
            return entry
    return None


def entry_of_module(module: str, name: str) -> Any:
    """A name of a module that is imported, else None."""
    found = sys.modules.get(module)
    return vars(found).get(name) if type(found) is types.ModuleType else None


def is_what_it_says(kind: type, module: str, name: str) -> bool:
    return any(entry_of_module(where, name) is kind for where in (module, module.partition(".")[0]))


def _make_layout(kind: type) -> Layout:
    read_dict = None
    has_own_dict = False
    slots: List[Tuple[str, Callable[[Any], Any]]] = []
    names = set()
    for base in mro_of(kind):
        # By items: to look up a key could call the `__eq__` of another one.
        for name, entry in list(_namespace_of_type(base).items()):
            if type(name) is not str:
                continue
            if name == "__dict__":
                if not has_own_dict and type(entry) is types.GetSetDescriptorType:
                    read_dict = entry.__get__
                has_own_dict = True
            elif type(entry) is types.MemberDescriptorType and name not in names:
                slots.append((name, entry.__get__))
            names.add(name)
    return Layout(kind, name_of(kind), read_dict, tuple(slots))
