"""Real packages with their tests, for the group `execution`: fetched once, kept in the user's cache.

A package is a source distribution, pinned by its SHA-256, unpacked and installed in place into one
virtual environment for all. pip builds them outside of any sandbox: they are chosen, not anybody's.
What builds them is not pinned. Does not know what is measured with them.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock


@dataclass(frozen=True)
class Suite:
    """A source distribution that ships its tests."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"


SUITES = (
    # Small, plain functions.
    Suite("toolz", "1.2.0", "9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490"),
    # unittest, with test classes that inherit their tests; the package lies under `src`.
    Suite(
        "cachetools", "8.0.1", "deb1d376d4d28c2f33f3e3058043b005e0af75c35c094bd54053e27d2906ad95"
    ),
    # unittest, one large module and one large file of tests.
    Suite(
        "more-itertools",
        "11.2.1",
        "cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63",
    ),
    # Many modules that know nothing of each other.
    Suite("boltons", "26.2.0", "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"),
    # With an extension of its own.
    Suite("msgpack", "1.2.4", "475c44e12f2a5de766a8448783f149c9b33f3f49b88953c6cd739a77d93c732c"),
    # Large: 600 files are imported, and NumPy with them.
    Suite("networkx", "3.6.1", "26b7c357accc0c8cde558ad486283728b65b6a95d85ee1cd66bafab4c8168509"),
)
NEEDS = ("pytest==9.2.0", "numpy==2.4.6")
"""Of their tests."""


@dataclass(frozen=True)
class Installed:
    """A suite that can be run."""

    suite: Suite
    root: Path
    python: Path


class SuiteError(Exception):
    """There is no such suite here; the message is one line for people, without paths."""


def installed(suite: Suite) -> Installed:
    """From the cache, or fetched and installed. Raises SuiteError."""
    folder = suites_folder()
    root, environment = folder / str(suite), folder / _environment_name()
    done = environment / "installed" / str(suite)
    found = Installed(suite, root, environment / "bin" / "python")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not (found.python.exists() and done.parent.is_dir()):
                _make_environment(environment)
                done.parent.mkdir()
            if not root.is_dir():
                _fetch(suite, root)
                done.unlink(missing_ok=True)
            if not done.exists():
                _pip(found.python, "install", "--no-deps", "--editable", str(root))
                done.touch()
    except (OSError, subprocess.SubprocessError) as error:
        raise SuiteError(
            f"cannot get {suite}, which needs the network once: {_why(error)}"
        ) from error
    return found


def suites_folder() -> Path:
    return platformdirs.user_cache_path("egcfg-lsp") / "suites"


def _environment_name() -> str:
    """One for each Python and set of needs."""
    digest = hashlib.sha256(" ".join(NEEDS).encode()).hexdigest()[:8]
    return f"env-{sys.version_info.major}.{sys.version_info.minor}-{digest}"


def _make_environment(folder: Path) -> None:
    # -P: no module of the current folder is run.
    _run(sys.executable, "-P", "-m", "venv", "--clear", str(folder))
    _pip(folder / "bin" / "python", "install", *NEEDS)


def _fetch(suite: Suite, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root.parent) as name:
        folder = Path(name)
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{suite.name}=={suite.version} --hash=sha256:{suite.sha256}\n")
        options = ["--no-deps", "--no-binary", suite.name, "--require-hashes"]
        _pip(sys.executable, "download", *options, "--dest", name, "--requirement", str(wanted))
        (archive,) = folder.glob("*.tar.gz")
        shutil.unpack_archive(archive, folder / "unpacked", filter="data")
        (unpacked,) = (folder / "unpacked").iterdir()
        shutil.rmtree(root, ignore_errors=True)
        unpacked.rename(root)


def _pip(python: str | Path, command: str, *arguments: str) -> None:
    """Without questions, and with few tries where there is no network."""
    options = ["--no-input", "--retries", "1", "--timeout", "20", "--disable-pip-version-check"]
    _run(python, "-P", "-m", "pip", command, *options, *arguments)


def _run(*command: str | Path) -> None:
    """Raises SubprocessError, OSError."""
    subprocess.run(command, capture_output=True, text=True, check=True)


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.strip()]
        said = [line for line in lines if line.startswith("ERROR")] or lines
        return said[-1].removeprefix("ERROR: ") if said else f"pip ended with {error.returncode}"
    return getattr(error, "strerror", None) or type(error).__name__
