"""Which files of a project may be read, and what is known of them while they change."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from egcfg_lsp.completion import exclusion, texts
from egcfg_lsp.completion import project as project_module
from egcfg_lsp.completion.ignored import MAX_PATTERNS, SECRETS, spec_of
from egcfg_lsp.completion.ignored import bounded as bounded_pattern
from egcfg_lsp.completion.project import Project, project_root
from egcfg_lsp.completion.texts import MAX_FILE_BYTES, read_text_file
from egcfg_lsp.source.oracle import find_oracle_tests
from egcfg_lsp.source.target import find_target
from tests.support.cursor import at_cursor


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def files_of(project: Project) -> list[str]:
    project.refresh()
    return sorted(path.relative_to(project.root).as_posix() for path in project.files())


def settle(root: Path) -> None:
    """Set everything back in time, as if nothing had happened for a while."""
    for path in [root, *root.rglob("*")]:
        os.utime(path, (1_000_000, 1_000_000))


# ---- which files

READ: dict[str, tuple[dict[str, str], tuple[str, ...], list[str]]] = {
    "Python files only": ({"a.py": "", "b.txt": "", "c.pyi": "", "d/e.py": ""}, (), ["a.py", "d/e.py"]),
    "folders that hold no sources": (
        {f"{name}/a.py": "" for name in (".venv", "venv", "node_modules", "__pycache__", ".git", "build",
         "dist", "x/site-packages", "x/.tox")}, (), [],
    ),
    "environments of any name": ({"env/pyvenv.cfg": "", "env/lib/a.py": "", "b.py": ""}, (), ["b.py"]),
    "ignored by Git": (
        {".gitignore": "# generated\n*_pb2.py\n/out/\n", "a_pb2.py": "", "x/b_pb2.py": "", "out/a.py": "",
         "x/out/a.py": "", "a.py": ""}, (), ["a.py", "x/out/a.py"],
    ),
    "a nested .gitignore decides over those above": (
        {".gitignore": "*_gen.py\n", "x/.gitignore": "!keep_gen.py\n/local.py\n", "keep_gen.py": "",
         "x/keep_gen.py": "", "x/y/keep_gen.py": "", "x/a_gen.py": "", "x/local.py": "", "local.py": ""},
        (), ["local.py", "x/keep_gen.py", "x/y/keep_gen.py"],
    ),
    "nothing comes back from an ignored folder": (
        {".gitignore": "x/\n", "x/.gitignore": "!*\n", "x/a.py": ""}, (), [],
    ),
    "ignored for this copy only": (
        {".git/info/exclude": "mine.py\n", "mine.py": "", "a.py": ""}, (), ["a.py"],
    ),
    "excluded by the user": (
        {"a.py": "", "private/b.py": "", "x/private/c.py": "", "data_1.py": ""},
        ("private/", "data_*.py"), ["a.py"],
    ),
    "excluded by the user, whatever Git says": (
        {".gitignore": "!a.py\n", "a.py": "", "b.py": ""}, ("a.py",), ["b.py"],
    ),
    "ignored in a worktree": (
        {".git": "gitdir: sub/.git/worktrees/w\n", "sub/.git/worktrees/w/commondir": "../..\n",
         "sub/.git/info/exclude": "mine.py\n", "mine.py": "", "a.py": ""}, (), ["a.py"],
    ),
    "ignored in a submodule": (
        {".git": "gitdir: sub/.git/modules/m", "sub/.git/modules/m/info/exclude": "mine.py\n",
         "mine.py": "", "a.py": ""}, (), ["a.py"],
    ),
    "a .git that leads nowhere": ({".git": "gitdir: /nowhere\0", "a.py": ""}, (), ["a.py"]),
    "too many patterns": (
        {"x/.gitignore": "z\n" * MAX_PATTERNS + "!*\n", "x/a.py": "", "a.py": ""}, (), ["a.py"],
    ),
    "comments are no patterns": (
        {".gitignore": "# z\n\n" * MAX_PATTERNS + "b.py\n", "a.py": "", "b.py": ""}, (), ["a.py"],
    ),
    "too large a .gitignore": (
        {"x/.gitignore": "#" * (MAX_FILE_BYTES + 1), "x/a.py": "", "a.py": ""}, (), ["a.py"],
    ),
    "patterns end with their lines": ({".gitignore": "x\x0cb.py\n", "b.py": ""}, (), ["b.py"]),
    "patterns that are none": ({".gitignore": "!\n\\\n", "a.py": "", "b.py": ""}, ("!", "b.py"), ["a.py"]),
    "secrets by name": (
        {".env.py": "", "secrets.py": "", "x/credentials_prod.py": "", "Secrets.py": "", "id_rsa.py": "",
         ".ssh/a.py": "", "secrets/a.py": "", "prod.env.py": "", "credentials_test.py": "", "secret.py": "",
         "secret_santa.py": "", "env.py": "", "environment.py": "", "envs/a.py": "", "kube.py": "",
         "my_env.py": "", "test_secrets.py": ""}, (),
        ["env.py", "environment.py", "envs/a.py", "kube.py", "my_env.py", "secret_santa.py",
         "test_secrets.py"],
    ),
    "too large": ({"a.py": "#" * (MAX_FILE_BYTES + 1), "b.py": "#" * MAX_FILE_BYTES}, (), ["b.py"]),
    "no files": ({}, (), []),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_files_that_may_be_read(tmp_path: Path, name: str) -> None:
    files, exclude, expected = READ[name]
    write(tmp_path, files)
    project = Project(tmp_path, exclude)
    assert files_of(project) == expected
    for file in files:
        is_readable = project.read(tmp_path / file) is not None
        if file.endswith(".py") and "too large" not in name:
            assert project.is_excluded(tmp_path / file) == (file not in expected), file
        if file.endswith(".py"):
            assert is_readable == (file in expected), file
        # the same without a scan
        assert Project(tmp_path, exclude).is_excluded(tmp_path / file) == project.is_excluded(
            tmp_path / file
        ), file


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", ".env.py", "config/.envrc", "server.pem", "a.KEY", "id_rsa", "id_rsa.pub",
     "id_ed25519", "x.p12", ".netrc", "credentials", "credentials.json", "secrets.toml", "secrets.py",
     "a/secrets/x.py", ".aws/config.py", "prod.env", "prod.env.local", "PROD.ENV", ".envrc", ".flaskenv",
     "main.tfvars", "terraform.tfstate.backup", "kubeconfig", "kubeconfig.yaml", ".kube/config", "a.ovpn",
     "a.gpg", "a.asc", "secret.json", ".git-credentials", "client_secret_1.json", "k8s/service-account.json"],
)  # fmt: skip
def test_secrets_are_private(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "s3cret", ".gitignore": f"!{name}\n"})
    project = Project(tmp_path)
    assert project.is_private(tmp_path / name)
    assert project.is_excluded(tmp_path / name)
    assert project.read(tmp_path / name) is None


def test_ignored_files_are_not_private(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "a.py\n", "a.py": "", "b.py": ""})
    project = Project(tmp_path, ["b.py"])
    assert (project.is_excluded(tmp_path / "a.py"), project.is_private(tmp_path / "a.py")) == (
        True,
        False,
    )
    assert project.is_private(tmp_path / "b.py")


def test_links_do_not_lead_out_nor_hide_a_secret(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(outside, {"a.py": ""})
    write(root, {"x/b.py": "", ".env": "", "ok.py": ""})
    (root / "out").symlink_to(outside)
    (root / "a.py").symlink_to(outside / "a.py")
    (root / "x" / "circle").symlink_to(root)
    (root / "env.py").symlink_to(root / ".env")
    (root / "broken.py").symlink_to(root / "nothing.py")
    (root / "same.py").symlink_to(root / "ok.py")
    project = Project(root)
    assert files_of(project) == ["ok.py", "x/b.py"]
    for name in ("out/a.py", "a.py", "env.py"):
        assert project.is_private(root / name)
        assert project.read(root / name) is None
    assert project.read(root / "same.py") == ""
    assert project.is_excluded(outside / "a.py")
    assert project.is_excluded(root / ".." / "outside" / "a.py")


def test_root_may_be_reached_by_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", {"a.py": "x = 1\n", ".gitignore": "b.py\n", "b.py": ""})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    project = Project(tmp_path / "link")
    assert files_of(project) == ["a.py"]
    assert project.read(tmp_path / "link" / "a.py") == "x = 1\n"
    assert project.is_excluded(tmp_path / "link" / "b.py")


def test_rules_of_the_repository_around_the_root(tmp_path: Path) -> None:
    write(tmp_path, {".git/info/exclude": "c.py\n", ".gitignore": "b.py\n", "pkg/app/a.py": "",
                     "pkg/app/b.py": "", "pkg/app/c.py": "", "pkg/.gitignore": "/app/d.py\n",
                     "pkg/app/d.py": ""})  # fmt: skip
    project = Project(tmp_path / "pkg" / "app")
    assert files_of(project) == ["a.py"]
    write(tmp_path, {".gitignore": "pkg/\n"})
    assert files_of(project) == ["a.py", "b.py", "c.py", "d.py"], "else nothing would be left"


def test_patterns_in_any_encoding(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", "b.py": ""})
    (tmp_path / ".gitignore").write_bytes(b"# caf\xe9\nb.py\ncaf\xe9.py\n")
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("")
    assert files_of(Project(tmp_path)) == ["a.py"]


# ---- patterns that strangers wrote

EASY = (
    "a",
    "*.py",
    "a*b*c*",
    "/a/**/b",
    "**/a/**/*.py",
    "a/**",
    "!*.py",
    "[*][*][*]*",
    "*a?[!x]b",
    "\\*a",
)
HOSTILE = {
    "*a*a*a*a*a*a*b": "*a*a*",
    "?*?*?*?*?*?*b": "?*?*?*",
    "[!x]*" * 9 + "b": "[!x]*" * 3,
    "**/a/**/a/**/a/**/a/**/b": "**/a/**/a/**/a/**",
    "*" * 40 + "b": "*b",
    "a**b***c": "a*b*c",
    "x/*a*/*a*/*a*/b": "x/*a*/*",
    "[*]\\**a*a*b": "[*]\\**a*a*",
    "a*b*c*/": "a*b*c*/",
    "a*b*c*d/": "a*b*c*",
    "!a*b*c*d": None,
    "!a**b": "!a*b",
    "a" * 1_001: "*",
    "!" + "a" * 1_001: None,
}


@pytest.mark.parametrize(("line", "bounded"), [*HOSTILE.items(), *zip(EASY, EASY, strict=True)])
def test_bounded_patterns(line: str, bounded: str | None) -> None:
    assert bounded_pattern(line) == bounded


@pytest.mark.parametrize("line", HOSTILE)
def test_hostile_patterns_do_not_stop_the_server(tmp_path: Path, line: str) -> None:
    """Matched as they stand, some of them would take years."""
    write(tmp_path, {".gitignore": f"*\n{line}\n", "a.py": ""})
    names = ("a" * 80 + ".py", "/".join("a" * 60), "x/" * 40 + "a.py", "/".join(["a" * 80] * 10))
    for project in (Project(tmp_path), Project(tmp_path, (line, "*"))):
        assert all(project.is_excluded(tmp_path / name) for name in names)


@given(
    st.lists(st.sampled_from("aab/*?!"), max_size=9).map("".join),
    st.lists(st.sampled_from("aab/"), max_size=7).map("".join).filter(lambda path: path.strip("/")),
)
def test_bounded_patterns_match_no_less(line: str, path: str) -> None:
    bounded = bounded_pattern(line)
    if not line.startswith("!"):
        assert bounded is not None
        with suppress(ValueError):
            if GitIgnoreSpec.from_lines([line]).match_file(path):
                assert GitIgnoreSpec.from_lines([bounded]).match_file(path)


PATTERN = st.sampled_from(
    ["*.py", "a.py", "/a.py", "b/", "/b/", "b/*", "!a.py", "!b/", "**/c.py", "b/**", "!*.py", "a*", " ",
     "#x", "b/a.py", "*/a.py", "!/b/a.py", "[ab].py", "\\!x.py", "**b/", "**.py", "!***a.py"]
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(above=st.lists(PATTERN, max_size=4), below=st.lists(PATTERN, max_size=3))
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_git_agrees(tmp_path: Path, above: list[str], below: list[str]) -> None:
    if not (tmp_path / ".git").exists():
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        write(
            tmp_path,
            {f"{folder}{name}.py": "" for folder in ("", "b/", "b/b/", "x/") for name in "abc"},
        )
    write(tmp_path, {".gitignore": "\n".join(above), "b/.gitignore": "\n".join(below)})
    command = ["git", "-C", str(tmp_path), "ls-files", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert files_of(Project(tmp_path)) == sorted(listed.split())


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"d{i}/{name}.py": "" for i in range(4) for name in "ab"} | {"top.py": ""})
    monkeypatch.setattr(project_module, "MAX_FILES", 3)
    assert files_of(Project(tmp_path)) == ["d0/a.py", "d0/b.py", "top.py"]
    monkeypatch.setattr(project_module, "MAX_FILES", 100)
    monkeypatch.setattr(project_module, "MAX_FOLDERS", 2)
    assert files_of(Project(tmp_path)) == ["d0/a.py", "d0/b.py", "top.py"]


# ---- while the project changes


def test_changes_are_found(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", "x/b.py": ""})
    project = Project(tmp_path)
    assert files_of(project) == ["a.py", "x/b.py"]
    write(tmp_path, {"x/c.py": "", "y/z/d.py": ""})
    assert files_of(project) == ["a.py", "x/b.py", "x/c.py", "y/z/d.py"]
    (tmp_path / "x" / "b.py").unlink()
    shutil.rmtree(tmp_path / "y")
    assert files_of(project) == ["a.py", "x/c.py"]
    write(tmp_path, {".gitignore": "c.py\n"})
    assert files_of(project) == ["a.py"]
    write(tmp_path, {".gitignore": "a.py\n"})
    assert files_of(project) == ["x/c.py"]


def test_only_what_changed_is_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.py": "", "x/b.py": "", "x/y/c.py": "", ".gitignore": "z\n"})
    settle(tmp_path)
    project = Project(tmp_path)
    listed: list[str] = []
    entries = project_module._entries

    def note(path: str) -> Iterator[os.DirEntry[str]]:
        listed.append(path)
        return entries(path)

    monkeypatch.setattr(project_module, "_entries", note)
    project.refresh()
    assert len(listed) == 3
    project.refresh()
    assert len(listed) == 3
    write(tmp_path, {"x/y/d.py": ""})
    assert "x/y/d.py" in files_of(project)
    assert listed[3:] == [str(tmp_path / "x" / "y")]


def test_unreadable_and_vanishing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.py": "x", "locked/b.py": "", "latin.py": "", "test_c.py": ""})
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    (tmp_path / "nul\udcff.py").write_text("")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    project = Project(tmp_path)
    project.refresh()
    assert {path.name for path in project.files()} == {
        "a.py",
        "latin.py",
        "test_c.py",
        "nul\udcff.py",
    }
    assert project.read(tmp_path / "latin.py") is None
    assert project.facts(tmp_path / "latin.py") is None
    monkeypatch.setattr(os, "scandir", scandir)
    shutil.rmtree(tmp_path)
    project.version()
    assert project.read(tmp_path / "a.py") is None
    assert project.facts(tmp_path / "test_c.py") is None
    assert files_of(project) == []


def test_texts_and_facts_follow_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    write(tmp_path, {"a.py": "\ufeffimport x\n"})
    project = Project(tmp_path)
    assert project.facts(path) is None, "not scanned yet"
    project.refresh()
    assert project.read(path) == "import x\n"
    first = project.facts(path)
    assert first is not None
    assert project.facts(path) is first
    write(tmp_path, {"a.py": "import why\n"})
    second = project.facts(path)
    assert second is not None
    assert second.imports[0].module == "why"
    assert project.read(path) == "import why\n"
    monkeypatch.setattr(texts, "MAX_KEPT_CHARACTERS", 12)
    write(tmp_path, {"b.py": "b = 1\n"})
    assert project.read(tmp_path / "b.py") == "b = 1\n"
    assert list(project._texts._kept) == [tmp_path / "b.py"]


def test_version_follows_files_and_configuration(tmp_path: Path) -> None:
    write(tmp_path, {"calc.py": "", "tests/test_calc.py": ""})
    project = Project(tmp_path)

    def version() -> int:
        project.refresh()
        return project.version()

    seen = [version()]
    assert version() == seen[0]
    for change in (
        {"tests/test_calc.py": "x = 1\n"},
        {"calc.py": "y = 2\n"},
        {"helpers.py": ""},
        {"tests/test_more.py": ""},
        {"tests/conftest.py": ""},
        {"tests/conftest.py": "x = 1\n"},
        {"pyproject.toml": "[tool.pytest.ini_options]\npython_files = ['*.py']\n"},
    ):
        write(tmp_path, change)
        seen.append(version())
    (tmp_path / "tests" / "test_more.py").unlink()
    seen.append(version())
    assert len(set(seen)) == len(seen)
    write(tmp_path, {"notes.txt": "", ".gitignore": "out.py\n", "out.py": "", ".env.py": ""})
    assert version() == seen[-1], "nothing that may be read"
    (tmp_path / "calc.py").write_text("y = 345\n")
    assert project.version() != seen[-1], "seen without a scan, too"
    beside = project.version(tmp_path / "calc.py")
    (tmp_path / "calc.py").write_text("y = 3456\n")
    assert project.version(tmp_path / "calc.py") == beside


def test_test_files_are_those_of_pytest(tmp_path: Path) -> None:
    write(
        tmp_path, {"tests/test_a.py": "", "check_b.py": "", "conftest.py": "", "old/test_c.py": ""}
    )
    project = Project(tmp_path)
    project.refresh()
    assert {path.name for path in project.test_files()} == {"test_a.py", "test_c.py"}
    write(tmp_path, {"pytest.ini": "[pytest]\npython_files = check_*.py\n"})
    project.refresh()
    assert [path.name for path in project.test_files()] == ["check_b.py"]


def test_rules_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what no scan finds: notebooks, files above the bounds."""
    write(tmp_path, {".git/info/exclude": "x\n", ".gitignore": "b/*.ipynb\n", "b/.gitignore": "c\n",
                     "app/pyproject.toml": ""})  # fmt: skip
    settle(tmp_path)
    made: list[GitIgnoreSpec] = []
    spec = spec_of

    def note(lines: Iterable[str]) -> GitIgnoreSpec:
        made.append(spec(lines))
        return made[-1]

    monkeypatch.setattr(exclusion, "spec_of", note)
    project = Project(tmp_path)
    assert len(made) == 1, "the user's"
    for _ in range(3):
        assert project.is_excluded(tmp_path / "b" / "n.ipynb")
        assert not project.is_excluded(tmp_path / "n.ipynb")
        project.refresh()
    assert len(made) == 4
    monkeypatch.setattr(exclusion, "CLOCK_GRAIN_NS", 60_000_000_000)
    write(tmp_path, {"b/.gitignore": "!*.ipynb\n"})
    written = (tmp_path / "b" / ".gitignore").stat().st_mtime_ns
    assert not project.is_excluded(tmp_path / "b" / "n.ipynb")
    write(tmp_path, {"b/.gitignore": "?*.ipynb\n"})
    os.utime(tmp_path / "b" / ".gitignore", ns=(written, written))
    assert project.is_excluded(tmp_path / "b" / "n.ipynb"), "as large, and written at once"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfa\r\n", "a\n"),
        (b"", ""),
        (b"\xe9", None),
        (b"a" * MAX_FILE_BYTES, "a" * MAX_FILE_BYTES),
        (b"a" * (MAX_FILE_BYTES + 1), None),
    ],
    ids=["text", "empty", "latin-1", "large", "too large"],
)
def test_read_text_file(tmp_path: Path, data: bytes, text: str | None) -> None:
    (tmp_path / "f").write_bytes(data)
    assert read_text_file(tmp_path / "f") == text


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    paths = [tmp_path, tmp_path / "absent", tmp_path / "nul\0", tmp_path / ("long" * 99)]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "zero").symlink_to("/dev/zero")
        paths += [tmp_path / "fifo", tmp_path / "zero", Path("/dev/zero")]
    assert [read_text_file(path) for path in paths] == [None] * len(paths)


