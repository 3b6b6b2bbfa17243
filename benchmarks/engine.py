"""The group `engine`: the model worker and the way of a keystroke to the first line."""

from __future__ import annotations

from benchmarks.decoding import (
    batch_ratio,
    cancelling,
    decode_fill_ratio,
    decode_ratio,
    reading_speed,
)
from benchmarks.figures import Benchmark
from benchmarks.rereading import (
    rereading_at_end,
    rereading_in_middle,
    rereading_to_and_fro,
    rereading_with_closed_brackets,
)
from benchmarks.worker import busy_neighbour, fresh_worker

BENCHMARKS: tuple[Benchmark, ...] = (
    decode_ratio,
    batch_ratio,
    decode_fill_ratio,
    cancelling,
    reading_speed,
    fresh_worker,
    busy_neighbour,
    rereading_at_end,
    rereading_in_middle,
    rereading_to_and_fro,
    rereading_with_closed_brackets,
)
