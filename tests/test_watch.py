"""Watching real files: a project under watch knows what one that looks at everything knows."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from egcfg_lsp import watch as watch_module
from egcfg_lsp.completion import project as project_module
from egcfg_lsp.completion.project import Project, project_at
from egcfg_lsp.lsp import watch_owner
from egcfg_lsp.lsp.watch_owner import WatchOwner
from egcfg_lsp.source.pytest_config import CONFIG_FILES
from egcfg_lsp.watch import Batches, Changes, FolderWatch

SOON = 90.0
"""Seconds that a busy machine may take to tell of a change."""


class Watched:
    """A project under watch, and what was told of it."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self.told: list[str] = []
        self.n_lost = 0
        self.ends: list[str] = []
        self.watch = FolderWatch(root, self)
        self.project.follow(self.watch, lambda error: self.ends.append(str(error)))

    def changed(self, path: str, *, is_folder: bool, is_listing: bool) -> None:
        if self.project.changed(path, is_folder=is_folder, is_listing=is_listing):
            self.told.append(path)

    def lost_track(self) -> None:
        self.n_lost += 1
        self.project.lost_track()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    write(tmp_path / "root", FILES)
    one = Watched(tmp_path / "root")
    yield one
    one.watch.close()


FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "calc.py": "x = 1\n",
    "pkg/__init__.py": "",
    "pkg/deep/er.py": "",
    "tests/conftest.py": "",
    "tests/test_calc.py": "",
    ".venv/pyvenv.cfg": "",
    ".venv/lib/site.py": "",
    "node_modules/a/b.py": "",
    "generated/a.py": "",
    ".gitignore": "generated/\n",
}


def write(root: Path, files: dict[str, str]) -> int:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return len(files)


def until(condition: Callable[[], bool], what: str = "") -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def known(project: Project) -> object:
    """All that a project answers."""
    project.refresh()
    files = sorted(project.files())
    facts = {path: project.facts(path) for path in files}
    names = {path: sorted(map(str, facts[path].__dict__)) for path in files if facts[path]}
    texts = {path: project.text(path) for path in files}
    return files, sorted(project.test_files()), project.config, texts, names, project.version()


def agrees(watched: Watched) -> Callable[[], bool]:
    """Whether the watched project knows what a new one, not watched, finds."""
    return lambda: known(watched.project) == known(Project(watched.project.root))


def replace_atomically(path: Path, text: str) -> None:
    new = path.with_name("." + path.name + ".new")
    new.write_text(text)
    new.replace(path)


def in_order(*steps: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [step(root) for step in steps]


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file is written": lambda root: (root / "calc.py").write_text("y = 22\n"),
    "a file is appended to": lambda root: (root / "calc.py").open("a").write("y = 22\n"),
    "a file is touched": lambda root: os.utime(root / "calc.py", (5, 5)),
    "a file is replaced": lambda root: replace_atomically(root / "calc.py", "z = 333\n"),
    "a file comes": lambda root: write(root, {"tests/test_new.py": "", "new.py": ""}),
    "a file goes": lambda root: (root / "tests/test_calc.py").unlink(),
    "a file is moved": lambda root: (root / "calc.py").rename(root / "pkg/calc.py"),
    "a file comes from outside": lambda root: shutil.move(
        make(root.parent / "o.py"), root / "o.py"
    ),
    "a file leaves": lambda root: (root / "calc.py").rename(root.parent / "calc.py"),
    "a file becomes a link": in_order(
        lambda root: (root / "calc.py").rename(root.parent / "calc.py"),
        lambda root: (root / "calc.py").symlink_to(root.parent / "calc.py"),
    ),
    "a file becomes a folder": in_order(
        lambda root: (root / "calc.py").unlink(),
        lambda root: write(root, {"calc.py/inner.py": ""}),
    ),
    "conftest": lambda root: (root / "tests/conftest.py").write_text("import pytest\n"),
    "pyproject": lambda root: (root / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\npython_files = ['calc.py']\n"
    ),
    "pytest.ini comes": lambda root: (root / "pytest.ini").write_text(
        "[pytest]\ntestpaths = pkg\n"
    ),
    "a deep tree comes": lambda root: write(root, {f"a/{'b/' * 9}c{i}.py": "" for i in range(3)}),
    "a folder is moved": lambda root: (root / "pkg").rename(root / "lib"),
    "a folder leaves": lambda root: (root / "pkg").rename(root.parent / "pkg"),
    "a folder comes from outside": lambda root: (
        write(root.parent, {"x/y/z.py": ""}),
        (root.parent / "x").rename(root / "x"),
    ),
    "a folder goes": lambda root: shutil.rmtree(root / "pkg"),
    "two folders change places": lambda root: (
        (root / "pkg").rename(root / "p"),
        (root / "tests").rename(root / "pkg"),
        (root / "p").rename(root / "tests"),
    ),
    "a folder goes and another comes": in_order(
        lambda root: shutil.rmtree(root / "pkg"),
        lambda root: write(root, {"pkg/other.py": "", "pkg/deep/er.py": "new"}),
    ),
    "rules change": lambda root: (root / ".gitignore").write_text("pkg/\n"),
    "rules come": lambda root: (root / "pkg/.gitignore").write_text("deep/\n"),
    "an environment comes": lambda root: (root / "pkg/pyvenv.cfg").write_text(""),
    "a repository comes": lambda root: write(root, {".git/info/exclude": "calc.py\n"}),
    "a repository comes around it": lambda root: (
        write(root.parent, {".git/HEAD": "", ".gitignore": "calc.py\n"}),
    ),
    "a link to a folder": lambda root: (root / "link").symlink_to(root / "pkg"),
}


