"""What every run has in common: the pytest plugin that chooses tests and hears of their results, and
the record that is made of them.

A cold run, a fresh child and a zygote's child use the same code; they differ in when the tests are
collected. Does not know how a process is confined, nor who reads the record.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from types import CodeType
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NoReturn,
    Optional,
    Sequence,
    Set,
)

from .asserts import ModuleAsserts
from .choice import (
    Broken,
    Index,
    broken_by,
    chosen_items,
    dotted,
    is_function_name,
    names_by_path,
    path_of,
    place_of,
)
from .confinement import blocked_by_sandbox, clip
from .failures import (
    Entered,
    describe,
    first_failure,
    is_unrelated,
    raised,
)
from .lines import Visits, functions_in
from .tracer import Tracer

MAX_TESTS, MAX_OUTPUT = 200, 2000
"""In a record: results of single tests, and characters of the output."""
MAX_BYTES = 60_000
"""Of a record; what is larger loses its evidence, not its verdict."""


PHASES = ("protocol", "setup", "call", "teardown")
PYTESTS_FIXTURES = {
    "_pytest." + name
    for name in (
        "capture", "cacheprovider", "doctest", "fixtures", "junitxml", "legacypath", "logging",
        "monkeypatch", "recwarn", "tmpdir",
    )
}  # fmt: skip
"""Modules of fixtures that call nobody else's code."""


