"""One cold pytest run: a job on standard input, one JSON record on a file descriptor.

The job names the module under test, the chosen tests, the watched lines, limits and a nonce; the
record repeats the nonce. Candidate and tests share this process: the host is safe by the kernel's
means, the record is best effort against code that means to forge it.

A test is a function that pytest collects, a doctest, or the asserts at the top level of the module
under test. The latter are taken out of the module, so that it can be imported whatever they say,
and run afterwards, a verdict each. Asserts in `if` and `try` statements of the top level stay.
"""

from __future__ import annotations

import ast
import copy
import dis
import doctest
import importlib.machinery
import json
import os
import sys
from types import CodeType, FrameType, TracebackType
from typing import Any, Callable, Optional, Sequence

from .candidate import serve
from .confinement import (
    ConfinementError,
    become_ordinary,
    blocked_by_sandbox,
    clip,
    reserve,
    settle,
    silence,
)

WRAPPER = "__egcfg_assert__"


def main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    result_fd = reserve(job["result_fd"])
    silence(0)
    try:
        settle()
        os.chdir(job["root"])
    except (ConfinementError, OSError) as error:
        record: dict[str, Any] = {"error": str(error)}
    else:
        become_ordinary(job["root"])
        source_folder = os.path.join(job["root"], "src")
        if os.path.isdir(source_folder):
            sys.path.append(source_folder)
        record = run(job)
    record["nonce"] = job["nonce"]
    os.write(result_fd, json.dumps(record).encode())
    os.close(result_fd)
    # Threads and exit handlers of the tested code must not hold the sandbox open.
    os._exit(0)


def run(job: dict[str, Any]) -> dict[str, Any]:
    try:
        source = source_of(job)
        code = compile(source, job["path"], "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        return {
            "syntax_error": "%s%s"
            % ("line %d: " % line if line else "", clip(str(getattr(error, "msg", "") or error)))
        }
    try:
        import pytest
    except ImportError:
        return {"error": "the interpreter has no pytest (%s)" % sys.executable}
    words = {test["name"] for test in job["tests"] if test["kind"] == "asserts"}
    asserts = ModuleAsserts(job["path"], source, words, job["text"] is not None)
    session = Session(job, functions_in(code), asserts)
    paths = sorted({test["path"] for test in job["tests"]})
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "--color=no",
        "--rootdir",
        job["root"],
    ]
    arguments += ["-W", "ignore::pytest.PytestConfigWarning"]
    if any(test["kind"] == "doctest" for test in job["tests"]):
        arguments.append("--doctest-modules")
    asserts.intercept_import()
    try:
        status = int(pytest.main(arguments + paths, plugins=[session]))
    except SystemExit as stop:
        return {"error": "pytest was left by SystemExit(%s)" % clip(repr(stop.code))}
    return session.record(status)


def source_of(job: dict[str, Any]) -> bytes:
    """The candidate: the order brings it unless it is mounted in the place of the file."""
    if job["text"] is None:
        with open(job["path"], "rb") as stream:
            return stream.read()
    source: bytes = job["text"].encode()
    serve(job["path"], source)
    return source


