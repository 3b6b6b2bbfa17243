from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.settings import (
    DEFINITIONS,
    PYPROJECT,
    Scope,
    Settings,
    Source,
    project_options,
    resolve_settings,
)

INIT = "initializationOptions"
FOLDER = "workspace configuration"


def user(**options: object) -> Source:
    return Source(INIT, options, is_user=True)


def folder(**options: object) -> Source:
    return Source(FOLDER, options, is_user=False)


def pyproject(toml: str) -> Source:
    options, problems = project_options(f"[tool.egcfg]\n{toml}")
    assert problems == []
    return Source(PYPROJECT, options, is_user=False)


def check(sources: list[Source], expected: Settings, *problems: str) -> None:
    """Resolve; `problems` are the lines, in order."""
    settings, found = resolve_settings(sources)
    assert settings == expected
    assert found == list(problems)


def test_what_a_project_may_not_set() -> None:
    of_user = {d.name for d in DEFINITIONS if d.about.scope is Scope.USER}
    loading = {"gpu_layers", "context_tokens", "threads", "flash_attention", "kv_cache_type"}
    assert of_user == {"trusted", "trust", "interpreter", "environment", "model"} | loading


def read_settings(options: object) -> tuple[Settings, list[str]]:
    """The settings of a user's options alone."""
    return resolve_settings([Source("initializationOptions", options, is_user=True)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, Settings()),
        ({}, Settings()),
        ({"egcfg": None}, Settings()),
        ({"model": "m.gguf", "trusted": True}, Settings(model="m.gguf", trusted=True)),
        ({"egcfg": {"trusted": True}, "model": "m"}, Settings(model="m", trusted=True)),
        ({"interpreter": None, "deadlineSeconds": 2}, Settings(deadline_seconds=2.0)),
        ({"gpuLayers": "auto", "threads": "auto", "debounceMs": "auto"}, Settings()),
        ({"gpuLayers": 0, "debounceMs": 0}, Settings(gpu_layers=0, debounce_ms=0)),
        ({"contextTokens": 1024, "kvCacheType": "q4_0"}, Settings(context_tokens=1024, kv_cache_type="q4_0")),
        ({"exclude": ["b", "a", "b"], "enabled": False}, Settings(exclude=("b", "a", "b"), enabled=False)),
        ({"inStrings": True, "speculate": False}, Settings(in_strings=True, speculate=False)),
        ({"otherFiles": 64, "flashAttention": False}, Settings(other_files=64, flash_attention=False)),
    ],
)  # fmt: skip
def test_good_options(options: object, expected: Settings) -> None:
    assert read_settings(options) == (expected, [])


