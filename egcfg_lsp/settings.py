"""Settings: raw options in, typed settings and a list of problems out.

Types, ranges, scopes and descriptions are defined here once; docs/settings.md and the properties in
VS Code's package.json are made from them (`cli/settings.py`).
Knows nothing of where options come from, reads no files, and does not look into patterns or paths.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from reprlib import Repr
from typing import Annotated, Any, get_type_hints

from cattrs import Converter

DEFAULT_MODEL = "qwen2.5-coder-0.5b"
PYPROJECT = "[tool.egcfg] of pyproject.toml"
"""The name for people of the source that `project_options` reads."""


class Scope(StrEnum):
    USER = "user"
    """Chooses what is executed or loaded: never read from files of a workspace."""
    PROJECT = "project"


@dataclass(frozen=True)
class About:
    """What is said of a setting besides its name, type and default."""

    description: str
    """One sentence, Markdown."""
    scope: Scope
    bounds: tuple[float, float] | None = None
    """Lowest and highest value, inclusive; every number has them."""
    unit: str = ""
    """Plural, where the description does not name it."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded."""

    gpu_layers: Annotated[
        int | None,
        About(
            "Layers of the model on the GPU; `auto`: as many as fit; 0: CPU only.",
            Scope.USER,
            bounds=(0, 1000),
        ),
    ] = None
    context_tokens: Annotated[
        int,
        About(
            "Context of the model, prompt and answer together, and the cap of what its KV cache keeps.",
            Scope.USER,
            bounds=(1024, 131_072),
            unit="tokens",
        ),
    ] = 8192
    threads: Annotated[
        int | None,
        About(
            "Threads that compute on the CPU; `auto`: one a physical core.",
            Scope.USER,
            bounds=(1, 256),
        ),
    ] = None
    flash_attention: Annotated[
        bool, About("Use flash attention where the model and the device support it.", Scope.USER)
    ] = True
    kv_cache_type: Annotated[
        str,
        About(
            "Number format of the KV cache; the quantised ones save memory and need flash attention.",
            Scope.USER,
            choices=("f16", "q8_0", "q4_0"),
        ),
    ] = "f16"


@dataclass(frozen=True)
class Settings(ModelOptions):
    model: Annotated[
        str,
        About(
            "A model of the catalogue (`egcfg-lsp models list`), or the path of a `.gguf` file.",
            Scope.USER,
        ),
    ] = DEFAULT_MODEL
    trusted: Annotated[
        bool | None,
        About(
            "Whether your editor trusts the workspace; not set: `trust` and your earlier answers "
            "decide. Without trust nothing of a workspace is executed.",
            Scope.USER,
        ),
    ] = None
    trust: Annotated[
        tuple[str, ...],
        About(
            "Folders whose tests may be run, with all that is below; absolute, `~` is the home folder.",
            Scope.USER,
        ),
    ] = ()
    interpreter: Annotated[
        str | None,
        About("The Python that runs the tests; not set: the server looks for one.", Scope.USER),
    ] = None
    environment: Annotated[
        tuple[str, ...],
        About(
            "Names of environment variables that the tests see, with the values that the server has; "
            "no others of yours are seen.",
            Scope.USER,
        ),
    ] = ()
    deadline_seconds: Annotated[
        float,
        About(
            "Wall-clock limit of one test run.", Scope.PROJECT, bounds=(0.1, 600), unit="seconds"
        ),
    ] = 10.0
    enabled: Annotated[
        bool, About("Suggest at all; `false` in one place is enough.", Scope.PROJECT)
    ] = True
    exclude: Annotated[
        tuple[str, ...],
        About(
            "Files never completed in and never read for prompts, as patterns like those of a "
            "`.gitignore`; the patterns of all places count together.",
            Scope.PROJECT,
        ),
    ] = ()
    debounce_ms: Annotated[
        int | None,
        About(
            "Pause in typing before a suggestion is made; `auto`: adapted to how you type.",
            Scope.PROJECT,
            bounds=(0, 2000),
            unit="milliseconds",
        ),
    ] = None
    in_strings: Annotated[
        bool, About("Suggest inside strings and comments without being asked.", Scope.PROJECT)
    ] = False
    speculate: Annotated[
        bool, About("Compute the next suggestion ahead while one is shown.", Scope.PROJECT)
    ] = True
    other_files: Annotated[
        int,
        About(
            "Chunks of other files kept for the prompt; 0: other files are not read.",
            Scope.PROJECT,
            bounds=(0, 64),
        ),
    ] = 16
    highest_rung: Annotated[
        str,
        About(
            "How far a suggestion that fails its tests is followed up: `verify`: not at all; "
            "`explore`: other candidates are tried; `guide`: then the decoding is guided by what "
            "their runs showed, which has not been shown to pay yet.",
            Scope.PROJECT,
            choices=("verify", "explore", "guide"),
        ),
    ] = "explore"
    rank_alpha: Annotated[
        float,
        About(
            "Candidates of one outcome are ranked by α · mean log-probability + β · E: the weight α.",
            Scope.PROJECT,
            bounds=(0, 100),
        ),
    ] = 0.5
    rank_beta: Annotated[
        float,
        About("The weight β of E, what execution says.", Scope.PROJECT, bounds=(0, 100)),
    ] = 1.0
    rank_parses: Annotated[
        float, About("Within E: the text parses.", Scope.PROJECT, bounds=(0, 100))
    ] = 0.1
    rank_runs: Annotated[
        float,
        About("Within E: no exception comes out of its lines.", Scope.PROJECT, bounds=(0, 100)),
    ] = 0.2
    rank_tests: Annotated[
        float, About("Within E: the share of tests that pass.", Scope.PROJECT, bounds=(0, 100))
    ] = 1.0
    rank_trace: Annotated[
        float,
        About(
            "Within E: the kind of error, how far it ran, its time beside the others'.",
            Scope.PROJECT,
            bounds=(0, 100),
        ),
    ] = 0.2
    guidance_scale: Annotated[
        float,
        About(
            "γ of the guided decoding, for evidence that says much: 0 is the plain model, 1 the one "
            "that was told of the failures.",
            Scope.PROJECT,
            bounds=(0, 10),
        ),
    ] = 1.0
    plausibility: Annotated[
        float,
        About(
            "Tokens less probable than this fraction of the most probable one, with the signal and "
            "without, are not chosen by guidance; 0: any may be.",
            Scope.PROJECT,
            bounds=(0, 1),
        ),
    ] = 0.1
    signal_tokens: Annotated[
        int,
        About(
            "What the model is told of failed candidates, at most, as far as can be estimated.",
            Scope.PROJECT,
            bounds=(0, 2000),
            unit="tokens",
        ),
    ] = 150


