"""Tests without pytest: unittest, doctest, the module's asserts, and plain functions that need nothing.

Fixtures, parameters and `conftest.py` are pytest's and are not imitated: a test that needs an
argument is skipped, which is inconclusive.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import linecache
import os
import sys
import time
import traceback
import unittest
from types import ModuleType, TracebackType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .asserts import WRAPPER, ModuleAsserts, wrapped
from .choice import broken_by
from .session import Run, assert_words

Test = Tuple[str, Callable[[], Optional[str]]]
"""A name, and what runs it: raises its failure, returns why it cannot be run."""


def run_lightly(job: Dict[str, Any], source: bytes, run: Run) -> Dict[str, Any]:
    """The record of an order."""
    asserts = ModuleAsserts(job["path"], source, assert_words(job["tests"]), True)
    asserts.intercept_import()
    for test in collected(job, asserts, run):
        run_one(*test, run)
        if job["stop_early"] and run.has_failed:
            break
    return run.record()


def run_one(name: str, test: Callable[[], Optional[str]], run: Run) -> None:
    started, outcome, verdict = time.perf_counter(), "passed", True
    run.begin("setup", name)
    run.stop()
    run.begin("call", name)
    try:
        try:
            cannot = test()
        finally:
            run.stop()
    except unittest.SkipTest:
        outcome, cannot = "skipped", "skipped"
    except BaseException as error:
        outcome, verdict, cannot = "failed", False, None
        run.keep_failure(Failure(error), name, "call")
        if name in run.unrelated:
            outcome, cannot = "error", "error"
    run.verdicts[name] = None if cannot else verdict
    outcome = "skipped" if cannot and outcome == "passed" else outcome
    run.tests[name] = [outcome, round(time.perf_counter() - started, 6)]


class Failure:
    """An exception in the form in which pytest hands it on."""

    def __init__(self, error: BaseException) -> None:
        self.value = error
        self.tb: Optional[TracebackType] = error.__traceback__

    def exconly(self, tryshort: bool) -> str:
        if tryshort and isinstance(self.value, AssertionError):
            return str(self.value) or self.last_source_line()
        return "".join(traceback.format_exception_only(type(self.value), self.value))

    def last_source_line(self) -> str:
        frames = traceback.extract_tb(self.tb)
        return linecache.getline(frames[-1].filename, frames[-1].lineno or 0) if frames else ""


def collected(job: Dict[str, Any], asserts: ModuleAsserts, run: Run) -> List[Test]:
    """All tests that can be imported; the others are told to the run."""
    found: List[Test] = []
    for test in job["tests"]:
        run.visits.start()
        try:
            if test["kind"] != "asserts":
                found += tests_of(test, imported(test["path"], job["root"]))
            elif asserts.tests:
                found += assert_tests(asserts, imported(job["path"], job["root"]))
        except BaseException as error:
            path, is_doctest = os.path.realpath(test["path"]), test["kind"] == "doctest"
            broken = broken_by(error, run.visits, job["root"], path, is_doctest)
            run.keep_uncollected(test, broken)
        finally:
            run.visits.stop()
    return found


def tests_of(test: Dict[str, str], module: ModuleType) -> Iterator[Test]:
    if test["kind"] == "doctest":
        yield from doctests(module, test["name"])
    else:
        yield test["name"], function_test(module, test["name"].split("."))


def imported(path: str, root: str) -> ModuleType:
    """A file as the module that its place among packages makes it."""
    real = os.path.realpath(path)
    for module in [*sys.modules.values()]:
        if os.path.realpath(getattr(module, "__file__", None) or "") == real:
            return module
    folder, names = os.path.dirname(real), [os.path.splitext(os.path.basename(real))[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")) and folder != root:
        folder, name = os.path.split(folder)
        names.insert(0, name)
    if names[-1] == "__init__":
        names.pop()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(".".join(names))


def assert_tests(asserts: ModuleAsserts, module: ModuleType) -> Iterator[Test]:
    for i, body in enumerate(asserts.tests):
        code = asserts.compile([*body[:-1], wrapped(body[-1])])

        def test(code: Any = code) -> None:
            exec(code, module.__dict__)
            module.__dict__.pop(WRAPPER)()

        yield "assert %d at line %d" % (i + 1, body[-1].lineno), test


def doctests(module: ModuleType, name: str) -> Iterator[Test]:
    runner = doctest.DebugRunner(verbose=False)
    for found in doctest.DocTestFinder(exclude_empty=True).find(module):
        if found.examples and ("." + found.name).endswith("." + name):
            yield found.name, lambda found=found: runner.run(found) and None  # type: ignore[misc]


def function_test(module: ModuleType, names: "list[str]") -> Callable[[], Optional[str]]:
    found: Any = module
    for name in names[:-1]:
        found = getattr(found, name)
    if inspect.isclass(found) and issubclass(found, unittest.TestCase):
        return lambda: run_case(found(names[-1]))

    def test() -> Optional[str]:
        place = found() if inspect.isclass(found) else found
        function = getattr(place, names[-1])
        if inspect.signature(function).parameters or inspect.iscoroutinefunction(function):
            return "needs pytest"
        function()
        return None

    return test


def run_case(case: unittest.TestCase) -> Optional[str]:
    """Raises the first failure of a case or one of its subtests."""
    result = Result()
    unittest.TestSuite([case]).run(result)
    if result.first is not None:
        raise result.first
    return "skipped" if result.skipped else None


class Result(unittest.TestResult):
    """Keeps the first failure itself, with its traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Optional[BaseException] = None

    def keep(self, error: Any) -> None:
        if self.first is None and error is not None:
            self.first = error[1]

    def addError(self, _test: Any, err: Any) -> None:
        self.keep(err)

    def addFailure(self, _test: Any, err: Any) -> None:
        self.keep(err)

    def addSubTest(self, _test: Any, _subtest: Any, err: Any) -> None:
        self.keep(err)

    def addUnexpectedSuccess(self, _test: Any) -> None:
        self.keep((None, AssertionError("unexpected success")))
