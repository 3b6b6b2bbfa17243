"""Which of pytest's items are run, which are not even made, and what of the files cannot be imported.

Knows pytest's nodes by their shape only, and imports nothing of it.
"""

from __future__ import annotations

import inspect
import os
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from .confinement import clip
from .failures import in_words, is_missing_package
from .lines import Visits
from .paths import real_path

MAX_SETS = 64
"""Of parameters: a test with more of them is collected only where it was chosen."""


def chosen_items(
    index: Index, asserts: Sequence[Any], tests: Sequence[Dict[str, str]]
) -> List[Any]:
    """pytest's items for the tests of an order, in its order, each once."""
    found: List[Any] = []
    for test in tests:
        found += asserts if test["kind"] == "asserts" else index.items_of(test)
    return list(dict.fromkeys(found))


class Index:
    """pytest's items by what an order calls them."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.functions: Dict[Any, List[Any]] = {}
        self.doctests: List[Any] = []
        for item in items:
            path = real_path(str(item.path))
            if hasattr(item, "dtest"):
                self.doctests.append((path, "." + item.name, item))
            else:
                name = item.nodeid.partition("::")[2].partition("[")[0].replace("::", ".")
                self.functions.setdefault((path, name), []).append(item)

    def items_of(self, test: Dict[str, str]) -> List[Any]:
        path, name = path_of(test), test["name"]
        if test["kind"] == "function":
            found: List[Any] = self.functions.get((path, name), [])
            return found
        return [
            item
            for place, dotted, item in self.doctests
            if place == path and dotted.endswith("." + name)
        ]


def path_of(test: Dict[str, str]) -> str:
    return real_path(test["path"])


class Broken(NamedTuple):
    """What cannot be collected, and the tests that are in it."""

    path: str
    """A file, or a folder whose `conftest.py` or `__init__.py` it is."""
    is_doctest: bool
    classes: str
    """Within a file, with a dot behind each; empty: all of it."""
    outcome: str
    """`failed` if it is the target's doing, `skipped`, else `error`."""
    reason: str

    def holds(self, test: Dict[str, str]) -> bool:
        path = path_of(test)
        if path != self.path:
            return path.startswith(os.path.join(self.path, ""))
        if (test["kind"] == "doctest") is not self.is_doctest:
            return False
        return not self.classes or test["name"].startswith(self.classes)


def broken_by(
    error: BaseException,
    visits: Visits,
    root: str,
    path: str,
    is_doctest: bool = False,
    classes: str = "",
) -> Broken:
    """A file or folder that an exception kept from being imported.

    It is the target's doing if the target was entered by an import, or if that cannot be told and
    the exception came through its module; but for packages that are not there.
    """
    traceback = error.__traceback__
    if visits.is_passed_by(traceback):
        is_related = True
    elif is_missing_package(error, root):
        is_related = False
    elif visits.is_certain:
        is_related = bool(visits.hit & visits.target)
    else:
        is_related = visits.is_module_passed_by(traceback)
    place = os.path.relpath(path, os.path.realpath(root))
    place = "before the tests" if place == "." else place
    outcome = "failed" if is_related else "error"
    return Broken(path, is_doctest, classes, outcome, clip("%s: %s" % (place, in_words(error))))


def names_by_path(tests: Sequence[Dict[str, str]]) -> Dict[str, Set[str]]:
    """The functions among some tests, by file."""
    found: Dict[str, Set[str]] = {}
    for test in tests:
        if test["kind"] == "function":
            found.setdefault(path_of(test), set()).add(test["name"])
    return found


def place_of(node: Any) -> Tuple[str, bool, str]:
    """A collector's file or folder, whether it looks for doctests, and its classes with dots."""
    path = os.path.realpath(str(getattr(node, "path", "")))
    if os.path.basename(path) in ("__init__.py", "conftest.py"):
        path = os.path.dirname(path)
    classes = node.nodeid.partition("::")[2].replace("::", ".")
    return path, type(node).__name__ == "DoctestModule", classes and classes + "."


def is_function_name(collector: Any, name: str, obj: Any) -> bool:
    """Whether pytest's own way would make tests of an attribute without looking into it."""
    return not inspect.isclass(obj) and bool(
        hasattr(collector, "istestfunction") and collector.istestfunction(obj, name)
    )


def dotted(collector: Any, name: str) -> str:
    return ".".join([*collector.nodeid.split("::")[1:], name])


def is_large(obj: Any) -> bool:
    """Whether a function becomes many tests, as far as its own marks say."""
    marks = getattr(obj, "pytestmark", ())
    n_sets = 1
    for mark in marks if isinstance(marks, (list, tuple)) else (marks,):
        if getattr(mark, "name", "") == "parametrize":
            values = mark.args[1] if len(mark.args) > 1 else mark.kwargs.get("argvalues")
            if not hasattr(values, "__len__"):
                return True
            n_sets *= len(values)
    return n_sets > MAX_SETS
