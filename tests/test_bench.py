"""The benchmarks run and say what their page says, with a tiny model; what they measure means nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

import benchmarks
from benchmarks import execution, leaks
from benchmarks.__main__ import GROUPS, run
from benchmarks.decoding import decode_ratio
from benchmarks.figures import Benchmark, Figure, Setup
from benchmarks.report import report
from benchmarks.suites import SUITES, Suite, SuiteError
from benchmarks.typing_sessions import PROJECT, recorded, requests
from egcfg_lsp.settings import ModelOptions
from tests.support.gguf_models import tiny_model

FOLDER = Path(benchmarks.__file__).parent
README = (FOLDER / "README.md").read_text()


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    model = tiny_model(tmp_path / "tiny.gguf")
    return Setup(model, "tiny", ModelOptions(context_tokens=1024, threads=1), quick=True)


def test_report_of_a_run(setup: Setup) -> None:
    found = run(setup, {"engine": [decode_ratio]})
    said = json.loads(json.dumps(report(setup, found)))
    assert list(said) == [
        "date", "machine", "model", "versions", "quick", "seed", "groups",
    ]  # fmt: skip
    assert said["model"]["name"] == "tiny"
    assert len(said["model"]["sha256"]) == 64
    figures = said["groups"]["engine"]
    ratio = figures["decode_ratio"]
    assert ratio["value"] > 0
    assert ratio["aim"] == ">= 0.97"
    assert ratio["met"] is (ratio["value"] >= 0.97)
    assert str(setup.model.parent) not in json.dumps(said), "no path of the machine"
    for name in found["engine"]:
        assert f"`{name}`" in README


@pytest.mark.parametrize(
    ("figure", "is_met"),
    [
        (Figure(0.5, "ratio", at_most=0.6), True),
        (Figure(0.7, "ratio", at_most=0.6), False),
        (Figure(0.7, "ratio", at_least=0.6), True),
        (Figure(0.7, "ratio"), None),
        (Figure(None, "ratio", at_most=0.6), None),
    ],
)
def test_aim(figure: Figure, is_met: bool | None) -> None:
    assert figure.is_met is is_met


@pytest.mark.parametrize("name", ["end", "middle", "scroll", "first line"])
@pytest.mark.parametrize("closes_brackets", [False, True])
def test_recorded_sessions_type_the_file_back(name: str, closes_brackets: bool) -> None:
    typed = list(requests(recorded(name), 10_000, closes_brackets=closes_brackets))
    assert len(typed) > 100
    assert typed[-1].text == (PROJECT / "reading.py").read_text()
    assert typed[0].text != typed[1].text


@pytest.mark.parametrize("group", ["guidance", "source"])
def test_figures_stand_on_the_page(setup: Setup, group: str) -> None:
    found = run(setup, {group: list(GROUPS[group])})[group]
    assert all(figure.value is not None and figure.value > 0 for figure in found.values())
    for name, figure in found.items():
        cells = ("", f"`{name}`", figure.unit, figure.aim.replace("<=", "≤"), "")
        assert "|".join(f" {cell} " if cell else " " for cell in cells).strip() in README


@pytest.mark.parametrize(
    ("module", "benchmark"), [(execution, execution.suites), (leaks, leaks.throughput)]
)
def test_without_the_packages_their_figures_stand_on_the_page_alone(
    module: ModuleType, benchmark: Benchmark, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(suite: Suite) -> NoReturn:
        raise SuiteError(f"cannot get {suite}")

    monkeypatch.setattr(module, "installed", offline)
    found = run(setup, {"execution": [benchmark]})["execution"]
    assert found
    for name, figure in found.items():
        assert (figure.value, figure.note) == (None, f"cannot get {SUITES[0]}")
        aim = figure.aim.replace("<=", "≤").replace(">=", "≥")
        assert f"| `{name}` | {figure.unit} | {aim} |".replace("  ", " ") in README


def test_every_group_has_its_chapter() -> None:
    chapters = re.findall(r"^## Group `(\w+)`", README, re.MULTILINE)
    assert chapters == list(GROUPS)


@pytest.mark.model
def test_other_requests_are_answered_while_the_real_model_decodes(default_model: Path) -> None:
    found = run(Setup(default_model, "default", quick=True), {"lsp": list(GROUPS["lsp"])})["lsp"]
    assert all(figure.value is not None and figure.value > 0 for figure in found.values())
    for name in found:
        assert f"`{name}`" in README
