"""What earlier runs said of each test: how long it takes where it passes, whether it failed last,
whether it gave two verdicts on one text. In memory, for one session.

From that follow the order of tests, their deadline, and which of them say nothing. Does not know
when a test has changed on disk: `forget` is for whoever sees it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from egcfg_lsp.execution import How, RunResult
from egcfg_lsp.source.oracle import OracleTest

MAX_TESTS = 2000
LEAST_SECONDS, MOST_SECONDS = 0.05, 0.5
"""Of the deadline of a test that is known to be quick."""
QUICK_SECONDS = 0.05
FACTOR, ALLOWANCE_SECONDS = 5.0, 0.02

Key = tuple[Path, str]


@dataclass(frozen=True)
class Seen:
    """Of one test."""

    seconds: float | None = None
    """The longest that it took when it passed; None: it never has."""
    swapped_seconds: float | None = None
    """The same, of runs for which no process had to import anything."""
    has_failed: bool = False
    """In the last run that said something."""
    is_flaky: bool = False


class TestHistory:
    """Keeps the `MAX_TESTS` tests used last. For one event loop."""

    __test__ = False

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, Seen] = OrderedDict()
        self._reaching: OrderedDict[tuple[Path, str], tuple[OracleTest, ...]] = OrderedDict()

    def of(self, test: OracleTest) -> Seen:
        return self._seen.get(_key(test), Seen())

    def ordered(self, tests: Sequence[OracleTest]) -> tuple[OracleTest, ...]:
        """What failed last first, then the fastest; tests that never passed as they came."""
        return tuple(sorted(tests, key=lambda test: _rank(self.of(test))))

    def steady(self, tests: Sequence[OracleTest]) -> tuple[OracleTest, ...]:
        """Without those that are known to be flaky."""
        return tuple(test for test in tests if not self.of(test).is_flaky)

    def deadline(self, tests: Sequence[OracleTest], most_seconds: float) -> float:
        """For a run of these tests, in seconds; `most_seconds` unless all are known to be quick.

        `clamp(5 × baseline + 20 ms, 50 ms, 500 ms)` each.
        """
        total = 0.0
        for test in tests:
            seconds = self.of(test).swapped_seconds
            if seconds is None or seconds > QUICK_SECONDS:
                return most_seconds
            each = FACTOR * seconds + ALLOWANCE_SECONDS
            total += min(max(each, LEAST_SECONDS), MOST_SECONDS)
        return min(total, most_seconds)

    def are_slow(self, tests: Iterable[OracleTest]) -> bool:
        """Whether one of them is known to take long."""
        return any((self.of(test).seconds or 0.0) > QUICK_SECONDS for test in tests)

    def note(self, tests: Iterable[OracleTest], result: RunResult) -> None:
        """What a run said of each test."""
        for test in tests:
            found = _results_of(test, result)
            if not found:
                continue
            outcomes = {outcome for outcome, _ in found}
            seen = replace(self.of(test), has_failed=bool(outcomes & {"failed"}))
            if outcomes == {"passed"}:
                seconds = sum(each for _, each in found)
                seen = replace(seen, seconds=max(seconds, seen.seconds or 0.0))
                if result.how is How.SWAPPED:
                    seen = replace(seen, swapped_seconds=max(seconds, seen.swapped_seconds or 0.0))
            self._keep(test, seen)

    def note_flaky(
        self, tests: Iterable[OracleTest], one: RunResult, other: RunResult
    ) -> tuple[OracleTest, ...]:
        """Two runs of one text: the tests of which they say different things."""
        flaky = []
        for test in tests:
            outcomes = [
                {outcome for outcome, _ in _results_of(test, result)} for result in (one, other)
            ]
            if all(outcomes) and outcomes[0] != outcomes[1]:
                self._keep(test, replace(self.of(test), is_flaky=True))
                flaky.append(test)
        return tuple(flaky)

    def note_reaching(self, path: Path, function: str, tests: tuple[OracleTest, ...]) -> None:
        """These tests enter a function of a file, though they may not name it."""
        self._reaching[path, function] = tests
        self._reaching.move_to_end((path, function))
        if len(self._reaching) > MAX_TESTS:
            self._reaching.popitem(last=False)

    def reaching(self, path: Path, function: str) -> tuple[OracleTest, ...]:
        """What has been noted of a function."""
        return self._reaching.get((path, function), ())

    def forget(self, paths: Iterable[Path]) -> None:
        """These files of a project have changed; what made a test flaky may have been any of them."""
        changed = set(paths)
        if changed:
            self._reaching.clear()
        for key, seen in [*self._seen.items()]:
            if key[0] in changed:
                del self._seen[key]
            elif changed and seen.is_flaky:
                self._seen[key] = replace(seen, is_flaky=False)

    def _keep(self, test: OracleTest, seen: Seen) -> None:
        self._seen[_key(test)] = seen
        self._seen.move_to_end(_key(test))
        if len(self._seen) > MAX_TESTS:
            self._seen.popitem(last=False)


def _key(test: OracleTest) -> Key:
    return test.path, f"{test.kind}:{test.name}"


def _rank(seen: Seen) -> tuple[bool, float]:
    return not seen.has_failed, float("inf") if seen.seconds is None else seen.seconds


def _results_of(test: OracleTest, result: RunResult) -> list[tuple[str, float]]:
    """Outcome and seconds of what pytest collected for a test: one for each set of parameters."""
    found = []
    for one in result.tests:
        file, _, name = one.name.partition("::")
        if test.path.match(file) and _is_named(test, name.partition("[")[0]):
            found.append((one.outcome, one.seconds))
    return found


def _is_named(test: OracleTest, name: str) -> bool:
    if test.kind == "function":
        return name.replace("::", ".") == test.name
    if test.kind == "doctest":
        return f".{name}".endswith(f".{test.name}")
    return name.startswith("assert ")