@dataclass(frozen=True)
class Definition:
    """One setting, as the documentation and the editors need it."""

    name: str
    type: Any
    """The declared type, without `Annotated`."""
    default: Any
    about: About

    @property
    def key(self) -> str:
        """The name in raw options: camelCase."""
        first, *rest = self.name.split("_")
        return first + "".join(word.capitalize() for word in rest)

    @property
    def kebab_key(self) -> str:
        return self.name.replace("_", "-")

    @property
    def has_auto(self) -> bool:
        """Whether raw options may say "auto", which is None."""
        return bool(self.type == (int | None))


@dataclass(frozen=True)
class Source:
    """Raw options from one place."""

    name: str
    """For people: "initializationOptions", "[tool.egcfg] of pyproject.toml"."""
    options: object
    """Keys in camelCase, alone or under "egcfg"; None, whole or as a value: not set."""
    is_user: bool
    """Whether the user alone wrote them; else those of `Scope.USER` are ignored."""


def resolve_settings(sources: Sequence[Source]) -> tuple[Settings, list[str]]:
    """Settings from all sources, weakest first, and a problem for each key that was ignored.

    A later source overrides an earlier one, but `enabled` stays false and `exclude` only grows:
    patterns with `!` count in the user's own sources only.
    A wrong value leaves what the earlier sources said, except for `trusted` and `trust`: then nothing
    is trusted.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for source in sources:
        found, wrong = _read(source)
        problems += wrong
        for name, value in found.items():
            if name == "exclude" and not source.is_user:
                value, undone = _only_excluding(value), [p for p in value if p.startswith("!")]
                problems += [f"{source.name} cannot include {p!r} again; ignored" for p in undone]
            values[name] = _combined(name, values[name], value) if name in values else value
    return Settings(**values), problems


def project_options(pyproject: str) -> tuple[object, list[str]]:
    """The options of `[tool.egcfg]` for a `Source`, None without the table; and what is wrong with the TOML.

    Keys may be written-so, written_so or writtenSo.
    """
    try:
        document = tomllib.loads(pyproject)
    except (ValueError, RecursionError) as error:
        return None, [f"pyproject.toml is not read: {error!s:.200}"]
    tool = document.get("tool")
    table = tool.get("egcfg") if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        return table, []
    keys = {spelling: d.key for d in DEFINITIONS for spelling in (d.name, d.kebab_key)}
    return {keys.get(key, key): value for key, value in table.items()}, []


def _read(source: Source) -> tuple[dict[str, Any], list[str]]:
    """The good values of a source by field name, and its problems."""
    readable = {d.key: d for d in DEFINITIONS if source.is_user or d.about.scope is Scope.PROJECT}
    values: dict[str, Any] = {}
    problems = []
    fails_closed = False
    for key, value in _items(source.options):
        if key is None:
            problems.append(f"{source.name} must be an object, not {_shown(value)}")
            fails_closed |= source.is_user
        elif key not in _BY_KEY:
            hint = _hint(key, readable)
            problems.append(f"{source.name} has an unknown setting {_shown(key)}{hint}")
        elif value is None:
            continue
        elif key not in readable:
            problems.append(f"`{key}` is read from your own settings only, not from {source.name}")
        else:
            definition = readable[key]
            try:
                values[definition.name] = _structured(definition, value)
            except (ValueError, OverflowError):
                wanted = _expected(definition)
                problem = f"`{key}` of {source.name} must be {wanted}, not {_shown(value)}"
                if key in _NO_TRUST:
                    fails_closed = True
                    problem += "; the workspace is not trusted"
                problems.append(problem)
    return values | (_NO_TRUST if fails_closed else {}), problems


def _items(options: object) -> Iterator[tuple[Any, object]]:
    """Keys and values, those under "egcfg" last; (None, value) for what should be an object and is not."""
    if options is None:
        return
    if not isinstance(options, Mapping):
        yield None, options
        return
    yield from ((key, value) for key, value in options.items() if key != "egcfg")
    section = options.get("egcfg")
    if isinstance(section, Mapping):
        yield from section.items()
    elif section is not None:
        yield None, section


def _only_excluding(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that would undo what the user excludes."""
    return tuple(pattern for pattern in patterns if not pattern.startswith("!"))


