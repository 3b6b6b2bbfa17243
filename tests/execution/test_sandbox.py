"""The real sandbox with real pytest runs, most of them in the best tier of this machine.

All tiers need to be possible here: user namespaces and Landlock 3, which `make test` says.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from egcfg_lsp.execution import Job, RunResult, Status, enclosure, facts
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.runner import landlock
from egcfg_lsp.execution.sandbox import KernelSandbox, unsafe_mount
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.source.oracle import OracleKind, OracleTest

BODY_LINE = 2
TIERS = [Tier.A, Tier.A_MINUS, Tier.B]


def job_for(project: Path, body: str, deadline_seconds: float = 60, **changes: object) -> Job:
    path = project / "calc.py"
    test_path = project / "tests" / "test_calc.py"
    names = ("test_small", "test_zero")
    job = Job(
        root=project,
        interpreter=find_interpreter(project, None, {}),
        path=path,
        text="def add(a, b):\n" + "".join(f"    {line}\n" for line in body.split("\n")),
        tests=tuple(function_test(test_path, name) for name in names),
        first_line=BODY_LINE,
        last_line=BODY_LINE + body.count("\n"),
        deadline_seconds=deadline_seconds,
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def function_test(path: Path, name: str) -> OracleTest:
    return OracleTest(path, name, OracleKind.FUNCTION, "", "")


def module_test(path: Path, kind: OracleKind, name: str) -> OracleTest:
    return OracleTest(path, name, kind, "", "")


@cache
def sandbox(tier: Tier | None = None) -> KernelSandbox:
    return KernelSandbox(tier)


async def run(job: Job, tier: Tier | None = None) -> RunResult:
    return await sandbox(tier).run(job)


@pytest.mark.parametrize("tier", TIERS)
async def test_this_machine_has_all_tiers(tier: Tier) -> None:
    """Without one every test below would be inconclusive: then this one says why."""
    state = await sandbox(tier).state()
    assert (state.works, state.tier) == (True, tier), state.detail


ALIKE: dict[str, tuple[str, RunResult]] = {
    "passes": ("return a + b", RunResult(Status.PASSED, 2, 2)),
    "fails": ("return a * b", RunResult(Status.FAILED, 1, 2, "add(1, 2) → 2, want 3")),
    "temporary files": (
        "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x')\nreturn a + b",
        RunResult(Status.PASSED, 2, 2),
    ),
    "threads and asyncio": (
        "import asyncio\nreturn asyncio.run(asyncio.to_thread(lambda: a + b))",
        RunResult(Status.PASSED, 2, 2),
    ),
    "its source": (
        "import inspect\nassert 'inspect' in inspect.getsource(add)\nreturn a + b",
        RunResult(Status.PASSED, 2, 2),
    ),
    "leaves": ("import os\nos._exit(0)", RunResult(Status.INCONCLUSIVE, reason="the run ended")),
    "a socket": (
        "import socket\nsocket.socket()",
        RunResult(
            Status.INCONCLUSIVE, reason="the sandbox blocked the test (no network, PermissionError"
        ),
    ),
}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("tier", TIERS)
async def test_tiers_are_alike(project: Path, tier: Tier, name: str) -> None:
    body, wanted = ALIKE[name]
    (project / "calc.py").write_text("def add(a, b):\n    return 'of the file'\n")
    result = await run(job_for(project, body), tier)
    assert result.reason.startswith(wanted.reason)
    assert replace(result, reason="") == replace(wanted, reason="", raised=result.raised)


@pytest.mark.parametrize("import_mode", ["prepend", "importlib"])
async def test_candidate_that_is_a_test_module(project: Path, import_mode: str) -> None:
    """Without a mount in its place too: pytest reads and compiles test modules by itself."""
    path = project / "test_calc.py"
    path.write_text("def add(a, b):\n    return 'of the file'\n\ndef test_add(): assert False\n")
    ini = f"[pytest]\naddopts = --import-mode={import_mode}\n"
    (project / "pytest.ini").write_text(ini)
    text = "def add(a, b):\n    return a + b\n\ndef test_add(): assert add(1, 2) == 3\n"
    for body, wanted in (
        (text, RunResult(Status.PASSED, 1, 1)),
        (
            text.replace("a + b", "a * b"),
            RunResult(Status.FAILED, 1 - 1, 1, "add(1, 2) → 2, want 3"),
        ),
    ):
        job = job_for(
            project, "return", path=path, text=body, tests=(function_test(path, "test_add"),)
        )
        assert await run(job, Tier.B) == wanted


async def test_passing_without_the_function_is_no_pass(project: Path) -> None:
    (project / "tests" / "test_calc.py").write_text(
        "from calc import add\ndef test_small(): assert callable(add)\ndef test_zero(): pass\n"
    )
    result = await run(job_for(project, "return a + b"))
    assert result.status is Status.INCONCLUSIVE
    assert result.reason.startswith("not reached")


async def test_environment_is_that_of_the_allow_list(project: Path) -> None:
    body = "import os\nassert os.environ['EGCFG_ALLOWED'] == 'yes'\nreturn a + b"
    job = job_for(project, body, environment={"EGCFG_ALLOWED": "yes", "HOME": "/"})
    assert (await run(job)).status is Status.PASSED


async def test_passing_candidate(project: Path) -> None:
    assert await run(job_for(project, "return a + b")) == RunResult(Status.PASSED, 2, 2)


async def test_failing_candidate_says_what_came_and_what_was_wanted(project: Path) -> None:
    result = await run(job_for(project, "return a * b"))
    assert (result.status, result.n_passed, result.n_tests) == (Status.FAILED, 1, 2)
    assert result.failure == "add(1, 2) → 2, want 3"


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ("return total", "NameError: name 'total' is not defined"),
        ("raise ValueError('no\\nway')", "ValueError: no"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("assert a == b, 'differ'\nreturn 0", "differ"),
        ("raise AssertionError", "AssertionError"),
    ],
)
async def test_exceptions_are_failures_with_their_reason(
    project: Path, body: str, failure: str
) -> None:
    result = await run(job_for(project, body))
    assert result.status is Status.FAILED
    assert result.failure.startswith(failure)


async def test_lines_that_never_ran_are_told(project: Path) -> None:
    body = "if a > 100:\n    return 0\n# a comment\n\nreturn a + b"
    result = await run(job_for(project, body))
    assert (result.status, result.missed_lines) == (Status.PASSED, (BODY_LINE + 1,))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def add(a, b):\n    \n", "line"),
        ("def add(a, b):\n    return (\n", "line 2: '(' was never closed"),
        ("def add(a, b):\n    print 1\n", "line 2"),
        ("return 1\n", "line 1: 'return' outside function"),
        ("x = \x00\n", "null bytes"),
        ("x = " + "(" * 5000 + "\n", ""),
    ],
)
async def test_what_the_interpreter_does_not_compile(project: Path, text: str, reason: str) -> None:
    result = await run(job_for(project, "", text=text))
    assert result.status is Status.INCONCLUSIVE
    assert not result.compiles
    assert result.reason.startswith("not run: the file does not compile with it")
    assert reason in result.reason


async def test_inconclusive_runs_never_pass(project: Path) -> None:
    for body, reason in (
        ("while True: pass", "no result within 2 s"),
        ("import time\ntime.sleep(60)", "no result within 2 s"),
        ("import os\nos._exit(0)", "the run ended without a result"),
        ("import os\nos.kill(os.getpid(), 9)", "the run ended without a result"),
        ("import ctypes\nctypes.string_at(0)", "the run ended without a result"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))\nreturn 3", None),
        ("open(__file__, 'w')", "the sandbox blocked the test (OSError: [Errno 30]"),
        ("import os\nos.closerange(0, 256)\nreturn a + b", None),
    ):
        seconds = 2 if reason == "no result within 2 s" else 60
        result = await run(job_for(project, body, deadline_seconds=seconds))
        assert result.status is not Status.PASSED, body
        if reason is not None:
            assert result.status is Status.INCONCLUSIVE, body
            assert result.reason.startswith(reason), body


async def test_network_is_blocked(project: Path) -> None:
    body = "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)"
    result = await run(job_for(project, body))
    assert result.status is Status.INCONCLUSIVE
    assert "blocked" in result.reason


async def test_host_is_out_of_reach(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the candidate can see is returned through a failing assertion."""
    monkeypatch.setenv("EGCFG_SECRET", "s3cret")
    secret = Path.home() / ".egcfg-test-secret"
    outside = project.parent / "outside.txt"
    outside.write_text("x")
    secret.write_text("s3cret")
    try:
        for body in (
            "import os\nassert 'EGCFG_SECRET' not in os.environ",
            f"import os\nassert not os.path.exists({str(secret)!r})",
            f"import os\nassert not os.path.exists({str(outside)!r})",
            "import os\nassert len([p for p in os.listdir('/proc') if p.isdigit()]) <= 3",
            "assert len(open('/etc/passwd').readlines()) == 1",
            "import os\nassert not os.path.exists('/etc/shadow')",
            "s = open('/proc/self/status').read()\nassert s.split('CapEff:')[1].split()[0] == '0' * 16",
            "import os\nopen(os.environ['TMPDIR'] + '/note', 'w').write('x')",
        ):
            result = await run(job_for(project, f"{body}\nreturn a + b"))
            assert result.status is Status.PASSED, (body, result)
    finally:
        secret.unlink()
    assert not Path("/tmp/note").exists()
    assert not Path("/tmp/egcfg").exists()


