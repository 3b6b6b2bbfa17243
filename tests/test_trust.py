"""Whose word counts for a folder, and the file in which answers are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from egcfg_lsp.lsp.trust_owner import TrustOwner
from egcfg_lsp.settings import Settings
from egcfg_lsp.trust import (
    Answer,
    Remembered,
    TrustError,
    TrustFile,
    decide,
    problems_of_list,
)

YES, NO, ASK = Answer.TRUSTED, Answer.REFUSED, None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`up/home` with `work/shop/sub`, a link `link` to `work`, and a `neighbour` of the home."""
    home = tmp_path / "up" / "home"
    (home / "work" / "shop" / "sub").mkdir(parents=True)
    (home / "workshop").mkdir()
    (home / "link").symlink_to(home / "work")
    (home / "work" / "out").symlink_to(tmp_path / "up" / "neighbour")
    (tmp_path / "up" / "neighbour").mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize(
    ("root", "word", "listed", "remembered", "expected"),
    [
        ("work/shop", None, [], {}, ASK),
        ("work/shop", True, [], {}, YES),
        ("work/shop", False, [], {}, NO),
        # the user's list
        ("work/shop", None, ["~/work"], {}, YES),
        ("work/shop", None, ["~/work/"], {}, YES),
        ("work/shop", None, [" ~/work/../work/shop "], {}, YES),
        ("work/shop", None, ["~/link"], {}, YES),
        ("link/shop", None, ["~/work"], {}, YES),
        ("work/shop", None, ["~/wor"], {}, ASK),
        ("workshop", None, ["~/work"], {}, ASK),
        ("work/shop", None, ["~/work/shop/sub"], {}, ASK),
        ("work/shop", None, ["work", "", "~nobody-here/x", "~/gone"], {}, ASK),
        ("work/out", None, ["~/work"], {}, ASK),
        ("work/shop", False, ["~/work"], {}, NO),
        # answers of before
        ("work/shop", None, [], {"work": YES}, YES),
        ("work/shop/sub", None, [], {"work": YES, "work/shop": NO}, NO),
        ("work/shop/sub", None, [], {"work": NO, "work/shop": YES}, YES),
        ("work/out", None, [], {"work": YES}, ASK),
        ("work/shop", None, [], {"link": YES}, ASK),
        ("work/shop", None, [], {"link": NO}, NO),
        ("work/shop", None, ["~/work/shop"], {"work/shop": NO}, NO),
        ("work/shop", None, ["~/work/shop"], {"work": NO}, YES),
        ("work/shop", True, [], {"work": NO}, NO),
        ("work/shop", False, [], {"work/shop": YES}, NO),
        # too much, and nothing
        (".", True, ["~", "~/.."], {".": YES}, NO),
        ("..", True, ["/"], {}, NO),
        ("/", True, ["/"], {}, NO),
        ("work/shop", None, ["~", "~/..", "/"], {}, ASK),
        ("gone", True, ["~/gone"], {"gone": YES}, NO),
    ],
)
def test_decisions(
    home: Path,
    root: str,
    word: bool | None,
    listed: list[str],
    remembered: dict[str, Answer],
    expected: Answer | None,
) -> None:
    answers = Remembered({home / folder: answer for folder, answer in remembered.items()})
    assert decide(home / root, word=word, listed=listed, remembered=answers) is expected


def test_a_trusted_folder_that_becomes_a_link_is_another_one(home: Path, tmp_path: Path) -> None:
    file, shop = TrustFile(tmp_path / "trust.json"), home / "work" / "shop"
    file.remember(shop, YES)
    assert decide(shop, word=None, listed=[], remembered=file.read()) is YES
    shop.rename(home / "moved")
    shop.symlink_to(home / "workshop")
    assert decide(shop, word=None, listed=[], remembered=file.read()) is ASK


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ("~", "holds the whole home folder"),
        ("~/..", "holds the whole home folder"),
        ("/", "is the whole file system"),
        ("work", "no absolute folder: 'work'"),
        ("~nobody-here", "no absolute folder"),
        ("~/gone", ""),
        ("~/work", ""),
    ],
)
@pytest.mark.usefixtures("home")
def test_problems_of_the_list(listed: str, problem: str) -> None:
    problems = problems_of_list([listed])
    assert len(problems) == bool(problem)
    assert all(problem in told for told in problems)