NUMBER = "must be a number from 0.1 to 600"
LAYERS = 'must be a whole number from 0 to 1000, or "auto"'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "initializationOptions must be an object, not []"),
        ("x", "must be an object, not 'x'"),
        ({"egcfg": 3}, "initializationOptions must be an object, not 3"),
        ({1: 2}, "initializationOptions has an unknown setting 1; `egcfg-lsp settings` lists all"),
        ({"Trusted": True}, "an unknown setting 'Trusted'; did you mean `trusted`?"),
        ({"gpu_layers": 3}, "an unknown setting 'gpu_layers'; did you mean `gpuLayers`?"),
        ({"egcfg": {"modle": "m"}}, "an unknown setting 'modle'; did you mean `model`?"),
        ({"model": ""}, "`model` of initializationOptions must be a non-empty string, not ''"),
        ({"model": " "}, "must be a non-empty string"),
        ({"model": {}}, "must be a non-empty string, not {}"),
        ({"model": 3}, "must be a non-empty string, not 3"),
        ({"model": "a\0b"}, "must be a non-empty string"),
        ({"interpreter": "\ud800"}, "must be a non-empty string"),
        ({"interpreter": ["python"]}, "must be a non-empty string"),
        ({"trusted": 1}, "must be true or false, not 1; the workspace is not trusted"),
        ({"trusted": "true"}, "must be true or false, not 'true'; the workspace is not trusted"),
        ({"trust": "/p"}, "must be a list of non-empty strings, not '/p'; the workspace is not trusted"),
        ({"trust": [""]}, "must be a list of non-empty strings, not ['']; the workspace is not trusted"),
        ({"speculate": 0}, "must be true or false, not 0"),
        ({"deadlineSeconds": True}, f"{NUMBER}, not True"),
        ({"deadlineSeconds": math.nan}, f"{NUMBER}, not nan"),
        ({"deadlineSeconds": math.inf}, f"{NUMBER}, not inf"),
        ({"deadlineSeconds": 0.09}, f"{NUMBER}, not 0.09"),
        ({"deadlineSeconds": 10**400}, f"{NUMBER}, not 1000"),
        ({"deadlineSeconds": "auto"}, f"{NUMBER}, not 'auto'"),
        ({"gpuLayers": "all"}, f"{LAYERS}, not 'all'"),
        ({"gpuLayers": "3"}, f"{LAYERS}, not '3'"),
        ({"gpuLayers": 1001}, f"{LAYERS}, not 1001"),
        ({"gpuLayers": 2.0}, f"{LAYERS}, not 2.0"),
        ({"contextTokens": "auto"}, "must be a whole number from 1024 to 131072, not 'auto'"),
        ({"threads": 0}, 'must be a whole number from 1 to 256, or "auto", not 0'),
        ({"debounceMs": 2001}, 'must be a whole number from 0 to 2000, or "auto", not 2001'),
        ({"otherFiles": -1}, "must be a whole number from 0 to 64, not -1"),
        ({"kvCacheType": "f32"}, "must be one of f16, q8_0, q4_0, not 'f32'"),
        ({"kvCacheType": []}, "must be one of f16, q8_0, q4_0, not []"),
        ({"exclude": "*.py"}, "must be a list of non-empty strings, not '*.py'"),
        ({"exclude": ["a", ""]}, "must be a list of non-empty strings, not ['a', '']"),
        ({"exclude": {"a": 1}}, "must be a list of non-empty strings"),
    ],
)  # fmt: skip
def test_bad_options_are_reported_once_and_defaulted(options: object, expected: str) -> None:
    settings, problems = read_settings(options)
    (problem,) = problems
    assert expected in problem
    fails_closed = "is not trusted" in problem or "an object" in problem
    assert settings == Settings(trusted=False if fails_closed else None)


def test_a_problem_shows_little_of_what_is_wrong() -> None:
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    for options in ({"model": [1] * 10_000}, {"x" * 10_000: 1}, {"trusted": nested}, "x" * 10_000):
        _, (problem,) = read_settings(options)
        assert len(problem) < 400


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        # The later source overrides.
        ([user(speculate=True), pyproject("speculate = false")], Settings(speculate=False)),
        ([pyproject("other-files = 3"), folder(otherFiles=4)], Settings(other_files=4)),
        ([user(otherFiles=3), folder(otherFiles=None)], Settings(other_files=3)),
        ([user(debounceMs=100), folder(debounceMs="auto")], Settings(debounce_ms=None)),
        ([user(model="a", trusted=True), user(model="b")], Settings(model="b", trusted=True)),
        # Nobody enables again, in whatever order.
        ([user(enabled=False), folder(enabled=True)], Settings(enabled=False)),
        ([user(enabled=True), folder(enabled=False)], Settings(enabled=False)),
        ([folder(enabled=False), user(enabled=True)], Settings(enabled=False)),
        # Patterns are added up, each once.
        (
            [user(exclude=["a", "b"]), pyproject('exclude = ["b", "c"]'), folder(exclude=[])],
            Settings(exclude=("a", "b", "c")),
        ),
    ],
)  # fmt: skip
def test_precedence(sources: list[Source], expected: Settings) -> None:
    check(sources, expected)


def test_a_wrong_value_leaves_what_weaker_sources_said() -> None:
    check(
        [user(otherFiles=3), folder(otherFiles=65, exclude=3, enabled="no")],
        Settings(other_files=3),
        "`otherFiles` of workspace configuration must be a whole number from 0 to 64, not 65",
        "`exclude` of workspace configuration must be a list of non-empty strings, not 3",
        "`enabled` of workspace configuration must be true or false, not 'no'",
    )


@pytest.mark.parametrize(
    "later",
    [
        user(trusted="yes"),
        user(trusted=[]),
        user(trust="/p", trusted=True),
        user(trusted=True, trust=["/p", 3]),
        Source(INIT, 3, True),
    ],
)
def test_trust_fails_closed(later: Source) -> None:
    settings, problems = resolve_settings([user(trusted=True, trust=["/q"]), later])
    assert (settings.trusted, settings.trust) == (False, ())
    assert len(problems) == 1


