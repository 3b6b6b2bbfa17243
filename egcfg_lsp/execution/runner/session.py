"""What every run has in common: the pytest plugin that chooses tests and hears of their results, and
the record that is made of them.

A cold run, a fresh child and a zygote's child use the same code; they differ in when the tests are
collected. Does not know how a process is confined, nor who reads the record.
"""

from __future__ import annotations

import contextlib
import json
import os
from types import CodeType
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Sequence, Set

from .asserts import ModuleAsserts
from .confinement import blocked_by_sandbox, clip
from .failures import describe, last_line
from .lines import functions_in
from .tracer import Tracer

MAX_TESTS, MAX_OUTPUT = 200, 2000
"""In a record: results of single tests, and characters of the output."""
MAX_BYTES = 60_000
"""Of a record; what is larger loses its evidence, not its verdict."""


class Run:
    """The verdicts of one candidate: `module` is its code, `source` its text, by lines.

    `finish` gets the record of a run that executes more lines than it may, and must not return.
    `hidden`: folders of the user's of which only the project can be seen.
    """

    def __init__(
        self,
        path: str,
        module: CodeType,
        source: str,
        watched: Set[int],
        finish: Callable[[Dict[str, Any]], NoReturn],
        hidden: Sequence[str] = (),
    ) -> None:
        self.hidden = hidden
        self.watch = Tracer(
            path,
            functions_in(module),
            watched,
            source,
            on_out_of_fuel=lambda: finish(self.record(stopped="fuel")),
        )
        self.verdicts: Dict[str, Optional[bool]] = {}
        self.tests: Dict[str, List[Any]] = {}
        self.failure = ""
        self.blocked = ""
        self.raised = False
        self.output = ""

    def keep_failure(self, excinfo: Any) -> None:
        blocked = blocked_by_sandbox(excinfo.value, self.hidden)
        if blocked and not self.blocked:
            self.blocked = blocked
        if not self.failure and type(excinfo.value).__name__ != "Skipped":
            self.failure = describe(excinfo)
        self.raised = self.raised or self.watch.is_passed_by(excinfo.tb)
        self.watch.keep_failure(excinfo.value, excinfo.tb)

    def keep_report(self, report: Any) -> None:
        if report.skipped:
            self.verdicts.setdefault(report.nodeid, None)
            self.keep_test(report, "skipped")
        elif report.failed:
            self.verdicts[report.nodeid] = False
            self.keep_test(report, "failed" if report.when == "call" else "error")
        elif report.when == "call":
            self.verdicts.setdefault(report.nodeid, True)
            self.keep_test(report, "passed")
        if not self.output and report.when == "call":
            self.output = (report.capstdout + report.capstderr)[:MAX_OUTPUT]

    def keep_test(self, report: Any, outcome: str) -> None:
        known = self.tests.get(report.nodeid)
        if known is None:
            self.tests[report.nodeid] = [outcome, round(float(report.duration), 6)]
        elif outcome != "passed":
            known[0] = outcome

    @property
    def has_failed(self) -> bool:
        return False in self.verdicts.values()

    def record(self, collect_error: str = "", stopped: str = "") -> Dict[str, Any]:
        """`stopped`: why the tests were not run to their end."""
        verdicts = [verdict for verdict in self.verdicts.values() if verdict is not None]
        if not verdicts and not stopped:
            if collect_error:
                return {"error": clip(collect_error)}
            return {"error": "the tests were skipped" if self.verdicts else "no test was collected"}
        tests = [[clip(name), *rest] for name, rest in [*self.tests.items()][:MAX_TESTS]]
        return {
            "n_passed": sum(verdicts),
            "n_tests": len(verdicts),
            "failure": clip(self.failure),
            "blocked": clip(self.blocked),
            "missed_lines": self.watch.missed(),
            "raised": self.raised,
            "entered": self.watch.has_entered(),
            "tests": tests,
            "output": self.output,
            "stopped": stopped,
            "trace": self.watch.record(),
        }