def make(path: Path) -> str:
    path.write_text("made = 1\n")
    return str(path)


@pytest.mark.parametrize("name", CHANGES)
def test_knows_what_looking_at_everything_finds(watched: Watched, name: str) -> None:
    assert agrees(watched)()
    CHANGES[name](watched.project.root)
    until(agrees(watched), name)
    # And it still sees what happens then, at old places and at new ones.
    for path in watched.project.files():
        path.write_text(f"# behind: {name}\n")
    write(watched.project.root, {"late.py": "", "pkg/late.py": "", "lib/late/late.py": ""})
    until(agrees(watched), f"behind: {name}")
    assert watched.ends == []


def test_many_changes_in_any_order(watched: Watched) -> None:
    root = watched.project.root
    for _ in range(3):
        for i in range(40):
            write(root, {f"t{i % 7}/u{i}/m.py": "x" * i})
            if i % 3 == 0:
                shutil.rmtree(root / f"t{(i * 5) % 7}", ignore_errors=True)
            if i % 5 == 0:
                watched.project.refresh()
        until(agrees(watched))


def test_ignored_trees_are_not_watched(watched: Watched) -> None:
    root = watched.project.root
    assert sorted(watched.watch._watched) == [
        str(root / name) for name in ("", "pkg", "pkg/deep", "tests")
    ]
    for name in ("node_modules/a/b.py", ".venv/lib/site.py", "generated/a.py", "notes.txt"):
        (root / name).write_text("changed\n")
    (root / "pkg/__pycache__").mkdir()
    (root / "calc.py").write_text("changed\n")
    until(lambda: str(root / "calc.py") in watched.told)
    assert set(watched.told) == {str(root / "calc.py")}