class Session:
    """The pytest plugin: keeps the chosen tests, watches lines, collects verdicts."""

    def __init__(
        self, job: dict[str, Any], functions: Sequence[set[int]], asserts: ModuleAsserts
    ) -> None:
        self.job = job
        self.asserts = asserts
        self.module: Any = None
        watched = set(range(job["first_line"], job["last_line"] + 1))
        self.watch = LineWatch(job["path"], functions, watched)
        self.verdicts: dict[str, Optional[bool]] = {}
        self.failure = ""
        self.blocked = ""
        self.raised = False
        self.collect_error = ""
        self.chosen: Sequence[Any] = ()

    def pytest_sessionstart(self) -> None:
        self.asserts.intercept_import()  # before pytest's own hook, which it has put first

    def pytest_collectstart(self, collector: Any) -> None:
        path = os.path.realpath(str(getattr(collector, "path", "")))
        if self.module is None and path == self.asserts.path and hasattr(collector, "getmodpath"):
            self.module = collector

    def pytest_collection_modifyitems(self, config: Any, items: Any) -> None:
        chosen = [item for item in items if self.is_chosen(item)]
        dropped = [item for item in items if item not in chosen]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = chosen
        if self.module is not None and not self.collect_error:
            items[:] = [*self.asserts.items(self.module), *chosen]
        self.chosen = list(items)

    def is_chosen(self, item: Any) -> bool:
        path = os.path.realpath(str(item.path))
        for test in self.job["tests"]:
            if os.path.realpath(test["path"]) != path:
                continue
            if test["kind"] == "doctest":
                if hasattr(item, "dtest") and ("." + item.name).endswith("." + test["name"]):
                    return True
            elif test["kind"] == "function" and not hasattr(item, "dtest"):
                name = item.nodeid.partition("::")[2].partition("[")[0].replace("::", ".")
                if name == test["name"]:
                    return True
        return False

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.collect_error:
            crash = getattr(report.longrepr, "reprcrash", None)
            text = crash.message if crash is not None else last_line(str(report.longrepr))
            self.collect_error = "%s: %s" % (report.nodeid or "collection", text)

    def pytest_runtest_call(self) -> None:
        self.watch.start()

    def pytest_runtest_teardown(self) -> None:
        self.watch.stop()

    def pytest_runtest_makereport(self, call: Any) -> None:
        self.watch.stop()
        if call.excinfo is not None:
            self.keep_failure(call.excinfo)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.skipped:
            self.verdicts.setdefault(report.nodeid, None)
        elif report.failed:
            self.verdicts[report.nodeid] = False
        elif report.when == "call":
            self.verdicts.setdefault(report.nodeid, True)

    def keep_failure(self, excinfo: Any) -> None:
        blocked = blocked_by_sandbox(excinfo.value, self.job["hidden"])
        if blocked and not self.blocked:
            self.blocked = blocked
        if not self.failure and type(excinfo.value).__name__ != "Skipped":
            self.failure = describe(excinfo)
        self.raised = self.raised or self.watch.is_passed_by(excinfo.tb)

    def record(self, status: int) -> dict[str, Any]:
        if status in (3, 4):
            return {"error": "pytest ended with an error of its own (exit status %d)" % status}
        if self.collect_error and not self.verdicts:
            return {"error": clip(self.collect_error)}
        if any(item.nodeid not in self.verdicts for item in self.chosen) and status == 2:
            return {"error": "pytest was stopped before the last test had ended"}
        verdicts = [verdict for verdict in self.verdicts.values() if verdict is not None]
        if not verdicts:
            return {"error": "the tests were skipped" if self.verdicts else "no test was collected"}
        return {
            "n_passed": sum(verdicts),
            "n_tests": len(verdicts),
            "failure": clip(self.failure),
            "blocked": clip(self.blocked),
            "missed_lines": self.watch.missed(),
            "raised": self.raised,
            "entered": self.watch.has_entered(),
        }


