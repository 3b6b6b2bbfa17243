"""Typing sessions: functions of real packages, typed key by key, a request after every key.

The requests go through `Completions`, as the editor's do, each is waited for, and nothing is run. A
draft ends with its first line here: what is counted is about first lines, and a session is the same
on a slow and on a fast machine. Does not cover accepting, debouncing or multi-line suggestions.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from egcfg_lsp import __version__
from egcfg_lsp.bench import BenchModel
from egcfg_lsp.bench.keys import typed_texts
from egcfg_lsp.bench.models import MeteredModel
from egcfg_lsp.bench.packages import Function, Package, copy_project
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.results import Results
from egcfg_lsp.completion import Request, Update
from egcfg_lsp.completion.cache import Completions
from egcfg_lsp.completion.engine import Tools
from egcfg_lsp.execution import Sandbox
from egcfg_lsp.model import LanguageModel
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS, PromptLimits
from egcfg_lsp.settings import Settings

POLL_SECONDS = 0.002
NO_CAUSE = "none given"
SETTINGS = Settings(speculate=False)
"""Nothing is computed ahead of a person who types without a pause."""


@dataclass(frozen=True)
class Answered:
    """What the editor showed after one key."""

    shown: str
    """The suggestion; empty: nothing was shown."""
    causes: tuple[str, ...]
    """Why not, where nothing was shown."""
    n_calls: int
    """Of the model, for this key."""
    seconds: float


@dataclass(frozen=True)
class Session:
    """One function typed: the content of a task's file."""

    function: Function
    model: BenchModel
    seed: int
    version: str
    answers: tuple[Answered, ...]
    """One for each text of `typed_texts`."""


@dataclass(frozen=True)
class Counts:
    """What is counted over sessions; each rate with its n."""

    name: str
    n_functions: int
    shown: Rate
    """Requests that were answered with a suggestion."""
    kept: Rate
    """Newly shown suggestions that stayed, shrinking as typed, until their first line was typed."""
    right_first_line: Rate
    """Suggestions before a line's first character, indentation typed, whose first line was what was
    then typed."""
    saved: Rate
    """Characters of the lines behind the earliest suggestion that ends its line rightly; of all
    characters typed, without Enter and indentation."""
    flicker: Rate
    """Keys that agreed with the shown text and changed what was left of its first line."""
    median_calls: float
    """Model calls a key."""
    mean_calls: float
    causes: dict[str, int]
    """Of nothing shown, with the number of keys."""


@dataclass(frozen=True)
class Group:
    """What the sessions of one package share."""

    package: Package
    results: Results
    model: BenchModel
    seed: int
    limits: PromptLimits = DEFAULT_LIMITS


VARIANTS = {
    "product": DEFAULT_LIMITS,
    "no-files": replace(DEFAULT_LIMITS, file_characters=0),
    "no-imports": replace(DEFAULT_LIMITS, import_characters=0),
}
"""What a prompt holds of other files, and of the imports above its window."""


async def run_sessions(
    group: Group,
    functions: Sequence[Function],
    model: LanguageModel,
    sandbox: Sandbox,
    on_function: Callable[[], None],
) -> None:
    """Type and write the functions that the folder does not have yet. Raises ModelError."""
    name = f"{group.package.name}-{group.package.version}"
    with tempfile.TemporaryDirectory(prefix="egcfg-bench-") as folder:
        root = copy_project(group.package, Path(folder))
        for function in functions:
            if not group.results.has(name, function.task_id):
                answers = await type_function(function, root, model, sandbox, group.limits)
                session = Session(function, group.model, group.seed, __version__, answers)
                group.results.write(name, function.task_id, session)
            on_function()


async def type_function(
    function: Function,
    root: Path,
    model: LanguageModel,
    sandbox: Sandbox,
    limits: PromptLimits = DEFAULT_LIMITS,
) -> tuple[Answered, ...]:
    """One answer a key. Raises ModelError."""
    metered = MeteredModel(model, one_line=True)
    answers = []
    async with _completions(Tools(metered, sandbox, limits=limits)) as completions:
        for typed in typed_texts(function.above, function.body):
            before = function.above + typed
            path = root / function.path
            request = Request(
                before + function.below, len(before), path, root, SETTINGS, is_automatic=True
            )
            n_calls, started = metered.n_calls, time.monotonic()
            update = await _settled(completions, request)
            seconds = round(time.monotonic() - started, 3)
            answers.append(_answered(update, metered.n_calls - n_calls, seconds))
    return tuple(answers)


