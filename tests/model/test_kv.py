"""The KV tree against a model of llama.cpp's unified cache: what is cached, where, and what is evicted.

The fake memory holds real cells and checks what llama.cpp would only punish by wrong logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from egcfg_lsp.model.llama.kv import Branch, CacheFullError, KvTree

N_CELLS, N_SEQUENCES = 24, 4


@dataclass(eq=False)
class Cell:
    position: int
    token: int
    sequences: set[int]


@dataclass
class FakeMemory:
    """llama.cpp's unified cache: cells, each with a position and the sequences that it belongs to.

    With `trims` False it is a recurrent state: only all of it can be copied, no part be forgotten.
    """

    n_cells: int = N_CELLS
    n_sequences: int = N_SEQUENCES
    trims: bool = True
    cells: list[Cell] = field(default_factory=list)
    last_source: int | None = None
    """The sequence that was shared last."""

    def read(self, sequence: int, tokens: Sequence[int]) -> None:
        """What `llama_decode` does."""
        position = len(self.of(sequence))
        self.cells += [Cell(position + i, token, {sequence}) for i, token in enumerate(tokens)]
        assert len(self.cells) <= self.n_cells, "more cells than there are"

    def share(self, source: int, target: int, n: int) -> None:
        assert source != target
        assert not self.of(target), "the target of a copy is not empty"
        assert 0 < n <= len(self.of(source))
        assert self.trims or n == len(self.of(source)), "a recurrent state is copied as a whole"
        assert 0 <= target < self.n_sequences
        for cell in self.of(source)[:n]:
            cell.sequences.add(target)
        self.last_source = source

    def trim(self, sequence: int, n: int) -> bool:
        if self.trims:
            self._forget(sequence, n)
        return self.trims

    def drop(self, sequence: int) -> None:
        self._forget(sequence, 0)

    def of(self, sequence: int) -> list[Cell]:
        cells = [cell for cell in self.cells if sequence in cell.sequences]
        return sorted(cells, key=lambda cell: cell.position)

    def _forget(self, sequence: int, n: int) -> None:
        for cell in self.of(sequence)[n:]:
            cell.sequences.discard(sequence)
        self.cells = [cell for cell in self.cells if cell.sequences]


def read(tree: KvTree, memory: FakeMemory, branch: Branch, tokens: Sequence[int]) -> None:
    """A decode that succeeds."""
    tree.make_room(len(tokens))
    memory.read(branch.sequence, tokens)
    tree.extend(branch, tokens)


def check(tree: KvTree, memory: FakeMemory) -> None:
    """Tree and memory agree."""
    assert tree.n_used == len(memory.cells) <= memory.n_cells
    for branch in tree.branches:
        cells = memory.of(branch.sequence)
        assert [cell.position for cell in cells] == list(range(len(branch)))
        assert [cell.token for cell in cells] == list(branch.tokens)
    known = {branch.sequence for branch in tree.branches}
    assert len(known) == len(tree.branches), "a sequence has one branch"
    assert known >= {sequence for cell in memory.cells for sequence in cell.sequences}


def prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


@dataclass(eq=False)
class Expected:
    """A branch as the naive model knows it."""

    branch: Branch
    tokens: list[int]
    is_pinned: bool = True


texts = st.lists(st.integers(1, 2), max_size=8)
choices = st.integers(0, 7)


class KvMachine(RuleBasedStateMachine):
    """The naive model is a list of token lists, least recently used first."""

    trims = True

    @initialize()
    def start(self) -> None:
        self.memory = FakeMemory(trims=self.trims)
        self.tree = KvTree(self.memory, N_SEQUENCES, N_CELLS, trims=self.trims)
        self.expected: list[Expected] = []

    @rule(tokens=texts)
    def fork(self, tokens: list[int]) -> None:
        self._fork(tokens)

    @precondition(lambda self: self.expected)
    @rule(i=choices, n=choices, more=texts)
    def fork_of_a_cached_prefix(self, i: int, n: int, more: list[int]) -> None:
        self._fork(self._pick(self.expected, i).tokens[:n] + more)

    @precondition(lambda self: self.pinned)
    @rule(i=choices, tokens=texts)
    def read(self, i: int, tokens: list[int]) -> None:
        one = self._pick(self.pinned, i)
        if self._made_room(len(tokens)):
            self.memory.read(one.branch.sequence, tokens)
            self.tree.extend(one.branch, tokens)
            one.tokens += tokens
            self._touch(one)

    @precondition(lambda self: self.pinned)
    @rule(i=choices, tokens=texts, n=choices)
    def read_interrupted(self, i: int, tokens: list[int], n: int) -> None:
        """llama.cpp filled `n` cells that the tree was not told of."""
        one = self._pick(self.pinned, i)
        if self._made_room(len(tokens)):
            self.memory.read(one.branch.sequence, tokens[:n])
            self._trim(one, len(one.tokens))

    @precondition(lambda self: self.pinned)
    @rule(i=choices, n=choices)
    def trim(self, i: int, n: int) -> None:
        one = self._pick(self.pinned, i)
        self._trim(one, min(n, len(one.tokens)))

    @precondition(lambda self: self.pinned)
    @rule(i=choices)
    def release(self, i: int) -> None:
        one = self._pick(self.pinned, i)
        self.tree.release(one.branch)
        one.is_pinned = False
        if not one.tokens:
            self.expected.remove(one)

    @rule()
    def clear(self) -> None:
        self.tree.clear()
        self.expected.clear()

    @invariant()
    def tree_and_memory_agree(self) -> None:
        check(self.tree, self.memory)

    @invariant()
    def holds_what_the_naive_model_holds(self) -> None:
        by_use = sorted(self.tree.branches, key=lambda branch: branch.last_used)
        assert [(b, list(b.tokens), b.is_pinned) for b in by_use] == [
            (e.branch, e.tokens, e.is_pinned) for e in self.expected
        ]

    @property
    def pinned(self) -> list[Expected]:
        return [one for one in self.expected if one.is_pinned]

    def _pick(self, those: list[Expected], i: int) -> Expected:
        return those[i % len(those)]

    def _touch(self, one: Expected) -> None:
        self.expected.remove(one)
        self.expected.append(one)

    def _idle(self, but: Expected | None = None) -> list[Expected]:
        return [one for one in self.expected if not one.is_pinned and one is not but]

    def _fork(self, tokens: list[int]) -> None:
        usable = {
            one: n
            for one in self.expected
            if (n := prefix_length(one.tokens, tokens)) == len(one.tokens) or self.trims
        }
        longest = max(usable.values(), default=0)
        whole = [one for one in self._idle() if len(one.tokens) == usable.get(one) == longest]
        self.memory.last_source = None
        try:
            branch = self.tree.fork(tokens)
        except CacheFullError:
            assert len(self.pinned) == N_SEQUENCES
            return
        assert branch.is_pinned
        assert list(branch.tokens) == tokens[:longest]
        one = next((one for one in self.expected if one.branch is branch), None)
        if one is None:
            assert not whole, "a branch that fits as it is has to be taken as it is"
            source = self._source()
            if len(self.expected) == N_SEQUENCES:
                self.expected.remove(self._idle(but=source)[0])
            self.expected.append(Expected(branch, tokens[:longest]))
            return
        assert not one.is_pinned, "a pinned branch has one owner"
        if one not in whole:
            assert len(self.pinned) == N_SEQUENCES - 1, "cut although a copy was possible"
        one.tokens, one.is_pinned = tokens[:longest], True
        self._touch(one)

    def _source(self) -> Expected | None:
        """What was shared: it is not evicted to make place for its own copy."""
        sequence = self.memory.last_source
        return next((one for one in self.expected if one.branch.sequence == sequence), None)

    def _made_room(self, n: int) -> bool:
        kept, victims = set(self.memory.cells), self._idle()
        while N_CELLS - len(kept) < n and victims:
            self.expected.remove(victims.pop(0))
            held = {one.branch.sequence for one in self.expected}
            kept = {cell for cell in kept if cell.sequences & held}
        fits = N_CELLS - len(kept) >= n
        try:
            self.tree.make_room(n)
        except CacheFullError:
            assert not fits
            return False
        assert fits
        return True

    def _trim(self, one: Expected, n: int) -> None:
        self.tree.trim(one.branch, n)
        del one.tokens[n if self.trims else 0 :]


class RecurrentKvMachine(KvMachine):
    trims = False


few = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestKv = KvMachine.TestCase
TestKv.settings = few
TestRecurrentKv = RecurrentKvMachine.TestCase
TestRecurrentKv.settings = few


def tree_of(
    *cached: Sequence[int],
    n_cells: int = N_CELLS,
    n_sequences: int = N_SEQUENCES,
    trims: bool = True,
) -> tuple[KvTree, FakeMemory]:
    """A tree that has read these texts, the first one longest ago."""
    memory = FakeMemory(n_cells, n_sequences, trims)
    tree = KvTree(memory, n_sequences, n_cells, trims=trims)
    for tokens in cached:
        branch = tree.fork(tokens)
        read(tree, memory, branch, tokens[len(branch) :])
        tree.release(branch)
    return tree, memory


def cached(tree: KvTree) -> list[list[int]]:
    return [list(b.tokens) for b in sorted(tree.branches, key=lambda branch: branch.last_used)]


@pytest.mark.parametrize(
    ("texts_read", "wanted", "found", "found_whole_only"),
    [
        ([], [1, 2], 0, 0),
        ([[1, 2, 3]], [1, 2, 3], 3, 3),
        ([[1, 2, 3]], [1, 2, 3, 4], 3, 3),
        ([[1, 2, 3]], [1, 2], 2, 0),
        ([[1, 2, 3]], [1, 2, 4], 2, 0),
        ([[1, 2, 3]], [4], 0, 0),
        ([[1, 2, 3]], [], 0, 0),
        ([[1, 2], [1, 3, 4]], [1, 3, 5], 2, 0),
        ([[1, 3, 4], [1, 2]], [1, 2, 3], 2, 2),
    ],
)
def test_fork_finds_the_longest_common_prefix(
    texts_read: list[list[int]], wanted: list[int], found: int, found_whole_only: int
) -> None:
    for trims, n in ((True, found), (False, found_whole_only)):
        tree, memory = tree_of(*texts_read, trims=trims)
        assert list(tree.fork(wanted).tokens) == wanted[:n]
        check(tree, memory)


def test_shared_cells_count_once() -> None:
    tree, memory = tree_of([1, 2, 3, 4], [1, 2, 5, 6], [1, 2, 5, 7])
    assert cached(tree) == [[1, 2, 3, 4], [1, 2, 5, 6], [1, 2, 5, 7]]
    assert tree.n_used == 7
    check(tree, memory)


def test_what_is_typed_on_takes_no_second_branch() -> None:
    tree, _ = tree_of([1, 2], [1, 2, 3], [1, 2, 3, 4])
    assert cached(tree) == [[1, 2, 3, 4]]


def test_least_recently_used_goes_first() -> None:
    tree, memory = tree_of([1] * 8, [2] * 8, [3] * 8)
    tree.release(tree.fork([1] * 8))
    tree.make_room(1)
    assert cached(tree) == [[3] * 8, [1] * 8]
    tree.make_room(16)
    assert cached(tree) == [[1] * 8]
    check(tree, memory)


def test_evicting_a_branch_keeps_the_cells_that_others_share() -> None:
    tree, memory = tree_of([1, 2, 3], [1, 2, 4])
    tree.make_room(N_CELLS - 3)
    assert cached(tree) == [[1, 2, 4]]
    check(tree, memory)


def test_pinned_branches_stay_and_the_cache_is_full() -> None:
    tree, memory = tree_of([1] * 12, [2] * 12)
    pinned = tree.fork([1] * 12)
    with pytest.raises(CacheFullError, match="24 tokens"):
        tree.make_room(13)
    assert cached(tree) == [[1] * 12]
    tree.release(pinned)
    tree.make_room(24)
    assert cached(tree) == []
    check(tree, memory)


def test_all_sequences_in_use_is_an_error() -> None:
    tree, memory = tree_of(n_sequences=2)
    first, second = tree.fork([1]), tree.fork([2])
    assert first is not second
    with pytest.raises(CacheFullError):
        tree.fork([3])
    read(tree, memory, first, [1, 2])
    with pytest.raises(CacheFullError):
        tree.fork([1, 2])
    assert list(first.tokens) == [1, 2]
    check(tree, memory)


def test_an_idle_branch_is_cut_when_no_sequence_is_free_for_a_copy() -> None:
    tree, memory = tree_of([1, 2, 3, 4], n_sequences=1)
    assert list(tree.fork([1, 2, 5]).tokens) == [1, 2]
    check(tree, memory)


def test_cells_of_an_interrupted_decode_are_forgotten() -> None:
    for trims, kept in ((True, [1, 2]), (False, [])):
        tree, memory = tree_of([1, 2], trims=trims)
        branch = tree.fork([1, 2])
        tree.make_room(3)
        memory.read(branch.sequence, [3, 4])
        tree.trim(branch, 2)
        assert list(branch.tokens) == kept
        check(tree, memory)


def test_clear_forgets_what_is_in_use_too() -> None:
    tree, memory = tree_of([1, 2], [3, 4])
    tree.fork([1, 2])
    tree.clear()
    assert (tree.n_used, cached(tree), memory.cells) == (0, [], [])
    assert len(tree.fork([1, 2])) == 0
