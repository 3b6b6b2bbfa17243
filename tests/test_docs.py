"""The documentation says what is: messages, settings, commands and rooms, compared with the code."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import typer.main

import egcfg_lsp
from egcfg_lsp.cli import app
from egcfg_lsp.completion import Outcome
from egcfg_lsp.lsp import protocol
from egcfg_lsp.settings import Settings, camel_case

REPOSITORY = Path(egcfg_lsp.__file__).parents[1]
PROTOCOL = (REPOSITORY / "docs" / "protocol.md").read_text()
README = (REPOSITORY / "README.md").read_text()
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
    methods = {protocol.SUGGESTIONS_CHANGED, protocol.STATUS, protocol.TRUST_CHANGED}
    assert set(re.findall(r"^## `(egcfg/\w+)`", PROTOCOL, re.MULTILINE)) == methods
    assert f"`{protocol.DID_ACCEPT}`" in PROTOCOL


def test_fields_of_the_messages() -> None:
    changed, suggestion = section(protocol.SUGGESTIONS_CHANGED).split("A `Suggestion`:")
    assert fields_in(changed) == names_of(protocol.SuggestionsChanged)
    assert fields_in(suggestion) == names_of(protocol.Suggestion)
    assert fields_in(section(protocol.STATUS)) == names_of(protocol.Status)
    assert fields_in(section(protocol.TRUST_CHANGED)) == names_of(protocol.TrustChanged)
    for outcome in Outcome:
        assert f"`{outcome.value}`" in suggestion


def test_initialization_options() -> None:
    names = {camel_case(field.name) for field in dataclasses.fields(Settings)}
    assert fields_in(section("Initialisation")) == names


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
    for room in rooms | {"settings.py", "doctor.py"}:
        assert re.search(rf"^\| `{re.escape(room)}/?` \|", ARCHITECTURE, re.MULTILINE), room
    for module in re.findall(r"`((?:\w+/)+\w+\.py)`", ARCHITECTURE):
        assert (package / module).is_file() or (REPOSITORY / module).is_file(), module


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{n}" for n in ("architecture.md", "protocol.md"))]
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
