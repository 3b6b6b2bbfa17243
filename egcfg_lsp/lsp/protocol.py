"""The custom messages, as `docs/protocol.md` describes them; everything else is standard LSP 3.18."""

from __future__ import annotations

from dataclasses import dataclass

import cattrs
from cattrs.gen import make_dict_unstructure_fn, override
from lsprotocol import types
from lsprotocol.converters import get_converter

SUGGESTIONS_CHANGED = "egcfg/suggestionsChanged"
STATUS = "egcfg/status"
TRUST_CHANGED = "egcfg/trustChanged"
OPTIONS_CHANGED = "egcfg/optionsChanged"
DID_ACCEPT = "egcfg.didAccept"
TRUST = "egcfg.trust"
REVOKE_TRUST = "egcfg.revokeTrust"
OPEN_LOG = "egcfg.openLog"
EXPLAIN_TRACE = "egcfg.explainTrace"
FUNCTION = "function"
"""In place of a suggestion's id: the function as the buffer has it."""


@dataclass(frozen=True)
class Suggestion:
    id: str
    text: str
    range: types.Range
    outcome: str
    summary: str


@dataclass(frozen=True)
class SuggestionsChanged:
    uri: str
    version: int
    position: types.Position
    suggestions: tuple[Suggestion, ...]
    done: bool


@dataclass(frozen=True)
class Sandbox:
    tier: str
    works: bool
    detail: str


@dataclass(frozen=True)
class Status:
    state: str
    """`starting`, `ready`, `busy` or `error`."""
    message: str
    sandbox: Sandbox | None = None
    """None: not known yet."""
    trusted: bool | None = None
    """None: nobody has said."""


@dataclass(frozen=True)
class TrustChanged:
    trusted: bool


@dataclass(frozen=True)
class OptionsChanged:
    options: object
    """As `initializationOptions`."""


@dataclass(frozen=True)
class ExplainTrace:
    """The argument of `egcfg.explainTrace`."""

    uri: str
    position: types.Position
    of: str = ""
    """A suggestion's id, or `FUNCTION`; empty: the suggestion last made here, else the function."""
    show: bool = True
    """Whether the server has the page shown."""


@dataclass(frozen=True)
class Page:
    """What `egcfg.explainTrace` is answered with."""

    title: str
    markdown: str


def to_json(message: SuggestionsChanged | Status) -> object:
    """The message as plain JSON values."""
    return _converter.unstructure(message)


def trust_changed(params: object) -> TrustChanged | None:
    """The message, or None if the parameters are none of it: trust fails closed."""
    value = getattr(params, "trusted", None)
    if isinstance(params, dict):
        value = params.get("trusted")
    return TrustChanged(value) if isinstance(value, bool) else None


def options_changed(params: object) -> OptionsChanged:
    """The message; parameters of another form are no options at all, and trust nothing."""
    value = getattr(params, "options", None)
    if isinstance(params, dict):
        value = params.get("options")
    return OptionsChanged(to_plain(value))


def explain_trace(arguments: tuple[object, ...]) -> ExplainTrace | None:
    """The argument of `egcfg.explainTrace`, or None if it is none."""
    argument = to_plain(arguments[0]) if len(arguments) == 1 else None
    try:
        return _converter.structure(argument, ExplainTrace)
    except (cattrs.BaseValidationError, TypeError, KeyError, ValueError, AttributeError):
        return None


def to_plain(value: object) -> object:
    """pygls makes named tuples of the objects in messages that it does not know."""
    if hasattr(value, "_asdict"):
        return {key: to_plain(item) for key, item in value._asdict().items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _make_converter() -> cattrs.Converter:
    converter = get_converter()
    hook = make_dict_unstructure_fn(
        Suggestion, converter, range=override(unstruct_hook=converter.unstructure)
    )
    converter.register_unstructure_hook(Suggestion, hook)
    return converter


_converter = _make_converter()
