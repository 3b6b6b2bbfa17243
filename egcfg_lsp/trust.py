"""Trust: whether the tests of a folder may be run, and the answers that the user gave before.

The answers are kept in one file of the user's state folder. Whatever is doubtful trusts nothing: a
path that does not resolve, a file that others can write or that is not exactly what was written.
Knows no editor, asks nobody, and does not watch what happens to a folder after the decision.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

MAX_FILE_BYTES = 1 << 20
LOCK_SECONDS = 10.0


class Answer(StrEnum):
    TRUSTED = "trusted"
    REFUSED = "refused"


Answers = Mapping[Path, Answer]
"""By folder; the folders are real paths, as they were when the user answered."""


@dataclass(frozen=True)
class Remembered:
    """What the file says."""

    answers: Answers = field(default_factory=dict)
    problem: str = ""
    """Why nothing at all is trusted, one sentence for people; empty: the file is good, or there is none."""


class TrustError(Exception):
    """An answer cannot be given or kept; the message is for people."""


def decide(
    root: Path, *, word: bool | None, listed: Iterable[str], remembered: Remembered
) -> Answer | None:
    """Whether what is at or below `root` may be run; None: nobody has said.

    `word` is what an editor says of its workspace, `listed` the folders of the user's settings. The
    answer for the nearest folder at or above `root` holds, a refusal before a trust of the same
    folder. The editor's no is final; its yes holds unless the nearest answer is a refusal.
    """
    real = real_folder(root)
    if remembered.problem or word is False or real is None or reason_not_to_trust(real):
        return Answer.REFUSED
    answers = dict.fromkeys(_trusted_folders(listed), Answer.TRUSTED)
    # A trusted folder that has become a link is another one: no real path leads through it. A
    # refusal goes along with its folder.
    for folder, answer in remembered.answers.items():
        if answer is Answer.TRUSTED:
            answers.setdefault(folder, answer)
    for folder, answer in remembered.answers.items():
        if answer is Answer.REFUSED:
            answers |= dict.fromkeys((folder, real_folder(folder) or folder), answer)
    nearest = next((answers[folder] for folder in (real, *real.parents) if folder in answers), None)
    return Answer.TRUSTED if nearest is None and word else nearest


def real_folder(folder: Path) -> Path | None:
    """The folder without links; None if there is no such folder."""
    try:
        real = folder.resolve(strict=True)
        return real if real.is_dir() else None
    except (OSError, RuntimeError, ValueError):
        return None


def reason_not_to_trust(folder: Path) -> str:
    """Why a real folder is too much to be trusted; empty if it is not."""
    if _is_strangers(folder):
        return f"{folder} belongs to another user, in a place where everybody can put folders"
    home = _home()
    if folder == Path(folder.anchor):
        return f"{folder} is the whole file system; trust a project's folder instead"
    if home is not None and home.is_relative_to(folder):
        return f"{folder} holds the whole home folder; trust a project's folder instead"
    return ""


def problems_of_list(listed: Iterable[str]) -> list[str]:
    """What is wrong with the folders of the `trust` setting, a sentence each; those are ignored.

    A folder that does not exist is none.
    """
    problems = []
    for name in listed:
        path = _expanded(name)
        if path is None or not path.is_absolute():
            problems.append(f"`trust` names no absolute folder: {name!r:.80}; ignored")
        elif (real := real_folder(path)) and (reason := reason_not_to_trust(real)):
            problems.append(f"`trust`: {reason}")
    return problems


class TrustFile:
    """The answers on disk; several processes may use the file at once."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        self._stamp: tuple[int, ...] | None = None
        self._remembered = Remembered()

    def read(self) -> Remembered:
        """What the file says now; it is read again only when it has changed. Never raises."""
        stamp = _stamp(self.path)
        if stamp != self._stamp or stamp is None:
            self._remembered = _read(self.path)
            self._stamp = stamp
        return self._remembered

    def remember(self, folder: Path, answer: Answer) -> Path:
        """Keep an answer for a folder and all below; a refusal takes back the trust in what is below.

        Returns the real folder; may wait for the disk and for other processes. Raises TrustError.
        """
        real = real_folder(folder)
        if real is None:
            raise TrustError(f"{folder} is no folder")
        if answer is Answer.TRUSTED and (reason := reason_not_to_trust(real)):
            raise TrustError(reason)
        self._change(lambda answers: _with_answer(answers, real, answer))
        return real

    def forget(self, folder: Path) -> bool:
        """Drop the answer for a folder; whether there was one. Raises TrustError."""
        known = {folder.absolute(), real_folder(folder)}
        was_there = any(path in known for path in self.read().answers)
        self._change(
            lambda answers: {path: said for path, said in answers.items() if path not in known}
        )
        return was_there

    def _change(self, change: Callable[[Answers], Answers]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=LOCK_SECONDS, mode=0o600):
                remembered = _read(self.path)
                if remembered.problem:
                    raise TrustError(remembered.problem)
                _write(self.path, change(remembered.answers))
        except Timeout:
            raise TrustError(f"{self.path} is in use by another process") from None
        except OSError as error:
            raise TrustError(f"cannot write {self.path}: {error.strerror or error}") from error
        self._stamp = None