async def test_project_is_read_only(project: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for body in (
        "open('new.txt', 'w')",
        "import os\nos.remove('pyproject.toml')",
        "import os\nos.chmod('pyproject.toml', 0)",
        "import shutil\nshutil.rmtree('tests')",
    ):
        assert (await run(job_for(project, body))).status is not Status.PASSED
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("tier", TIERS)
async def test_deadline_leaves_no_process_behind(project: Path, tier: Tier) -> None:
    body = "import os, time\nfor _ in range(8):\n    if not os.fork():\n        time.sleep(60)\n"
    job = marked(job_for(project, body + "while True: pass", deadline_seconds=3))
    assert (await run(job, tier)).status is Status.INCONCLUSIVE
    assert runs_alive(job) == []


@pytest.mark.parametrize("tier", TIERS)
async def test_excess_ends_the_whole_run_at_once(
    project: Path, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandbox(tier).state()
    monkeypatch.setattr(enclosure, "MEMORY_BYTES", 300 << 20)
    body = "import time\nkept = bytearray(b'x' * (400 << 20))\ntime.sleep(60)"
    job = marked(job_for(project, body, deadline_seconds=40))
    assert (await run(job, tier)).reason.endswith("MiB of memory")
    assert runs_alive(job) == []


@pytest.mark.parametrize("tier", TIERS)
async def test_cancelled_run_leaves_no_process_behind(project: Path, tier: Tier) -> None:
    await sandbox(tier).state()
    job = marked(job_for(project, "while True: pass"))
    running = asyncio.create_task(run(job, tier))
    await asyncio.sleep(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert runs_alive(job) == []


@pytest.mark.parametrize("tier", TIERS)
async def test_run_cancelled_at_any_moment_of_its_start_leaves_nothing(
    project: Path, tier: Tier
) -> None:
    await sandbox(tier).state()
    before = descriptors()
    for i in range(30):
        running = asyncio.create_task(run(job_for(project, "while True: pass"), tier))
        await asyncio.sleep(i / 1000)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 20)
    assert processes_about(project) == []
    assert psutil.Process().children(recursive=True) == []
    await asyncio.sleep(0.1)  # the event loop closes its transports
    assert descriptors() == before


async def test_many_runs_keep_no_descriptor(project: Path) -> None:
    job = job_for(project, "return a + b")
    await run(job)
    await asyncio.sleep(0.1)
    before = descriptors()
    for _ in range(5):
        await asyncio.gather(*(run(job) for _ in range(4)))
    await asyncio.sleep(0.1)
    assert descriptors() == before


def descriptors() -> int:
    return psutil.Process().num_fds()


def processes_about(project: Path) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(project) in word for word in process.cmdline()):
                found.append(process.cmdline())
    return found


def marked(job: Job) -> Job:
    """With a variable that no other run has."""
    return replace(job, environment={"EGCFG_TEST": uuid4().hex})


def runs_alive(job: Job) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            if process.environ().items() >= job.environment.items():
                found.append(process)
    return found


async def test_forged_record_is_no_result(project: Path) -> None:
    body = (
        "import json, os\n"
        "record = dict(n_passed=2, n_tests=2, failure='', blocked='', missed_lines=[], nonce='0')\n"
        "for fd in range(3, 64):\n"
        "    try:\n"
        "        os.write(fd, json.dumps(record).encode())\n"
        "    except OSError:\n"
        "        pass\n"
        "os._exit(0)"
    )
    result = await run(job_for(project, body))
    assert result.status is Status.INCONCLUSIVE


async def test_flood_of_output_is_bounded(project: Path) -> None:
    body = "import sys, os\nos.write(2, b'x' * 50_000_000)\nprint('y' * 1_000_000)\nreturn a + b"
    assert (await run(job_for(project, body))).status is Status.PASSED


@pytest.mark.parametrize("tier", TIERS)
async def test_flood_of_output_without_end_ends_at_the_deadline(project: Path, tier: Tier) -> None:
    body = (
        "import os, stat\n"
        "pipes = [n for n in range(2, 256) if os.path.exists(f'/dev/fd/{n}')"
        " and stat.S_ISFIFO(os.fstat(n).st_mode)]\n"
        "assert pipes\n"
        "while True:\n"
        "    for n in pipes: os.set_blocking(n, False)\n"
        "    for n in pipes:\n"
        "        try: os.write(n, b'x' * 65536)\n"
        "        except OSError: pass\n"
    )
    job = job_for(project, body, deadline_seconds=2)
    for _ in range(3):
        result = await asyncio.wait_for(run(job, tier), 30)
        assert result.reason == "no result within 2 s"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"tests/test_calc.py": "import nothing_like_it\n"}, "No module named 'nothing_like_it'"),
        ({"tests/test_calc.py": "def test_other(): pass\n"}, "no test was collected"),
        ({"tests/test_calc.py": "def test_small(:\n"}, "tests/test_calc.py"),
        (
            {"tests/test_calc.py": "import pytest\n@pytest.mark.skip\ndef test_small(): pass\n"},
            "the tests were skipped",
        ),
        ({"conftest.py": "raise RuntimeError('broken conftest')\n"}, "broken conftest"),
    ],
)
async def test_tests_that_cannot_run_are_inconclusive(
    project: Path, files: dict[str, str], reason: str
) -> None:
    for name, source in files.items():
        (project / name).write_text(source)
    result = await run(job_for(project, "return a + b"))
    assert result.status is Status.INCONCLUSIVE
    assert reason in result.reason


