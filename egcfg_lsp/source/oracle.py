"""Oracle tests: those that reach the target, found by reading source, never by running it.

Ranked: the target's doctest; asserts at the top level of its file, and tests there; tests in files
named after its module; tests in files that import it. Which tests of a file mention it is the matter
of `oracle_mentions`; inherited tests and fixtures of `conftest.py` count. A function within a function
is reached by the tests of the outermost one. A target that no test mentions is reached through its
callers in the same file. `guess_tests` gives more that may reach it, for those who can find out.

Does not cover names renamed by a package that re-exports them, callers in other files, or names that
are put together at run time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

from tree_sitter import Node

from egcfg_lsp.source.facts import Directness, Facts, Function, facts_of
from egcfg_lsp.source.imports import (
    Import,
    candidate_files,
    module_names,
    submodule,
)
from egcfg_lsp.source.lineage import Inherited, lineages
from egcfg_lsp.source.lines import split_lines
from egcfg_lsp.source.nearness import nearness
from egcfg_lsp.source.oracle_mentions import (
    Subject,
    TestFile,
    aliases,
    fixtures_mentioning,
    is_test,
    mentioned,
    subject_of,
    tests_mentioning,
)
from egcfg_lsp.source.oracle_words import Likeness, likeness, words_of
from egcfg_lsp.source.pytest_config import PytestConfig
from egcfg_lsp.source.target import Target

MAX_TESTS = 8
MAX_HOPS = 2
"""Callers between a target and the function that tests mention."""


class OracleKind(StrEnum):
    FUNCTION = "function"
    DOCTEST = "doctest"
    ASSERTS = "asserts"


@dataclass(frozen=True)
class OracleTest:
    """One test function, the doctest of one function, or the asserts at a module's top level."""

    path: Path
    name: str
    """`test_total`, `TestTotal.test_empty`; for a doctest the function's qualified name; for asserts
    the name that they mention, as an identifier or an attribute."""
    kind: OracleKind
    reason: str
    """Why it was chosen, for people."""
    source: str
    """Its text, for the prompt; empty for a doctest."""


class Sources(Protocol):
    """What is known of a project's files."""

    @property
    def config(self) -> PytestConfig: ...

    def test_files(self) -> Sequence[Path]:
        """Files that pytest would collect."""
        ...

    def text(self, path: Path) -> str | None:
        """None where there is no such file, or it may not be read."""
        ...

    def facts(self, path: Path) -> Facts | None:
        """None where `text` is."""
        ...

    def module(self, path: Path, text: str) -> Node:
        """The syntax tree of a file whose text, now, is this one."""
        ...


def find_oracle_tests(
    target: Target,
    path: Path,
    root: Path,
    text: str,
    sources: Sources,
    *,
    limit: int = MAX_TESTS,
) -> tuple[OracleTest, ...]:
    """At most `limit` tests of the target, the most telling first.

    `path` and `text` are the file with the target. It is parsed where it mentions the target
    elsewhere, without the target's own lines, so that what is half typed there hides nothing below.
    """
    place, subject = _start(target, path, root, text, sources)
    found = place.tests_of(subject)
    if _has_example(target.docstring) and subject.qualified_name == target.qualified_name:
        found = [place.doctest_of(subject), *(t for t in found if t.kind != OracleKind.DOCTEST)]
    found = found or place.through_callers(subject)
    return tuple(found[:limit])


def guess_tests(
    target: Target, path: Path, root: Path, text: str, sources: Sources, *, limit: int = MAX_TESTS
) -> tuple[OracleTest, ...]:
    """At most `limit` tests that may reach the target though they do not name it, the likeliest first.

    They belong to it only once a run has entered it: none of them is one of `find_oracle_tests` where
    that finds any by name. Those of its callers come first, then those with words of its name.
    """
    place, subject = _start(target, path, root, text, sources)
    named = {(test.path, test.name) for test in place.tests_of(subject)}
    likely = [*place.through_callers(subject), *place.alike(subject)]
    once = {(t.path, t.name): t for t in reversed(likely) if (t.path, t.name) not in named}
    return tuple(reversed(once.values()))[:limit]


_Fixtures = Callable[[Path], frozenset[str]]
"""Names of fixtures from elsewhere, for the tests of a folder."""