class Run:
    """The verdicts of one candidate: `module` is its code, `source` its lines.

    `finish` gets the record of a run that executes more lines than it may, and must not return.
    """

    def __init__(
        self,
        order: Dict[str, Any],
        module: CodeType,
        source: Sequence[str],
        finish: Callable[[Dict[str, Any]], NoReturn],
    ) -> None:
        self.order = order
        watched = set(range(order["first_line"], order["last_line"] + 1))
        self.watch = Tracer(
            order["path"],
            functions_in(module),
            watched,
            source,
            on_out_of_fuel=lambda: finish(self.record(stopped="fuel")),
        )
        self.visits = Visits(order["path"], module, watched, order["target_lines"])
        self.verdicts: Dict[str, Optional[bool]] = {}
        self.tests: Dict[str, List[Any]] = {}
        """Outcome and seconds of each."""
        self.seconds: Dict[str, Dict[str, float]] = {}
        """Of each test's phases."""
        self.unrelated: Dict[str, str] = {}
        """Tests that failed for a reason which is not the target's, and that reason."""
        self.skipped = ""
        self.failure = ""
        self.blocked = ""
        self.raised = False
        self.wants_a_file = False
        """Whether a test failed for want of a descriptor behind standard output or error."""
        self.output = ""
        self.before: Set[int] = set()
        """Lines of the target that imports, set-up and teardown executed before this test."""
        self.phase = ""

    def begin(self, phase: str, test: str, *, is_traced: bool = True) -> None:
        """`setup`, `call` and `teardown` of a test, in this order; `stop` in between.

        While a trace function is set Python executes everything slowly, also what is not followed:
        where nobody else's code is about to run, it is better not traced.
        """
        self.phase = phase
        if phase == "setup":
            self.before |= self.visits.hit
            self.visits.hit.clear()
        if not is_traced:
            return
        if phase == "call":
            self.watch.start(test)
        else:
            self.visits.start()

    def stop(self) -> None:
        self.watch.stop()
        self.visits.stop()

    def keep_failure(self, excinfo: Any, test: str, phase: str) -> None:
        """After `stop`; before the report of it."""
        if type(excinfo.value).__name__ == "Skipped":
            return
        inner = raised(first_failure(excinfo.value), excinfo.tb)[0]
        self.wants_a_file = self.wants_a_file or type(inner) is io.UnsupportedOperation
        blocked = blocked_by_sandbox(inner, self.order["hidden"])
        if blocked and not self.blocked:
            self.blocked = blocked
        entered = Entered(self.has_entered(phase), self.may_have_entered())
        root = self.order["root"]
        if not blocked and is_unrelated(excinfo.value, excinfo.tb, phase, root, entered):
            self.unrelated[test] = describe(excinfo)
            return
        if not self.failure:
            self.failure = describe(excinfo)
        self.raised = self.raised or self.watch.is_passed_by(excinfo.tb)
        self.watch.keep_failure(excinfo.value, excinfo.tb)

    def has_entered(self, phase: str) -> bool:
        """Whether the test that is in this phase has entered the target."""
        hit = set(self.visits.hit)
        if phase != "setup":
            hit |= self.watch.hit_last()
        return bool(hit & self.visits.target)

    def may_have_entered(self) -> bool:
        """Whether anything has, up to now, as far as that can be seen."""
        hit = self.visits.hit | self.before | self.watch.hit()
        return bool(hit & self.visits.target) or not self.visits.is_certain

    def keep_uncollected(self, test: Dict[str, str], broken: "Broken") -> None:
        path = os.path.relpath(path_of(test), os.path.realpath(self.order["root"]))
        name = "%s::%s" % (path, test["name"].replace(".", "::"))
        self.tests[name] = [broken.outcome, 0.0]
        self.verdicts[name] = False if broken.outcome == "failed" else None
        if broken.outcome == "failed":
            self.failure = self.failure or broken.reason
        elif broken.outcome == "error":
            self.unrelated[name] = broken.reason
        else:
            self.skipped = broken.reason

    def keep_report(self, report: Any) -> None:
        seconds = self.seconds.setdefault(report.nodeid, {})
        # What reports on a part of a test does so before the test itself.
        seconds[report.when] = float(report.duration)
        if report.skipped:
            self.verdicts.setdefault(report.nodeid, None)
            self.keep_test(report, "skipped")
        elif report.failed and report.nodeid in self.unrelated:
            if self.verdicts.get(report.nodeid) is not False:
                self.verdicts[report.nodeid] = None
            self.keep_test(report, "error")
        elif report.failed:
            self.verdicts[report.nodeid] = False
            self.keep_test(report, "failed")
        elif report.when == "call":
            self.verdicts.setdefault(report.nodeid, True)
            self.keep_test(report, "passed")
        if report.nodeid in self.tests:
            self.tests[report.nodeid][1] = round(sum(seconds.values()), 6)
        if not self.output and report.when == "call":
            self.output = (report.capstdout + report.capstderr)[:MAX_OUTPUT]

    def keep_test(self, report: Any, outcome: str) -> None:
        known = self.tests.get(report.nodeid)
        if known is None:
            self.tests[report.nodeid] = [outcome, 0.0]
        elif outcome != "passed":
            known[0] = outcome

    @property
    def has_failed(self) -> bool:
        return False in self.verdicts.values()

    def record(self, stopped: str = "") -> Dict[str, Any]:
        """`stopped`: why the tests were not run to their end."""
        verdicts = [verdict for verdict in self.verdicts.values() if verdict is not None]
        if not verdicts and not stopped:
            return self.no_verdict()
        # Of many tests those that have failed must not be cut off.
        tests = sorted(self.tests.items(), key=lambda test: test[1][0] != "failed")[:MAX_TESTS]
        hit = self.visits.hit | self.before
        return {
            "n_passed": sum(verdicts),
            "n_tests": len(verdicts),
            "failure": clip(self.failure) if self.has_failed else "",
            "blocked": clip(self.blocked),
            "missed_lines": [line for line in self.watch.missed() if line not in hit],
            "raised": self.raised,
            "entered": self.watch.has_entered() or bool(self.watch.entries & hit),
            "tests": [[clip(name), *rest] for name, rest in tests],
            "output": self.output,
            "stopped": stopped,
            "trace": self.watch.record(),
        }

    def no_verdict(self) -> Dict[str, Any]:
        for reason in self.unrelated.values():
            return {"error": clip(reason)}
        if self.verdicts:
            return {"unable": "the tests were skipped" + (self.skipped and ": " + self.skipped)}
        return {"unable": "no test was collected"}


