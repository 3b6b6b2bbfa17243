"""The zygote with real pytest runs in tier A: every way of running says the same, and none stays."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.execution import Ending, How, Job, RunResult, Status
from egcfg_lsp.execution.interpreter import find_interpreter
from egcfg_lsp.execution.pool import Pool
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier
from egcfg_lsp.source.oracle import OracleKind, OracleTest
from tests.execution.targets import lines_of

ADD = "def add(a, b):\n    $\n"


@cache
def kernel_sandbox(tier: Tier | None = None) -> KernelSandbox:
    """Probed once; nothing of it belongs to an event loop."""
    return KernelSandbox(tier)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(kernel_sandbox())
    yield pool
    await pool.close()


def written(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in {"pyproject.toml": "", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def job_for(
    root: Path,
    body: str,
    tests: str,
    *,
    module: str = ADD,
    path: str = "calc.py",
    name: str = "add",
    seconds: float = 60,
) -> Job:
    """`module` with `body` at its `$`, and as tests `file::name`, `doctest name` or `asserts name`."""
    before, _, after = module.partition("$")
    indent = before[before.rfind("\n") + 1 :]
    lines = body.split("\n")
    text = before + f"\n{indent}".join(lines) + after
    row = before.count("\n") + 1
    found = []
    for test in tests.split():
        file, _, rest = test.rpartition("::")
        kind = OracleKind(file) if file in ("doctest", "asserts") else OracleKind.FUNCTION
        place = root / (path if kind is not OracleKind.FUNCTION else file)
        found.append(OracleTest(place, rest, kind, "", ""))
    return Job(
        root=root,
        interpreter=find_interpreter(root, None, {}),
        path=root / path,
        text=text,
        tests=tuple(found),
        first_line=row,
        last_line=row + len(lines) - 1,
        deadline_seconds=seconds,
        target=name,
        target_lines=lines_of(text, row),
    )


async def runs(pool: Pool, job: Job) -> list[RunResult]:
    """Swapped, fresh and cold."""
    return [
        await pool.run(job),
        await pool.run(replace(job, fresh=True)),
        await kernel_sandbox().run(job),
    ]


STYLES: dict[str, tuple[dict[str, str], str]] = {
    "functions": (
        {"test_it.py": "from calc import add\ndef test_a(): assert add(1, 2) == 3\n"},
        "test_it.py::test_a",
    ),
    "parametrised, with fixtures of every scope and a conftest": (
        {
            "conftest.py": "import pytest\n"
            "@pytest.fixture(scope='session')\ndef one(): return [1]\n"
            "@pytest.fixture(scope='module')\ndef two(one): yield one[0] + 1\n"
            "@pytest.fixture(autouse=True)\ndef always(one): one.append(1)\n",
            "test_it.py": "import pytest, calc\n"
            "@pytest.fixture\ndef three(): return 3\n"
            "@pytest.mark.parametrize('a', [1, 2, 3])\n"
            "def test_a(a, two, three): assert calc.add(a, two) == a + 2 and three == 3\n",
        },
        "test_it.py::test_a",
    ),
    "classes": (
        {
            "test_it.py": "from calc import add\nclass TestAdd:\n"
            "    one = 1\n"
            "    class TestInner:\n        def test_b(self): assert add(2, 2) == 4\n"
            "    def test_a(self): assert add(self.one, 2) == 3\n"
        },
        "test_it.py::TestAdd.test_a test_it.py::TestAdd.TestInner.test_b",
    ),
    "temporary files, patches and captured output": (
        {
            "test_it.py": "import os, calc\n"
            "def test_a(tmp_path, monkeypatch, capsys, tmp_path_factory):\n"
            "    monkeypatch.setenv('X', '1')\n    monkeypatch.chdir(tmp_path)\n"
            "    (tmp_path / 'x').write_text(str(calc.add(1, 2)))\n    print('said')\n"
            "    assert capsys.readouterr().out == 'said\\n'\n"
            "    assert open('x').read() == '3'\n    assert tmp_path_factory.mktemp('y').is_dir()\n"
        },
        "test_it.py::test_a",
    ),
    "unittest with subtests": (
        {
            "test_it.py": "import unittest\nfrom calc import add\n"
            "class Sums(unittest.TestCase):\n"
            "    def setUp(self): self.two = 2\n"
            "    def test_a(self):\n        for i in range(3):\n"
            "            with self.subTest(i=i): self.assertEqual(add(i, self.two), i + 2)\n"
        },
        "test_it.py::Sums.test_a",
    ),
    "asynchronous, by a plugin that addopts names": (
        {
            "pytest.ini": "[pytest]\naddopts = -p pytest_asyncio.plugin --asyncio-mode=auto --cov=x -n 4\n",
            "test_it.py": "from calc import add\nasync def test_a(): assert add(1, 2) == 3\n",
        },
        "test_it.py::test_a",
    ),
    "warnings as errors, with marks, and left changed by a test": (
        {
            "pytest.ini": "[pytest]\nfilterwarnings =\n    error\n    ignore::UserWarning\n",
            "test_it.py": "import warnings, pytest\nfrom calc import add\n"
            "def warn(kind): warnings.warn('old', kind, stacklevel=1)\n"
            "def test_a():\n    warn(UserWarning)\n"
            "    with pytest.raises(DeprecationWarning): warn(DeprecationWarning)\n"
            "    warnings.simplefilter('ignore')\n    warn(DeprecationWarning)\n"
            "    assert add(1, 2) == 3\n"
            "def test_b():\n"
            "    with pytest.raises(DeprecationWarning): warn(DeprecationWarning)\n"
            "    assert add(1, 2) == 3\n"
            "@pytest.mark.filterwarnings('ignore')\ndef test_c():\n"
            "    warn(DeprecationWarning)\n    assert add(1, 2) == 3\n",
        },
        "test_it.py::test_a test_it.py::test_b test_it.py::test_c",
    ),
    "a mark about warnings on the first test": (
        {
            "test_it.py": "import warnings, pytest\nfrom calc import add\n"
            "@pytest.mark.filterwarnings('error')\ndef test_a(capsys):\n"
            "    with pytest.raises(FutureWarning): warnings.warn('x', FutureWarning)\n"
            "    assert add(1, 2) == 3\n"
            "def test_b(capsys, recwarn):\n    warnings.warn('x', DeprecationWarning)\n"
            "    assert len(recwarn) == 1 and capsys.readouterr().err == ''\n"
            "    assert add(1, 2) == 3\n"
            "def test_c(capsys):\n    warnings.warn('x', DeprecationWarning)\n"
            "    assert capsys.readouterr().err == '' and add(1, 2) == 3\n",
        },
        "test_it.py::test_a test_it.py::test_b test_it.py::test_c",
    ),
    "a warning that nobody sees": (
        {
            "test_it.py": "import warnings, calc\n"
            "def test_a(capsys):\n    warnings.warn('x', DeprecationWarning)\n"
            "    assert capsys.readouterr().err == '' and calc.add(1, 2) == 3\n",
        },
        "test_it.py::test_a",
    ),
    "packages, one with a set-up of its own": (
        {
            "tests/__init__.py": "",
            "tests/quiet/__init__.py": "",
            "tests/quiet/test_it.py": "from calc import add\ndef test_a(): assert add(1, 2) == 3\n",
            "tests/loud/__init__.py": "made = []\ndef setup_module(): made.append(2)\n"
            "def teardown_module(): made.clear()\n",
            "tests/loud/test_it.py": "from calc import add\nfrom tests.loud import made\n"
            "def test_b(): assert made == [2] and add(1, made[0]) == 3\n",
        },
        "tests/quiet/test_it.py::test_a tests/loud/test_it.py::test_b",
    ),
    "imported late": (
        {"test_it.py": "def test_a():\n    from calc import add\n    assert add(1, 2) == 3\n"},
        "test_it.py::test_a",
    ),
    "in folders, imported by importlib": (
        {
            "pytest.ini": "[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n",
            "tests/test_it.py": "import calc\ndef test_a(): assert calc.add(1, 2) == 3\n",
            "tests/more/test_it.py": "import calc\ndef test_b(): assert calc.add(2, 2) == 4\n",
        },
        "tests/test_it.py::test_a tests/more/test_it.py::test_b",
    ),
}


@pytest.mark.parametrize("style", STYLES)
async def test_styles_of_tests(tmp_path: Path, pool: Pool, style: str) -> None:
    files, tests = STYLES[style]
    root = written(tmp_path, {"calc.py": ADD, **files})
    for body, status in (("return a + b", Status.PASSED), ("return a * b + 7", Status.FAILED)):
        swapped, fresh, cold = await runs(pool, job_for(root, body, tests))
        assert (swapped.how, fresh.how, cold.how) == (How.SWAPPED, How.FRESH, How.COLD), swapped
        assert swapped == fresh == cold, (swapped, cold)
        assert swapped.status is status, swapped
        assert {t.name for t in swapped.tests} == {t.name for t in cold.tests}
        assert swapped.ending.value == swapped.status.value


TARGETS: dict[str, tuple[str, str]] = {
    "method with super": (
        (
            "class A:\n    def add(self, a, b): return 0\n\n\nclass B(A):\n"
            "    def add(self, a, b):\n        $\n\n\ndef add(a, b):\n    return B().add(a, b)\n"
        ),
        "super().add(a, b)\nself.__x = a + b\nreturn self._B__x",
    ),
    "static, class method and property": (
        "class A:\n    n = 0\n    @staticmethod\n    def add(a, b):\n        $\n\nadd = A.add\n",
        "return a + b",
    ),
    "class method": (
        "class A:\n    @classmethod\n    def add(cls, a, b):\n        $\n\nadd = A.add\n",
        "assert cls is __class__\nreturn a + b",
    ),
    "property": (
        (
            "class A:\n    def __init__(self, a, b): self.a, self.b = a, b\n    @property\n"
            "    def total(self):\n        $\n\ndef add(a, b): return A(a, b).total\n"
        ),
        "return self.a + self.b",
    ),
    "cached": (
        "import functools\n@functools.lru_cache(maxsize=None)\ndef add(a, b):\n    $\n",
        "return a + b",
    ),
    "registered, under another name": (
        (
            "FOUND = {}\ndef keep(f):\n    FOUND[f.__name__] = f\n\n\n@keep\ndef total(a, b):\n    $\n\n\n"
            "def add(a, b):\n    return FOUND['total'](a, b)\n"
        ),
        "return a + b",
    ),
    "wrapped without a trace": (
        "def loud(f):\n    return lambda *args: f(*args)\n\n\n@loud\ndef add(a, b):\n    $\n",
        "return a + b",
    ),
    "generator": (
        (
            "import contextlib\n@contextlib.contextmanager\ndef both(a, b):\n    $\n\n\n"
            "def add(a, b):\n    with both(a, b) as c:\n        return c\n"
        ),
        "c = a\ntry:\n    yield c + b\nfinally:\n    c = 0",
    ),
    "coroutine": (
        (
            "import asyncio\nasync def total(a, b):\n    $\n\n\n"
            "def add(a, b):\n    return asyncio.run(total(a, b))\n"
        ),
        "await asyncio.sleep(0)\nreturn a + b",
    ),
    "nested": (
        "def add(a, b):\n    c = a\n\n    def inner(d):\n        $\n\n    return inner(b)\n",
        "nonlocal c\nc += d\nreturn c",
    ),
    "in a branch, with a docstring and defaults": (
        "if True:\n    def add(a, b=2, *, c=0):\n        '''Adds.'''\n        $\n",
        "return a + b + c",
    ),
    "on one line": ("def add(a, b): $\n", "return a + b"),
    "with future annotations": (
        "from __future__ import annotations\n\n\ndef add(a, b):\n    $\n",
        "def inner(x: Nothing) -> Nothing:\n    return x\nreturn inner(a) + b",
    ),
    "behind a form feed": ("X = 1\n\x0c\n\ndef add(a, b):\n    $\n", "return a + b"),
    "dataclass": (
        (
            "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass P:\n    a: int\n"
            "    b: int\n\n    def total(self):\n        $\n\n\ndef add(a, b):\n    return P(a, b).total()\n"
        ),
        "return self.a + self.b",
    ),
}
ONE_TEST = "from calc import add\ndef test_a(): assert add(1, 2) == 3\n"


@pytest.mark.parametrize("kind", TARGETS)
async def test_kinds_of_targets(tmp_path: Path, pool: Pool, kind: str) -> None:
    module, body = TARGETS[kind]
    root = written(tmp_path, {"calc.py": module.replace("$", "pass"), "test_it.py": ONE_TEST})
    for text, status in ((body, Status.PASSED), ("raise ValueError('no')", Status.FAILED)):
        job = job_for(root, text, "test_it.py::test_a", module=module)
        swapped, fresh, cold = await runs(pool, job)
        assert swapped == fresh == cold, (swapped, cold)
        assert (swapped.how, swapped.status, swapped.missed_lines) == (How.SWAPPED, status, ())


async def test_lines_below_the_target_are_those_of_the_text(tmp_path: Path, pool: Pool) -> None:
    module = ADD + "\n\ndef helper(a):\n    return 1 / a\n"
    root = written(tmp_path, {"calc.py": module.replace("$", "pass"), "test_it.py": ONE_TEST})
    body = "a = a\nb = b\n\nreturn helper(a - 1)"
    traces = []
    for result in await runs(pool, job_for(root, body, "test_it.py::test_a", module=module)):
        assert result.trace is not None
        traces.append({**result.trace})
    assert traces[0] == traces[1] == traces[2]


LOCAL = {
    "doctest": ("'''\n>>> add(1, 2)\n3\n'''\nreturn a + b", "doctest::add", ADD),
    "asserts": ("return a + b", "asserts::add", ADD + "\n\nassert add(1, 2) == 3\n"),
    "tests in the module": (
        "return a + b",
        "test_calc.py::test_a",
        ADD + "\n\ndef test_a():\n    assert add(1, 2) == 3\n",
    ),
}


@pytest.mark.parametrize("kind", LOCAL)
async def test_tests_in_the_module_itself(tmp_path: Path, pool: Pool, kind: str) -> None:
    body, tests, module = LOCAL[kind]
    path = "test_calc.py" if "test_calc" in tests else "calc.py"
    root = written(tmp_path, {path: module.replace("$", "pass")})
    for text, status in ((body, Status.PASSED), (body.replace("a + b", "a * b"), Status.FAILED)):
        job = job_for(root, text, tests, module=module, path=path)
        swapped, fresh, cold = await runs(pool, job)
        assert swapped == fresh == cold, (swapped, cold)
        assert (swapped.how, swapped.status) == (How.SWAPPED, status)
    failed = swapped.failure
    assert failed == "add(1, 2) → 2, want 3"


SLOW: dict[str, tuple[dict[str, str], str, How]] = {
    "threads at import": (
        {"test_it.py": "import threading, time\n" + ONE_TEST
         + "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"},
        "leaves 1 threads behind", How.FRESH,
    ),
    "an open file": (
        {"test_it.py": ONE_TEST + "HELD = open('pyproject.toml')\n"}, "leaves a file", How.FRESH,
    ),
    "standard output as a file": (
        {"test_it.py": ONE_TEST + "def test_b():\n    import sys\n    sys.stdout.fileno()\n    test_a()\n"},
        "to be a file", How.FRESH,
    ),
    "called at import": (
        {"test_it.py": ONE_TEST + "add(0, 0)\n"}, "NotImplementedError", How.FRESH,
    ),
    "compiled away": (
        {"test_it.py": "import calc\nadd = eval('lambda a, b: a + b')\ndel calc.add\n"
         "import gc; gc.collect()\ndef test_a(): assert add(1, 2) == 3\n"},
        "no live function", How.FRESH,
    ),
    "a fixed place for files": (
        {"test_it.py": ONE_TEST + "def test_b():\n    open('/tmp/x', 'w').close()\n    test_a()\n"},
        "[Errno 13]", How.COLD,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SLOW)
async def test_slower_ways_say_why(tmp_path: Path, pool: Pool, case: str) -> None:
    files, reason, how = SLOW[case]
    root = written(tmp_path, {"calc.py": ADD.replace("$", "pass"), **files})
    job = job_for(root, "return a + b", "test_it.py::test_a test_it.py::test_b")
    cold = await kernel_sandbox().run(job)
    for _ in range(2):
        result = await pool.run(job)
        assert (result.how, result) == (how, cold)
        assert reason in result.slow or "own" in result.slow


async def test_other_tiers_are_cold(tmp_path: Path) -> None:
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": ONE_TEST})
    pool = Pool(kernel_sandbox(Tier.B))
    result = await pool.run(job_for(root, "return a + b", "test_it.py::test_a"))
    assert (result.status, result.how) == (Status.PASSED, How.COLD)
    assert "tier B" in result.slow


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("return (", Ending.ERROR),
        ("while True: pass", Ending.TIMEOUT),
        ("import re\nre.match('(a*)*b', 'a' * 60)", Ending.TIMEOUT),
        ("import signal, time\nsignal.alarm(0)\nsignal.setitimer(0, 0)\ntime.sleep(60)", Ending.TIMEOUT),
        ("import os\nos._exit(0)", Ending.DIED),
        ("import ctypes\nctypes.string_at(0)", Ending.CRASHED),
        ("import socket\nsocket.socket()", Ending.BLOCKED),
        ("for i in range(10**9): a = i", Ending.FUEL),
        ("import os\nos.kill(os.getppid(), 9)\nreturn a + b", Ending.BLOCKED),
        ("import os\nfor p in (1, 2): os.kill(p, 9)\nreturn a + b", Ending.BLOCKED),
        ("import os\nos.closerange(3, 300)\nos._exit(0)", Ending.DIED),
        ("import sys\nsys.exit(0)", Ending.FAILED),
    ],
)  # fmt: skip
async def test_endings(tmp_path: Path, pool: Pool, body: str, ending: Ending) -> None:
    """And the next run is as if this one had not been."""
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": ONE_TEST})
    for fresh in (False, True):
        job = replace(job_for(root, body, "test_it.py::test_a", seconds=3), fresh=fresh)
        result = await pool.run(job)
        assert result.status is not Status.PASSED
        assert result.ending is ending, result
        if ending is Ending.TIMEOUT:
            assert result.reason == "no result within 3 s"
        after = replace(job_for(root, "return a + b", "test_it.py::test_a"), fresh=fresh)
        assert (await pool.run(after)).status is Status.PASSED


LEFT = {
    "a process": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)",
    "deep folders": "import os\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')",
    "a full folder": "import os\nopen(os.environ['TMPDIR'] + '/x', 'wb').write(b'x' * (60 << 20))",
    "locked folders": "import os\nos.mkdir('x'); os.chmod('x', 0); os.chmod('.', 0)",
    "a locked /tmp": "import os\nos.chmod('/tmp', 0)",
    "random numbers": "import random\nrandom.seed(1)",
    "patches": "import builtins, json\nbuiltins.len = json.dumps = print",
}


@pytest.mark.parametrize("what", LEFT)
async def test_what_a_run_leaves_behind_does_not_reach_the_next(
    tmp_path: Path, pool: Pool, what: str
) -> None:
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": ONE_TEST})
    body = "import os\nos.chdir(os.environ['TMPDIR'])\n" + LEFT[what] + "\nreturn a + b"
    for fresh in (False, True):
        await pool.run(replace(job_for(root, body, "test_it.py::test_a"), fresh=fresh))
        await asyncio.sleep(1)
        look = (
            "import os, tempfile, random\nassert not os.listdir(os.environ['TMPDIR'])\n"
            f"tempfile.TemporaryFile().close()\nassert random.random() == {random.Random(5).random()!r}\n"
            "n = 0\nfor p in filter(str.isdigit, os.listdir('/proc')):\n"
            "    try: n += open('/proc/%s/stat' % p).read().rpartition(')')[2].split()[1] == '1'\n"
            "    except OSError: pass\n"
            "assert n == 1, n\nreturn a + b"
        )
        job = replace(job_for(root, look, "test_it.py::test_a"), fresh=fresh, seed=5)
        result = await pool.run(job)
        assert result.status is Status.PASSED, result


async def test_siblings_cannot_be_reached(tmp_path: Path, pool: Pool) -> None:
    """Parked children wait beside the one that looks for them."""
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": ONE_TEST})
    body = (
        "import os\nreached = []\n"
        "for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
        "    if pid in (1, os.getpid()): continue\n"
        "    for act in (lambda: os.kill(pid, 0), lambda: open('/proc/%d/mem' % pid),\n"
        "                lambda: open('/proc/%d/environ' % pid).read(),\n"
        "                lambda: os.readlink('/proc/%d/fd/0' % pid), lambda: os.listdir('/tmp'),\n"
        "                lambda: open('/tmp/x', 'w')):\n"
        "        try: reached.append((pid, act()))\n"
        "        except OSError: pass\n"
        "assert not reached, reached\nreturn a + b"
    )
    await pool.run(job_for(root, "return 0", "test_it.py::test_a"))
    await asyncio.sleep(1)
    for fresh in (False, True):
        result = await pool.run(replace(job_for(root, body, "test_it.py::test_a"), fresh=fresh))
        assert (result.status, result.failure) == (Status.PASSED, "")


async def test_what_has_changed_on_disk_is_seen(tmp_path: Path, pool: Pool) -> None:
    module = "from helper import one\n" + ADD
    root = written(tmp_path, {"calc.py": module, "helper.py": "one = 1\n", "test_it.py": ONE_TEST})
    job = job_for(root, "return a + b * one", "test_it.py::test_a", module=module)
    assert (await pool.run(job)).status is Status.PASSED
    (root / "helper.py").write_text("one = 20\n")
    assert (await pool.run(job)).failure == "add(1, 2) → 41, want 3"
    (root / "test_it.py").write_text(ONE_TEST.replace("3", "41"))
    assert (await pool.run(job)).status is Status.PASSED
    (root / "conftest.py").write_text("import helper\nhelper.one = 0\n")
    await pool.refresh([root / "conftest.py"])
    assert (await pool.run(job)).failure == "add(1, 2) → 1, want 41"
    unsaved = replace(job, overlays={root / "conftest.py": "import helper\nhelper.one = 20\n"})
    for one in (unsaved, replace(unsaved, fresh=True)):
        assert (await pool.run(one)).status is Status.PASSED
    other = job_for(
        root, "return a + b * two", "test_it.py::test_a", module=module + "\ntwo = 20\n"
    )
    assert (await pool.run(other)).status is Status.PASSED


async def test_a_new_function_and_a_half_typed_one(tmp_path: Path, pool: Pool) -> None:
    root = written(tmp_path, {"calc.py": "", "test_it.py": ONE_TEST})
    job = job_for(root, "return a + b", "test_it.py::test_a")
    result = await pool.run(job)
    assert (result.status, result.how) == (Status.PASSED, How.SWAPPED)


async def test_seeds_and_stopping_early(tmp_path: Path, pool: Pool) -> None:
    tests = (
        "import random\nfrom calc import add\n"
        "def test_a(): assert add(1, 2) == 3\ndef test_b(): assert add(1, 2) == 3\n"
    )
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": tests})
    job = job_for(
        root, "import random\nreturn random.random()", "test_it.py::test_a test_it.py::test_b"
    )
    said = []
    for one in (job, replace(job, fresh=True), replace(job, seed=1), replace(job, stop_early=True)):
        result = await pool.run(one)
        said.append((result.failure, len(result.tests)))
    assert said[0] == said[1] == (said[3][0], 2)
    assert said[2][0] != said[0][0]
    assert said[3][1] == 1


async def test_cancelled_run_ends_and_close_leaves_nothing(tmp_path: Path) -> None:
    root = written(tmp_path, {"calc.py": ADD, "test_it.py": ONE_TEST})
    await kernel_sandbox().state()
    n_descriptors = psutil.Process().num_fds()
    pool = Pool(kernel_sandbox())
    await pool.run(job_for(root, "return a + b", "test_it.py::test_a"))
    n_resting = len(family())
    running = asyncio.create_task(
        pool.run(
            job_for(
                root,
                "while True:\n    try:\n        while True: a = 1\n    except BaseException: pass",
                "test_it.py::test_a",
            )
        )
    )
    await asyncio.sleep(0.5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert (await pool.run(job_for(root, "return a + b", "test_it.py::test_a"))).n_passed == 1
    assert n_resting > 2
    await pool.close()
    assert family() == []
    assert psutil.Process().num_fds() == n_descriptors


def family() -> list[psutil.Process]:
    """What lives below this process, its helpers of other tests not counted."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
    ]