async def test_kinds_of_tests(project: Path) -> None:
    """Parametrised, in classes, with fixtures, unittest, and a doctest of the module itself."""
    (project / "tests" / "test_calc.py").write_text(
        "import unittest, pytest\nfrom calc import add\n\n"
        "@pytest.fixture\ndef one():\n    return 1\n\n"
        "@pytest.mark.parametrize('a', [1, 2, 3])\ndef test_many(a, one):\n"
        "    assert add(a, one) == a + 1\n\n"
        "class TestAdd:\n    def test_in_class(self, tmp_path):\n        assert add(1, 1) == 2\n\n"
        "class Old(unittest.TestCase):\n    def test_old(self):\n"
        "        self.assertEqual(add(2, 2), 4)\n"
        "        with self.subTest('more'):\n            self.assertEqual(add(3, 2), 5)\n\n"
        "def test_not_chosen():\n    assert False\n"
    )
    test_path = project / "tests" / "test_calc.py"
    names = ("test_many", "TestAdd.test_in_class", "Old.test_old")
    tests = (
        module_test(project / "calc.py", OracleKind.DOCTEST, "add"),
        *(function_test(test_path, name) for name in names),
    )
    body = "'''\n>>> add(1, 2)\n3\n'''\nreturn a + b"
    assert await run(job_for(project, body, tests=tests)) == RunResult(Status.PASSED, 6, 6)
    body = body.replace("3\n", "4\n")
    result = await run(job_for(project, body, tests=tests[:1]))
    assert result.failure == "add(1, 2) → 3, want 4"


