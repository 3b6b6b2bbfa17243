"""The wait after a key: by rhythm, place and setting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.completion.debounce import LEAST_SECONDS, MOST_SECONDS, Rhythm, debounce_seconds


def rhythm_of(*times: float) -> Rhythm:
    rhythm = Rhythm()
    for time in times:
        rhythm = rhythm.with_key(time)
    return rhythm


def wait(*times: float, fixed_ms: int | None = None) -> float:
    return debounce_seconds(
        rhythm_of(*times), fixed_ms=fixed_ms, starts_line=False, is_automatic=True
    )


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ((), LEAST_SECONDS),
        ((5.0,), LEAST_SECONDS),
        ((0.0, 0.1, 0.2, 0.3), 0.15),
        ((0.0, 0.01, 0.02), LEAST_SECONDS),
        ((0.0, 0.5, 1.0), MOST_SECONDS),
        ((0.0, 0.1, 9.0), 0.15),
        ((0.0, 0.1, 9.0, 9.1), 0.15),
    ],
)
def test_adaptive(times: tuple[float, ...], seconds: float) -> None:
    assert wait(*times) == pytest.approx(seconds)


def test_a_new_rhythm_is_learned() -> None:
    slow_then_fast = [i * 0.3 for i in range(5)] + [1.2 + i * 0.08 for i in range(1, 20)]
    assert wait(*slow_then_fast) == pytest.approx(0.12, abs=0.01)


def test_line_start_explicit_request_and_setting() -> None:
    rhythm = rhythm_of(0.0, 0.1, 0.2)
    for starts_line, is_automatic in ((True, True), (False, False), (True, False)):
        assert not debounce_seconds(
            rhythm, fixed_ms=500, starts_line=starts_line, is_automatic=is_automatic
        )
    assert wait(0.0, 0.1, fixed_ms=500) == 0.5
    assert wait(0.0, 0.1, fixed_ms=0) == 0.0


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_within_bounds(times: list[float]) -> None:
    assert LEAST_SECONDS <= wait(*sorted(times)) <= MOST_SECONDS