def _home() -> Path | None:
    try:
        return real_folder(Path.home())
    except RuntimeError:
        return None


def _is_strangers(folder: Path) -> bool:
    """Whether somebody else may have put it where one of ours was, as below `/tmp`."""
    if os.name != "posix":
        return False
    try:
        is_ours = folder.stat().st_uid in (os.geteuid(), 0)
        return not is_ours and any(parent.stat().st_mode & 0o002 for parent in folder.parents)
    except OSError:
        return True


def default_path() -> Path:
    return platformdirs.user_state_path("egcfg-lsp", appauthor=False) / "trust.json"


def _trusted_folders(listed: Iterable[str]) -> set[Path]:
    """The real folders of the setting, those left out that cannot be trusted."""
    paths = (_expanded(name) for name in listed)
    reals = (real_folder(path) for path in paths if path is not None and path.is_absolute())
    return {real for real in reals if real is not None and not reason_not_to_trust(real)}


def _expanded(name: str) -> Path | None:
    try:
        return Path(name.strip()).expanduser()
    except RuntimeError:  # `~nobody`
        return None


def _with_answer(answers: Answers, folder: Path, answer: Answer) -> Answers:
    is_refused = answer is Answer.REFUSED
    kept = {
        known: said
        for known, said in answers.items()
        if not (is_refused and said is Answer.TRUSTED and known.is_relative_to(folder))
    }
    return {**kept, folder: answer}


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode, status.st_uid


def _read(path: Path) -> Remembered:
    try:
        with path.open("rb") as stream:
            if problem := _unsafe(os.fstat(stream.fileno())):
                return Remembered(problem=_untrusted(path, problem))
            text = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Remembered()
    except OSError as error:
        return Remembered(problem=_untrusted(path, f"cannot be read ({error.strerror or error})"))
    answers = _parsed(text)
    if answers is None:
        return Remembered(problem=_untrusted(path, "is damaged"))
    return Remembered(answers)


def _unsafe(status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "is no regular file"
    if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        return "can be written by others"
    return ""


def _untrusted(path: Path, problem: str) -> str:
    return f"no workspace is trusted: {path} {problem}; look at it and delete it"


def _parsed(text: bytes) -> Answers | None:
    """The answers; None unless all of the file is as `_write` writes it."""
    try:
        value = json.loads(text) if len(text) <= MAX_FILE_BYTES else None
        if not isinstance(value, dict) or len(value) != 1:
            return None
        answers = {Path(name): Answer(said) for name, said in value["folders"].items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return answers if all(path.is_absolute() for path in answers) else None


def _write(path: Path, answers: Answers) -> None:
    value = {"folders": {str(folder): said.value for folder, said in sorted(answers.items())}}
    text = json.dumps(value, indent=2) + "\n"
    if len(text) > MAX_FILE_BYTES:
        raise TrustError(f"{path} holds too many answers; `egcfg-lsp trust forget` drops some")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