class Session:
    """The pytest plugin. Without a run the reports are nobody's.

    `others` are buffers that are served besides the module under test; `visits` hears of what the
    imports execute.
    """

    def __init__(
        self,
        asserts: ModuleAsserts,
        others: Mapping[str, bytes],
        root: str,
        tests: Sequence[Dict[str, str]],
        visits: Visits,
        run: Optional[Run],
    ) -> None:
        self.asserts = asserts
        self.finders = [*buffers(others), asserts]
        self.root = root
        self.tests = tests
        self.visits = visits
        self.run = run
        self.module: Any = None
        self.broken: List[Broken] = []
        self.left_out: Set[Any] = set()
        """Tests that exist and were not collected, as a path and a name."""
        self.traces_all = False
        """Also what pytest itself does around a test: the target may be a part of that."""
        self.has_set_up = False
        """Whether a fixture that is not pytest's own was made in this process."""
        self.chosen_names = names_by_path(tests)

    @classmethod
    def use(cls, pytest: Any) -> None:
        """Tell pytest how some hooks are to be called: this module is imported without it, too."""
        for wrapper in (cls.pytest_load_initial_conftests, cls.pytest_make_collect_report):
            pytest.hookimpl(hookwrapper=True)(wrapper)
        for innermost in (cls.pytest_fixture_setup, cls.pytest_pyfunc_call):
            pytest.hookimpl(hookwrapper=True, trylast=True)(innermost)
        for first in (cls.pytest_pycollect_makeitem, cls.pytest_runtest_setup):
            pytest.hookimpl(tryfirst=True)(first)
        pytest.hookimpl(tryfirst=True)(cls.pytest_runtest_teardown)

    def intercept_imports(self) -> None:
        for finder in self.finders:
            finder.intercept_import()

    # pytest has put its own hook first, before it reads `conftest.py`.
    def pytest_load_initial_conftests(self) -> Any:
        self.intercept_imports()
        self.visits.start()
        outcome = yield
        self.visits.stop()
        error = getattr(outcome, "excinfo", None)
        if error is not None and isinstance(error[1], Exception):
            self.keep_broken(self.root, False, "", error[1])

    def pytest_sessionstart(self) -> None:
        self.intercept_imports()

    def pytest_collectstart(self, collector: Any) -> None:
        path = os.path.realpath(str(getattr(collector, "path", "")))
        if self.module is None and path == self.asserts.path and hasattr(collector, "getmodpath"):
            self.module = collector
        self.visits.start()

    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: Any) -> Optional[List[Any]]:
        # The module is imported by now.
        self.visits.stop()
        if is_function_name(collector, name, obj) and not self.is_wanted(collector, name, obj):
            self.left_out.add((os.path.realpath(str(collector.path)), dotted(collector, name)))
            return []
        return None

    def is_wanted(self, collector: Any, name: str, _obj: Any) -> bool:
        """Whether a test is to be collected."""
        names = self.chosen_names.get(os.path.realpath(str(collector.path)), ())
        return dotted(collector, name) in names

    def pytest_exception_interact(self, node: Any, call: Any) -> None:
        if hasattr(node, "collect"):
            self.keep_broken(*place_of(node), call.excinfo.value)

    def pytest_make_collect_report(self, collector: Any) -> Any:
        outcome = yield
        self.visits.stop()
        if outcome.excinfo is None and outcome.get_result().skipped:
            text = str(outcome.get_result().longrepr[-1])
            reason = text[len("Skipped: ") :] if text.startswith("Skipped: ") else text
            self.broken.append(Broken(*place_of(collector), "skipped", reason))

    def keep_broken(self, path: str, is_doctest: bool, classes: str, error: BaseException) -> None:
        """From here on the tests in it count as failed, or say nothing."""
        inner = raised(error, error.__traceback__)[0]
        broken = broken_by(inner, self.visits, self.root, path, is_doctest, classes)
        self.broken.append(broken)

    def tell_uncollected(self, run: Run, tests: Sequence[Dict[str, str]]) -> None:
        for test in tests:
            for broken in self.broken:
                if broken.holds(test):
                    run.keep_uncollected(test, broken)
                    break

    def pytest_runtest_setup(self, item: Any) -> None:
        if self.run is not None:
            self.run.begin("setup", item.nodeid, is_traced=self.traces_all)

    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        run = self.run
        module = getattr(fixturedef.func, "__module__", None)
        if run is None or run.phase != "setup" or module in PYTESTS_FIXTURES or self.traces_all:
            yield
            return
        self.has_set_up = True
        is_outermost = not run.visits.is_on
        run.visits.start()
        yield
        if is_outermost:
            run.visits.stop()

    def pytest_runtest_call(self, item: Any) -> None:
        if self.run is not None:
            is_traced = self.traces_all or not is_plain_function(item)
            self.run.begin("call", item.nodeid, is_traced=is_traced)

    def pytest_pyfunc_call(self, pyfuncitem: Any) -> Any:
        if self.run is None or self.traces_all or not is_plain_function(pyfuncitem):
            yield
            return
        self.run.begin("call", pyfuncitem.nodeid)
        yield
        self.run.stop()

    def pytest_runtest_teardown(self, item: Any) -> None:
        if self.run is not None:
            self.run.stop()
            is_traced = self.traces_all or self.has_set_up
            self.run.begin("teardown", item.nodeid, is_traced=is_traced)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        if self.run is not None:
            self.run.stop()
            if call.excinfo is not None:
                self.run.keep_failure(call.excinfo, item.nodeid, call.when)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.run is not None:
            self.run.keep_report(report)

    def assert_items(self) -> List[Any]:
        if self.module is None or any(one.path == self.asserts.path for one in self.broken):
            return []
        return self.asserts.items(self.module)


