"""Names of configurations, read and written, and the published grid."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from egcfg_lsp.guidance.configuration import Configuration, parse, published_grid
from egcfg_lsp.prompt.published import Style

FEW, LONG = Style.FEW_SHOT, Style.LONG_CODE


@pytest.mark.parametrize(
    ("name", "configuration"),
    [
        ("ns3t0.75d5k1_lci_ln", Configuration(3, 0.75, 5, 1, LONG)),
        ("ns2t0.75d2_ln", Configuration(2, 0.75, 2, 1, FEW)),
        ("ns3t1.2d8_lci_ln", Configuration(3, 1.2, 8, 1, LONG)),
        ("ns1t1d1k4_ln", Configuration(1, 1.0, 1, 4, FEW)),
        ("ns12t0.0001d10k10_ln", Configuration(12, 0.0001, 10, 10, FEW)),
        ("ns3t0.0000001d2_ln", Configuration(3, 1e-7, 2, 1, FEW)),
    ],
)
def test_a_name_is_read_and_written_again(name: str, configuration: Configuration) -> None:
    assert parse(name) == configuration
    assert parse(name).name == name
    assert parse(name, 0.5) == replace(configuration, scale=0.5)


@pytest.mark.parametrize(
    ("configuration", "name"),
    [
        (Configuration(3, 0.75, 5, 1, LONG), "ns3t0.75d5_lci_ln"),
        (Configuration(3, 0.75, 5, 2, LONG), "ns3t0.75d5k2_lci_ln"),
        (Configuration(2, 1.0, 2, 1, FEW, scale=3.0), "ns2t1d2_ln"),
    ],
)
def test_a_k_of_1_is_not_told_unasked(configuration: Configuration, name: str) -> None:
    assert configuration.name == name
    assert parse(name) == replace(configuration, scale=1.0)


def test_superfluous_zeros_go() -> None:
    assert parse("ns3t0.750d5_ln").name == "ns3t0.75d5_ln"
    assert parse("ns3t1.0d5_ln").name == "ns3t1d5_ln"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ns3",
        "ns3t0.75d5",
        "ns3t0.75d5_lci",
        "ns3t0.75d5_ln_lci",
        "ns0t0.75d5_ln",
        "ns3t0.75d0_ln",
        "ns3t0.75d5k0_ln",
        "ns3t.75d5_ln",
        "ns3t-1d5_ln",
        "ns3t1e3d5_ln",
        "ns3d5t0.75_ln",
        "NS3t0.75d5_ln",
        " ns3t0.75d5_ln",
        "ns3t0.75d5_ln\n",
        "ns3t0.75d5_ln_gamma=1",
    ],
)
def test_other_names_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name!r} is no configuration's name")):
        parse(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_samples": 0}, "are 1 or more"),
        ({"horizon": 0}, "are 1 or more"),
        ({"refresh": 0}, "are 1 or more"),
        ({"temperature": 0.0}, "a temperature above 0"),
        ({"temperature": float("nan")}, "a temperature above 0"),
        ({"temperature": float("inf")}, "a temperature above 0"),
        ({"scale": -1.0}, "from 0 on"),
        ({"scale": float("nan")}, "from 0 on"),
        ({"scale": float("inf")}, "from 0 on"),
    ],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Configuration(3, 0.75, 5), **changes)  # type: ignore[arg-type]


def test_a_names_numbers_are_looked_at() -> None:
    with pytest.raises(ValueError, match="a temperature above 0"):
        parse("ns3t0d5_ln")
    with pytest.raises(ValueError, match="from 0 on"):
        parse("ns3t0.7d5_ln", -1.0)


def test_the_published_grid_in_its_order() -> None:
    grid = list(published_grid())
    assert len(grid) == len(set(grid)) == 6 * 4 * 4 * 2
    assert {(one.n_samples, one.refresh) for one in grid} == {(3, 1)}
    assert Counter(one.temperature for one in grid).keys() == {0.7, 0.75, 0.85, 0.95, 1.2, 1.5}
    assert Counter(one.horizon for one in grid) == dict.fromkeys((2, 3, 6, 8), 48)
    first = [(one.name, one.scale) for one in grid[:9]]
    assert first == [
        ("ns3t0.7d2_ln", 0.0),
        ("ns3t0.7d2_ln", 0.5),
        ("ns3t0.7d2_ln", 1.0),
        ("ns3t0.7d2_ln", 3.0),
        ("ns3t0.7d2_lci_ln", 0.0),
        ("ns3t0.7d2_lci_ln", 0.5),
        ("ns3t0.7d2_lci_ln", 1.0),
        ("ns3t0.7d2_lci_ln", 3.0),
        ("ns3t0.75d2_ln", 0.0),
    ]
    assert (grid[-1].name, grid[-1].scale) == ("ns3t1.5d8_lci_ln", 3.0)


def test_names_of_the_grid_are_read_as_what_they_name() -> None:
    for one in published_grid((1.0,)):
        assert parse(one.name) == one