@pytest.mark.parametrize("definition", [d for d in DEFINITIONS if d.about.scope is Scope.USER])
@pytest.mark.parametrize("spell", ["key", "name", "kebab_key"])
def test_a_project_does_not_set_what_is_the_users(definition: Any, spell: str) -> None:
    for value in ("true", '"/bin/sh"', "4096"):
        check(
            [user(trusted=True), pyproject(f"{getattr(definition, spell)} = {value}")],
            Settings(trusted=True),
            f"`{definition.key}` is read from your own settings only, "
            "not from [tool.egcfg] of pyproject.toml",
        )


def test_a_project_is_not_told_of_keys_it_may_not_set() -> None:
    _, (problem,) = resolve_settings([pyproject("truste = true")])
    assert problem.endswith("unknown setting 'truste'; `egcfg-lsp settings` lists all")


@pytest.mark.parametrize("key", ["deadline-seconds", "deadline_seconds", "deadlineSeconds"])
def test_spellings_in_pyproject(key: str) -> None:
    check([pyproject(f"{key} = 3")], Settings(deadline_seconds=3))


def test_an_unknown_key_in_pyproject_is_shown_as_written() -> None:
    problem = "has an unknown setting 'other-filez'; did you mean `otherFiles`?"
    check([pyproject("other-filez = 3")], Settings(), f"{PYPROJECT} {problem}")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", None),
        ("tool = 3", None),
        ("[tool.ruff]\nenabled = false", None),
        ("[tool]\negcfg = 3", 3),
        ("[tool.egcfg]", {}),
        ("[tool.egcfg]\nin-strings = true\nx = 1979-05-27", {"inStrings": True}),
    ],
)
def test_the_table_of_pyproject(text: str, options: Any) -> None:
    found, problems = project_options(text)
    if isinstance(found, dict):
        found.pop("x", None)
    assert (found, problems) == (options, [])


@pytest.mark.parametrize(
    "text", ["[tool.egcfg", "x = [", "\0", "x = " + "9" * 5000, "x = " + "[" * 5000, "a = 1\na = 2"]
)
def test_broken_toml_is_one_problem(text: str) -> None:
    options, (problem,) = project_options(text)
    assert options is None
    assert problem.startswith("pyproject.toml is not read: ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["auto"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
keys = st.sampled_from([d.key for d in DEFINITIONS] + ["egcfg"]) | st.text()
raw_options = st.dictionaries(keys, json_values, max_size=8) | json_values
any_sources = st.lists(st.builds(Source, st.just("s"), raw_options, st.booleans()), max_size=4)


def is_valid(definition: Any, value: object) -> bool:
    """By type and range, without the code under test."""
    if value is None:
        return definition.default is None
    if definition.type in (int, int | None, float):
        low, high = definition.about.bounds
        kind = float if definition.type is float else int
        return type(value) is kind and low <= value <= high
    if definition.type in (bool, bool | None):
        return type(value) is bool
    if definition.type == tuple[str, ...]:
        return isinstance(value, tuple) and all(isinstance(v, str) and v.strip() for v in value)
    choices = definition.about.choices
    return isinstance(value, str) and bool(value.strip()) and (not choices or value in choices)


@given(any_sources)
def test_whatever_comes_the_settings_are_valid(sources: list[Source]) -> None:
    settings, problems = resolve_settings(sources)
    for definition in DEFINITIONS:
        value = getattr(settings, definition.name)
        assert is_valid(definition, value), (definition.name, value)
    for problem in problems:
        assert "\n" not in problem
    users = [source for source in sources if source.is_user]
    assert settings.trusted == resolve_settings(users)[0].trusted
    assert settings.model == resolve_settings(users)[0].model


@given(st.text())
def test_whatever_stands_in_pyproject_is_options_or_a_problem(text: str) -> None:
    options, problems = project_options(text)
    assert options is None or problems == []


def test_every_number_has_a_range_that_holds_its_default() -> None:
    for definition in DEFINITIONS:
        is_number = definition.type in (int, int | None, float)
        assert is_number == (definition.about.bounds is not None), definition.name
        assert is_valid(definition, definition.default), definition.name


def test_project_cannot_include_again_what_the_user_excludes() -> None:
    sources = [
        Source("mine", {"exclude": ["private/", "!private/open.py"]}, is_user=True),
        Source("theirs", {"exclude": ["!private/", "*_pb2.py"]}, is_user=False),
    ]
    settings, problems = resolve_settings(sources)
    assert settings.exclude == ("private/", "!private/open.py", "*_pb2.py")
    (problem,) = problems
    assert "theirs" in problem
    assert "!private/" in problem
