"""What the product is worth, measured: problems in, one JSON a task, a table out.

`infilling` asks for a missing line, `sessions` types real functions; both drive the parts that serve
the editor. Does not cover speed (that is `benchmarks/`).
"""

from __future__ import annotations

from dataclasses import dataclass


class BenchError(Exception):
    """A benchmark cannot be run or reported; the message is for people."""


@dataclass(frozen=True)
class BenchModel:
    """Which model answered."""

    name: str
    sha256: str
    """Of its GGUF file."""
