"""What a collection, a zygote or an exchanged function rests on, and that none is used beyond it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from egcfg_lsp.execution import How, Status
from egcfg_lsp.execution.forks import stamps_of
from egcfg_lsp.execution.pool import Pool
from tests.execution.test_pool import ADD, ONE_TEST, job_for, kernel_sandbox, pool, runs, written

__all__ = ["pool"]

KEPT: dict[str, tuple[str, str, str]] = {
    "the wrapper of a decorator applied in the module": (
        ("def twice(fn):\n    def wrapper(*args):\n        $\n    return wrapper\n\n\n"
        "@twice\ndef one():\n    return 1\n"),
        "return 2 * fn(*args)",
        "from calc import one\ndef test_a(): assert one() == 2\n",
    ),
    "the wrapper of a decorator applied in the tests": (
        "def twice(fn):\n    def wrapper(*args):\n        $\n    return wrapper\n",
        "return 2 * fn(*args)",
        "from calc import twice\n@twice\ndef three(): return 3\ndef test_a(): assert three() == 6\n",
    ),
    "a generator": (
        "def counter():\n    $\n\n\nids = counter()\n",
        "n = 0\nwhile True:\n    n += 1\n    yield n",
        "from calc import ids\ndef test_a(): assert [next(ids), next(ids)] == [1, 2]\n",
    ),
    "a method of a class that a function has made": (
        ("def make(kind):\n    class Made:\n        def name(self):\n            $\n    return Made\n\n\n"
        "Cat = make('cat')\n"),
        "return kind",
        "from calc import Cat\ndef test_a(): assert Cat().name() == 'cat'\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KEPT)
async def test_what_importing_has_made_of_the_function(
    tmp_path: Path, pool: Pool, kind: str
) -> None:
    module, body, tests = KEPT[kind]
    written(tmp_path, {"calc.py": module.replace("$", "pass"), "test_it.py": tests})
    swapped, fresh, cold = await runs(
        pool, job_for(tmp_path, body, "test_it.py::test_a", module=module)
    )
    assert swapped == fresh == cold
    assert (swapped.status, swapped.how) == (Status.PASSED, How.FRESH), swapped


async def test_packages_that_have_changed(tmp_path: Path, pool: Pool) -> None:
    written(tmp_path, {"calc.py": ADD, "test_it.py": ONE_TEST, "site-packages/x.py": ""})
    job = job_for(tmp_path, "return a + b", "test_it.py::test_a")
    await pool.run(replace(job, fresh=True))
    (project,) = pool._projects.values()
    zygote = project._zygote
    assert zygote is not None
    assert next(iter(zygote.packages)).name.endswith("-packages")
    zygote.packages = stamps_of([tmp_path / "site-packages"])
    await pool.run(job)
    assert project._zygote is zygote
    (tmp_path / "site-packages/y.py").touch()
    assert (await pool.run(job)).how is How.SWAPPED
    assert project._zygote is not zygote


async def test_the_hash_seed_is_the_jobs(tmp_path: Path, pool: Pool) -> None:
    body = "import os\nreturn int(os.environ['PYTHONHASHSEED']) + a - 1"
    tests = "from calc import add\ndef test_a(): assert add(1, 2) == hash('x') == 0\n"
    for name in "ab":
        written(tmp_path / name, {"calc.py": ADD, "test_it.py": tests})
    job = job_for(tmp_path / "a", body, "test_it.py::test_a")
    said = {}
    for seed in (0, 1):
        seeded = replace(job, fresh=True, seed=seed)
        fresh, cold = await pool.run(seeded), await kernel_sandbox().run(seeded)
        assert (fresh.how, fresh) == (How.FRESH, cold)
        said[seed] = fresh.failure
    assert said[0] != said[1]
    swapped = await pool.run(replace(job, seed=1))
    assert (swapped.how, swapped.failure) == (How.SWAPPED, said[0])
    # Where it has been asked for once, another project has it ahead.
    await pool.run(job_for(tmp_path / "b", body, "test_it.py::test_a"))
    project = [*pool._projects.values()][-1]
    assert (project.hash_seed, project.root) == (1, tmp_path / "b")
    assert project._starting is not None
    await asyncio.wait([project._starting])
    assert project._zygote is not None


async def test_collecting_may_take_longer_than_a_run(tmp_path: Path, pool: Pool) -> None:
    tests = "import time\ntime.sleep(2.5)\n" + ONE_TEST
    written(tmp_path, {"calc.py": ADD, "test_it.py": tests})
    result = await pool.run(job_for(tmp_path, "return a + b", "test_it.py::test_a", seconds=1))
    assert (result.status, result.how) == (Status.PASSED, How.SWAPPED)


async def test_a_module_that_comes_later(tmp_path: Path, pool: Pool) -> None:
    tests = "from helper import one\n" + ONE_TEST
    written(tmp_path, {"calc.py": ADD, "test_it.py": tests})
    job = job_for(tmp_path, "return a + b", "test_it.py::test_a")
    assert "No module named 'helper'" in (await pool.run(job)).reason
    (tmp_path / "helper.py").write_text("one = 1\n")
    await pool.refresh([tmp_path / "helper.py"])
    result = await pool.run(job)
    assert (result.status, result.how) == (Status.PASSED, How.SWAPPED)


async def test_data_that_importing_has_read(tmp_path: Path, pool: Pool) -> None:
    tests = (
        "import json, pathlib, pytest\nfrom calc import add\n"
        "CASES = json.loads((pathlib.Path(__file__).parent / 'cases.json').read_text())\n"
        "try: CASES += json.load(open('more.json'))\nexcept OSError: pass\n"
        "@pytest.mark.parametrize(('a', 'b', 'c'), CASES)\n"
        "def test_a(a, b, c): assert add(a, b) == c\n"
    )
    files = {"calc.py": ADD, "test_it.py": tests, "cases.json": "[[1, 2, 3]]"}
    written(tmp_path, files)
    job = job_for(tmp_path, "return a + b", "test_it.py::test_a")
    assert (await pool.run(job)).status is Status.PASSED
    (tmp_path / "more.json").write_text("[[1, 2, 3], [2, 2, 4]]")
    assert (await pool.run(job)).n_passed == 3
    (tmp_path / "cases.json").write_text("[[1, 2, 33]]")
    result = await pool.run(job)
    assert (result.failure, result.how) == ("add(1, 2) → 3, want 33", How.SWAPPED)


async def test_the_last_of_many_modules(tmp_path: Path, pool: Pool) -> None:
    names = [f"m{i}" for i in range(520)]
    files = {f"pkg/{name}.py": "" for name in names}
    files["pkg/__init__.py"] = f"from . import {', '.join(names)}\n"
    tests = "import pkg\nfrom zeta import ONE\nfrom calc import add\n"
    tests += "def test_a(): assert add(ONE, 2) == 3\n"
    written(tmp_path, {**files, "zeta.py": "ONE = 1\n", "calc.py": ADD, "test_it.py": tests})
    job = job_for(tmp_path, "return a + b", "test_it.py::test_a")
    assert (await pool.run(job)).status is Status.PASSED
    (tmp_path / "zeta.py").write_text("ONE = 100\n")
    result = await pool.run(job)
    assert (result.status, result.how) == (Status.FAILED, How.SWAPPED)