class ModuleAsserts:
    """The asserts of the module under test that mention one of some words: what is taken out of its
    import, and the tests that are made of it. An import hook for that one module."""

    def __init__(self, path: str, source: bytes, words: set[str], is_served: bool) -> None:
        self.path = os.path.realpath(path)
        self.source = source
        self.is_served = is_served
        """The file says something else, and pytest reads a test module by itself."""
        self.tree = ast.parse(source)
        self.tests: list[list[ast.stmt]] = []
        taken: list[ast.stmt] = []
        if words:
            for body in [self.tree.body, *main_blocks(self.tree)]:
                units = [statement for statement in body if is_assert(statement, words)]
                self.tests += with_what_they_need(body, units, body is self.tree.body)
                taken += units
        self.tree.body = [statement for statement in self.tree.body if statement not in taken]

    def intercept_import(self) -> None:
        if self.tests or self.is_served:
            sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or os.path.realpath(spec.origin) != self.path:
            return None
        spec.loader = CodeLoader(name, spec.origin)
        spec.loader.code = self.compile(self.tree.body)
        return spec

    def compile(self, body: Sequence[ast.stmt]) -> CodeType:
        """The code of statements, with pytest's explanations of failed asserts."""
        tree = ast.Module(body=copy.deepcopy(list(body)), type_ignores=[])
        try:
            from _pytest.assertion.rewrite import rewrite_asserts
        except ImportError:  # not public; without it a failure is told without values
            pass
        else:
            rewrite_asserts(tree, self.source, self.path)
        return compile(tree, self.path, "exec", dont_inherit=True)

    def items(self, module: Any) -> list[Any]:
        """pytest's items for the asserts, run in the namespace of the imported module."""
        import pytest

        class AssertItem(pytest.Item):
            code: CodeType

            def runtest(self) -> None:
                namespace = module.obj.__dict__
                exec(self.code, namespace)
                namespace.pop(WRAPPER)()

        items = []
        for i, body in enumerate(self.tests):
            name = "assert %d at line %d" % (i + 1, body[-1].lineno)
            item = AssertItem.from_parent(module, name=name)
            item.code = self.compile([*body[:-1], wrapped(body[-1])])
            items.append(item)
        return items


class CodeLoader(importlib.machinery.SourceFileLoader):
    """Gives a module other code than its file's."""

    code: CodeType

    def get_code(self, _fullname: str) -> CodeType:
        return self.code


def main_blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """The bodies of `if __name__ == "__main__":` at the top level."""
    return [
        statement.body
        for statement in tree.body
        if isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and len(statement.test.ops) == 1
        and isinstance(statement.test.ops[0], ast.Eq)
        and {"__name__", "__main__"}
        == {
            getattr(side, "id", getattr(side, "value", None))
            for side in (statement.test.left, *statement.test.comparators)
        }
    ]


def is_assert(statement: ast.stmt, words: set[str]) -> bool:
    """Whether a statement is an assert, or a `for` or `with` around one, and mentions a word."""
    if not isinstance(statement, (ast.Assert, ast.For, ast.With)):
        return False
    inner = list(ast.walk(statement))
    return any(isinstance(node, ast.Assert) for node in inner) and any(
        getattr(node, "id", getattr(node, "attr", None)) in words for node in inner
    )


def wrapped(statement: ast.stmt) -> ast.stmt:
    """A function that runs a statement of the top level.

    In a function pytest explains `add(1, 2)` by these words, else by the `repr` of `add`.
    """
    function = ast.parse("def %s(): pass" % WRAPPER).body[0]
    assert isinstance(function, ast.FunctionDef)
    bound = sorted(names_in(statement, ast.Store))
    function.body = [*([ast.Global(names=bound)] if bound else []), statement]
    return ast.fix_missing_locations(function)


def with_what_they_need(
    body: Sequence[ast.stmt], units: Sequence[ast.stmt], was_executed: bool
) -> list[list[ast.stmt]]:
    """For each unit what must run before it since the one above, then itself.

    These are the statements that bind or mention a variable of the body on which a unit depends.
    Definitions and imports are among them only where the body was not executed before.
    """
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    others = [
        statement
        for statement in body
        if statement not in units and not (was_executed and isinstance(statement, definitions))
    ]
    bound = {name for statement in others for name in names_in(statement, ast.Store)}
    needed = {name for unit in units for name in names_in(unit, ast.Load)} & bound
    used: list[ast.stmt] = []
    while more := [s for s in others if s not in used and names_in(s) & needed]:
        used += more
        needed |= {name for statement in more for name in names_in(statement)} & bound
    tests: list[list[ast.stmt]] = []
    before: list[ast.stmt] = []
    for statement in body:
        if statement in units:
            tests.append([*before, statement])
            before = []
        elif statement in used:
            before.append(statement)
    return tests


