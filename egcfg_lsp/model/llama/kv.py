"""What llama.cpp's unified KV cache holds: branches of a tree that share their common prefixes.

A branch is one of llama.cpp's sequences. Cells are counted as llama.cpp fills them: once for all
branches that share them, but twice where two branches read the same tokens apart from each other.
Knows no llama.cpp beyond the `Memory` protocol, and nothing of logits.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from egcfg_lsp.model import ModelError


class CacheFullError(ModelError):
    """What is in use leaves too little room."""


class Memory(Protocol):
    """Sequences of cells, each cell at a position from 0 on."""

    def share(self, source: int, target: int, n: int) -> None:
        """Make the first `n` cells of a sequence also those of another, which must be empty."""
        ...

    def trim(self, sequence: int, n: int) -> bool:
        """Forget all but the first `n` cells; False, with nothing changed, where that is impossible."""
        ...

    def drop(self, sequence: int) -> None:
        """Forget all cells of a sequence."""
        ...


@dataclass(eq=False)
class Branch:
    """A sequence of tokens in the cache; made by `KvTree.fork` only."""

    sequence: int
    tokens: array[int] = field(default_factory=lambda: array("i"))
    cells: array[int] = field(default_factory=lambda: array("i"))
    """Our own numbers of its cells, equal where the cells are shared."""
    is_pinned: bool = True
    last_used: int = 0

    def __len__(self) -> int:
        return len(self.tokens)


class KvTree:
    """Branches in a cache of `n_cells` cells and `n_sequences` sequences.

    A pinned branch is in use and stays; the others go when room is needed, least recently used first.
    """

    def __init__(self, memory: Memory, n_sequences: int, n_cells: int, *, trims: bool) -> None:
        self.branches: list[Branch] = []
        self._memory = memory
        self._trims = trims
        self._n_sharing = np.zeros(n_cells, np.int32)
        self._free_cells = list(range(n_cells))
        self._free_sequences = list(range(n_sequences))
        self._clock = itertools.count(1)

    @property
    def n_used(self) -> int:
        """Occupied cells."""
        return len(self._n_sharing) - len(self._free_cells)

    def fork(self, tokens: Sequence[int]) -> Branch:
        """A pinned branch that holds the longest cached prefix of `tokens`, and nothing behind it.

        Raises CacheFullError when every sequence is in use.
        """
        wanted = array("i", tokens)
        source, n_common = None, 0
        for branch in self.branches:
            n = common_prefix(branch.tokens, wanted)
            usable = self._trims or n == len(branch)
            whole = n == len(branch) and not branch.is_pinned
            if usable and n > 0 and (n, whole) > (n_common, False):
                source, n_common = branch, n
        if source is not None and n_common == len(source) and not source.is_pinned:
            source.is_pinned = True
            return self._touched(source)
        if source is None:
            return self._new()
        was_pinned, source.is_pinned = source.is_pinned, True
        try:
            target = self._new()
        except CacheFullError:
            if was_pinned:
                raise
            self.trim(source, n_common)
            return self._touched(source)
        source.is_pinned = was_pinned
        self._memory.share(source.sequence, target.sequence, n_common)
        target.tokens, target.cells = source.tokens[:n_common], source.cells[:n_common]
        self._n_sharing[target.cells] += 1
        return target

    def make_room(self, n: int) -> None:
        """Have `n` free cells; raises CacheFullError when what is in use leaves fewer."""
        while len(self._free_cells) < n:
            self._evict()

    def extend(self, branch: Branch, tokens: Sequence[int]) -> None:
        """Note that llama.cpp has read `tokens` behind the branch; `make_room` comes before."""
        cells = array("i", [self._free_cells.pop() for _ in tokens])
        self._n_sharing[cells] = 1
        branch.tokens.extend(tokens)
        branch.cells.extend(cells)
        self._touched(branch)

    def trim(self, branch: Branch, n: int) -> None:
        """Cut a branch to its first `n` tokens, or to none where the model cannot be cut to them.

        Also forgets cells that llama.cpp filled without a call of `extend`.
        """
        if not self._memory.trim(branch.sequence, n):
            self._memory.drop(branch.sequence)
            n = 0
        self._free(branch.cells[n:])
        del branch.tokens[n:], branch.cells[n:]

    def release(self, branch: Branch) -> None:
        """Unpin; the branch stays as long as there is room."""
        branch.is_pinned = False
        if len(branch) == 0:
            self._drop(branch)

    def clear(self) -> None:
        """Forget everything, what is in use included."""
        for branch in list(self.branches):
            self._drop(branch)

    def _new(self) -> Branch:
        while not self._free_sequences:
            self._evict()
        branch = Branch(self._free_sequences.pop())
        self.branches.append(branch)
        return self._touched(branch)

    def _touched(self, branch: Branch) -> Branch:
        branch.last_used = next(self._clock)
        return branch

    def _evict(self) -> None:
        idle = [branch for branch in self.branches if not branch.is_pinned]
        if not idle:
            raise CacheFullError(f"the KV cache of {len(self._n_sharing)} tokens is full")
        self._drop(min(idle, key=lambda branch: branch.last_used))

    def _drop(self, branch: Branch) -> None:
        self._memory.drop(branch.sequence)
        self._free(branch.cells)
        del branch.tokens[:], branch.cells[:]
        self.branches.remove(branch)
        self._free_sequences.append(branch.sequence)

    def _free(self, cells: array[int]) -> None:
        if cells:
            self._n_sharing[cells] -= 1
            numbers = np.frombuffer(cells, np.int32)
            self._free_cells += numbers[self._n_sharing[numbers] == 0].tolist()


def common_prefix(a: array[int], b: array[int]) -> int:
    """How many leading tokens are equal."""
    n = min(len(a), len(b))
    if n == 0:
        return 0
    differs = np.frombuffer(a, np.int32, n) != np.frombuffer(b, np.int32, n)
    first = int(differs.argmax())
    return first if differs[first] else n
