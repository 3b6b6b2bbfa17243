"""How near a test file lies to the module that it is named after, by their paths alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from egcfg_lsp.source.imports import SOURCE_FOLDERS
from egcfg_lsp.source.pytest_config import PytestConfig


def nearness(test_file: Path, path: Path, root: Path, config: PytestConfig) -> int | None:
    """How near a test file named after the module lies, 0 is best; None: it is not its namesake.

    Its folder must be the module's, or mirror it: folders such as `src` and `tests/unit` left out,
    what remains of its folders stands among the module's in that order.
    """
    stem = path.parent.name if path.stem == "__init__" else path.stem
    words = {stem.strip("_"), f"{path.parent.name}_{stem}".strip("_")}
    if words.isdisjoint(_tested_names(test_file.name, config)):
        return None
    if test_file.parent == path.parent:
        return 0
    ours, theirs = _plain_folders(path, root), _plain_folders(test_file, root)
    left = iter(ours)
    return 1 + len(ours) - len(theirs) if all(folder in left for folder in theirs) else None


_TEST_FOLDERS = {
    "test", "tests", "testing", "unit", "unittest", "unittests", "unit_tests", "integration",
    "functional",
}  # fmt: skip


def _tested_names(file_name: str, config: PytestConfig) -> Iterator[str]:
    """What a test file is named after: `calc` for `test_calc.py`, by any pattern of test files."""
    for pattern in dict.fromkeys((*config.python_files, *PytestConfig.python_files)):
        before, star, after = pattern.partition("*")
        if star and file_name.startswith(before) and file_name.endswith(after):
            yield file_name[len(before) : -len(after) or None].strip("_")


def _plain_folders(path: Path, root: Path) -> list[str]:
    folders = path.parent.relative_to(root).parts
    return [f for f in folders if f not in _TEST_FOLDERS and f not in SOURCE_FOLDERS]
