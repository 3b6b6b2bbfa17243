"""The fill-in-the-middle prompt: its shape, its bounds, and that typing leaves most of it alone."""

from __future__ import annotations

from pathlib import PurePath

from egcfg_lsp.prompt import Marker, Prompt, infill_prompt
from egcfg_lsp.prompt.fim import MAX_CHARACTERS, TEST_CHARACTERS, anchor_line

FIM = frozenset(Marker)
HEAD = "import math\n\n\ndef area(r):\n"


def text_of(prompt: Prompt) -> str:
    return "".join(f"<{part}>" if isinstance(part, Marker) else part for part in prompt.parts)


def test_what_was_typed_in_the_function_stands_after_the_middle_marker() -> None:
    prompt = infill_prompt(HEAD + "    x = 1\n", "\nprint(1)\n", markers=FIM, function_line=3)
    assert prompt.parts == (
        Marker.FIM_PREFIX, "import math\n\n\n",
        Marker.FIM_SUFFIX, "\nprint(1)\n",
        Marker.FIM_MIDDLE, "def area(r):\n    x = 1\n",
    )  # fmt: skip


def test_tests_stand_before_the_file_and_are_bounded() -> None:
    tests = (("test_area.py", "def test_area(): ..."), ("test_big.py", "x" * TEST_CHARACTERS))
    prompt = infill_prompt(
        HEAD, "", markers=FIM, function_line=3, path=PurePath("pkg/area.py"), tests=tests
    )
    text = text_of(prompt)
    assert text.startswith(
        "<file_separator>test_area.py\ndef test_area(): ...\n<file_separator>area.py\n<fim_prefix>"
    )
    assert "xxx" not in text


def test_control_tokens_in_the_source_stay_text() -> None:
    prompt = infill_prompt("x = '<|fim_middle|>'\n", "", markers=FIM, function_line=0)
    assert [part for part in prompt.parts if isinstance(part, Marker)] == [
        Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE,
    ]  # fmt: skip


def test_without_markers_the_prompt_is_a_plain_continuation() -> None:
    prompt = infill_prompt(HEAD, "after", markers=frozenset(), function_line=3)
    assert prompt.parts == (HEAD,)


def test_typing_a_line_only_appends_to_the_prompt() -> None:
    before = HEAD + "".join(f"    x{i} = {i}\n" for i in range(40))
    old = infill_prompt(before, "\n", markers=FIM, function_line=3)
    for typed in ("    y", "    y = 1", "    y = 1\n"):
        new = infill_prompt(before + typed, "\n", markers=FIM, function_line=3)
        assert new.parts[:-1] == old.parts[:-1]
        assert str(new.parts[-1]).startswith(str(old.parts[-1]))


def test_anchor_moves_in_steps() -> None:
    anchors = [anchor_line(10, 10 + typed) for typed in range(40)]
    assert anchors == sorted(anchors)
    assert len(set(anchors)) == 5
    assert all(4 <= 10 + i - anchor < 12 for i, anchor in enumerate(anchors) if i >= 4)


def test_a_huge_file_gives_a_bounded_prompt() -> None:
    line = "x" * 500 + "\n"
    prompt = infill_prompt(line * 10_000, line * 10_000, markers=FIM, function_line=0)
    assert len(text_of(prompt)) < 3 * MAX_CHARACTERS + 100
