"""What a file imports, under which names a file is imported, and which files a name stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.source.imports import (
    Import,
    absolute,
    candidate_files,
    imports_in,
    module_names,
    submodule,
)
from egcfg_lsp.source.parse import parse

ROOT = Path("/project")


@pytest.mark.parametrize(
    ("text", "imports", "local"),
    [
        ("import a\n", [Import("a")], ["a"]),
        ("import a.b as c, d.e\n", [Import("a.b", None, "c"), Import("d.e")], ["c", "d"]),
        ("from . import x as y, z\n", [Import(".", "x", "y"), Import(".", "z")], ["y", "z"]),
        ("from ..m.n import (\n    f,\n    g as h,\n)\n",
         [Import("..m.n", "f"), Import("..m.n", "g", "h")], ["f", "h"]),
        ("from .m import *\n", [Import(".m", "*")], ["*"]),
        ("from __future__ import annotations\n", [Import("__future__", "annotations")],
         ["annotations"]),
        ("def f():\n    if x:\n        import a; import b\n", [Import("a"), Import("b")], ["a", "b"]),
        ("if TYPE_CHECKING:\n    from a import B\n", [Import("a", "B")], ["B"]),
        ("try:\n    import a\nexcept ImportError:\n    import b as a\n",
         [Import("a"), Import("b", None, "a")], ["a", "a"]),
        ("class C:\n    @d\n    async def m(self):\n        with x:\n            from a import b\n",
         [Import("a", "b")], ["b"]),
        ("match x:\n    case 1:\n        import a\n", [Import("a")], ["a"]),
        ("x = 'import a'\n# import b\n", [], []),
        ("from a import \n", [], []),
        ("from a import b\ndef f(:\n    import c\n", [Import("a", "b"), Import("c")], ["b", "c"]),
        ("", [], []),
    ],
)  # fmt: skip
def test_imports_of_a_file(text: str, imports: list[Import], local: list[str]) -> None:
    found = imports_in(parse(text))
    assert list(found) == imports
    assert [item.local for item in found] == local


@pytest.mark.parametrize(
    ("path", "pythonpath", "names"),
    [
        ("calc.py", (), ("calc",)),
        ("pkg/calc.py", (), ("pkg.calc",)),
        ("pkg/__init__.py", (), ("pkg",)),
        ("src/pkg/calc.py", (), ("pkg.calc", "src.pkg.calc")),
        ("src/pkg/__init__.py", (), ("pkg", "src.pkg")),
        ("src/__init__.py", (), ("src",)),
        ("packages/foo/src/foo/x.py", (), ("foo.x", "packages.foo.src.foo.x")),
        ("my-app/pkg/calc.py", (), ("pkg.calc",)),
        ("backend/app/models.py", ("backend",), ("app.models", "backend.app.models")),
        ("pkg/not-a-name.py", (), ()),
        ("pkg/class.py", (), ()),
        ("__init__.py", (), ()),
        ("notes.txt", (), ()),
        ("../other/x.py", (), ()),
    ],
)
def test_names_of_a_file(path: str, pythonpath: tuple[str, ...], names: tuple[str, ...]) -> None:
    where = Path("/other/x.py") if path.startswith("..") else ROOT / path
    assert module_names(where, ROOT, pythonpath) == names


@pytest.mark.parametrize(
    ("module", "importer", "name"),
    [
        ("a.b", "pkg/calc.py", "a.b"),
        (".b", "pkg/calc.py", "pkg.b"),
        (".", "pkg/calc.py", "pkg"),
        ("..b", "pkg/sub/calc.py", "pkg.b"),
        (".b", "pkg/__init__.py", "pkg.b"),
        ("..b", "pkg/sub/__init__.py", "pkg.b"),
        (".b", "src/pkg/calc.py", "pkg.b"),
        ("..b", "calc.py", None),
        (".", "calc.py", None),
        ("...b", "pkg/calc.py", None),
    ],
)
def test_absolute_name(module: str, importer: str, name: str | None) -> None:
    assert absolute(module, ROOT / importer, ROOT) == name


def test_name_of_a_submodule() -> None:
    assert submodule("a", "b") == "a.b"
    assert submodule(".", "b") == ".b"
    assert submodule("..a", "b") == "..a.b"


@pytest.mark.parametrize(
    ("module", "importer", "file"),
    [
        ("pkg.calc", None, "pkg/calc.py"),
        ("pkg.calc", None, "src/pkg/calc.py"),
        ("pkg", None, "pkg/__init__.py"),
        (".calc", "pkg/other.py", "pkg/calc.py"),
        (".", "pkg/other.py", "pkg/__init__.py"),
        ("..calc", "pkg/sub/other.py", "pkg/calc.py"),
        (".calc", "pkg/__init__.py", "pkg/calc.py"),
        ("helper", "tests/test_calc.py", "tests/helper.py"),
        ("foo.x", "packages/foo/tests/test_x.py", "packages/foo/src/foo/x.py"),
    ],
)
def test_files_of_a_module(module: str, importer: str | None, file: str) -> None:
    found = list(candidate_files(module, ROOT, None if importer is None else ROOT / importer))
    assert ROOT / file in found
    assert len(found) == len(set(found))


def test_files_of_a_module_stay_in_the_project() -> None:
    assert list(candidate_files("....x", ROOT, ROOT / "pkg" / "calc.py")) == []
    assert list(candidate_files(".x", ROOT)) == []
    assert all(file.is_relative_to(ROOT) for file in candidate_files("os.path", ROOT))


def test_a_package_goes_before_a_module_of_its_name() -> None:
    assert list(candidate_files("a", ROOT))[:2] == [ROOT / "a" / "__init__.py", ROOT / "a.py"]
    extra = list(candidate_files("app", ROOT, None, ("backend",)))
    assert extra[1] == ROOT / "backend" / "app.py"


@pytest.mark.parametrize("path", ["a/b.py", "src/a/b/__init__.py", "x/src/a.py", "lib/a/src/b.py"])
def test_names_lead_back_to_the_file(path: str) -> None:
    for name in module_names(ROOT / path, ROOT):
        assert ROOT / path in candidate_files(name, ROOT, ROOT / path)