def test_answers_are_remembered_replaced_and_forgotten(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "state" / "trust.json"
    file, other = TrustFile(path), TrustFile(path)
    assert file.read() == Remembered()
    work, shop = home / "work", home / "work" / "shop"
    assert file.remember(home / "link" / "shop", YES) == shop
    assert other.read().answers == {shop: YES}
    other.remember(shop, NO)
    assert file.read().answers == {shop: NO}
    file.remember(work, YES)
    assert file.read().answers == {shop: NO, work: YES}
    assert file.forget(home / "link" / "shop")
    assert not file.forget(shop)
    assert other.read().answers == {work: YES}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {name.name for name in path.parent.iterdir()} <= {"trust.json", "trust.json.lock"}


def test_refusing_a_folder_takes_back_the_trust_below(home: Path, tmp_path: Path) -> None:
    file = TrustFile(tmp_path / "trust.json")
    for folder in ("work/shop/sub", "workshop"):
        file.remember(home / folder, YES)
    file.remember(home / "work", NO)
    assert file.read().answers == {home / "workshop": YES, home / "work": NO}


@pytest.mark.parametrize("folder", [".", "..", "/", "gone"])
def test_what_cannot_be_trusted_is_not_remembered(home: Path, tmp_path: Path, folder: str) -> None:
    file = TrustFile(tmp_path / "trust.json")
    with pytest.raises(TrustError):
        file.remember(home / folder, YES)
    assert not file.path.exists()


def write(text: bytes, mode: int = 0o600) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_bytes(text)
        path.chmod(mode)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (write(b""), "is damaged"),
        (write(b"\xff\xfe"), "is damaged"),
        (write(b"[" * 100_000), "is damaged"),
        (write(b"[]"), "is damaged"),
        (write(b'{"folders": []}'), "is damaged"),
        (write(b'{"folders": {}, "all": true}'), "is damaged"),
        (write(b'{"folders": {"/a": "yes"}}'), "is damaged"),
        (write(b'{"folders": {"/a": true}}'), "is damaged"),
        (write(b'{"folders": {"a": "trusted"}}'), "is damaged"),
        (write(b'{"folders": {"/a": "trusted"}}' + b" " * (1 << 20)), "is damaged"),
        (write(b'{"folders": {}}', 0o620), "can be written by others"),
        (write(b'{"folders": {}}', 0o602), "can be written by others"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (lambda path: path.symlink_to("/dev/null"), "is no regular file"),
    ],
)
def test_a_doubtful_file_trusts_nothing_and_is_left_alone(
    home: Path, tmp_path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    file = TrustFile(tmp_path / "trust.json")
    spoil(file.path)
    remembered = file.read()
    assert problem in remembered.problem
    assert not remembered.answers
    assert decide(home / "work", word=True, listed=["~/work"], remembered=remembered) is NO
    with pytest.raises(TrustError, match=problem):
        file.remember(home / "work", YES)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_trusts_nothing(tmp_path: Path) -> None:
    file = TrustFile(tmp_path / "trust.json")
    file.path.write_text('{"folders": {}}')
    os.chown(file.path, 12345, -1)
    assert "can be written by others" in file.read().problem


def remember_many(path: Path, folders: list[Path]) -> None:
    for folder in folders:
        TrustFile(path).remember(folder, YES)


def test_a_strangers_folder_in_a_place_for_everybody_is_not_trusted(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    shared.chmod(0o1777)
    project = shared / "project"
    project.mkdir()
    answered = Remembered({project: YES})

    def decided() -> Answer | None:
        return decide(project, word=None, listed=[str(project)], remembered=answered)

    assert decided() is YES
    owner = os.geteuid()
    if owner == 0:
        os.chown(project, 4321, 4321)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert decided() is NO


def test_an_editors_yes_is_about_its_own_folders(home: Path, tmp_path: Path) -> None:
    owner = TrustOwner(TrustFile(tmp_path / "trust.json"), print)
    project = home / "work" / "shop"
    settings = Settings(trusted=True)
    assert owner.decide(project, home / "work", settings) is YES
    assert owner.decide(project, None, settings) is None
    assert owner.decide(project, None, Settings(trusted=False)) is NO


def test_processes_that_remember_at_once_lose_nothing(home: Path, tmp_path: Path) -> None:
    folders = [home / f"p{i}" for i in range(12)]
    for folder in folders:
        folder.mkdir()
    path, context = tmp_path / "trust.json", get_context("spawn")
    processes = [
        context.Process(target=remember_many, args=(path, folders[i::3])) for i in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert set(TrustFile(path).read().answers) == set(folders)


def test_a_write_that_fails_leaves_the_answers(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = TrustFile(tmp_path / "state" / "trust.json")
    file.remember(home / "work", YES)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrustError, match="No space left"):
        file.remember(home / "workshop", YES)
    assert json.loads(file.path.read_text()) == {"folders": {str(home / "work"): "trusted"}}
    assert {name.name for name in file.path.parent.iterdir()} == {"trust.json", "trust.json.lock"}