def test_many_threads_read_while_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"m{i}.py": "x = 1\n" * (i % 9) for i in range(100)})
    monkeypatch.setattr(texts, "MAX_KEPT_CHARACTERS", 500)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        project = Project(tmp_path)
        project.refresh()

        def read() -> None:
            for _ in range(8):
                with project._keeping:
                    project._facts.clear()  # so that they are found and kept again
                for path in project.files():
                    project.facts(path)
                    project.read(path)

        def change() -> None:
            for i in range(60):
                write(tmp_path, {f"new{i}.py": ""})
                project.refresh()

        with ThreadPoolExecutor() as threads:
            for done in [threads.submit(work) for work in (read, read, read, change)]:
                done.result()
    finally:
        sys.setswitchinterval(interval)
    kept = project._texts
    assert kept._n_characters == sum(len(text or "") for _, text in kept._kept.values())


async def test_scan_in_a_thread_while_others_read(tmp_path: Path) -> None:
    write(tmp_path, {f"p{i}/m{j}.py": "" for i in range(20) for j in range(10)})
    project = Project(tmp_path)
    scans = [asyncio.to_thread(project.refresh) for _ in range(4)]
    reads = [asyncio.to_thread(project.read, tmp_path / "p0" / f"m{j}.py") for j in range(10)]
    await asyncio.gather(*scans, *reads)
    assert len(project.files()) == 200


