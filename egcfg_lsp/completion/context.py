"""What of other files stands in a prompt: signatures of imported names, and chunks lately visited.

Chosen once for a function and kept while the user stays in it: whatever changes at the front of a
prompt has the whole prompt read again. Whether a file is excluded is asked at every use.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.project import Project
from egcfg_lsp.completion.ring import Ring, chunk_around
from egcfg_lsp.prompt.fim import File
from egcfg_lsp.source.imports import Import, candidate_files, imports_in, submodule
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.oracle import OracleTest
from egcfg_lsp.source.parse import parse
from egcfg_lsp.source.signatures import identifiers, signatures
from egcfg_lsp.source.target import Target

NEAR_LINES = 128
"""Of the buffer around the cursor, with which a chunk is compared."""
SUFFIXES = (".py", ".pyi")
"""Of files whose text may be remembered: a client may open others for us."""
MAX_REEXPORTS = 3
"""Files followed from an import to the definition."""

Place = tuple[object, ...]
Piece = tuple[Path, str]
"""A file, and text of it."""


@dataclass(frozen=True)
class _Kept:
    place: Place
    pieces: tuple[Piece, ...]


class Contexts:
    """May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring = Ring()
        self._kept: _Kept | None = None

    def remember(self, path: Path, text: str, line: int, project: Project, capacity: int) -> None:
        """Keep the lines around a place of a Python file for the prompts of others."""
        is_wanted = capacity > 0 and path.suffix in SUFFIXES and not project.is_excluded(path)
        if is_wanted:
            chunk = chunk_around(path, text, line)
            with self._lock:
                self._ring.insert(chunk, capacity)

    def files(
        self,
        request: Request,
        target: Target | None,
        tests: tuple[OracleTest, ...],
        project: Project,
    ) -> tuple[File, ...]:
        """Name and text of pieces of other files, the most telling first."""
        if request.settings.other_files == 0:
            return ()
        place: Place = (
            request.path,
            request.settings,
            None if target is None else target.qualified_name,
            tuple((test.path, test.name) for test in tests),
        )
        kept = self._kept
        if kept is None or kept.place != place:
            with self._lock:
                chunks = self._ring.newest(_near(request))
            pieces = (
                *imported_signatures(request, target, tests, project),
                *((chunk.path, chunk.text) for chunk in chunks if chunk.path != request.path),
            )
            kept = self._kept = _Kept(place, pieces)
        return tuple(
            (_shown_name(path, project), text)
            for path, text in kept.pieces
            if not project.is_excluded(path)
        )


def imported_signatures(
    request: Request, target: Target | None, tests: tuple[OracleTest, ...], project: Project
) -> Iterator[Piece]:
    """Signatures of what the target and its tests use from the project's other files, file by file."""
    if request.path is None or target is None:
        return
    root = parse(request.text)
    lines = split_lines(request.text)
    used = identifiers(parse("".join(lines[target.first_line : target.end_line])))
    for test in tests:
        used |= identifiers(parse(test.source))
    wanted: dict[Path, set[str]] = {}
    for item in imports_in(root):
        for file, names in _sources(item, used, request.path, project):
            if file != request.path:
                wanted.setdefault(file, set()).update(names)
    for file, names in wanted.items():
        text = project.read(file)
        if text is not None and (stubs := signatures(parse(text), names)):
            yield file, stubs


def _sources(
    item: Import, used: set[str], importer: Path, project: Project
) -> Iterator[tuple[Path, set[str]]]:
    """The files that define what an import brings and the code uses, and the names used of each."""
    if item.name == "*" or item.name is None:
        module = _module_file(item.module, importer, project)
        if module is not None and (item.name == "*" or item.local in used):
            yield module, used
    elif item.local in used:
        module = _module_file(submodule(item.module, item.name), importer, project)
        if module is not None:
            yield module, used
        elif (file := _defining_file(item.module, item.name, importer, project)) is not None:
            yield file, {item.name}


def _defining_file(module: str, name: str, importer: Path, project: Project) -> Path | None:
    """The file of the project that a name comes from, through re-exports."""
    for _ in range(MAX_REEXPORTS):
        file = _module_file(module, importer, project)
        text = None if file is None else project.read(file)
        if file is None or text is None:
            return None
        tree = parse(text)
        if signatures(tree, [name]):
            return file
        source = next((i for i in imports_in(tree) if i.local == name and i.name == name), None)
        if source is None:
            return None
        module, importer = source.module, file
    return None


def _module_file(module: str, importer: Path, project: Project) -> Path | None:
    candidates = candidate_files(module, project.root, importer)
    return next((file for file in candidates if project.read(file) is not None), None)


def _near(request: Request) -> str:
    """The buffer around the cursor, with which chunks are compared."""
    above = chunk_around(Path(), request.before, request.before.count("\n")).text
    return "".join(split_lines(above + request.after)[:NEAR_LINES])


def _shown_name(path: Path, project: Project) -> str:
    """The path below the project, as people and models know it."""
    inside = path.is_relative_to(project.root)
    return path.relative_to(project.root).as_posix() if inside else path.name