class ChoosingSession(Session):
    """Keeps the chosen tests at collection, which is for one run only."""

    def __init__(
        self, asserts: ModuleAsserts, others: Mapping[str, bytes], run: Run, stop_early: bool
    ) -> None:
        order = run.order
        super().__init__(asserts, others, order["root"], order["tests"], run.visits, run)
        self.stop_early = stop_early
        self.chosen: List[Any] = []

    def pytest_collection_modifyitems(self, config: Any, items: Any) -> None:
        self.traces_all = self.traces_all or has_hooks_around_tests(config)
        every = chosen_items(Index(items), self.assert_items(), self.tests)
        kept = set(every)
        dropped = [item for item in items if item not in kept]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = every
        self.chosen = every

    def pytest_runtest_logfinish(self) -> None:
        # pytest's own `-x` would stop at a file that cannot be collected.
        if self.stop_early and self.run is not None and self.run.has_failed and self.chosen:
            self.chosen[0].session.shouldfail = "a test has failed"


def is_plain_function(item: Any) -> bool:
    """Whether pytest itself calls the test, by `pytest_pyfunc_call`."""
    import pytest

    run: Any = getattr(type(item), "runtest", None)
    return run is pytest.Function.runtest


def has_hooks_around_tests(config: Any) -> bool:
    """Whether a `conftest.py` does something of its own around each test."""
    return any(
        os.path.basename(getattr(plugin, "__file__", None) or "") == "conftest.py"
        and any(hasattr(plugin, "pytest_runtest_" + phase) for phase in PHASES)
        for plugin in config.pluginmanager.get_plugins()
    )


def buffers(texts: Mapping[str, bytes]) -> List[ModuleAsserts]:
    """Finders for modules that pytest would read by itself; one that does not parse has none."""
    found = []
    for path, text in texts.items():
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            found.append(ModuleAsserts(path, text, set(), True))
    return found


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
