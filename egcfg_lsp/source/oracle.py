"""Oracle tests: those that reach the target, found by reading source, never by running it.

Ranked: the target's doctest; asserts at the top level of its file, and tests there; tests in files
named after its module; tests in files that import it. A method counts as mentioned by an attribute
of its name where its class is known in the file, or the file is named after the module; a special
method (`__init__`, `__add__`, …) by its class, since an operator names nothing. What only helpers
of the test file mention counts for the tests that use these. A function within a function is
reached by the tests of the outermost one. A target that no test mentions is reached through its
callers in the same file.

Does not cover tests inherited from a base class, names renamed by a package that re-exports them,
fixtures of `conftest.py` that make functions, or names that are put together at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tree_sitter import Node

from egcfg_lsp.source.facts import Directness, Facts, Function, facts_of
from egcfg_lsp.source.imports import (
    SOURCE_FOLDERS,
    Import,
    candidate_files,
    module_names,
    submodule,
)
from egcfg_lsp.source.lines import split_lines
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
    target: Target, path: Path, root: Path, text: str, sources: Sources
) -> tuple[OracleTest, ...]:
    """At most `MAX_TESTS` tests of the target, the most telling first.

    `path` and `text` are the file with the target. It is parsed where it mentions the target
    elsewhere, without the target's own lines, so that what is half typed there hides nothing below.
    """
    place = _Place(path, root, _without_body(text, target), sources)
    subject = _subject(target.qualified_name, text)
    found = place.tests_of(subject)
    if ">>>" in target.docstring and subject.qualified_name == target.qualified_name:
        found = [place.doctest_of(subject), *(t for t in found if t.kind != OracleKind.DOCTEST)]
    callers, seen = [subject], {subject}
    for _ in range(MAX_HOPS):
        if found:
            break
        above = dict.fromkeys(c for caller in callers for c in place.callers_of(caller))
        callers = [caller for caller in above if caller not in seen]
        seen |= set(callers)
        once: dict[tuple[object, ...], OracleTest] = {}
        for caller in callers:
            for test in place.tests_of(caller):
                reason = f"reaches it through {caller.name}: {test.reason}"
                once.setdefault((test.path, test.kind, test.name), replace(test, reason=reason))
        found = list(once.values())
    return tuple(found[:MAX_TESTS])


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


IN_HELPER = 3
"""Directness of a test that mentions a helper, or takes a fixture, which mentions the target."""
OUT_OF_SIGHT = 4
"""Added where a method's name is mentioned and its class is not, or a special method's operator."""
_TEST_FOLDERS = {
    "test", "tests", "testing", "unit", "unittest", "unittests", "unit_tests", "integration",
    "functional",
}  # fmt: skip
_OPERATORS = {
    "__add__": "+", "__sub__": "-", "__mul__": "*", "__truediv__": "/", "__floordiv__": "//",
    "__mod__": "%", "__pow__": "**", "__matmul__": "@", "__and__": "&", "__or__": "|",
    "__xor__": "^", "__lshift__": "<<", "__rshift__": ">>", "__invert__": "~", "__eq__": "==",
    "__ne__": "!=", "__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">=",
    "__iadd__": "+=", "__isub__": "-=", "__imul__": "*=", "__contains__": "in", "__iter__": "for",
    "__enter__": "with", "__exit__": "with", "__aenter__": "with", "__await__": "await",
    "__getitem__": "[]", "__setitem__": "[]", "__delitem__": "[]", "__len__": "len",
    "__str__": "str", "__repr__": "repr", "__hash__": "hash", "__bool__": "bool", "__int__": "int",
    "__float__": "float", "__abs__": "abs", "__next__": "next", "__reversed__": "reversed",
    "__format__": "format", "__round__": "round",
}  # fmt: skip
"""What a test of a special method mentions besides the class, as in `facts.Mentions`."""

_FIXTURE = re.compile(r"(?:@.*\n)*@(?:\w+\.)?fixture\b")


@dataclass(frozen=True)
class _Subject:
    """What tests are looked for: a function of the top level, or a method."""

    classes: tuple[str, ...]
    """Around it, the outermost first."""
    name: str

    @property
    def qualified_name(self) -> str:
        return ".".join((*self.classes, self.name))

    @property
    def exported(self) -> str:
        """The name by which other files import it, or its class."""
        return self.classes[0] if self.classes else self.name

    @property
    def is_special(self) -> bool:
        is_dunder = self.name.startswith("__") and self.name.endswith("__")
        return bool(self.classes) and is_dunder

    @property
    def word(self) -> str:
        """The name that whatever mentions it contains."""
        return self.classes[-1] if self.is_special else self.name


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

    def tests_of(self, subject: _Subject) -> list[OracleTest]:
        """Ranked tests that mention the subject."""
        ranked: list[tuple[tuple[int, ...], OracleTest]] = []
        for file in self.sources.test_files():
            if file == self.path or subject.word not in (self.sources.text(file) or ""):
                continue
            if (facts := self.sources.facts(file)) is None:
                continue
            near = nearness(file, self.path, self.root, self.sources.config)
            tests = self._in_test_file(subject, file, facts, is_namesake=near is not None)
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

    def doctest_of(self, subject: _Subject) -> OracleTest:
        reason = "doctest of the function"
        return OracleTest(self.path, subject.qualified_name, OracleKind.DOCTEST, reason, "")

    def callers_of(self, subject: _Subject) -> list[_Subject]:
        """Functions of the same file, tests left out, that mention the subject."""
        facts = self._facts_about(subject)
        subjects = [
            _subject(function.name, self.text)
            for function in facts.functions
            if function.name != subject.qualified_name
            and not _is_test(function, facts, self.sources.config)
            and _mentioned(function, subject, {subject.exported}, is_related=True) is not None
        ]
        return list(dict.fromkeys(subjects))

    def _in_this_file(self, subject: _Subject) -> list[OracleTest]:
        facts, found = self._facts_about(subject), list[OracleTest]()
        keys, reason = {subject.exported}, "in the same file"
        if any(
            f.name == subject.qualified_name and _has_doctest(f.source) for f in facts.functions
        ):
            found.append(self.doctest_of(subject))
        asserts = [a for a in facts.asserts if _mentioned(a, subject, keys, True) is not None]
        if asserts:
            source = "\n".join(statement.source for statement in asserts)
            found.append(
                OracleTest(self.path, subject.word, OracleKind.ASSERTS, f"asserts {reason}", source)
            )
        ranked = _tests_mentioning(facts, subject, keys, True, self.sources.config)
        return found + [_test(self.path, function, reason) for _, function in ranked]

    def _facts_about(self, subject: _Subject) -> Facts:
        """What the file itself says where the subject is named more than where it is defined."""
        if self.text.count(subject.word) < 2:
            return Facts()
        return facts_of(self.module, subject.word)

    def _in_test_file(
        self, subject: _Subject, file: Path, facts: Facts, is_namesake: bool
    ) -> list[tuple[Directness, Function]]:
        keys = {key for item in facts.imports for key in self._keys(item, subject, file, facts)}
        if is_namesake and not keys:
            keys = self._likely_keys(facts, subject, file)
        is_related = is_namesake or bool(keys)
        return _tests_mentioning(facts, subject, keys, is_related, self.sources.config)

    def _keys(self, item: Import, subject: _Subject, importer: Path, facts: Facts) -> Iterator[str]:
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

    def _file_of(self, module: str, importer: Path) -> Path | None:
        pythonpath = self.sources.config.pythonpath
        for file in candidate_files(module, self.root, importer, pythonpath):
            if file == self.path or self.sources.text(file) is not None:
                return file
        return None

    def _likely_keys(self, facts: Facts, subject: _Subject, file: Path) -> set[str]:
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
        return keys if is_bound else keys | {exported}

    def _distance(self, file: Path) -> int:
        """Folders between the module's and a test file's."""
        ours, theirs = self.path.parent.parts, file.parent.parts
        n_shared = sum(a == b for a, b in zip(ours, theirs, strict=False))
        return len(ours) + len(theirs) - 2 * n_shared


def _without_body(text: str, target: Target) -> str:
    lines = split_lines(text)
    header = lines[target.start_line]
    white = header[: len(header) - len(header.lstrip())]
    stub = f"{white}def {target.name}(): pass\n"
    return "".join([*lines[: target.start_line], stub, *lines[target.end_line :]])


def _subject(qualified_name: str, text: str) -> _Subject:
    """The outermost function on the way to a definition, in a buffer that need not parse."""
    parts = qualified_name.split(".")
    n_classes = 0
    for part in parts[:-1]:
        if re.search(rf"^[ \t]*class[ \t]+{re.escape(part)}\b", text, re.MULTILINE) is None:
            break
        n_classes += 1
    return _Subject(tuple(parts[:n_classes]), parts[n_classes])


def _tests_mentioning(
    facts: Facts, subject: _Subject, keys: set[str], is_related: bool, config: PytestConfig
) -> list[tuple[Directness, Function]]:
    """Tests of a file that mention the subject, or helpers of theirs that do; most direct first."""
    if not is_related:
        return []
    levels = {f: _mentioned(f, subject, keys, is_related) for f in facts.functions}
    tests = [f for f in facts.functions if _is_test(f, facts, config)]
    others = set(facts.functions) - set(tests)
    others -= {f for f in others if f.name == subject.qualified_name}
    helpers = {f for f in others if levels[f] is not None}
    while more := {f for f in others - helpers if _uses_one_of(helpers, f)}:
        helpers |= more
    found = []
    for test in tests:
        directness = levels[test]
        if directness is None and _uses_one_of(helpers, test):
            directness = IN_HELPER
        if directness is not None and test.name != subject.qualified_name:
            found.append((directness, test))
    return sorted(found, key=lambda pair: (pair[0], pair[1].line))


def _mentioned(
    function: Function, subject: _Subject, keys: set[str], is_related: bool
) -> Directness | None:
    """How a function mentions the subject, whose own or whose class's names are `keys`."""
    levels = [level for key in keys if (level := function.mentions_name(key)) is not None]
    seen = min(levels, default=None)
    if not subject.classes:
        return seen
    if not subject.is_special:
        level = function.mentions.get(f".{subject.name}") if is_related else None
        return None if level is None else level + (OUT_OF_SIGHT if seen is None else 0)
    if len(subject.classes) > 1:
        seen = function.mentions.get(f".{subject.word}") if is_related else None
    hint = _OPERATORS.get(subject.name)
    is_hidden = hint is not None and hint not in function.mentions
    return None if seen is None else seen + (OUT_OF_SIGHT if is_hidden else 0)