def _combined(name: str, earlier: Any, later: Any) -> Any:
    match name:
        case "enabled":
            return earlier and later
        case "exclude":
            return tuple(dict.fromkeys((*earlier, *later)))
    return later


def _structured(definition: Definition, value: object) -> Any:
    """Raises ValueError or OverflowError for a value of another type or out of range."""
    if definition.has_auto and value == "auto":
        return None
    about = definition.about
    structured: Any = _converter.structure(value, definition.type)
    if about.choices and structured not in about.choices:
        raise ValueError(value)
    if about.bounds is not None:
        low, high = about.bounds
        if not low <= structured <= high:  # so that NaN does not pass
            raise ValueError(value)
    return structured


def _expected(definition: Definition) -> str:
    """What a value must be, for people."""
    about = definition.about
    if about.choices:
        return f"one of {', '.join(about.choices)}"
    kind = _KINDS[definition.type]
    if about.bounds is not None:
        kind += " from {:g} to {:g}".format(*about.bounds)
    return kind + (', or "auto"' if definition.has_auto else "")


def _strict_bool(value: object, _: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _strict_int(value: object, _: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(value)
    return value


def _strict_float(value: object, _: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(value)
    return float(value)


def _strict_str(value: object, _: object) -> str:
    """Not blank, and fit for a path: no NUL, no lone surrogates."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(value)
    value.encode()
    return value


def _strict_strs(value: object, _: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    return tuple(_strict_str(item, str) for item in value)


_converter = Converter()  # its own hooks would make a number of "3" and a string of 3
_converter.register_structure_hook(bool, _strict_bool)
_converter.register_structure_hook_func(lambda cls: cls == (bool | None), _strict_bool)
_converter.register_structure_hook(int, _strict_int)
_converter.register_structure_hook(float, _strict_float)
_converter.register_structure_hook(str, _strict_str)
_converter.register_structure_hook_func(lambda cls: cls == tuple[str, ...], _strict_strs)

_NO_TRUST: dict[str, Any] = {"trusted": False, "trust": ()}
"""What holds if one of them, or the whole source, has a wrong value."""

_KINDS: dict[Any, str] = {
    bool: "true or false",
    bool | None: "true or false",
    int: "a whole number",
    int | None: "a whole number",
    float: "a number",
    str: "a non-empty string",
    str | None: "a non-empty string",
    tuple[str, ...]: "a list of non-empty strings",
}

_repr = Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 60


def _shown(value: object) -> str:
    return f"{_repr.repr(value):.80}"


def _hint(key: object, readable: Mapping[str, Definition]) -> str:
    close = get_close_matches(f"{key!s:.60}", readable, n=1)
    return f"; did you mean `{close[0]}`?" if close else "; `egcfg-lsp settings` lists all"


def _definitions() -> Iterator[Definition]:
    types = get_type_hints(Settings, include_extras=True)
    for field in fields(Settings):
        declared, about = types[field.name].__origin__, types[field.name].__metadata__[0]
        yield Definition(field.name, declared, field.default, about)


DEFINITIONS = tuple(_definitions())
"""All settings, in the order of the fields."""
_BY_KEY = {definition.key: definition for definition in DEFINITIONS}
