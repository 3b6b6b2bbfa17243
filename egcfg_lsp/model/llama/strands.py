"""Strands: the token sequences that a job decodes side by side. Knows neither text nor logits."""

from __future__ import annotations

from dataclasses import dataclass

from egcfg_lsp.model.llama.kv import Branch
from egcfg_lsp.model.llama.native import MAX_SEQUENCES

MAX_STRANDS = MAX_SEQUENCES // 2
"""Strands of one job."""


@dataclass(eq=False)
class Strand:
    """Tokens to be continued, and the branch of the cache that holds a part of them."""

    tokens: list[int]
    branch: Branch | None = None

    def split(self, token: int) -> Strand:
        return Strand([*self.tokens, token])