ASSERTS = """
SUMS = [(1, 2, 3), (2, 2, 4)]

assert add(0, 0) == 0
for a, b, total in SUMS:
    assert add(a, b) == total
assert __name__, "of another function"


def half_done():
    raise NotImplementedError


if __name__ == "__main__":
    half_done()
    pair = [5]
    pair.append(6)
    assert add(*pair) == 11, "in the main block"
    pair.append(7)
"""


@pytest.mark.parametrize(
    ("body", "n_passed", "failure"),
    [
        ("return a + b", 3, ""),
        ("return a * b", 1, "add(1, 2) → 2, want 3"),
        ("return a | b", 1, "add(2, 2) → 2, want 4"),
        ("return a + b if a != 5 else 0", 2, "in the main block"),
        ("pass", 0, "add(0, 0) → None, want 0"),
        ("raise ValueError('no')", 0, "ValueError: no"),
    ],
)
async def test_asserts_of_the_module_itself(
    project: Path, body: str, n_passed: int, failure: str
) -> None:
    """They fail without breaking the module's import, each by itself, with what they depend on."""
    text = f"def add(a, b):\n    {body}\n{ASSERTS}"
    tests = (module_test(project / "calc.py", OracleKind.ASSERTS, "add"),)
    result = await run(job_for(project, body, text=text, tests=tests))
    assert (result.n_passed, result.n_tests) == (n_passed, 3), result
    assert result.failure.startswith(failure)
    assert result.missed_lines == ()


