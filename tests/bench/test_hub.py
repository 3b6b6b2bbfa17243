"""Fetching a data set by its name, from a scripted hub behind httpx."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from egcfg_lsp.bench import BenchError, hub
from egcfg_lsp.bench.hub import local_file

MBPP = "google-research-datasets/mbpp"
Page = dict[str, Any]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(hub, "cache_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def page(n_rows: int, offset: int, length: int = hub.PAGE_ROWS) -> Page:
    indices = range(offset, min(offset + length, n_rows))
    rows = [
        {"row_idx": i, "row": {"task_id": i, "text": "é\n"}, "truncated_cells": []} for i in indices
    ]
    return {"features": [], "rows": rows, "num_rows_total": n_rows, "partial": False}


def hub_of(answer: Callable[[httpx.URL], httpx.Response]) -> tuple[httpx.Client, list[httpx.URL]]:
    asked: list[httpx.URL] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return answer(request.url)

    return httpx.Client(transport=httpx.MockTransport(handle)), asked


def offset(url: httpx.URL) -> int:
    return int(url.params["offset"])


def test_pages_become_one_file_that_is_kept(cache: Path) -> None:
    client, asked = hub_of(lambda url: httpx.Response(200, json=page(250, offset(url))))
    path = local_file(MBPP, client)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows == [{"task_id": i, "text": "é\n"} for i in range(250)]
    assert [offset(url) for url in asked] == [0, 100, 200]
    assert asked[0].host == "datasets-server.huggingface.co"
    params = dict(asked[0].params)
    assert params.items() >= {"dataset": MBPP, "config": "full", "split": "test"}.items()
    assert local_file(MBPP, client) == path
    assert len(asked) == 3
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "config", "split"),
    [
        (f"{MBPP}:sanitized", "sanitized", "test"),
        (f"{MBPP}:full:train", "full", "train"),
        ("evalplus/mbppplus", "default", "test"),
        ("somebody/own:part:dev", "part", "dev"),
    ],
)
def test_other_subsets(name: str, config: str, split: str) -> None:
    client, asked = hub_of(lambda url: httpx.Response(200, json=page(1, 0)))
    path = local_file(name, client)
    assert (asked[0].params["config"], asked[0].params["split"]) == (config, split)
    assert path != local_file(MBPP, client)


@pytest.mark.parametrize(
    "name", ["data.jsonl", "folder/data.jsonl", "a/b.json.gz", "/no/such/file", "x"]
)
def test_paths_stay_what_they_are(name: str) -> None:
    client, asked = hub_of(lambda url: httpx.Response(500))
    assert local_file(name, client) == Path(name)
    assert not asked


def test_a_file_of_that_name_goes_first(tmp_path: Path) -> None:
    (tmp_path / "evalplus").mkdir()
    (tmp_path / "evalplus" / "mbppplus").touch()
    client, asked = hub_of(lambda url: httpx.Response(500))
    assert local_file("evalplus/mbppplus", client) == Path("evalplus/mbppplus")
    assert not asked


def test_unknown_names_are_not_asked_for() -> None:
    client, asked = hub_of(lambda url: httpx.Response(500))
    with pytest.raises(BenchError, match=r"no file no/such, and no data set .* evalplus/mbppplus"):
        local_file("no/such", client)
    assert not asked


def unreachable(url: httpx.URL) -> httpx.Response:
    raise httpx.ConnectError("no route")


def short(url: httpx.URL) -> httpx.Response:
    return httpx.Response(200, json=page(250, offset(url)) if offset(url) < 200 else page(200, 200))


def cut(url: httpx.URL) -> httpx.Response:
    own = page(120, offset(url))
    own["rows"][7]["truncated_cells"] = ["test"]
    return httpx.Response(200, json=own)


def fails_later(url: httpx.URL) -> httpx.Response:
    return httpx.Response(200, json=page(150, 0)) if offset(url) == 0 else httpx.Response(502)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (unreachable, "no route"),
        (lambda url: httpx.Response(429), "429 Too Many Requests"),
        (lambda url: httpx.Response(503), "503 Service Unavailable"),
        (lambda url: httpx.Response(401, json={"error": "gated"}), "401 Unauthorized"),
        (fails_later, "502 Bad Gateway"),
        (short, "200 rows|ends after 200"),
        (cut, "row 7 is too long for it and comes cut"),
        (lambda url: httpx.Response(200, json=page(250, 0) | {"partial": True}), "only part"),
        (lambda url: httpx.Response(200, json=page(0, 0)), "only part of the rows, or 0"),
        (lambda url: httpx.Response(200, json=page(250, 0, 0)), "ends after 0 of 250"),
        (lambda url: httpx.Response(200, json=page(150, 0)), "gave 200 rows, not 150"),
        (lambda url: httpx.Response(200, json={"rows": []}), "another form"),
        (lambda url: httpx.Response(200, json={"rows": [1], "num_rows_total": 1}), "another form"),
        (lambda url: httpx.Response(200, json=[1]), "no object"),
        (lambda url: httpx.Response(200, text="<html>"), "hub: "),
    ],
)
def test_what_is_not_whole_is_told_and_not_kept(
    answer: Callable[[httpx.URL], httpx.Response], message: str, cache: Path
) -> None:
    client, asked = hub_of(answer)
    with pytest.raises(BenchError, match=message) as caught:
        local_file(MBPP, client)
    assert str(caught.value).startswith(f"cannot get {MBPP} from the Hugging Face hub: ")
    assert str(caught.value).endswith("; give a FILE instead")
    assert len(asked) <= 3
    assert not cache.exists() or not list(cache.iterdir())


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    client, _ = hub_of(lambda url: httpx.Response(200, json=page(1, 0)))
    with pytest.raises(BenchError, match="cannot keep"):
        local_file(MBPP, client)