@dataclass(frozen=True)
class _Place:
    """A file with a target, and the files around it."""

    path: Path
    root: Path
    text: str
    sources: Sources

    @cached_property
    def module(self) -> Node:
        return self.sources.module(self.path, self.text)

    def tests_of(self, subject: Subject) -> list[OracleTest]:
        """Ranked tests that mention the subject."""
        ranked: list[tuple[tuple[int, ...], OracleTest]] = []
        shared = cache(lambda folder: self._shared_fixtures(subject, folder))
        for file in self.sources.test_files():
            if file == self.path or not self._may_mention(file, subject, shared):
                continue
            if (facts := self.sources.facts(file)) is None:
                continue
            near = nearness(file, self.path, self.root, self.sources.config)
            tests = self._in_test_file(subject, file, facts, near is not None, shared(file.parent))
            if near is not None:
                reason, rank = f"names it, in {file.name}", (0, near)
            else:
                where = file.relative_to(self.root).as_posix()
                reason, rank = f"imports and names it, in {where}", (1, 0)
            size = sum(len(function.source) for _, function in tests)
            for directness, function in tests:
                order = (*rank, directness, self._distance(file), size)
                ranked.append((order, _test(file, function, reason)))
        ranked.sort(key=lambda pair: pair[0])
        return self._in_this_file(subject) + [test for _, test in ranked]

    def through_callers(self, subject: Subject) -> list[OracleTest]:
        """Ranked tests of the nearest callers in the same file that have any."""
        callers, seen = [subject], {subject}
        for _ in range(MAX_HOPS):
            above = dict.fromkeys(c for caller in callers for c in self.callers_of(caller))
            callers = [caller for caller in above if caller not in seen]
            seen |= set(callers)
            found: dict[tuple[object, ...], OracleTest] = {}
            for caller in callers:
                for test in self.tests_of(caller):
                    reason = f"reaches it through {caller.name}: {test.reason}"
                    key = (test.path, test.kind, test.name)
                    found.setdefault(key, replace(test, reason=reason))
            if found:
                return list(found.values())
        return []

    def alike(self, subject: Subject) -> list[OracleTest]:
        """Ranked tests with words of the subject's name, those of the module's namesakes first."""
        ranked: list[tuple[tuple[bool, Likeness], OracleTest]] = []
        words = words_of(subject.name)
        for file in self.sources.test_files():
            text = (self.sources.text(file) or "").lower()
            if file == self.path or not any(word in text for word in words):
                continue
            if (facts := self.sources.facts(file)) is None:
                continue
            is_far = nearness(file, self.path, self.root, self.sources.config) is None
            reason = f"has words of its name, in {file.relative_to(self.root).as_posix()}"
            for function in facts.functions:
                like = likeness(function, subject)
                if like is not None and is_test(function, facts, self.sources.config):
                    ranked.append(((is_far, like), _test(file, function, reason)))
        ranked.sort(key=lambda pair: pair[0])
        return [test for _, test in ranked]

    def doctest_of(self, subject: Subject) -> OracleTest:
        reason = "doctest of the function"
        return OracleTest(self.path, subject.qualified_name, OracleKind.DOCTEST, reason, "")

    def callers_of(self, subject: Subject) -> list[Subject]:
        """Functions of the same file, tests left out, that mention the subject."""
        facts = self._facts_about(subject)
        subjects = [
            subject_of(function.name, self.text)
            for function in facts.functions
            if function.name != subject.qualified_name
            and not is_test(function, facts, self.sources.config)
            and mentioned(function, subject, {subject.exported}, is_related=True) is not None
        ]
        return list(dict.fromkeys(subjects))

    def _in_this_file(self, subject: Subject) -> list[OracleTest]:
        facts, found = self._facts_about(subject), list[OracleTest]()
        keys, reason = frozenset({subject.exported}), "in the same file"
        if any(
            f.name == subject.qualified_name and _has_example(f.docstring) for f in facts.functions
        ):
            found.append(self.doctest_of(subject))
        asserts = [
            statement
            for statement in facts.asserts
            if mentioned(statement, subject, keys, is_related=True) is not None
        ]
        if asserts:
            source = "\n".join(statement.source for statement in asserts)
            found.append(
                OracleTest(self.path, subject.word, OracleKind.ASSERTS, f"asserts {reason}", source)
            )
        here = TestFile(facts, keys, is_related=True, lineage=self._lineages(self.path, facts))
        ranked = tests_mentioning(here, subject, self.sources.config)
        return found + [_test(self.path, function, reason) for _, function in ranked]

    def _facts_about(self, subject: Subject) -> Facts:
        """What the file itself says where the subject is named more than where it is defined."""
        if self.text.count(subject.word) < 2:
            return Facts()
        return facts_of(self.module, subject.word)

    def _may_mention(self, file: Path, subject: Subject, shared: _Fixtures) -> bool:
        """Without parsing: whether its text names the subject, its class, or a fixture that does."""
        text = self.sources.text(file) or ""
        words = {subject.word, subject.exported, f".{subject.name}"}
        return any(word in text for word in words) or any(
            name in text for name in shared(file.parent)
        )

    def _in_test_file(
        self, subject: Subject, file: Path, facts: Facts, is_namesake: bool, shared: frozenset[str]
    ) -> list[tuple[Directness, Function]]:
        keys = self._keys_in(subject, file, facts)
        if is_namesake and not keys:
            keys = self._likely_keys(facts, subject, file)
        is_related = is_namesake or bool(keys)
        if not is_related and not shared:
            return []
        lineage = self._lineages(file, facts)
        test_file = TestFile(facts, aliases(facts, keys), is_related, lineage, shared)
        return tests_mentioning(test_file, subject, self.sources.config)

    def _shared_fixtures(self, subject: Subject, place: Path) -> frozenset[str]:
        """Fixtures of the `conftest.py` in a folder and those above that mention the subject."""
        found: frozenset[str] = frozenset()
        for folder in (place, *place.parents):
            if not folder.is_relative_to(self.root):
                break
            conftest = folder / "conftest.py"
            facts = None
            if subject.exported in (self.sources.text(conftest) or ""):
                facts = self.sources.facts(conftest)
            if facts is not None and (keys := self._keys_in(subject, conftest, facts)):
                found |= fixtures_mentioning(facts, aliases(facts, keys))
        return found

    def _lineages(self, file: Path, facts: Facts) -> dict[str, list[Inherited]]:
        return lineages(file, facts, self.sources.facts, self._file_of)

    def _keys_in(self, subject: Subject, file: Path, facts: Facts) -> frozenset[str]:
        """The mentions by which a file's imports let it know the subject, or its class."""
        keys = (key for item in facts.imports for key in self._keys(item, subject, file, facts))
        return frozenset(keys)

    def _keys(self, item: Import, subject: Subject, importer: Path, facts: Facts) -> Iterator[str]:
        """Mentions by which a file knows the subject, or its class, thanks to one of its imports."""
        exported = subject.exported
        if item.name in (exported, "*"):
            if self._has(item.module, exported, importer):
                yield item.alias or exported
        elif item.name is not None:
            key = f"{item.local}.{exported}"
            module = submodule(item.module, item.name)
            if key in facts.mentions and self._has(module, exported, importer):
                yield key
        else:
            key = f"{item.alias or item.module}.{exported}"
            if key in facts.mentions and self._has(item.module, exported, importer):
                yield key
            if item.alias is None:
                names = module_names(self.path, self.root, self.sources.config.pythonpath)
                likely = {f"{n}.{exported}" for n in names if n.startswith(f"{item.local}.")}
                yield from likely & facts.mentions

    def _has(self, module: str, name: str, importer: Path, n_hops: int = 3) -> bool:
        """Whether a module is the target's, or takes over the name from it."""
        file = self._file_of(module, importer)
        if file == self.path:
            return True
        facts = None if file is None or n_hops == 0 else self.sources.facts(file)
        return facts is not None and any(
            self._has(item.module, name, file or importer, n_hops - 1)
            for item in facts.imports
            if item.name == "*" or (item.name == name and item.local == name)
        )

    @cached_property
    def _file_of(self) -> Callable[[str, Path], Path | None]:
        """Where the module lies that a file imports by a name; None: not in the project."""
        return cache(self._find_file)

    def _find_file(self, module: str, importer: Path) -> Path | None:
        pythonpath = self.sources.config.pythonpath
        for file in candidate_files(module, self.root, importer, pythonpath):
            if file == self.path or self.sources.text(file) is not None:
                return file
        return None

    def _likely_keys(self, facts: Facts, subject: Subject, file: Path) -> frozenset[str]:
        """Mentions that mean the subject in a file named after its module, for all that is known.

        The name itself if nothing binds it, and imports from modules that are not in the project
        but are called like the target's or a package around it.
        """
        exported = subject.exported
        names = module_names(self.path, self.root, self.sources.config.pythonpath)
        ours = {part for name in names for part in name.split(".")} | {""}
        unknown = [
            item
            for item in facts.imports
            if item.module.lstrip(".").partition(".")[0] in ours
            and self._file_of(item.module, file) is None
        ]
        keys = {f"{i.alias or i.module}.{exported}" for i in unknown if i.name is None}
        keys |= {item.local for item in unknown if item.name == exported}
        is_bound = exported in facts.definitions or exported in {i.local for i in facts.imports}
        return frozenset(keys if is_bound else keys | {exported})

    def _distance(self, file: Path) -> int:
        """Folders between the module's and a test file's."""
        ours, theirs = self.path.parent.parts, file.parent.parts
        n_shared = sum(a == b for a, b in zip(ours, theirs, strict=False))
        return len(ours) + len(theirs) - 2 * n_shared


def _start(
    target: Target, path: Path, root: Path, text: str, sources: Sources
) -> tuple[_Place, Subject]:
    place = _Place(path, root, _without_body(text, target), sources)
    return place, subject_of(target.qualified_name, text)


def _without_body(text: str, target: Target) -> str:
    lines = split_lines(text)
    header = lines[target.start_line]
    white = header[: len(header) - len(header.lstrip())]
    stub = f"{white}def {target.name}(): pass\n"
    return "".join([*lines[: target.start_line], stub, *lines[target.end_line :]])


def _test(path: Path, function: Function, reason: str) -> OracleTest:
    return OracleTest(path, function.name, OracleKind.FUNCTION, reason, function.source)


def _has_example(docstring: str) -> bool:
    return re.search(r"^\s*([rRuU]?['\"]+)?\s*>>> ", docstring, re.MULTILINE) is not None
