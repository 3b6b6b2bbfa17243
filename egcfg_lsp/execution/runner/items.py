"""pytest's items, as they are run in a zygote's child; and what of it can be done before the child is
forked, since it is the same for every run.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Dict, List, Optional, Sequence

from .choice import Index, chosen_items
from .paths import real_path
from .session import Run

MAX_PREPARED = 200
"""Items: a test can have many sets of parameters."""
SETS_UP = ("setUpModule", "setup_module", "tearDownModule", "teardown_module")


class Items:
    """What was collected, and how it is run."""

    def __init__(self, session: Any, asserts: List[Any]) -> None:
        self.session, self.config = session, session.config
        self.asserts = asserts
        self.index = Index([item for item in session.items if item not in asserts])
        self._caught: Optional[Warnings] = None

    def prepare(self, tests: Sequence[Dict[str, str]]) -> None:
        """Have pytest look up in advance what it looks up for each test."""
        nodes = set()
        for item in chosen_items(self.index, self.asserts, tests)[:MAX_PREPARED]:
            with contextlib.suppress(Exception):  # of other plugins' items
                str(item.location)
                nodes.update(item.listchain())
        for node in nodes:
            if type(node).__name__ == "Package" and not sets_up(node):
                node.setup = nothing

    def catch_warnings(self) -> None:
        """As pytest does around each test; the first one finds it done."""
        with contextlib.suppress(Exception):  # no public part of pytest
            self._caught = Warnings(self.config)

    def run(self, tests: Sequence[Dict[str, str]], run: Run, stop_early: bool) -> None:
        items = chosen_items(self.index, self.asserts, tests)
        for i, item in enumerate(items):
            following = items[i + 1] if i + 1 < len(items) else None
            without_traceback(item)
            self._protocol(item)(item=item, nextitem=following)
            if stop_early and run.has_failed:
                return

    def _protocol(self, item: Any) -> Any:
        caught = self._caught
        if caught is not None and not caught.is_used:
            caught.is_used = True
            if item.get_closest_marker("filterwarnings") is None:
                return caught.protocol
        if caught is not None:
            caught.leave()
            self._caught = None
        return self.config.hook.pytest_runtest_protocol


class Warnings:
    """What pytest's plugin for warnings does around a test, entered already."""

    def __init__(self, config: Any) -> None:
        """Raises whatever it is that a version of pytest does not have."""
        from _pytest.warnings import catch_warnings_for_item

        manager = config.pluginmanager
        plugin = manager.get_plugin("warnings")
        if plugin is None:
            raise LookupError
        self.protocol: Any = manager.subset_hook_caller("pytest_runtest_protocol", [plugin])
        self.is_used = False
        # Left when it is collected, too.
        self._caught: Any = catch_warnings_for_item(config, config.hook, "runtest", None)
        self._caught.__enter__()

    def leave(self) -> None:
        self._caught.__exit__(None, None, None)


def sets_up(package: Any) -> bool:
    """Whether the module of a package of tests does anything before or after them; also if it is
    not known."""
    path = real_path(str(package.path / "__init__.py"))
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith("__init__.py") and real_path(file) == path:
            return any(hasattr(module, name) for name in SETS_UP)
    return True


def nothing() -> None:
    pass


def without_traceback(item: Any) -> None:
    """Spare pytest reading sources to show a traceback that nobody would see."""
    item.repr_failure = item._repr_failure_py = told_elsewhere


def told_elsewhere(*_arguments: Any, **_options: Any) -> str:
    return "failed"
