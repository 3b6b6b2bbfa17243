"""One cold pytest run: a job on standard input, one JSON record on a file descriptor.

The job names the module under test, the chosen tests, the watched lines, limits and a nonce; the
record repeats the nonce. Candidate and tests share this process: the host is safe by the kernel's
means, the record is best effort against code that means to forge it.
"""

from __future__ import annotations

import dis
import doctest
import errno
import json
import os
import resource
import sys
from types import CodeType, FrameType
from typing import Any, Callable, Optional

BLOCKED_ERRNOS = {
    errno.EPERM,
    errno.EACCES,
    errno.EROFS,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
}
MAX_TEXT = 200


def main() -> None:
    job = json.loads(sys.stdin.read())
    with open(os.devnull) as null:
        os.dup2(null.fileno(), 0)
    for name, value in job["limits"].items():
        lower_limit(getattr(resource, name), value)
    result_fd = job["result_fd"]
    os.set_inheritable(result_fd, False)
    sys.path[0] = job["root"]
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
        with open(job["path"], "rb") as stream:
            code = compile(stream.read(), job["path"], "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        return {
            "syntax_error": "%s%s"
            % ("line %d: " % line if line else "", clip(str(getattr(error, "msg", "") or error)))
        }
    try:
        import pytest
    except ImportError:
        return {"error": "the interpreter has no pytest (%s)" % sys.executable}
    session = Session(job, code_lines(code))
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
    if any(test["is_doctest"] for test in job["tests"]):
        arguments.append("--doctest-modules")
    try:
        status = int(pytest.main(arguments + paths, plugins=[session]))
    except SystemExit as stop:
        return {"error": "pytest was left by SystemExit(%s)" % clip(repr(stop.code))}
    return session.record(status)


class Session:
    """The pytest plugin: keeps the chosen tests, watches lines, collects verdicts."""

    def __init__(self, job: dict[str, Any], lines: set[int]) -> None:
        self.job = job
        watched = set(range(job["first_line"], job["last_line"] + 1))
        self.watch = LineWatch(job["path"], lines & watched)
        self.verdicts: dict[str, Optional[bool]] = {}
        self.failure = ""
        self.blocked = ""
        self.collect_error = ""

    def pytest_collection_modifyitems(self, config: Any, items: Any) -> None:
        chosen = [item for item in items if self.is_chosen(item)]
        dropped = [item for item in items if item not in chosen]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = chosen

    def is_chosen(self, item: Any) -> bool:
        path = os.path.realpath(str(item.path))
        for test in self.job["tests"]:
            if os.path.realpath(test["path"]) != path:
                continue
            if test["is_doctest"]:
                if hasattr(item, "dtest") and ("." + item.name).endswith("." + test["name"]):
                    return True
            elif not hasattr(item, "dtest"):
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
        blocked = blocked_by_sandbox(excinfo.value)
        if blocked and not self.blocked:
            self.blocked = blocked
        if not self.failure and type(excinfo.value).__name__ != "Skipped":
            self.failure = describe(excinfo)

    def record(self, status: int) -> dict[str, Any]:
        if status in (3, 4):
            return {"error": "pytest ended with an error of its own (exit status %d)" % status}
        if self.collect_error and not self.verdicts:
            return {"error": clip(self.collect_error)}
        verdicts = [verdict for verdict in self.verdicts.values() if verdict is not None]
        if not verdicts:
            return {"error": "the tests were skipped" if self.verdicts else "no test was collected"}
        return {
            "n_passed": sum(verdicts),
            "n_tests": len(verdicts),
            "failure": clip(self.failure),
            "blocked": clip(self.blocked),
            "missed_lines": self.watch.missed(),
        }


class LineWatch:
    """Which of the watched lines ran, by `sys.settrace` on the main thread."""

    def __init__(self, path: str, lines: set[int]) -> None:
        self.path = os.path.realpath(path)
        self.lines = lines
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

    def missed(self) -> list[int]:
        return sorted(self.lines - self.hit)


def code_lines(code: CodeType) -> set[int]:
    """Lines that hold code below the module's own level: a function's `def` line runs at import."""
    lines: set[int] = set()
    pending = [c for c in code.co_consts if hasattr(c, "co_code")]
    while pending:
        inner = pending.pop()
        pending += [c for c in inner.co_consts if hasattr(c, "co_code")]
        starts = {line for _, line in dis.findlinestarts(inner) if line is not None}
        lines |= starts - {inner.co_firstlineno}
    return lines


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


def blocked_by_sandbox(error: Optional[BaseException]) -> str:
    """What the sandbox refused, if that is what an exception (or one behind it) reports."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        is_blocked = isinstance(error, OSError) and error.errno in BLOCKED_ERRNOS
        if is_blocked or type(error).__name__ == "gaierror":
            return "%s: %s" % (type(error).__name__, clip(str(error)))
        error = error.__cause__ or error.__context__
    return ""


def lower_limit(kind: int, value: int) -> None:
    """Set a limit, never above the one in force."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def clip(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


if __name__ == "__main__":
    main()
