"""Which tests of one file mention a function or method, and how directly.

Read from the file's facts. A method counts as mentioned by an attribute of its name where its class
is known in the file, or the test's own class is called like it; a special method (`__init__`,
`__add__`, …) by its class, since an operator names nothing, and by its own name. What a class
assigns, sets up or inherits counts for all its tests, what a helper or fixture mentions for those
that use it. Knows no files and no imports: those who ask say by which names the file knows the
subject.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from egcfg_lsp.source.facts import NAMED, Directness, Facts, Function
from egcfg_lsp.source.lineage import Inherited
from egcfg_lsp.source.pytest_config import PytestConfig

IN_HELPER = 3
"""Directness of a test that mentions a helper, or takes a fixture, which mentions the target."""
OUT_OF_SIGHT = 4
"""Added where a method's name is mentioned and its class is not, or a special method's operator."""
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
    "__format__": "format", "__round__": "round", "__getstate__": "pickle", "__copy__": "copy",
    "__setstate__": "pickle", "__reduce__": "pickle", "__deepcopy__": "deepcopy",
}  # fmt: skip
"""What a test of a special method mentions besides the class, as in `facts.Mentions`."""

_CALLED_BY_OTHERS = {"__init__", "__new__", "__init_subclass__"}
"""`super().__init__` in a test's own class is some other class's."""
_SET_UPS = {
    "setUp", "setUpClass", "asyncSetUp", "setup_method", "setup_class", "setup",
}  # fmt: skip
_TEST_AFFIX = re.compile(r"^[Tt]ests?|(?:[Tt]ests?|TestCase)$")
_FIXTURE = re.compile(r"(?:@.*\n)*@(?:\w+\.)?fixture\b")


@dataclass(frozen=True)
class Subject:
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


def subject_of(qualified_name: str, text: str) -> Subject:
    """The outermost function on the way to a definition, in a buffer that need not parse."""
    parts = qualified_name.split(".")
    n_classes = 0
    for part in parts[:-1]:
        if re.search(rf"^[ \t]*class[ \t]+{re.escape(part)}\b", text, re.MULTILINE) is None:
            break
        n_classes += 1
    return Subject(tuple(parts[:n_classes]), parts[n_classes])


@dataclass(frozen=True)
class TestFile:
    """What is known of a file with tests of a subject."""

    facts: Facts
    keys: frozenset[str]
    """The mentions by which it knows the subject, or the subject's class."""
    is_related: bool
    """Whether an attribute of a method's name may be taken for the method."""
    lineage: Mapping[str, Sequence[Inherited]] = field(default_factory=dict)
    """By class those above it, in this and in other files, the nearest first."""
    fixtures: frozenset[str] = frozenset()
    """Names of fixtures from elsewhere that mention the subject, or its class."""


def tests_mentioning(
    file: TestFile, subject: Subject, config: PytestConfig
) -> list[tuple[Directness, Function]]:
    """Tests of a file that mention the subject, or helpers of theirs that do; most direct first."""
    if not file.is_related and not file.fixtures:
        return []
    functions = [*file.facts.functions, *_inherited(file)]
    at_hand = _classes_that_know(file, functions)
    levels = {f: _level(f, file, subject, at_hand) for f in functions}
    tests = [f for f in functions if is_test(f, file.facts, config, file.lineage)]
    others = set(functions) - set(tests)
    others -= {f for f in others if f.name == subject.qualified_name}
    helpers = {f for f in others if levels[f] is not None}
    while more := {f for f in others - helpers if _uses_one_of(helpers, f)}:
        helpers |= more
    set_up = {
        owner for owner, _, name in (h.name.rpartition(".") for h in helpers) if name in _SET_UPS
    }
    found = []
    for test in tests:
        directness = levels[test]
        if directness is None and (
            _uses_one_of(helpers, test)
            or test.name.rpartition(".")[0] in set_up
            or (not subject.classes and test.parameters & file.fixtures)
        ):
            directness = IN_HELPER
        if directness is not None and test.name != subject.qualified_name:
            found.append((directness, test))
    return sorted(found, key=lambda pair: (pair[0], pair[1].line))


def fixtures_mentioning(facts: Facts, keys: Iterable[str]) -> frozenset[str]:
    """Names of the fixtures of a file that mention one of the keys, or another such fixture."""
    fixtures = [f for f in facts.functions if _FIXTURE.match(f.source)]
    found = {f for f in fixtures if any(f.mentions_name(key) is not None for key in keys)}
    while more := {f for f in fixtures if f not in found and _uses_one_of(found, f)}:
        found |= more
    return frozenset(function.name for function in found)


