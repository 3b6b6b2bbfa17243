"""The page: whole by itself, the same each time, and nothing that a model wrote acts in it."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench.html import html_page
from egcfg_lsp.bench.problems import AssertResult
from egcfg_lsp.bench.results import open_results
from tests.bench.results import STATS, announce, announced, arm_results, run_folder

HOSTILE = (
    "</code></pre></script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='x'>",
    "{{ 7 * 7 }} {% raw %} &lt; &amp; ]]> <!--",
    "é 漢字 🙂 \u202e gnp \x00 \x1b[2J \ud800",
)


class Page(HTMLParser):
    """Elements, attributes and text, as a browser's parser takes them apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.code: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "pre":
            self.code.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "pre" in self.open:
            self.code[-1] += data


def page_of(folder: Path) -> Page:
    page = Page(html_page(folder))
    assert page.open == []
    return page


def ladder(folder: Path) -> None:
    run_folder(
        folder,
        [
            *arm_results("greedy", "+-+-?"),
            *arm_results("ladder", "++ ", rung="verify", outcome="verified"),
            *arm_results("ladder", "   -", rung="explore", outcome="partial", summary="✗ 1/3"),
        ],
    )
    announce(folder, announced(5, "greedy", "ladder"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ladder")
    ladder(folder)
    return html_page(folder)


def test_page_is_whole_by_itself(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.elements)
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "xlink:href", "action"):
            assert value.startswith("#")
        if not name.startswith("xmlns"):
            assert "://" not in value
    assert any("default-src 'none'" in value for _, value in page.attributes)
    assert "@import" not in text


def test_page_is_the_same_each_time(text: str, tmp_path: Path) -> None:
    ladder(tmp_path)
    assert html_page(tmp_path) == text


def test_ids_are_unique_and_references_lead_somewhere(text: str) -> None:
    page = Page(text)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = {value[1:] for name, value in page.attributes if name == "xlink:href"}
    used |= set(re.findall(r"url\(#([^)]+)\)", text))
    labels = [value for name, value in page.attributes if name == "aria-labelledby"]
    used |= {one for value in labels for one in value.split()}
    assert used
    assert used <= set(ids)


def test_plots_are_named_for_those_who_do_not_see_them(text: str) -> None:
    assert text.count('role="img"') == text.count("<desc ") == 3
    assert "greedy: 40.0 % at cost 70" in text
    assert "ladder, verify: verified 2 (2 passed)" in text
    assert "#010203" not in text
    assert "#040506" not in text
    assert "published, greedy" in text


def test_every_failure_has_its_code_error_and_asserts(tmp_path: Path) -> None:
    asserts = (AssertResult(True, 0.5), AssertResult(False, 0.25, "AssertionError: 3 < 2"))
    run_folder(
        tmp_path,
        arm_results("greedy", "+-?", code="def f():\n\treturn 1 < 2\n", results=asserts, n_tests=9),
    )
    page, text = page_of(tmp_path), html_page(tmp_path)
    assert page.code == ["def f():\n\treturn 1 < 2\n"] * 2
    assert text.count("AssertionError: 3 &lt; 2") == 2
    assert text.count("the first of 9") == 2
    assert "no verdict · draft" in text
    assert "task_id=HumanEval%2F1_gamma=0.json" in text


def test_what_a_model_wrote_is_text(tmp_path: Path) -> None:
    for name, texts in (("plain", ["x"] * len(HOSTILE)), ("hostile", HOSTILE)):
        results = [
            replace(
                result, code=text, general_error=text, results=(AssertResult(False, 0.1, text),),
                rung=text, outcome=text, summary=text, tests_seen=text,
            )
            for result, text in zip(arm_results("greedy", "-----"), texts, strict=True)
        ]  # fmt: skip
        run_folder(tmp_path / name, results)
    expected, page = page_of(tmp_path / "plain"), page_of(tmp_path / "hostile")
    in_plots = {"g", "path", "use", "text", "clippath", "rect", "defs"}
    assert [name for name in page.elements if name not in in_plots] == [
        name for name in expected.elements if name not in in_plots
    ]
    assert {name for name, _ in page.attributes} <= {name for name, _ in expected.attributes}
    assert page.code[:-1] == list(HOSTILE[:-1])
    assert page.code[-1] == r"é 漢字 🙂 \u202e gnp \x00 \x1b[2J \ud800"
    html_page(tmp_path / "hostile").encode("utf-8")


def test_names_of_configurations_are_text(tmp_path: Path) -> None:
    """Also for matplotlib, which hides labels that begin with _ and reads $ as mathematics."""
    results = run_folder(tmp_path, arm_results("greedy", "+-"))
    for result in arm_results("_a$x^<script>&\"'{{b}}", "-+", gamma=2.0):
        results.write("own", result.task_id, result, 2.0)
    page, text = page_of(tmp_path), html_page(tmp_path)
    assert "script" not in page.elements
    assert ">a$x^&lt;script&gt;&amp;\"'{{b}}_gamma=2</text>" in text


@pytest.mark.parametrize(
    ("greedy", "other", "outcome"),
    [("", "", ""), ("+", "", ""), ("++++", "++++", "verified"), ("-?", "?-", "of its own")],
)
def test_pages_of_little(greedy: str, other: str, outcome: str, tmp_path: Path) -> None:
    run_folder(
        tmp_path, [*arm_results("greedy", greedy), *arm_results("sample", other, outcome=outcome)]
    )
    page = page_of(tmp_path)
    assert page.elements.count("figure") == (3 if greedy else 0)
    assert len(page.code) == greedy.count("-") + greedy.count("?") + len(other.replace("+", ""))


def test_cost_and_time_of_nothing(tmp_path: Path) -> None:
    """Both axes are logarithmic."""
    free = replace(STATS, duration=0.0, input_tokens=0, output_tokens=0)
    run_folder(tmp_path, arm_results("greedy", "+-", stats=free))
    assert page_of(tmp_path).elements.count("figure") == 3


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match=r"pip install 'egcfg-lsp\[bench\]'"):
        html_page(tmp_path)


def test_folder_of_something_else(tmp_path: Path) -> None:
    open_results(tmp_path, {"dataset": "typing"})
    with pytest.raises(BenchError, match="of typing, not of arms"):
        html_page(tmp_path)
