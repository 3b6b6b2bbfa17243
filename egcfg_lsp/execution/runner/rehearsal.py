"""What a run does, done beforehand with tests of nothing, so that the run finds it at hand.

Python executes code faster from its ninth call on; a fork of a process that has made these calls
inherits that. And a fork shares its memory until it writes to it, which it does wherever it looks:
what a run will touch is then its own already.
"""

from __future__ import annotations

import ast
import contextlib
import os
from types import ModuleType
from typing import Any, Dict, List, NoReturn, Sequence

from .asserts import ModuleAsserts
from .items import without_traceback
from .session import Run, Session, encoded

N_TIMES = 4
"""In the parent."""
PATH = "<rehearsal>"
SOURCE = """
class Basket:
    def __init__(self, owner):
        self.owner = owner
        self.items = []

    def add(self, name, price):
        self.items.append((name, price))
        self.n_items = len(self.items)
        return self


def total(basket, rates, country="us"):
    found = 0
    seen = {}
    for name, price in basket.items:
        if name in seen:
            continue
        found += price
        seen[name] = price
    prices = [round(price, 2) for price in seen.values()]
    while found > 40:
        found -= 1
    try:
        rate = rates[country]
    except KeyError:
        rate = 0.5
    return taxed(found, rate) if prices else None


def taxed(amount, rate):
    text = "%s at %s" % (amount, rate)
    return amount * (1 + rate) if text else 0


def passes(egcfg_rehearsed_basket):
    basket = egcfg_rehearsed_basket.add("tea", 30).add("tea", 30).add("milk", 13.5)
    assert total(basket, {"us": 0.5}) == 59.25
    assert total(basket, {}) == 59.25


def fails():
    assert total(Basket("me").add("tea", 30), {"us": 0.5}) == 40


def raises():
    total(None, {})
"""
FIRST_LINE, LAST_LINE = 13, 28
"""Of `total`, the target."""
ONCE = ("passes", "fails", "test_passes")
"""In a child: there every page of memory counts that is touched, not how often."""
UNITTEST = """
import unittest


class RehearsedCase(unittest.TestCase):
    def test_passes(self):
        self.assertEqual(total(Basket("me").add("tea", 30), {"us": 0.5}), 45.0)
        with self.assertRaises(AttributeError):
            total(None, {})

    def test_fails(self):
        self.assertEqual(total(Basket("me").add("tea", 30), {"us": 0.5}), 40)
"""
FIXTURE = "egcfg_rehearsed_basket"


class Rehearsal:
    """Tests of which only pytest itself and `session` hear."""

    def __init__(self, pytests: Any, session: Session) -> None:
        """`pytests`: pytest's own session, collected. Raises what plugins and pytest raise."""
        self.pytests, self.session = pytests, session
        self.code = compile(SOURCE, PATH, "exec", dont_inherit=True)
        self.lines = SOURCE.splitlines(True)
        hooks = Hooks(pytests.config.pluginmanager, session)
        namespace: Dict[str, Any] = {}
        asserts = ModuleAsserts(PATH, SOURCE.encode(), set(), True)
        exec(asserts.compile(ast.parse(SOURCE).body), namespace)
        self.items = functions(pytests, hooks, namespace)
        if any(type(item).__name__ == "TestCaseFunction" for item in pytests.items):
            # Its items are no public part of pytest.
            with contextlib.suppress(Exception):
                self.items += methods(pytests, hooks, namespace)

    def run(self, names: Sequence[str] = ()) -> None:
        """All of it, or tests of some names. Raises what plugins and pytest raise."""
        run = self.session.run = Run(order(), self.code, self.lines, rehearsed)
        n_failed = self.pytests.testsfailed
        try:
            for item in self.items:
                if names and item.name not in names:
                    continue
                item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            encoded(run.record())
        finally:
            run.stop()
            self.session.run = None
            self.pytests.testsfailed = n_failed


def functions(pytests: Any, hooks: Any, namespace: Dict[str, Any]) -> List[Any]:
    import pytest

    class Function(pytest.Function):
        ihook: Any = hooks

    class Fixtures:
        @pytest.fixture(name=FIXTURE)
        def basket(self) -> Any:
            yield namespace["Basket"]("me")  # noqa: PT022 - as most fixtures do

    manager = pytests._fixturemanager
    try:
        manager.parsefactories(holder=Fixtures(), node=pytests)
    except TypeError:  # before pytest 9.1
        manager.parsefactories(Fixtures(), "")
    items: List[Any] = []
    for name in ("passes", "fails", "raises"):
        item: Any = Function.from_parent(pytests, name=name, callobj=namespace[name])
        only(item, FIXTURE)
        items.append(item)
    return items


def methods(pytests: Any, hooks: Any, namespace: Dict[str, Any]) -> List[Any]:
    from _pytest.unittest import TestCaseFunction, UnitTestCase

    class Case(UnitTestCase):
        ihook: Any = hooks

    class Method(TestCaseFunction):
        ihook: Any = hooks

    exec(compile(UNITTEST, PATH, "exec", dont_inherit=True), namespace)
    kind = namespace["RehearsedCase"]
    case: Any = Case.from_parent(pytests, name=kind.__name__)
    case.obj = kind
    items: List[Any] = []
    # Collecting makes the fixtures, too.
    for name in [item.name for item in case.collect()]:
        item: Any = Method.from_parent(case, name=name)
        only(item, kind.__name__)
        items.append(item)
    return items


def only(item: Any, fixture: str) -> None:
    """Leave an item no fixture but those with such a name: others are the project's."""
    item.fixturenames[:] = [name for name in item.fixturenames if name.endswith(fixture)]
    without_traceback(item)


class Hooks:
    """pytest's hooks, without what plugins and the project's `conftest.py` do in them."""

    def __init__(self, manager: Any, session: Session) -> None:
        self._manager = manager
        self._others = [
            plugin
            for plugin in manager.get_plugins()
            if plugin is not session and not module_of(plugin).startswith("_pytest.")
        ]

    def __getattr__(self, name: str) -> Any:
        return self._manager.subset_hook_caller(name, remove_plugins=self._others)


def module_of(plugin: Any) -> str:
    is_module = isinstance(plugin, ModuleType)
    return str(plugin.__name__ if is_module else type(plugin).__module__)


def order() -> Dict[str, Any]:
    return {
        "root": os.getcwd(), "path": PATH, "hidden": [],
        "first_line": FIRST_LINE, "last_line": LAST_LINE, "target_lines": None,
    }  # fmt: skip


def rehearsed(_record: Dict[str, Any]) -> NoReturn:
    raise RuntimeError