def aliases(facts: Facts, keys: Iterable[str]) -> frozenset[str]:
    """The keys, and the names to which the file's top level assigns something that mentions one."""
    found = set(keys)
    while more := {name for name, mentions in facts.values.items() if mentions & found} - found:
        found |= more
    return frozenset(found)


def mentioned(
    function: Function,
    subject: Subject,
    keys: Iterable[str],
    *,
    is_related: bool,
    is_at_hand: bool = False,
) -> Directness | None:
    """How a function mentions the subject, whose own or whose class's names are `keys`.

    `is_at_hand`: the class is known around the function, as by a fixture or what its class sets up.
    """
    levels = [level for key in keys if (level := function.mentions_name(key)) is not None]
    seen = min(levels, default=NAMED if is_at_hand and subject.classes else None)
    if not subject.classes:
        return seen
    by_name = function.mentions.get(f".{subject.name}") if is_related or is_at_hand else None
    if not subject.is_special:
        return None if by_name is None else by_name + (OUT_OF_SIGHT if seen is None else 0)
    if by_name is not None and subject.name not in _CALLED_BY_OTHERS:
        return by_name
    if len(subject.classes) > 1:
        seen = function.mentions.get(f".{subject.word}") if is_related else None
    hint = _OPERATORS.get(subject.name)
    is_hidden = hint is not None and hint not in function.mentions
    return None if seen is None else seen + (OUT_OF_SIGHT if is_hidden else 0)


def is_test(
    function: Function,
    facts: Facts,
    config: PytestConfig,
    lineage: Mapping[str, Sequence[Inherited]] | None = None,
) -> bool:
    """Whether pytest collects a function, given the classes around it."""
    owner, _, name = function.name.rpartition(".")
    if _FIXTURE.match(function.source):
        return False
    if not owner:
        return config.collects_function(name)
    above = (lineage or {}).get(owner, ())
    if _is_unittest(owner, facts, above):
        return name.startswith("test")
    parts = owner.split(".")
    owners = [".".join(parts[: i + 1]) for i in range(len(parts))]
    return config.collects_function(name) and all(
        config.collects_class(part) and "__init__" not in facts.classes[around].methods
        for part, around in zip(parts, owners, strict=True)
    )


def _level(
    function: Function, file: TestFile, subject: Subject, at_hand: frozenset[str]
) -> Directness | None:
    owner = function.name.rpartition(".")[0]
    return mentioned(
        function,
        subject,
        file.keys,
        is_related=file.is_related,
        is_at_hand=owner in at_hand
        or bool(function.parameters & file.fixtures)
        or _is_named_after(owner, subject),
    )


def _is_named_after(owner: str, subject: Subject) -> bool:
    """Whether a class of tests is called like the subject's: `TestStack`, `StackTests`."""
    tested = _TEST_AFFIX.sub("", owner.rpartition(".")[2]).strip("_").lower()
    return bool(subject.classes) and tested == subject.classes[-1].strip("_").lower()


def _inherited(file: TestFile) -> list[Function]:
    """The methods that classes of the file inherit, under these classes' names."""
    found: dict[str, Function] = {}
    for name, above in file.lineage.items():
        for base in above:
            for function in base.facts.functions:
                owner, _, method = function.name.rpartition(".")
                if owner == base.name and method not in file.facts.classes[name].methods:
                    inherited = replace(function, name=f"{name}.{method}")
                    found.setdefault(inherited.name, inherited)
    return list(found.values())


def _classes_that_know(file: TestFile, functions: Sequence[Function]) -> frozenset[str]:
    """Classes that mention a key where it counts for all their tests: assigned, or in a set-up."""
    assigned = {
        name
        for name, known in file.facts.classes.items()
        if known.mentions & file.keys
        or any(base.known.mentions & file.keys for base in file.lineage.get(name, ()))
    }
    set_up = {
        owner
        for function in functions
        for owner, _, name in [function.name.rpartition(".")]
        if name in _SET_UPS and any(function.mentions_name(k) is not None for k in file.keys)
    }
    return frozenset(assigned | set_up)


def _is_unittest(name: str, facts: Facts, above: Sequence[Inherited]) -> bool:
    """Whether a class is a `TestCase`, by the bases that are known."""
    known = [*([facts.classes[name]] if name in facts.classes else []), *(b.known for b in above)]
    return any(base.rpartition(".")[2].endswith("TestCase") for c in known for base in c.bases)


def _uses_one_of(helpers: set[Function], function: Function) -> bool:
    for helper in helpers:
        owner, _, name = helper.name.rpartition(".")
        if owner and f".{name}" in function.mentions:
            return True
        if not owner and (name in function.parameters or function.mentions_name(name) is not None):
            return True
    return False