async def test_asserts_and_functions_in_one_run(project: Path) -> None:
    """Also where the tests import the module themselves; asserts of others stay in the import."""
    text = "def add(a, b):\n    return a + b + 1\n\nassert add(1, 1) == 2\n"
    module = module_test(project / "calc.py", OracleKind.ASSERTS, "add")
    functions = job_for(project, "").tests
    result = await run(job_for(project, "return", text=text, tests=(module, *functions)))
    assert (result.status, result.n_passed, result.n_tests) == (Status.FAILED, 0, 3)
    assert result.failure == "add(1, 1) → 3, want 2"
    broken = text.replace("add(1, 1) == 2", "False, 'of the module'")
    result = await run(job_for(project, "return", text=broken, tests=functions))
    assert (result.status, "of the module" in result.reason) == (Status.INCONCLUSIVE, True)


async def test_state_between_asserts_is_that_of_the_module(project: Path) -> None:
    text = (
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
        "    def push(self, x):\n        self.items.append(x)\n        return len(self.items)\n\n"
        "stack = Stack()\nassert stack.push('a') == 1\nstack.push('b')\n"
        "assert stack.push('c') == 3\n"
    )
    tests = (module_test(project / "calc.py", OracleKind.ASSERTS, "push"),)
    job = job_for(project, "", text=text, tests=tests, first_line=6, last_line=7)
    assert await run(job) == RunResult(Status.PASSED, 2, 2)