def counts(name: str, sessions: Sequence[Session]) -> Counts:
    """The figures of some sessions together."""
    keys = [list(keys_of(session)) for session in sessions]
    every = [key for session in keys for key in session]
    calls = [key.answered.n_calls for key in every]
    at_start = [key for key in every if key.at_start and key.first_line]
    typed_on = [pair for session in keys for pair in pairwise(session) if _is_typed_on(*pair)]
    new = [i for session in keys for i in _lives(session)]
    saved = [n for session in keys for n in _savings(session)]
    return Counts(
        name=name,
        n_functions=len(sessions),
        shown=Rate(sum(bool(key.answered.shown) for key in every), len(every)),
        kept=Rate(sum(new), len(new)),
        right_first_line=Rate(sum(key.is_right for key in at_start), len(at_start)),
        saved=Rate(sum(saved), sum(key.is_character for key in every)),
        flicker=Rate(sum(not _goes_on(*pair) for pair in typed_on), len(typed_on)),
        median_calls=statistics.median(calls) if calls else 0.0,
        mean_calls=statistics.fmean(calls) if calls else 0.0,
        causes=dict(Counter(cause for key in every for cause in key.answered.causes).most_common()),
    )


@dataclass(frozen=True)
class Key:
    """One key, and what the editor then showed."""

    typed: str
    """All that has been typed of the body."""
    line: str
    """The cursor's line up to the cursor."""
    wanted: str
    """The whole line, as the person will have typed it."""
    answered: Answered

    @property
    def first_line(self) -> str:
        """Of the suggestion; empty where it begins with a line end."""
        return self.answered.shown.partition("\n")[0]

    @property
    def is_right(self) -> bool:
        """Whether the suggestion's first line is the rest of the line."""
        return bool(self.first_line) and self.line + self.first_line == self.wanted

    @property
    def at_start(self) -> bool:
        """Before the line's first character, its indentation typed."""
        text = self.wanted.lstrip(" ")
        return bool(text) and self.line + text == self.wanted

    @property
    def is_character(self) -> bool:
        return bool(self.line.strip())


def keys_of(session: Session) -> Iterator[Key]:
    """The keys of a session with what was shown, trailing white space left out."""
    function = session.function
    lines = function.body.split("\n")
    texts = typed_texts(function.above, function.body)
    for typed, answered in zip(texts, session.answers, strict=True):
        row = typed.count("\n") - 1
        yield Key(typed, typed.rpartition("\n")[2], lines[row], answered)


def _lives(keys: Sequence[Key]) -> Iterator[bool]:
    """For each newly shown suggestion whether it stayed until its first line was typed."""
    for i, key in enumerate(keys):
        is_old = i > 0 and _is_typed_on(keys[i - 1], key) and _goes_on(keys[i - 1], key)
        if key.first_line and not is_old:
            yield _is_kept(keys[i:])


def _is_kept(keys: Sequence[Key]) -> bool:
    for key, later in pairwise(keys):
        if _typed_between(key, later) == key.first_line:
            return True
        if not (_is_typed_on(key, later) and _goes_on(key, later)):
            return False
    return False


def _typed_between(key: Key, later: Key) -> str:
    """Empty where something was deleted."""
    return later.typed[len(key.typed) :] if later.typed.startswith(key.typed) else ""


def _is_typed_on(key: Key, later: Key) -> bool:
    """Whether the later key typed a part of the first line shown before it, not all of it."""
    typed = _typed_between(key, later)
    return bool(typed) and typed != key.first_line and key.first_line.startswith(typed)


def _goes_on(key: Key, later: Key) -> bool:
    """Whether what is shown of the first line after the later key is what was left of it."""
    return later.first_line == key.first_line[len(_typed_between(key, later)) :]


def _savings(keys: Sequence[Key]) -> Iterable[int]:
    """Characters of each line behind the earliest suggestion that is its rest."""
    longest: dict[int, int] = {}
    for key in keys:
        if key.is_right:
            row = key.typed.count("\n")
            longest[row] = max(longest.get(row, 0), len(key.first_line))
    return longest.values()


@asynccontextmanager
async def _completions(tools: Tools) -> AsyncIterator[Completions]:
    completions = Completions(tools, lambda _: None)
    try:
        yield completions
    finally:
        await completions.close()


async def _settled(completions: Completions, request: Request) -> Update:
    """The last update for a request. Raises ModelError."""
    completions.stop_unless_fits(request)
    while not (update := await completions.first(request)).done:  # noqa: ASYNC110 (no event)
        await asyncio.sleep(POLL_SECONDS)
    return update


def _answered(update: Update, n_calls: int, seconds: float) -> Answered:
    shown = update.suggestions[0].text if update.suggestions else ""
    causes = [drop.cause.value for drop in update.drops] or [NO_CAUSE]
    return Answered(shown, () if shown else tuple(causes), n_calls, seconds)
