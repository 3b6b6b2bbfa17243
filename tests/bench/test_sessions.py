"""Typing sessions: what is counted, by hand, and what is asked, with a scripted model."""

from __future__ import annotations

from pathlib import Path

import pytest

from egcfg_lsp.bench import BenchModel
from egcfg_lsp.bench.keys import typed_texts
from egcfg_lsp.bench.packages import Function, Package
from egcfg_lsp.bench.rates import Rate
from egcfg_lsp.bench.results import open_results
from egcfg_lsp.bench.sessions import (
    Answered,
    Group,
    Session,
    counts,
    run_sessions,
    type_function,
)
from egcfg_lsp.model import ModelError
from tests.support.scripted import ScriptedModel, ScriptedSandbox

ABOUT = BenchModel("scripted", "0")


def function(body: str, below: str = "\n") -> Function:
    return Function("own", "1.0", "own/a.py", "f", 2, "def f(ab):", body, below)


def session(body: str, *shown: str) -> Session:
    """One text shown for each key of the body."""
    typed = list(typed_texts("def f(ab):", body))
    assert len(shown) == len(typed), typed
    answers = tuple(Answered(text, () if text else ("too-short",), 1, 0.1) for text in shown)
    return Session(function(body), ABOUT, 0, "0", answers)


@pytest.mark.parametrize(
    ("shown", "kept", "right", "saved", "flicker"),
    [
        # typed: Enter, a, b
        (("ab", "b", ""), (1, 1), (1, 1), (2, 2), (0, 1)),
        (("ab\n    x", "b", ""), (1, 1), (1, 1), (2, 2), (0, 1)),
        (("ab", "b\n    x", ""), (1, 1), (1, 1), (2, 2), (0, 1)),
        (("ab", "x", ""), (0, 2), (1, 1), (2, 2), (1, 1)),
        (("ab", "", ""), (0, 1), (1, 1), (2, 2), (1, 1)),
        (("ac", "c", ""), (0, 1), (0, 1), (0, 2), (0, 1)),
        (("abc", "bc", "c"), (0, 1), (0, 1), (0, 2), (0, 2)),
        (("a", "b", ""), (2, 2), (0, 1), (1, 2), (0, 0)),
        (("xy", "b", ""), (1, 2), (0, 1), (1, 2), (0, 0)),
        (("", "b", ""), (1, 1), (0, 0), (1, 2), (0, 0)),
        (("", "", "\n    x"), (0, 0), (0, 0), (0, 2), (0, 0)),
    ],
)
def test_what_is_counted_of_one_line(
    shown: tuple[str, ...],
    kept: tuple[int, int],
    right: tuple[int, int],
    saved: tuple[int, int],
    flicker: tuple[int, int],
) -> None:
    figures = counts("x", [session("    ab", *shown)])
    assert figures.kept == Rate(*kept)
    assert figures.right_first_line == Rate(*right)
    assert figures.saved == Rate(*saved)
    assert figures.flicker == Rate(*flicker)
    assert figures.shown == Rate(sum(map(bool, shown)), 3)
    assert figures.causes == ({"too-short": shown.count("")} if "" in shown else {})


def test_a_line_start_is_where_the_indentation_is_typed() -> None:
    """Enter behind the colon indents by four columns, the body stands at two: one key goes back."""
    figures = counts("x", [session("  ab", "ab", "ab", "b", "")])
    assert figures.right_first_line == Rate(1, 1)
    assert figures.saved == Rate(2, 2)
    assert figures.kept == Rate(1, 2)


def test_calls_and_several_sessions() -> None:
    both = [session("    ab", "ab", "b", ""), session("    a", "", "x")]
    figures = counts("x", both)
    assert (figures.n_functions, figures.shown) == (2, Rate(3, 5))
    assert (figures.median_calls, figures.mean_calls) == (1.0, 1.0)
    assert counts("none", []).shown == Rate(0, 0)


async def test_keys_are_answered_by_the_products_cache(tmp_path: Path) -> None:
    """One call for a line that is typed as suggested; each draft is one line."""
    model = ScriptedModel(["    value = ab\n", "    return value\n"])
    typed = function("    value = ab\n    return ab")
    answers = await type_function(typed, tmp_path, model, ScriptedSandbox())
    figures = counts("x", [Session(typed, ABOUT, 0, "0", answers)])
    first_line = answers[: 1 + len("value = ab")]
    assert [a.shown for a in first_line[:3]] == ["value = ab", "alue = ab", "lue = ab"]
    assert sum(a.n_calls for a in first_line[:-1]) == 1
    assert all("\n" not in a.shown for a in answers)
    assert figures.right_first_line.n_hits == 1
    assert figures.saved.n_hits >= len("value = ab")
    assert figures.flicker.n_hits == 0


async def test_nothing_is_run(tmp_path: Path) -> None:
    sandbox = ScriptedSandbox()
    (tmp_path / "test_a.py").write_text("from own.a import f\ndef test_f():\n    assert f(1)\n")
    await type_function(function("    return ab"), tmp_path, ScriptedModel(), sandbox)
    assert sandbox.jobs == []


async def test_killed_session_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n")
    results = open_results(tmp_path / "out", {"dataset": "typing"})
    group = Group(Package("own", "1.0", folder), results, ABOUT, 0)
    functions = [function("    ab"), function("    return ab")]
    functions[1] = Function(**{**vars(functions[1]), "name": "g"})
    await run_sessions(group, functions[:1], ScriptedModel(), ScriptedSandbox(), lambda: None)
    broken = ScriptedModel(error="killed")
    await run_sessions(group, functions[:1], broken, ScriptedSandbox(), lambda: None)
    with pytest.raises(ModelError, match="killed"):
        await run_sessions(group, functions, broken, ScriptedSandbox(), lambda: None)
    await run_sessions(group, functions, ScriptedModel(), ScriptedSandbox(), lambda: None)
    assert [s.function.name for s in results.read_all(Session)] == ["f", "g"]