class Session:
    """The pytest plugin. Without a run the reports are nobody's.

    `others` are buffers that are served besides the module under test.
    """

    def __init__(
        self, asserts: ModuleAsserts, others: Mapping[str, bytes], run: Optional[Run]
    ) -> None:
        self.asserts = asserts
        self.finders = [*buffers(others), asserts]
        self.run = run
        self.module: Any = None
        self.collect_error = ""

    def intercept_imports(self) -> None:
        for finder in self.finders:
            finder.intercept_import()

    # pytest has put its own hook first, before it reads `conftest.py`.
    def pytest_load_initial_conftests(self) -> None:
        self.intercept_imports()

    def pytest_sessionstart(self) -> None:
        self.intercept_imports()

    def pytest_collectstart(self, collector: Any) -> None:
        path = os.path.realpath(str(getattr(collector, "path", "")))
        if self.module is None and path == self.asserts.path and hasattr(collector, "getmodpath"):
            self.module = collector

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.collect_error:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash is not None else last_line(str(report.longrepr))
            self.collect_error = "%s: %s" % (report.nodeid or "collection", text)

    def pytest_runtest_call(self, item: Any) -> None:
        if self.run is not None:
            self.run.watch.start(item.nodeid)

    def pytest_runtest_teardown(self) -> None:
        if self.run is not None:
            self.run.watch.stop()

    def pytest_runtest_makereport(self, call: Any) -> None:
        if self.run is not None:
            self.run.watch.stop()
            if call.excinfo is not None:
                self.run.keep_failure(call.excinfo)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.run is not None:
            self.run.keep_report(report)

    def assert_items(self) -> List[Any]:
        if self.module is None or self.collect_error:
            return []
        return self.asserts.items(self.module)


class ChoosingSession(Session):
    """Keeps the chosen tests at collection, which is for one run only."""

    def __init__(
        self,
        asserts: ModuleAsserts,
        others: Mapping[str, bytes],
        run: Run,
        tests: Sequence[Dict[str, str]],
    ) -> None:
        super().__init__(asserts, others, run)
        self.tests = tests
        self.chosen: List[Any] = []

    def pytest_collection_modifyitems(self, config: Any, items: Any) -> None:
        every = chosen_items(Index(items), self.assert_items(), self.tests)
        dropped = [item for item in items if item not in every]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = every
        self.chosen = every


def buffers(texts: Mapping[str, bytes]) -> List[ModuleAsserts]:
    """Finders for modules that pytest would read by itself; one that does not parse has none."""
    found = []
    for path, text in texts.items():
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            found.append(ModuleAsserts(path, text, set(), True))
    return found


def chosen_items(
    index: "Index", asserts: Sequence[Any], tests: Sequence[Dict[str, str]]
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
        paths: Dict[str, str] = {}
        for item in items:
            place = str(item.path)
            path = paths.get(place) or paths.setdefault(place, os.path.realpath(place))
            if hasattr(item, "dtest"):
                self.doctests.append((path, "." + item.name, item))
            else:
                name = item.nodeid.partition("::")[2].partition("[")[0].replace("::", ".")
                self.functions.setdefault((path, name), []).append(item)

    def items_of(self, test: Dict[str, str]) -> List[Any]:
        path, name = os.path.realpath(test["path"]), test["name"]
        if test["kind"] == "function":
            found: List[Any] = self.functions.get((path, name), [])
            return found
        return [
            item
            for place, dotted, item in self.doctests
            if place == path and dotted.endswith("." + name)
        ]


def assert_words(tests: Sequence[Dict[str, str]]) -> "set[str]":
    """What the asserts of the module under test must mention to be tests."""
    return {test["name"] for test in tests if test["kind"] == "asserts"}


def encoded(record: Dict[str, Any]) -> bytes:
    data = json.dumps(record).encode()
    for key, nothing in (("output", ""), ("tests", []), ("trace", None)):
        if len(data) > MAX_BYTES and key in record:
            record[key] = nothing
            data = json.dumps(record).encode()
    return data
