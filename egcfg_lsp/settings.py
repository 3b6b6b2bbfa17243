"""User settings: raw options in, typed settings and a list of problems out.

Knows nothing of where the options came from; a caller must pass *user*-scope values only, since the
settings decide what is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

DEFAULT_MODEL = "qwen2.5-coder-0.5b"


@dataclass(frozen=True)
class Settings:
    model: str = DEFAULT_MODEL
    """Catalogue name, or the path of a `.gguf` file."""
    trusted: bool = False
    """Whether the user trusts the workspace; trust fails closed."""
    interpreter: str | None = None
    """The Python that runs the tests; None: found by `execution.interpreter`."""
    deadline_seconds: float = 10.0
    """Wall-clock limit of one test run, seconds; 0.1 to 600."""


def read_settings(options: object) -> tuple[Settings, list[str]]:
    """Typed settings from camelCase options; each unknown key or wrong value gives one problem."""
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), [f"initializationOptions must be an object, not {_kind(options)}"]
    settings, problems = Settings(), []
    names = {camel_case(field.name): field.name for field in fields(Settings)}
    for key, value in options.items():
        if key not in names:
            problems.append(f"unknown setting {key!r} (known: {', '.join(names)})")
        elif (problem := _problem(names[key], value)) is not None:
            problems.append(f"setting {key!r} {problem}; using the default")
        elif value is not None:
            settings = replace(settings, **{names[key]: value})
    return settings, problems


def _problem(name: str, value: object) -> str | None:
    """What is wrong with a raw value; None (the JSON null) always means the default."""
    if value is None:
        return None
    match name:
        case "model" | "interpreter" if not isinstance(value, str) or not value.strip():
            return f"must be a non-empty string, not {_kind(value)}"
        case "trusted" if not isinstance(value, bool):
            return f"must be true or false, not {_kind(value)}"
        case "deadline_seconds" if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number of seconds, not {_kind(value)}"
        case "deadline_seconds" if not 0.1 <= value <= 600:  # type: ignore[operator]
            return f"must lie between 0.1 and 600 seconds, not {value}"
    return None


def _kind(value: object) -> str:
    return f"{value!r:.60}"


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
