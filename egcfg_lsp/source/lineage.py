"""The classes above a class, as far as they are the project's: by the names of bases, in source.

Breadth first, not in the order of Python's own method resolution; above a `TestCase` nothing is
looked for. Does not cover bases that a package
re-exports, or that are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.source.facts import Class, Facts
from egcfg_lsp.source.imports import submodule

MAX_BASES = 8
"""Of one class."""


@dataclass(frozen=True)
class Inherited:
    """A class that others inherit from, in its file."""

    facts: Facts
    name: str

    @property
    def known(self) -> Class:
        return self.facts.classes[self.name]


def lineages(
    file: Path,
    facts: Facts,
    facts_in: Callable[[Path], Facts | None],
    file_of: Callable[[str, Path], Path | None],
) -> dict[str, list[Inherited]]:
    """By class of a file those above it, the nearest first.

    `facts_in` a file of the project; `file_of` a module that a file imports.
    """
    lookup = _Lookup(facts_in, file_of)
    return {name: lookup.lineage(file, facts, name) for name in facts.classes}


@dataclass(frozen=True)
class _Lookup:
    facts_in: Callable[[Path], Facts | None]
    file_of: Callable[[str, Path], Path | None]

    def lineage(self, file: Path, facts: Facts, name: str) -> list[Inherited]:
        found: list[Inherited] = []
        seen = {(file, name)}
        pending = [(file, facts, base) for base in facts.classes[name].bases]
        while pending and len(found) < MAX_BASES:
            place, around, base = pending.pop(0)
            if (place, base) in seen:
                continue
            seen.add((place, base))
            if base in around.classes:
                found.append(Inherited(around, base))
                pending += [(place, around, above) for above in around.classes[base].bases]
            elif base.endswith("TestCase") or base == "object":
                continue
            elif (origin := self.imported(place, around, base)) is not None:
                pending.append(origin)
        return found

    def imported(self, importer: Path, facts: Facts, base: str) -> tuple[Path, Facts, str] | None:
        """Where a class comes from that a file names and does not define."""
        first, _, rest = base.partition(".")
        for item in facts.imports:
            if item.local != first or item.name == "*":
                continue
            module, name = item.module, item.name or rest
            if item.name is not None and rest:
                module, name = submodule(module, item.name), rest
            elif item.name is None and item.alias is None:
                module, _, name = base.rpartition(".")
            file = self.file_of(module, importer)
            known = None if file is None or file == importer else self.facts_in(file)
            if file is not None and known is not None and name in known.classes:
                return file, known, name
        return None