LAYOUTS: dict[str, tuple[str, dict[str, str], OracleTest]] = {
    "functions by another prefix": (
        "calc.py",
        {
            "pytest.ini": "[pytest]\npython_functions = check_*\npython_files = checks_*.py\n",
            "tests/checks_calc.py": "from calc import add\ndef check_add(): assert add(1, 2) == 3\n",
        },
        function_test(Path("tests/checks_calc.py"), "check_add"),
    ),
    "classes by another prefix": (
        "calc.py",
        {
            "pyproject.toml": "[tool.pytest.ini_options]\npython_classes = ['Spec']\n",
            "tests/test_spec.py": "from calc import add\n"
            "class SpecAdd:\n    def test_add(self): assert add(1, 2) == 3\n",
        },
        function_test(Path("tests/test_spec.py"), "SpecAdd.test_add"),
    ),
    "src layout": (
        "src/pkg/calc.py",
        {
            "src/pkg/__init__.py": "",
            "tests/test_it.py": "from pkg.calc import add\ndef test_add(): assert add(1, 2) == 3\n",
        },
        function_test(Path("tests/test_it.py"), "test_add"),
    ),
    "src layout, asserts": (
        "src/pkg/calc.py",
        {"src/pkg/__init__.py": "from .calc import add\n"},
        module_test(Path("src/pkg/calc.py"), OracleKind.ASSERTS, "add"),
    ),
    "re-export": (
        "pkg/calc.py",
        {
            "pkg/__init__.py": "from .calc import add\n",
            "tests/test_it.py": "import pkg\ndef test_add(): assert pkg.add(1, 2) == 3\n",
        },
        function_test(Path("tests/test_it.py"), "test_add"),
    ),
    "unittest": (
        "calc.py",
        {
            "tests/test_it.py": "import unittest, calc\n"
            "class Sums(unittest.TestCase):\n"
            "    def test_add(self): self.assertEqual(calc.add(1, 2), 3)\n",
        },
        function_test(Path("tests/test_it.py"), "Sums.test_add"),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
async def test_layouts_and_configurations(project: Path, name: str) -> None:
    module, files, test = LAYOUTS[name]
    for file, source in files.items():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(source)
    (project / module).write_text("def add(a, b):\n    pass\n")
    tests = (replace(test, path=project / test.path),)
    for body, status in (("return a + b", Status.PASSED), ("return a - b", Status.FAILED)):
        text = f"def add(a, b):\n    {body}\n\n\nassert add(1, 2) == 3\n"
        if test.kind is OracleKind.FUNCTION:
            text = text.partition("\n\n\n")[0]
        result = await run(job_for(project, body, path=project / module, text=text, tests=tests))
        assert (result.status, result.n_tests, result.missed_lines) == (status, 1, ()), result


async def test_file_that_is_not_saved_is_inconclusive(project: Path) -> None:
    job = job_for(project, "return a + b", path=project / "new.py")
    assert (await run(job)).reason == "the file is not saved yet"


def test_home_is_never_mounted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_for(project, "return a + b")
    assert unsafe_mount(job) is None
    monkeypatch.setenv("HOME", str(project / "home"))
    assert "home folder" in str(unsafe_mount(job))


@pytest.mark.parametrize(
    ("bubblewrap", "reason"),
    [(None, "install the package bubblewrap"), (Path("/bin/false"), "does not work here")],
)
async def test_without_bubblewrap_another_tier_is_taken_or_none(
    project: Path, bubblewrap: Path | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "find_bubblewrap", lambda: bubblewrap)
    state = await KernelSandbox().state()
    assert (state.works, state.tier) == (True, Tier.B)
    assert reason in state.detail
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    without = KernelSandbox()
    result = await without.run(job_for(project, "return a + b"))
    assert result.status is Status.INCONCLUSIVE
    assert reason in result.reason
    assert "no Landlock" in result.reason
    assert (await without.state()).works is False
