"""A data set by its name on the Hugging Face hub: fetched once as JSON Lines, kept in the cache.

The rows come page by page from the hub's public rows API. A file under its final name is whole: an
interrupted download leaves none. Does not know what the rows mean (`datasets`, `plus`), and never asks
again for what it has; whoever wants a newer one deletes the file, which `cache_folder` names.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import platformdirs

from egcfg_lsp.bench import BenchError

API = "https://datasets-server.huggingface.co"
PAGE_ROWS = 100
"""The API's limit."""
MAX_ROWS = 100_000
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0


@dataclass(frozen=True)
class Subset:
    """Which rows of a data set."""

    config: str
    split: str


SUBSETS = {
    "openai/openai_humaneval": Subset("openai_humaneval", "test"),
    "google-research-datasets/mbpp": Subset("full", "test"),
    "evalplus/humanevalplus": Subset("default", "test"),
    "evalplus/mbppplus": Subset("default", "test"),
    "loubnabnl/humaneval_infilling": Subset("HumanEval-SingleLineInfilling", "test"),
}
"""What a name means when it stands alone; `name:config` and `name:config:split` choose others."""
_NAME = re.compile(r"([\w.-]+/[\w.-]+?)(?::([\w.-]+))?(?::([\w.-]+))?")


def local_file(name: str, client: httpx.Client | None = None) -> Path:
    """A file as it is; otherwise the data set of that name on the hub, from the cache or fetched.

    `client` is for another way to the hub than the usual one. Raises BenchError.
    """
    path = Path(name)
    match = _NAME.fullmatch(name)
    if path.exists() or match is None or path.suffix in (".jsonl", ".json", ".gz"):
        return path
    dataset, config, split = match[1], match[2], match[3]
    known = SUBSETS.get(dataset)
    if known is None and config is None:
        names = ", ".join(SUBSETS)
        raise BenchError(f"no file {name}, and no data set known by that name (known: {names})")
    known = known or Subset("", "test")
    subset = Subset(config or known.config, split or known.split)
    kept = cache_folder() / _file_name(dataset, subset)
    if kept.is_file():
        return kept
    if client is not None:
        return _fetch(dataset, subset, kept, client)
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(timeout=timeout, follow_redirects=True) as own:
        return _fetch(dataset, subset, kept, own)


def cache_folder() -> Path:
    return platformdirs.user_cache_path("egcfg-lsp") / "datasets"


def _file_name(dataset: str, subset: Subset) -> str:
    parts = (dataset.replace("/", "--"), subset.config, subset.split)
    return "--".join(parts) + ".jsonl"


def _fetch(dataset: str, subset: Subset, path: Path, client: httpx.Client) -> Path:
    lines = [json.dumps(row) + "\n" for row in _rows(dataset, subset, client)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".partial", delete=False
        ) as stream:
            partial = Path(stream.name)
            try:
                stream.writelines(lines)
                stream.flush()
                os.fsync(stream.fileno())
                stream.close()
                partial.replace(path)
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(f"cannot keep {dataset} in {path.parent}: {error.strerror}") from error
    return path


def _rows(dataset: str, subset: Subset, client: httpx.Client) -> Iterator[dict[str, Any]]:
    """All of them, whole: a row or a page that is cut is an error."""
    total, n_rows = 1, 0
    while n_rows < total:
        page = _page(dataset, subset, n_rows, client)
        try:
            total, entries = int(page["num_rows_total"]), list(page["rows"])
            rows = [entry["row"] for entry in entries]
            truncated = [entry["row_idx"] for entry in entries if entry["truncated_cells"]]
        except (KeyError, TypeError, ValueError) as error:
            raise _refused(dataset, f"its answer has another form: {error!r}") from error
        if page.get("partial") or not 0 < total <= MAX_ROWS:
            raise _refused(dataset, f"it gives only part of the rows, or {total} of them")
        if truncated:
            raise _refused(dataset, f"row {truncated[0]} is too long for it and comes cut")
        if not rows:
            raise _refused(dataset, f"it ends after {n_rows} of {total} rows")
        yield from rows
        n_rows += len(rows)
    if n_rows != total:
        raise _refused(dataset, f"it gave {n_rows} rows, not {total}")


def _page(dataset: str, subset: Subset, offset: int, client: httpx.Client) -> dict[str, Any]:
    query: dict[str, str | int] = {"dataset": dataset, **asdict(subset)}
    query |= {"offset": offset, "length": PAGE_ROWS}
    try:
        response = client.get(f"{API}/rows", params=query)
        response.raise_for_status()
        page = response.json()
    except httpx.HTTPStatusError as error:
        code, reason = error.response.status_code, error.response.reason_phrase
        raise _refused(dataset, f"{code} {reason}") from error
    except (httpx.HTTPError, ValueError) as error:
        raise _refused(dataset, str(error) or type(error).__name__) from error
    if not isinstance(page, dict):
        raise _refused(dataset, "its answer is no object")
    return page


def _refused(dataset: str, reason: str) -> BenchError:
    return BenchError(
        f"cannot get {dataset} from the Hugging Face hub: {reason}; give a FILE instead"
    )