def test_nothing_is_looked_at_while_nothing_happens(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(watched.project)
    looked: list[str] = []
    stat, scandir = os.stat, os.scandir

    def note(path: str | Path, *rest: object, **named: object) -> os.stat_result:
        looked.append(str(path))
        return stat(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", note)
    monkeypatch.setattr(os, "scandir", lambda path: note(path) and scandir(path))
    before = watched.project.version()
    watched.project.refresh()
    assert watched.project.version() == before
    root = watched.project.root
    assert {path for path in looked if path.endswith(".py")} == set()
    allowed = {str(root / name) for name in ("", ".gitignore", ".git", *CONFIG_FILES)}
    below = {path for path in looked if path.startswith(str(root))}
    assert below <= allowed


def test_a_change_leaves_everything_else_known(watched: Watched) -> None:
    root, project = watched.project.root, watched.project
    before, beside = project.version(), project.version(root / "calc.py")
    facts = project.facts(root / "tests/test_calc.py")
    (root / "calc.py").write_text("changed = 1\n")
    until(lambda: project.version() != before)
    assert project.version(root / "calc.py") == beside
    assert project.facts(root / "tests/test_calc.py") is facts


def test_root_reached_by_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", FILES)
    (tmp_path / "link").symlink_to("real")
    one = Watched(tmp_path / "link")
    (tmp_path / "real/calc.py").write_text("changed = 1\n")
    until(lambda: one.project.text(tmp_path / "link/calc.py") == "changed = 1\n")
    one.watch.close()


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_root_that_vanishes(watched: Watched, how: str) -> None:
    root = watched.project.root
    shutil.rmtree(root) if how == "removed" else root.rename(root.parent / "elsewhere")
    until(lambda: not known(watched.project)[0])  # type: ignore[index]
    assert len(watched.ends) == 1
    write(root, FILES)
    until(agrees(watched), "it looks at everything again")


def test_a_root_in_the_place_of_another(watched: Watched) -> None:
    """Moved with the folder that it is in, which nobody watches."""
    root = watched.project.root
    write(root.parent / "other/root", {"calc.py": "other\n", "new/a.py": ""})
    parent = root.parent
    moved = parent.with_name(parent.name + "-moved")
    parent.rename(moved)
    (moved / "other").rename(parent)
    until(agrees(watched))
    (root / "new/a.py").write_text("later\n")
    until(agrees(watched))
    shutil.rmtree(moved)


def test_limits_are_a_reason_to_look_at_everything(tmp_path: Path) -> None:
    """In a process of its own: the limits of the system are the user's."""
    code = """
        import errno, sys
        from pathlib import Path
        from egcfg_lsp import watch
        from tests.test_watch import Watched, agrees, until

        one = Watched(Path(sys.argv[1]))
        add = watch.InotifyFD.add_callback
        n = 0
        def full(self, *rest):
            global n
            n += 1
            if n > 2:
                raise OSError(errno.ENOSPC, "inotify watch limit reached")
            return add(self, *rest)
        watch.InotifyFD.add_callback = full
        for i in range(4):
            (one.project.root / f"d{i}").mkdir()
            (one.project.root / f"d{i}/a.py").write_text("")
        until(lambda: one.project.refresh() or bool(one.ends))
        assert "limit" in one.ends[0], one.ends
        assert agrees(one)()
        (one.project.root / "d3/a.py").write_text("changed")
        assert agrees(one)(), "at once"
        one.watch.close()
    """
    write(tmp_path / "root", FILES)
    python(code, str(tmp_path / "root"))


@pytest.mark.skipif(os.geteuid() != 0, reason="root makes itself an ordinary user")
def test_folders_that_may_not_be_read(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from tests.test_watch import Watched, agrees, until
        "".encode("utf-8-sig")  # its module is read before the folder of Python is out of reach
        os.setgroups([]); os.setgid(65534); os.setuid(65534)

        root = Path(sys.argv[1])
        one = Watched(root)
        assert [p.name for p in one.project.files()] == ["a.py"], (one.project.files(), one.ends)
        (root / "a.py").write_text("changed")
        until(agrees(one))
        os.chmod(root / "shut", 0o700)
        (root / "shut/c.py").write_text("")
        until(lambda: one.project.refresh() or len(one.project.files()) == 3)
        (root / "shut/c.py").write_text("changed")
        until(agrees(one))
        assert one.ends == []
        one.watch.close()
    """
    root = tmp_path / "root"
    write(root, {"a.py": "", "shut/b.py": ""})
    (root / "shut").chmod(0)
    for path in (root, root / "a.py", root / "shut", root / "shut/b.py"):
        os.chown(path, 65534, 65534)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == tmp_path or folder.name.startswith("pytest-"):
            folder.chmod(0o755)
    python(code, str(root))


def python(code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_more_than_the_system_queues(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is held up until the kernel's queue has overflowed."""
    root, may_go_on = watched.project.root, threading.Event()
    changed = Watched.changed

    def slow(self: Watched, path: str, *, is_folder: bool, is_listing: bool) -> None:
        assert may_go_on.wait(SOON * 3)
        changed(self, path, is_folder=is_folder, is_listing=is_listing)

    monkeypatch.setattr(Watched, "changed", slow)
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for i in range(queue + 10_000):  # what the thread has read before it is held up does not count
        # Of the same file they would be one.
        os.utime(root / ("calc.py", "pkg/__init__.py")[i % 2])
    write(root, {"unseen/a.py": ""})
    (root / "tests").rename(root / "elsewhere")
    may_go_on.set()
    until(lambda: watched.n_lost > 0)
    until(agrees(watched))
    (root / "unseen/a.py").write_text("changed\n")
    (root / "elsewhere/test_calc.py").write_text("changed\n")
    until(agrees(watched))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_that_fails_is_not_trusted(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Watched, path: str, *, is_folder: bool, is_listing: bool) -> None:
        raise RuntimeError

    monkeypatch.setattr(Watched, "changed", fail)
    (watched.project.root / "calc.py").write_text("changed = 1\n")
    until(lambda: not watched.watch.is_alive)
    assert agrees(watched)()
    assert watched.ends == ["[Errno 9] the watch has ended"]


@pytest.mark.parametrize(
    ("mounts", "remote"),
    [
        ([("/", "ext4"), ("/home", "btrfs")], None),
        ([("/", "ext4"), ("/home", "nfs4")], "nfs4"),
        ([("/", "overlay"), ("/home/me/p/data", "fuse.sshfs")], "fuse.sshfs (/home/me/p/data)"),
        ([("/", "nfs"), ("/home/me", "xfs")], None),
        ([("/", "ext4"), ("/home/me/pp", "9p"), ("/mnt", "cifs")], None),
        ([], None),
    ],
)
def test_file_systems_of_other_machines(
    mounts: list[tuple[str, str]], remote: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mount:
        def __init__(self, place: str, kind: str) -> None:
            self.mountpoint, self.fstype = place, kind

    found = [Mount(*mount) for mount in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: found)
    assert watch_module.remote_file_system(Path("/home/me/p")) == remote


def test_closed_for_good(watched: Watched) -> None:
    n_threads = threading.active_count()
    watched.watch.close()
    watched.watch.close()
    assert threading.active_count() == n_threads - 1
    (watched.project.root / "calc.py").write_text("changed")
    assert agrees(watched)(), "without a watch"
    assert watched.ends == ["[Errno 9] the watch has ended"]


# ---- batches


async def test_a_burst_is_one_batch() -> None:
    batches: list[Changes] = []
    gathered = Batches(asyncio.get_running_loop(), batches.append, quiet_seconds=0.3)

    def tell() -> None:
        for i in range(3_000):
            gathered.add(f"/p/{i % 1_000}.py")

    await asyncio.gather(*(asyncio.to_thread(tell) for _ in range(4)))
    await asyncio.sleep(1.0)
    assert batches == [Changes(frozenset(Path(f"/p/{i}.py") for i in range(1_000)))]
    gathered.add(None)
    await asyncio.sleep(1.0)
    assert batches[1:] == [Changes(is_partial=True)]


async def test_a_batch_does_not_wait_for_ever() -> None:
    batches: list[Changes] = []
    loop = asyncio.get_running_loop()
    gathered = Batches(loop, batches.append, quiet_seconds=60.0, batch_seconds=0.2)
    gathered.add("/p/a.py")
    await asyncio.sleep(1.0)
    assert len(batches) == 1


async def test_nothing_is_handed_on_once_closed() -> None:
    batches: list[Changes] = []
    gathered = Batches(asyncio.get_running_loop(), batches.append)
    gathered.add("/p/a.py")
    gathered.close()
    gathered.add("/p/b.py")
    await asyncio.sleep(0.5)
    assert batches == []


def test_too_many_paths_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_PATHS", 2)
    loop = asyncio.new_event_loop()
    gathered = Batches(loop, lambda _: None)
    for i in range(3):
        gathered.add(str(i))
    assert (len(gathered._paths), gathered._is_partial) == (2, True)
    loop.close()
    gathered.close()
    gathered.add("after the loop has ended")


# ---- in a session


class Told:
    """What a session's owner handed on."""

    def __init__(self) -> None:
        self.batches: list[tuple[Project, Changes]] = []
        self.owner = WatchOwner(lambda *batch: self.batches.append(batch))

    async def until_watched(self, root: Path, exclude: tuple[str, ...] = ()) -> Project:
        self.owner.follow(root, exclude)
        await self.owner._followed[root, exclude].begun
        return project_at(root, exclude)


async def until_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def git(root: Path, *arguments: str) -> None:
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0"]
    subprocess.run(["git", "-C", str(root), *own, *arguments], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
async def test_a_branch_switch_of_thousands_of_files_is_one_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"p{i % 60}/m{i}.py": f"x = {i}\n" for i in range(3_000)}
    write(tmp_path, files)
    git(tmp_path, "init", "-q", "-b", "one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "checkout", "-qb", "two")
    write(tmp_path, {name: text + "y = 1\n" for name, text in files.items()} | {"two/a.py": ""})
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "two")
    told = Told()
    project = await told.until_watched(tmp_path)
    before = project.version()
    n_scans, scan = 0, Project._scan

    def counted(self: Project) -> object:
        nonlocal n_scans
        n_scans += 1
        return scan(self)

    monkeypatch.setattr(Project, "_scan", counted)
    # However slow the machine is, the checkout is one burst, which ends when all is told.
    batches = told.owner._followed[tmp_path, ()].batches
    batches._quiet_seconds = batches._batch_seconds = 600.0
    await asyncio.to_thread(git, tmp_path, "checkout", "-q", "one")
    switched = {str(tmp_path / name) for name in files}
    await until_true(lambda: switched <= batches._paths)
    await asyncio.sleep(2.0)  # the last writes to the last files
    assert told.batches == []
    batches._quiet_seconds = 0.0
    batches._wait()
    await asyncio.to_thread(project.refresh)
    ((_, changes),) = told.batches
    assert set(map(Path, switched)) <= changes.paths
    assert n_scans <= 2, "one, and one of what is not watched any more"
    assert project.version() != before
    assert known(project) == known(Project(tmp_path))
    await told.owner.close()


async def test_a_saved_file_is_known_before_the_system_tells(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    told = Told()
    project = await told.until_watched(tmp_path)
    version = project.version()
    told.owner._followed[tmp_path, ()].watch._inotify.stop()  # type: ignore[union-attr]
    (tmp_path / "calc.py").write_text("changed = 1\n")
    told.owner.touched(tmp_path / "calc.py")
    assert project.version() != version
    told.owner.touched(tmp_path.parent / "elsewhere.py")
    await told.owner.close()


async def test_projects_under_watch_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_owner, "MAX_PROJECTS", 2)
    n_threads = len(watch_threads())
    told = Told()
    for name in "abc":
        write(tmp_path / name, FILES)
        await told.until_watched(tmp_path / name)
    await until_true(lambda: len(watch_threads()) == n_threads + 2)
    (tmp_path / "a/calc.py").write_text("changed\n")
    assert known(project_at(tmp_path / "a")) == known(Project(tmp_path / "a"))
    await told.owner.close()
    assert len(watch_threads()) == n_threads


def watch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "egcfg-watch"]


async def test_what_cannot_be_watched_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, FILES)
    monkeypatch.setattr(watch_module, "remote_file_system", lambda _: "nfs4")
    told = Told()
    project = await told.until_watched(tmp_path)
    await until_true(lambda: bool(told.owner.reasons))
    assert told.owner.reasons == {tmp_path: "changes on nfs4 are not told"}
    assert "is not watched: changes on nfs4" in caplog.text
    (tmp_path / "calc.py").write_text("changed\n")
    assert known(project) == known(Project(tmp_path))
    monkeypatch.setattr(watch_module, "remote_file_system", lambda _: None)
    told.owner.follow(tmp_path)
    assert not watch_threads()
    monkeypatch.setattr(watch_owner, "RETRY_SECONDS", 0.0)
    await told.until_watched(tmp_path)
    assert len(watch_threads()) == 1
    await told.owner.close()


async def test_closing_while_it_begins(tmp_path: Path) -> None:
    write(tmp_path, {f"d{i}/a.py": "" for i in range(200)})
    told = Told()
    told.owner.follow(tmp_path)
    await told.owner.close()
    assert not watch_threads()


def test_watching_is_bounded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_module, "MAX_FOLDERS", 3)
    write(watched.project.root, {f"w{i}/a.py": "" for i in range(9)})
    until(lambda: known(watched.project) is not None and len(watched.watch._watched) == 3)
