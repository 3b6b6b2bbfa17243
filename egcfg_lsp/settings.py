"""User settings: raw options in, typed settings and a list of problems out.

Knows nothing of where the options came from; a caller must pass *user*-scope values only, since the
settings decide what is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

DEFAULT_MODEL = "qwen2.5-coder-0.5b"


KV_CACHE_TYPES = ("f16", "q8_0", "q4_0")


@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded."""

    gpu_layers: int | None = None
    """Layers on the GPU, 0 to 1,000; None (or "auto" in raw options): as many as fit."""
    context_tokens: int = 8192
    """Prompt and answer together, and the cap of what the KV cache keeps; 1,024 to 131,072."""
    threads: int | None = None
    """Threads that compute on the CPU, 1 to 256; None: one a physical core."""
    flash_attention: bool = True
    kv_cache_type: str = "f16"
    """Number format of the KV cache: f16, q8_0 or q4_0; the quantised ones need flash attention."""


@dataclass(frozen=True)
class Settings(ModelOptions):
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
        elif value is None or (key == "gpuLayers" and value == "auto"):
            continue  # the default
        elif (problem := _problem(names[key], value)) is not None:
            problems.append(f"setting {key!r} {problem}; using the default")
        else:
            settings = replace(settings, **{names[key]: value})
    return settings, problems


_RANGES = {
    "deadline_seconds": (0.1, 600),
    "gpu_layers": (0, 1000),
    "context_tokens": (1024, 131_072),
    "threads": (1, 256),
}


def _problem(name: str, value: object) -> str | None:
    """What is wrong with a raw value."""
    match name:
        case "model" | "interpreter" if not isinstance(value, str) or not value.strip():
            return f"must be a non-empty string, not {_kind(value)}"
        case "trusted" | "flash_attention" if not isinstance(value, bool):
            return f"must be true or false, not {_kind(value)}"
        case "kv_cache_type" if value not in KV_CACHE_TYPES:
            return f"must be one of {', '.join(KV_CACHE_TYPES)}, not {_kind(value)}"
    if name in _RANGES:
        kinds = (int, float) if name == "deadline_seconds" else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return f"must be a{'' if float in kinds else ' whole'} number, not {_kind(value)}"
        lowest, highest = _RANGES[name]
        if not lowest <= value <= highest:
            return f"must lie between {lowest} and {highest}, not {value}"
    return None


def _kind(value: object) -> str:
    return f"{value!r:.60}"


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
