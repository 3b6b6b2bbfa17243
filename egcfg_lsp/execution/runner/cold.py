"""One cold run: an order on standard input, one JSON record on a file descriptor.

The order names the module under test, the chosen tests, the watched lines, limits and a nonce; the
record repeats the nonce. Candidate and tests share this process: the host is safe by the kernel's
means, the record is best effort against code that means to forge it.

A test is a function that pytest collects, a doctest, or the asserts at the top level of the module
under test. A zygote's fresh child does the same in a fork (`run`).
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from typing import Any, Callable, Dict, List, NoReturn

from .addopts import addopts_of
from .asserts import ModuleAsserts
from .candidate import serve
from .confinement import ConfinementError, become_ordinary, clip, reserve, settle, silence
from .light import run_lightly
from .paths import is_file
from .session import ChoosingSession, Run, assert_words, encoded

WITHOUT = ("lfplugin", "nfplugin", "stepwise", "faulthandler", "randomly", "random_order")
"""Plugins of pytest that keep state between runs, or choose the order."""
WITHOUT_SETTINGS = ("required_plugins=", "strict_markers=false", "strict_config=false", "log_file=")
"""What insists on plugins that are left out here, or are not installed; what writes to the project."""
CACHE = "pytest-cache"
"""A folder that ends with the run."""
OUR_WARNINGS = (
    ":pytest.PytestConfigWarning", ":pytest.PytestUnknownMarkWarning",
    ":pytest.PytestAssertRewriteWarning", ":pytest.PytestCacheWarning",
    "The database setting is not configured",
)  # fmt: skip
"""What our way of running may cause, as `message:category`: options and marks of such plugins,
modules imported before, a project that Hypothesis cannot write to."""


def main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    result_fd = reserve(job["result_fd"])
    silence(0)

    def finish(record: Dict[str, Any]) -> NoReturn:
        record["nonce"] = job["nonce"]
        os.write(result_fd, encoded(record))
        os.close(result_fd)
        # Threads and exit handlers of the tested code must not hold the sandbox open.
        os._exit(0)

    try:
        settle()
        os.chdir(job["root"])
    except (ConfinementError, OSError) as error:
        finish({"unable": str(error)})
    become_project(job["root"])
    finish(run(job, finish))


def become_project(root: str) -> None:
    """The interpreter as one that was started in the project."""
    become_ordinary(root)
    os.environ.pop("PYTEST_ADDOPTS", None)
    source_folder = os.path.join(root, "src")
    if os.path.isdir(source_folder):
        sys.path.append(source_folder)


def run(
    job: Dict[str, Any],
    finish: Callable[[Dict[str, Any]], NoReturn],
    keep: Callable[[Run], None] = lambda _: None,
) -> Dict[str, Any]:
    """The record of an order, without its nonce; if the run is cut short `finish` gets it.

    The run is handed to `keep` before it begins.
    """
    try:
        source = source_of(job)
        code = compile(source, job["path"], "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"syntax_error": syntax_error(error)}
    seed_random(job["seed"])
    one = Run(job, code, source.decode("utf-8", "replace").split("\n"), finish)
    keep(one)
    try:
        import pytest
    except ImportError:
        return run_lightly(job, source, one)
    asserts = ModuleAsserts(
        job["path"], source, assert_words(job["tests"]), job["text"] is not None
    )
    ChoosingSession.use(pytest)
    session = ChoosingSession(asserts, overlays_of(job), one, job["stop_early"])
    session.intercept_imports()
    return record_of(session, one, pytest_arguments(job["root"], job["tests"]))


def record_of(session: ChoosingSession, run: Run, arguments: List[str]) -> Dict[str, Any]:
    import pytest

    status = 0
    if is_imported(session.asserts.path):
        session.traces_all = True  # pytest itself is made of it
        session.visits.start()
    try:
        status = int(pytest.main(arguments, plugins=[session]))
    except SystemExit as stop:
        return {"unable": "pytest was left by SystemExit(%s)" % clip(repr(stop.code))}
    except Exception as error:
        session.keep_broken(session.root, False, "", error)
    finally:
        session.visits.stop()
    if status == 3 or (status == 4 and not session.broken):
        return {"unable": "pytest ended with an error of its own (exit status %d)" % status}
    if status == 2 and any(item.nodeid not in run.verdicts for item in session.chosen):
        return {"unable": "pytest was stopped before the last test had ended"}
    session.tell_uncollected(run, run.order["tests"])
    return run.record()


def is_imported(path: str) -> bool:
    files = (getattr(module, "__file__", None) for module in [*sys.modules.values()])
    return any(isinstance(file, str) and is_file(file, path) for file in files)


def source_of(job: Dict[str, Any]) -> bytes:
    """The candidate: the order brings it unless it is mounted in the place of the file."""
    texts = overlays_of(job)
    if job["text"] is not None:
        texts[job["path"]] = job["text"].encode()
    if texts:
        serve(texts)
    if job["path"] in texts:
        return texts[job["path"]]
    with open(job["path"], "rb") as stream:
        return stream.read()


def overlays_of(job: Dict[str, Any]) -> Dict[str, bytes]:
    return {path: text.encode() for path, text in job["overlays"].items()}


def pytest_arguments(root: str, tests: List[Dict[str, str]]) -> List[str]:
    """The command line for the files of some tests; it does not choose among their tests."""
    paths = sorted({test["path"] for test in tests})
    arguments = ["-q", "--color=no", "--rootdir", root]
    for name in WITHOUT:
        arguments += ["-p", "no:" + name]
    # An option given twice counts for what comes last; this one replaces the project's.
    arguments += ["-o", "addopts=", *addopts_of(root, paths)]
    for setting in (*WITHOUT_SETTINGS, "cache_dir=" + os.path.join(tempfile.gettempdir(), CACHE)):
        arguments += ["-o", setting]
    for warning in OUR_WARNINGS:
        arguments += ["-W", "ignore:" + warning]
    arguments.append("--continue-on-collection-errors")
    if any(test["kind"] == "doctest" for test in tests):
        arguments.append("--doctest-modules")
    return arguments + paths


def seed_random(seed: int) -> None:
    """The same numbers for the same seed: of `random`, and of NumPy where it is imported."""
    random.seed(seed)
    numbers: Any = sys.modules.get("numpy.random")
    if hasattr(numbers, "seed"):
        numbers.seed(seed % 2**32)


def syntax_error(error: BaseException) -> str:
    line = getattr(error, "lineno", None)
    place = "line %d: " % line if line else ""
    return place + clip(str(getattr(error, "msg", "") or error))


if __name__ == "__main__":
    main()