def test_oracle_tests_of_a_real_folder(tmp_path: Path) -> None:
    write(tmp_path, {
        "src/pkg/__init__.py": "from .calc import add\n",
        "src/pkg/calc.py": "",
        "tests/test_behaviour.py": "from pkg import add\n\ndef test_add():\n    assert add(1, 2) == 3\n",
        "tests/test_other.py": "def test_add():\n    assert add(1, 2) == 3\n",
        "venv/test_calc.py": "def test_it():\n    add(1)\n",
    })  # fmt: skip
    text, offset = at_cursor("def add(a, b):\n    |\n")
    target = find_target(text, offset)
    assert target is not None
    project = Project(tmp_path)
    project.refresh()
    path = tmp_path / "src" / "pkg" / "calc.py"
    (test,) = find_oracle_tests(target, path, tmp_path, text, project)
    assert (test.path, test.name) == (tmp_path / "tests" / "test_behaviour.py", "test_add")


# ---- the root


@pytest.mark.parametrize(
    ("files", "path", "workspace", "root"),
    [
        (["pyproject.toml"], "a/b/c.py", None, "."),
        (["pyproject.toml", "a/setup.py"], "a/b/c.py", None, "a"),
        (["pyproject.toml"], "a/b/c.py", "a", "a"),
        ([], "a/b/c.py", "a", "a"),
    ],
)
def test_root_of_a_file(
    tmp_path: Path, files: list[str], path: str, workspace: str | None, root: str
) -> None:
    write(tmp_path, {path: "", **dict.fromkeys(files, "")})
    inside = None if workspace is None else tmp_path / workspace
    assert project_root(tmp_path / path, inside) == tmp_path / root


def test_secret_patterns_are_lower_case() -> None:
    assert [pattern for pattern in SECRETS if pattern != pattern.lower()] == []
