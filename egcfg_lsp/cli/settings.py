"""`egcfg-lsp settings`: what can be set, as docs/settings.md and as VS Code's package.json have it.

Shows what there is, not what holds in a workspace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from string import Template
from typing import Annotated, Any

import typer

from egcfg_lsp.settings import DEFINITIONS, Definition, ModelOptions, Scope

TRUST = ("trusted", "trust")
"""Settings that VS Code has not."""
AS_JSON = typer.Option("--json", help="As the properties in VS Code's package.json.")


def settings(as_json: Annotated[bool, AS_JSON] = False) -> None:
    """All settings: types, defaults, ranges, and where each can be set."""
    if as_json:
        typer.echo(json.dumps(vscode_properties(), indent=2))
    else:
        typer.echo(settings_page(), nl=False)


def settings_page() -> str:
    """docs/settings.md, ending in a line end."""
    # What people set first comes first; how the model is loaded, last.
    in_order = sorted(DEFINITIONS, key=lambda definition: hasattr(ModelOptions, definition.name))
    of_user = [d for d in in_order if d.about.scope is Scope.USER]
    of_project = [d for d in in_order if d.about.scope is Scope.PROJECT]
    return _PAGE.substitute(user=_table(of_user), project=_table(of_project))


def vscode_properties() -> dict[str, dict[str, Any]]:
    """The properties of `contributes.configuration`; trust is none, VS Code has its own.

    Settings of the user have the scope `machine`: VS Code ignores them in a workspace's files.
    """
    return {f"egcfg.{d.key}": _property(d) for d in DEFINITIONS if d.name not in TRUST}


def _property(definition: Definition) -> dict[str, Any]:
    about = definition.about
    schema = _SCHEMAS[definition.type] | {"default": _raw_default(definition)}
    if about.choices:
        schema["enum"] = list(about.choices)
    if about.bounds is not None:
        schema["minimum"], schema["maximum"] = about.bounds
    schema["scope"] = "machine" if about.scope is Scope.USER else "resource"
    unit = f" In {about.unit}." if about.unit else ""
    return schema | {"markdownDescription": about.description + unit}


_TEXT = {"type": "string"}
_AUTO_OR_INTEGER = {"type": ["integer", "string"], "pattern": "^auto$"}
_SCHEMAS: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    bool | None: {"type": "boolean"},
    int: {"type": "integer"},
    int | None: _AUTO_OR_INTEGER,
    float: {"type": "number"},
    str: _TEXT,
    str | None: _TEXT,
    tuple[str, ...]: {"type": "array", "items": _TEXT},
}


def _raw_default(definition: Definition) -> Any:
    """The default as it stands in JSON; an empty text is what VS Code shows for "not set"."""
    if definition.default is None:
        return "auto" if definition.has_auto else ""
    if isinstance(definition.default, float) and definition.default.is_integer():
        return int(definition.default)
    return list(definition.default) if isinstance(definition.default, tuple) else definition.default


def _table(definitions: Iterable[Definition]) -> str:
    rows = ["| key | type | default | range | meaning |", "|---|---|---|---|---|"]
    rows += [
        f"| `{d.key}` | {_type_text(d)} | {_default_text(d)} | {_range_text(d)} "
        f"| {d.about.description} |"
        for d in definitions
    ]
    return "\n".join(rows)


def _type_text(definition: Definition) -> str:
    if definition.type == tuple[str, ...]:
        return "list of strings"
    kind = _SCHEMAS[definition.type]["type"]
    return "integer or `auto`" if definition.has_auto else str(kind)


def _default_text(definition: Definition) -> str:
    default = _raw_default(definition)
    if default == "":
        return "not set"
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _range_text(definition: Definition) -> str:
    about = definition.about
    if about.choices:
        return ", ".join(f"`{choice}`" for choice in about.choices)
    if about.bounds is None:
        return ""
    low, high = about.bounds
    return f"{low:,g} to {high:,g} {about.unit}".strip()


_PAGE = Template("""\
# Settings

<!-- Written by `make docs` from egcfg_lsp/settings.py. -->

## Yours alone

These choose what is executed and loaded.
They are read from your own configuration only; in the files of a project they are ignored and reported.

$user

`trusted` is for editors that have a workspace trust of their own: VS Code sends it, and has neither \
`trusted` nor `trust` as a setting.
With any other client the server asks once for a folder that nobody has said anything about, and remembers \
the answer ([safety](safety.md#trust)).

## Yours or a project's

$project

## Where they are set

VS Code, in `settings.json`; those of a project also in the `.vscode/settings.json` of a folder:

```json
{
  "egcfg.model": "qwen2.5-coder-1.5b",
  "egcfg.deadlineSeconds": 20,
  "egcfg.exclude": ["*_pb2.py", "migrations/"]
}
```

Neovim, with the words of a key joined by underscores; `configure` takes the same table later and changes \
what it names:

```lua
require("egcfg").setup({
  trust = { "~/projects" },
  model = "qwen2.5-coder-1.5b",
  deadline_seconds = 20,
  exclude = { "*_pb2.py", "migrations/" },
})
```

A project, in its `pyproject.toml`; the words of a key may be joined by hyphens, by underscores, or as above:

```toml
[tool.egcfg]
deadline-seconds = 20
exclude = ["*_pb2.py", "migrations/"]
```

Another client sends them as `initializationOptions`, alone or under the key `egcfg`, and as the answer to \
`workspace/configuration` ([protocol](protocol.md)).

## Which one holds

- From weakest to strongest: the default, `initializationOptions`, `pyproject.toml`, the answer to \
`workspace/configuration`.
  Neovim sends all your settings as the first of these; VS Code sends those that are yours alone as the \
first, and the others as the last.
- `enabled` is false if it is false in one place, and the patterns of `exclude` are added up, \
those with `!` of your own settings only: a project can only restrict.
- `null` counts as not set.
- An unknown key or a wrong value is reported, and what the weaker places say stays; \
only after a wrong value of `trusted` or `trust` nothing is trusted.
""")