def names_in(statement: ast.stmt, context: Optional[type] = None) -> set[str]:
    """Names that a statement mentions; with `Store` those it binds, with `Load` those it reads."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and (context is None or isinstance(node.ctx, context)):
            found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found |= {node.name} if context is not ast.Load else set()
        elif isinstance(node, ast.alias) and context is not ast.Load:
            found.add((node.asname or node.name).partition(".")[0])
    return found


class LineWatch:
    """Which of the watched lines ran, by `sys.settrace` on the main thread."""

    def __init__(self, path: str, functions: Sequence[set[int]], watched: set[int]) -> None:
        self.path = os.path.realpath(path)
        targets = [lines for lines in functions if lines & watched]
        self.lines = set().union(*targets) & watched
        self.entries = set().union(*targets)
        """Lines of the functions that hold a watched one."""
        self.hit: set[int] = set()
        self.is_ours: dict[str, bool] = {}

    def start(self) -> None:
        sys.settrace(self.on_call)

    def stop(self) -> None:
        sys.settrace(None)

    def on_call(
        self, frame: FrameType, _event: str, _argument: Any
    ) -> Optional[Callable[..., Any]]:
        filename = frame.f_code.co_filename
        if filename not in self.is_ours:
            self.is_ours[filename] = os.path.realpath(filename) == self.path
        return self.on_line if self.is_ours[filename] else None

    def on_line(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "line":
            self.hit.add(frame.f_lineno)
        return self.on_line

    def is_passed_by(self, traceback: Optional[TracebackType]) -> bool:
        """Whether an exception came through a watched line."""
        while traceback is not None:
            filename, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
            if line in self.lines and os.path.realpath(filename) == self.path:
                return True
            traceback = traceback.tb_next
        return False

    def missed(self) -> list[int]:
        return sorted(self.lines - self.hit)

    def has_entered(self) -> bool:
        """Whether a function with a watched line was entered, if there is one."""
        return not self.entries or bool(self.entries & self.hit)


def functions_in(code: CodeType) -> list[set[int]]:
    """The lines with code of each function and class: a function's `def` line runs at import."""
    functions: list[set[int]] = []
    pending = [c for c in code.co_consts if hasattr(c, "co_code")]
    while pending:
        inner = pending.pop()
        pending += [c for c in inner.co_consts if hasattr(c, "co_code")]
        starts = {line for _, line in dis.findlinestarts(inner) if line is not None}
        functions.append(starts - {inner.co_firstlineno})
    return functions


def describe(excinfo: Any) -> str:
    """One line on what went wrong: `add(1, 2) → 4, want 3` where the assertion shows that much."""
    value = excinfo.value
    failures = getattr(value, "failures", None)
    if failures and isinstance(failures[0], doctest.DocTestFailure):
        value = failures[0]
    if isinstance(value, doctest.DocTestFailure):
        source, want = value.example.source.strip(), value.example.want.strip()
        return "%s → %s, want %s" % (source, last_line(value.got) or "nothing", want or "nothing")
    if failures or isinstance(value, doctest.UnexpectedException):
        inner = getattr(failures[0] if failures else value, "exc_info", (None, value, None))[1]
        return "%s: %s" % (type(inner).__name__, clip(str(inner)))
    text = str(excinfo.exconly(tryshort=True))
    return describe_assertion(text) if isinstance(value, AssertionError) else first_line(text)


def describe_assertion(text: str) -> str:
    """pytest's `assert 4 == 3` and ` +  where 4 = add(1, 2)` as `add(1, 2) → 4, want 3`."""
    lines = text.splitlines() or [""]
    head = lines[0].strip()
    if head.startswith("AssertionError: "):
        head = head[len("AssertionError: ") :]
    if not head.startswith("assert ") or " == " not in head:
        return head or "AssertionError"
    left, _, right = head[len("assert ") :].partition(" == ")
    for line in lines[1:]:
        shown, where, call = line.strip().lstrip("+ ").partition("where %s = " % left)
        if where and not shown and call.endswith(")"):
            return "%s → %s, want %s" % (call, left, right)
    return head


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


if __name__ == "__main__":
    main()
