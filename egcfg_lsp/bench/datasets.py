"""Data sets in their official file formats: read, checked, sampled. None is part of this package."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egcfg_lsp.bench import BenchError

_FIELDS = ("task_id", "entry_point", "prompt", "canonical_solution", "suffix", "test")


@dataclass(frozen=True)
class Problem:
    """A program with one line missing (HumanEval-SingleLineInfilling)."""

    task_id: str
    """`SingleLineInfilling/HumanEval/0/L5`."""
    entry_point: str
    """The function under test."""
    prompt: str
    """The lines above."""
    line: str
    """The missing one, without its line end."""
    suffix: str
    """The lines below."""
    test: str
    """Source with `check(candidate)`."""

    @property
    def function_id(self) -> str:
        """The HumanEval function that the line is from."""
        return self.task_id.rpartition("/")[0]


@dataclass(frozen=True)
class Infilling:
    problems: tuple[Problem, ...]
    sha256: str
    """Of the uncompressed file."""


def read_infilling(path: Path) -> Infilling:
    """`HumanEval-SingleLineInfilling.jsonl`, gzipped or not; raises BenchError."""
    raw = _uncompressed(path)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8, nor gzipped") from error
    problems = tuple(
        _problem(line, f"{path}, line {number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    )
    if not problems:
        raise BenchError(f"{path} holds no problems")
    if len({problem.task_id for problem in problems}) < len(problems):
        raise BenchError(f"{path} holds a task_id twice")
    return Infilling(problems, hashlib.sha256(raw).hexdigest())


def sample(problems: Sequence[Problem], n: int | None, seed: int) -> list[Problem]:
    """`n` problems spread over the functions, or all; a larger sample begins with the smaller one."""
    chance = random.Random(seed)
    functions: dict[str, list[Problem]] = {}
    for problem in problems:
        functions.setdefault(problem.function_id, []).append(problem)
    groups = list(functions.values())
    for group in groups:
        chance.shuffle(group)
    chance.shuffle(groups)
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return [problem for problem in rounds if problem is not None][:n]


def _uncompressed(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BenchError(f"{path} is a broken gzip file: {error}") from error
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error


def _problem(line: str, place: str) -> Problem:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BenchError(f"{place}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BenchError(f"{place}: not an object")
    if missing := [name for name in _FIELDS if not isinstance(value.get(name), str)]:
        raise BenchError(f"{place}: no single-line infilling problem: no {', '.join(missing)}")
    task_id, entry_point, prompt, solution, suffix, test = (value[name] for name in _FIELDS)
    solution = solution.removesuffix("\n")
    if "\n" in solution or not solution.strip():
        raise BenchError(f"{place}: the missing code is not a single line")
    if prompt and not prompt.endswith("\n"):
        raise BenchError(f"{place}: the prompt does not end with a line")
    return Problem(task_id, entry_point, prompt, solution, suffix, test)
