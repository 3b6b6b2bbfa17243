from __future__ import annotations

import pytest

from egcfg_lsp.completion.filters import is_noise, rejects_cursor, rejects_text, without_overlap


@pytest.mark.parametrize(
    ("after", "rejected"),
    [
        ("", False),
        ("\nx", False),
        (")", False),
        (" x", False),
        ("x", True),
        ("_", True),
        ("é", True),
    ],
)
def test_rejects_cursor(after: str, rejected: bool) -> None:
    assert (rejects_cursor(after) is not None) is rejected


@pytest.mark.parametrize(
    ("text", "after", "reason"),
    [
        ("return x", "\n", None),
        ("  \n ", "\n", "the model has nothing to add here"),
        ("x", "\n", "under 2 visible characters"),
        ("x", ")\n", None),
        ("return x", "\n\n    return x\n", "repeats the line below"),
        ("return x", "\n    return y\n", None),
    ],
)
def test_rejects_text(text: str, after: str, reason: str | None) -> None:
    assert rejects_text(text, after) == reason


@pytest.mark.parametrize(
    ("text", "after", "kept"),
    [
        ("a, b)", ")\n", "a, b"),
        ("a, b", ")\n", "a, b"),
        ("f(a))", "))\n", "f(a"),
        ("x = 1", "\n", "x = 1"),
        ("a]", ")\n", "a]"),
    ],
)
def test_without_overlap(text: str, after: str, kept: str) -> None:
    assert without_overlap(text, after) == kept


def test_is_noise() -> None:
    assert is_noise("```python\n", [])
    assert is_noise("x = 1\n", ["x = 1\n", "x = 1\n"])
    assert not is_noise("x = 1\n", ["x = 1\n"])
    assert not is_noise("\n", ["\n", "\n"])