def _uses_one_of(helpers: set[Function], function: Function) -> bool:
    for helper in helpers:
        owner, _, name = helper.name.rpartition(".")
        if owner and f".{name}" in function.mentions:
            return True
        if not owner and (name in function.parameters or function.mentions_name(name) is not None):
            return True
    return False


def _is_test(function: Function, facts: Facts, config: PytestConfig) -> bool:
    """Whether pytest collects a function, given the classes around it."""
    owner, _, name = function.name.rpartition(".")
    if _FIXTURE.match(function.source):
        return False
    if not owner:
        return config.collects_function(name)
    if _is_unittest(owner, facts):
        return name.startswith("test")
    parts = owner.split(".")
    owners = [".".join(parts[: i + 1]) for i in range(len(parts))]
    return config.collects_function(name) and all(
        config.collects_class(part) and not facts.classes[above].has_init
        for part, above in zip(parts, owners, strict=True)
    )


def _is_unittest(name: str, facts: Facts) -> bool:
    """Whether a class is a `TestCase`, by its bases in the same file."""
    pending, seen = [name], set[str]()
    while pending:
        base = pending.pop()
        if base not in seen and base in facts.classes:
            pending += facts.classes[base].bases
        elif base.rpartition(".")[2].endswith("TestCase"):
            return True
        seen.add(base)
    return False


def _test(path: Path, function: Function, reason: str) -> OracleTest:
    return OracleTest(path, function.name, OracleKind.FUNCTION, reason, function.source)


def _has_doctest(source: str) -> bool:
    return re.search(r"^\s*([rRuU]?['\"]+)?\s*>>> ", source, re.MULTILINE) is not None


def _tested_names(file_name: str, config: PytestConfig) -> Iterator[str]:
    """What a test file is named after: `calc` for `test_calc.py`, by any pattern of test files."""
    for pattern in dict.fromkeys((*config.python_files, *PytestConfig.python_files)):
        before, star, after = pattern.partition("*")
        if star and file_name.startswith(before) and file_name.endswith(after):
            yield file_name[len(before) : -len(after) or None].strip("_")


def _plain_folders(path: Path, root: Path) -> list[str]:
    folders = path.parent.relative_to(root).parts
    return [f for f in folders if f not in _TEST_FOLDERS and f not in SOURCE_FOLDERS]
