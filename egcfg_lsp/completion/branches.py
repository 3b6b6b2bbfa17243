"""Where a draft could have gone another way: its least certain tokens, each with the next best one.

Pure. Finishing a branch is the model's matter, and judging it that of a run. The idea of forking at
the smallest margins: `docs/guidance-log.md`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from egcfg_lsp.completion import Written
from egcfg_lsp.model import Token
from egcfg_lsp.source.brackets import NOTHING_OPEN, Scope, prose


@dataclass(frozen=True)
class Branch:
    """A beginning of an answer that differs from another one in its last token."""

    tokens: tuple[Token, ...]
    margin: float
    """How much less probable the last token is than the one that was chosen, natural logarithm, ≥ 0."""

    @property
    def number(self) -> int:
        """Of the token that differs, from 1."""
        return len(self.tokens)


def branches(written: Written, scope: Scope = NOTHING_OPEN) -> list[Branch]:
    """All branches of an answer that begins in `scope`, the least certain token first.

    Those in comments and docstrings are left out: what they say changes nothing that runs.
    """
    found = [
        Branch((*written.tokens[:i], _other(token)), token.margin)
        for i, token in _in_code(written, scope)
        if token.runner_up is not None
    ]
    return sorted(found, key=lambda branch: branch.margin)


def n_uncertain(written: Written, scope: Scope, margin: float) -> int:
    """How many tokens of the answer's code had another one within `margin`."""
    return sum(token.margin < margin for _, token in _in_code(written, scope))


def _in_code(written: Written, scope: Scope) -> Iterator[tuple[int, Token]]:
    spans = list(prose(written.text, scope))
    starts = [start for start, _ in spans]
    begins = 0
    for i, token in enumerate(written.tokens):
        at = bisect_right(starts, begins) - 1
        # The token with which a comment or docstring begins can still be another one.
        if at < 0 or not spans[at][0] < begins < spans[at][1]:
            yield i, token
        begins = token.end


def _other(token: Token) -> Token:
    """The runner-up in the place of a token."""
    assert token.runner_up is not None
    return replace(
        token,
        id=token.runner_up,
        log_probability=token.log_probability - token.margin,
        runner_up=None,
        margin=0.0,
    )
