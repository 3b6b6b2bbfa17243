"""How lines are typed, and how functions are taken out of real packages."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.keys import auto_indent, typed_texts
from egcfg_lsp.bench.packages import (
    MAX_LINES,
    MIN_LINES,
    Package,
    copy_project,
    functions_of,
    installed,
    sample_functions,
)

OWN = Package("own", "1.0", Path("own"))


@pytest.mark.parametrize(
    ("above", "body", "texts"),
    [
        ("def f():", "    x", ["\n    ", "\n    x"]),
        ("    a = (", "    )", ["\n        ", "\n    ", "\n    )"]),
        ("x", "    y", ["\n", "\n    ", "\n    y"]),
        ("    return", "    y", ["\n", "\n    ", "\n    y"]),
        ("    x", "\n    y", ["\n    ", "\n\n    ", "\n\n    y"]),
        ("    x", "  y z", ["\n    ", "\n  ", "\n  y", "\n  y ", "\n  y z"]),
    ],
)
def test_typed_texts(above: str, body: str, texts: list[str]) -> None:
    assert list(typed_texts(above, body)) == texts


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("", 0), ("    x = 1", 4), ("    if x:  # why", 8), ("    f(", 8), ("    return x", 0),
        ("    returned = x", 4), ("pass", 0), ("    ", 4),
    ],
)  # fmt: skip
def test_auto_indent(line: str, columns: int) -> None:
    assert auto_indent(line) == columns


SOURCE = '''\
import a


def short():
    return 1


class C:
    @property
    def documented(self):
        """What it is."""
        one = 1
        # two

        three = 3
        return one

    def above(self): return 1

    def plain(
        self,
    ):
        @a.b
        def inner():
            return 1
        return inner
'''


def test_functions_taken_apart() -> None:
    documented, plain = functions_of(SOURCE, OWN, "own/c.py")
    assert (documented.name, documented.first_line) == ("documented", 12)
    assert documented.above.endswith('"""What it is."""')
    assert documented.body.startswith("        one = 1\n        # two\n\n")
    assert documented.below.startswith("\n\n    def above(self)")
    assert plain.above.endswith("    ):")
    assert plain.body.startswith("        @a.b\n")
    for function in (documented, plain):
        assert f"{function.above}\n{function.body}{function.below}" == SOURCE


@pytest.mark.parametrize("name", ["httpx", "cattrs", "typer"])
def test_real_functions_are_typed_as_they_are(name: str) -> None:
    package = installed(name)
    functions = sample_functions(package, 40, seed=0)
    assert len({function.task_id for function in functions}) == 40
    for function in functions:
        texts = list(typed_texts(function.above, function.body))
        whole = function.above + texts[-1] + function.below
        assert whole == (package.folder.parent / function.path).read_text(encoding="utf-8")
        assert MIN_LINES <= function.body.count("\n") + 1 <= MAX_LINES
        for text, later in pairwise(texts):
            if later.startswith(text) and "\n" not in later[len(text) :]:
                assert len(later) == len(text) + 1 or later[len(text) :].isspace()


def test_sample_of_functions() -> None:
    package = installed("typer")
    assert sample_functions(package, 9, seed=1)[:4] == sample_functions(package, 4, seed=1)
    assert sample_functions(package, 4, seed=1) != sample_functions(package, 4, seed=2)


def test_copy_is_a_project_of_python_files(tmp_path: Path) -> None:
    folder = tmp_path / "typer"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.py").write_text("x = 1\n")
    (folder / "py.typed").touch()
    root = copy_project(Package("typer", "0", folder), tmp_path / "project")
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {"pyproject.toml", "typer/inner/a.py"}


@pytest.mark.parametrize("name", ["no-such-package-here", "", "egcfg-lsp"])
def test_packages_that_cannot_be_typed(name: str) -> None:
    with pytest.raises(BenchError, match=r"installed|folder"):
        installed(name)
