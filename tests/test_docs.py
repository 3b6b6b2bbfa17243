"""The documentation says what is: messages, settings, commands and rooms, compared with the code."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

import egcfg_lsp
from egcfg_lsp.cli import app
from egcfg_lsp.cli.settings import TRUST, settings_page, vscode_properties
from egcfg_lsp.completion import Outcome
from egcfg_lsp.completion.candidates import MAX_SHOWN
from egcfg_lsp.lsp import protocol
from egcfg_lsp.settings import (
    DEFINITIONS,
    PYPROJECT,
    Settings,
    Source,
    project_options,
    resolve_settings,
)

REPOSITORY = Path(egcfg_lsp.__file__).parents[1]
PROTOCOL = (REPOSITORY / "docs" / "protocol.md").read_text()
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text()
README = (REPOSITORY / "README.md").read_text()
COMMANDS = (
    protocol.DID_ACCEPT,
    protocol.TRUST,
    protocol.REVOKE_TRUST,
    protocol.OPEN_LOG,
    protocol.EXPLAIN_TRACE,
)
ARCHITECTURE = (REPOSITORY / "docs" / "architecture.md").read_text()


def fields_in(text: str) -> set[str]:
    """The names in the first column of the first table of a text."""
    rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    return set(rows)


def section(heading: str) -> str:
    match = re.search(
        rf"^## `?{re.escape(heading)}.*?(?=^## |\Z)", PROTOCOL, re.MULTILINE | re.DOTALL
    )
    assert match is not None, f"no section {heading}"
    return match[0]


def names_of(message: type) -> set[str]:
    return {field.name for field in dataclasses.fields(message)}


def test_every_custom_method_has_its_section_and_no_other() -> None:
    methods = {
        protocol.SUGGESTIONS_CHANGED,
        protocol.STATUS,
        protocol.TRUST_CHANGED,
        protocol.OPTIONS_CHANGED,
    }
    assert set(re.findall(r"^## `(egcfg/\w+)`", PROTOCOL, re.MULTILINE)) == methods
    for command in COMMANDS:
        assert f"`{command}`" in PROTOCOL


def test_commands_of_vscode() -> None:
    package = json.loads((REPOSITORY / "editors" / "vscode" / "package.json").read_text())
    titled = {command["command"] for command in package["contributes"]["commands"]}
    own = {"egcfg.dismiss", "egcfg.nextSuggestion", "egcfg.previousSuggestion"}
    assert titled == {*own, *COMMANDS} - {protocol.DID_ACCEPT}


def test_how_many_suggestions_there_are() -> None:
    assert f"at most {MAX_SHOWN}, best first" in section(protocol.SUGGESTIONS_CHANGED)


def test_fields_of_the_messages() -> None:
    changed, suggestion = section(protocol.SUGGESTIONS_CHANGED).split("A `Suggestion`:")
    assert fields_in(changed) == names_of(protocol.SuggestionsChanged)
    assert fields_in(suggestion) == names_of(protocol.Suggestion)
    status, sandbox = section(protocol.STATUS).split("`sandbox`, when known:")
    assert fields_in(status) == names_of(protocol.Status)
    assert fields_in(sandbox) == names_of(protocol.Sandbox)
    assert fields_in(section(protocol.TRUST_CHANGED)) == names_of(protocol.TrustChanged)
    assert fields_in(section(protocol.OPTIONS_CHANGED)) == names_of(protocol.OptionsChanged)
    explained, page = section("Explain trace").split("The answer:")
    assert fields_in(explained) == names_of(protocol.ExplainTrace)
    assert fields_in(page) == names_of(protocol.Page)
    for outcome in Outcome:
        assert f"`{outcome.value}`" in suggestion


def test_the_page_of_the_settings() -> None:
    assert settings_page() == SETTINGS, "run `make docs`"
    assert CliRunner().invoke(app, ["settings"]).stdout == SETTINGS


def test_properties_of_vscode() -> None:
    package = json.loads((REPOSITORY / "editors" / "vscode" / "package.json").read_text())
    properties = package["contributes"]["configuration"]["properties"]
    assert properties.pop("egcfg.serverCommand")["scope"] == "machine"
    assert properties == vscode_properties(), "see `egcfg-lsp settings --json`"
    printed = CliRunner().invoke(app, ["settings", "--json"]).stdout
    assert properties == json.loads(printed)
    trust = package["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    assert {key for key in properties if properties[key]["scope"] == "machine"} <= set(trust)


def test_options_of_neovim() -> None:
    folder = REPOSITORY / "editors" / "neovim"
    init = (folder / "lua" / "egcfg" / "init.lua").read_text()
    table = re.search(r"^local SERVER_OPTIONS = \{(.*?)^\}", init, re.MULTILINE | re.DOTALL)
    assert table is not None
    names = {definition.name for definition in DEFINITIONS} - set(TRUST)
    assert set(re.findall(r'"(\w+)"', table[1])) == names
    set_up = (folder / "doc" / "egcfg.txt").read_text().split("Options of the server;")[1]
    assert set(re.findall(r"^ +(\w+) = nil,", set_up, re.MULTILINE)) == names


def test_examples_of_the_settings() -> None:
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```", SETTINGS, re.MULTILINE | re.DOTALL))
    assert set(json.loads(blocks["json"])) <= set(vscode_properties())
    names = {definition.name for definition in DEFINITIONS}
    assert set(re.findall(r"^  (\w+) =", blocks["lua"], re.MULTILINE)) <= names
    options, problems = project_options(blocks["toml"])
    settings, more_problems = resolve_settings([Source(PYPROJECT, options, is_user=False)])
    assert (problems, more_problems) == ([], [])
    assert settings != Settings()


def test_every_command_is_in_the_readme() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if name != "serve":
            assert f"egcfg-lsp {name}" in README
        for inner in getattr(command, "commands", ()):
            assert re.search(rf"egcfg-lsp {name} [^`]*\b{inner}\b", README), f"{name} {inner}"


def test_every_room_is_in_the_architecture() -> None:
    package = REPOSITORY / "egcfg_lsp"
    rooms = {p.name for p in package.iterdir() if p.is_dir() and (p / "__init__.py").is_file()}
    for room in rooms | {"settings.py", "doctor.py", "trust.py", "execution_log.py", "watch.py"}:
        assert re.search(rf"^\| `{re.escape(room)}/?` \|", ARCHITECTURE, re.MULTILINE), room
    for module in re.findall(r"`((?:\w+/)+\w+\.py)`", ARCHITECTURE):
        assert (package / module).is_file() or (REPOSITORY / module).is_file(), module


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        *(f"docs/{n}" for n in ("architecture.md", "protocol.md", "safety.md", "settings.md")),
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    path = REPOSITORY / page
    for link in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"`make ([\w-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
