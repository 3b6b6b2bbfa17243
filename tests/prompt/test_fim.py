"""The prompt for a cursor: each family's exact parts, its bounds, and that typing leaves most alone."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from egcfg_lsp.prompt import (
    FAMILIES,
    Control,
    Marker,
    Prompt,
    PromptForm,
    PromptPart,
    infill_prompt,
)
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS, PromptLimits, anchor_line, window_edge

ANCHOR_LINES, ANCHOR_STEP = DEFAULT_LIMITS.anchor_lines, DEFAULT_LIMITS.anchor_step
PREFIX, SUFFIX, MIDDLE = Marker.FIM_PREFIX, Marker.FIM_SUFFIX, Marker.FIM_MIDDLE
SEPARATOR = Marker.FILE_SEPARATOR
HEAD = "import math\n\n\ndef area(r):\n"
BEFORE, AFTER = HEAD + "    x = 1\n", "\nprint(1)\n"
TYPED = "def area(r):\n    x = 1\n"
TESTS = (
    ("test_area.py", "assert area(0) == 0"),
    ("test_big.py", "y" * DEFAULT_LIMITS.test_characters),
)
PATH = PurePath("pkg/area.py")
CHAT = PromptForm(chat=("<user>", "<assistant>"))


def form_of(family: str) -> PromptForm:
    return PromptForm(family, frozenset(FAMILIES[family].tokens))


QWEN = form_of("Qwen2.5-Coder")
EVERY_FORM = [*map(form_of, FAMILIES), CHAT, PromptForm()]


def text_of(prompt: Prompt) -> str:
    def text(part: PromptPart) -> str:
        match part:
            case Marker():
                return f"<{part.value}>"
            case Control(text):
                return text
            case str():
                return part

    return "".join(map(text, prompt.parts))


ONE_FILE = (PREFIX, "import math\n\n\n", SUFFIX, AFTER, MIDDLE, TYPED)
SUFFIX_FIRST = (SUFFIX, AFTER, PREFIX, "import math\n\n\n" + TYPED)


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        ("Qwen2.5-Coder", ONE_FILE),
        ("StarCoder2", ONE_FILE),
        ("CodeLlama", ONE_FILE),
        ("DeepSeek-Coder", ONE_FILE),
        ("Codestral", SUFFIX_FIRST),
        ("Granite-Code", ONE_FILE),
        ("CodeGemma", ONE_FILE),
    ],
)
def test_one_file(family: str, parts: tuple[PromptPart, ...]) -> None:
    prompt = infill_prompt(BEFORE, AFTER, form=form_of(family), function_line=3, path=PATH)
    assert prompt.parts == parts


COMMENTED = "#test_area.py\nassert area(0) == 0\n\n#area.py\nimport math\n\n\n"


@pytest.mark.parametrize(
    ("family", "parts"),
    [
        (
            "Qwen2.5-Coder",
            (SEPARATOR, "test_area.py\nassert area(0) == 0\n", SEPARATOR, "area.py\n", *ONE_FILE),
        ),
        (
            "StarCoder2",
            (
                SEPARATOR, "test_area.py\nassert area(0) == 0\n", SEPARATOR,
                PREFIX, "area.py\nimport math\n\n\n", SUFFIX, AFTER, MIDDLE, TYPED,
            ),
        ),
        ("CodeLlama", (PREFIX, COMMENTED, SUFFIX, AFTER, MIDDLE, TYPED)),
        ("DeepSeek-Coder", (PREFIX, COMMENTED, SUFFIX, AFTER, MIDDLE, TYPED)),
        ("Codestral", (SUFFIX, AFTER, PREFIX, COMMENTED + TYPED)),
        ("Granite-Code", (PREFIX, COMMENTED, SUFFIX, AFTER, MIDDLE, TYPED)),
        ("CodeGemma", ("assert area(0) == 0\n", SEPARATOR, *ONE_FILE)),
    ],
)  # fmt: skip
def test_several_files(family: str, parts: tuple[PromptPart, ...]) -> None:
    prompt = infill_prompt(
        BEFORE, AFTER, form=form_of(family), function_line=3, path=PATH, tests=TESTS
    )
    assert prompt.parts == parts


def test_without_a_separator_in_the_vocabulary_no_files_are_put_before() -> None:
    form = PromptForm("Qwen2.5-Coder", frozenset({PREFIX, SUFFIX, MIDDLE}))
    prompt = infill_prompt(BEFORE, AFTER, form=form, function_line=3, path=PATH, tests=TESTS)
    assert prompt.parts == ONE_FILE


def test_chat_has_begun_the_answer_with_what_was_typed() -> None:
    prompt = infill_prompt(BEFORE, AFTER, form=CHAT, function_line=3, path=PATH, tests=TESTS)
    before, question, after, answer = prompt.parts
    assert (before, after) == (Control("<user>"), Control("<assistant>"))
    assert isinstance(question, str)
    assert question.startswith("test_area.py:\n```python\nassert area(0) == 0\n```\n\narea.py:\n")
    assert "```python\nimport math\n\n\n# …the missing code…\n\nprint(1)\n\n```" in question
    assert answer == "```python\n" + TYPED


def test_without_anything_the_prompt_is_a_plain_continuation() -> None:
    for form in (PromptForm(), PromptForm("Qwen2.5-Coder", frozenset({PREFIX, SUFFIX}))):
        assert infill_prompt(BEFORE, AFTER, form=form, function_line=3).parts == (BEFORE,)


@pytest.mark.parametrize("form", EVERY_FORM)
def test_control_tokens_in_the_source_stay_text(form: PromptForm) -> None:
    spellings = [text for family in FAMILIES.values() for t in family.tokens.values() for text in t]
    source = "".join(f"x = {text!r}\n" for text in [*spellings, "<|im_end|>", "<user>"])
    clean, dirty = (
        infill_prompt(before, before, form=form, function_line=0, tests=(("t.py", before),))
        for before in ("\n" * source.count("\n"), source)
    )
    assert [type(part) for part in dirty.parts] == [type(part) for part in clean.parts]
    controls = (Marker, Control)
    assert [part for part in dirty.parts if isinstance(part, controls)] == [
        part for part in clean.parts if isinstance(part, controls)
    ]


@pytest.mark.parametrize("form", EVERY_FORM)
def test_typing_a_line_only_appends_to_the_prompt(form: PromptForm) -> None:
    before = HEAD + "".join(f"    x{i} = {i}\n" for i in range(40))
    old = infill_prompt(before, "\n", form=form, function_line=3, path=PATH, tests=TESTS)
    for typed in ("    y", "    y = 1", "    y = 1\n"):
        new = infill_prompt(
            before + typed, "\n", form=form, function_line=3, path=PATH, tests=TESTS
        )
        assert new.parts[:-1] == old.parts[:-1]
        assert new.parts[-1] == f"{old.parts[-1]}{typed}"


def test_anchor_moves_in_steps() -> None:
    anchors = [anchor_line(10, 10 + typed) for typed in range(100)]
    assert anchors == sorted(anchors)
    assert anchors[: ANCHOR_STEP + ANCHOR_LINES] == [10] * (ANCHOR_STEP + ANCHOR_LINES)
    assert len(set(anchors)) == 3
    assert all(
        ANCHOR_LINES <= 10 + i - anchor < ANCHOR_LINES + ANCHOR_STEP
        for i, anchor in enumerate(anchors)
        if i >= ANCHOR_LINES
    )


@pytest.mark.parametrize("form", EVERY_FORM)
def test_typing_a_function_far_down_only_appends_to_the_prompt(form: PromptForm) -> None:
    head, line = "x = 1\n" * 305, "    y = 1\n"
    begun = head + "def f():\n"
    first = infill_prompt(begun, "\n", form=form, function_line=305)
    for n in range(ANCHOR_STEP + ANCHOR_LINES - 1):
        prompt = infill_prompt(begun + n * line, "\n", form=form, function_line=305)
        assert prompt.parts[:-1] == first.parts[:-1]
        assert prompt.parts[-1] == f"{first.parts[-1]}{n * line}"


@pytest.mark.parametrize("form", EVERY_FORM)
def test_a_huge_file_gives_a_bounded_prompt(form: PromptForm) -> None:
    line = "x" * 500 + "\n"
    prompt = infill_prompt(line * 10_000, line * 10_000, form=form, function_line=0)
    assert len(text_of(prompt)) < 3 * DEFAULT_LIMITS.side_characters + 400


DEFINITIONS = [f"def f{i}():\n" if i % 10 == 0 else "    x = 1\n" for i in range(1000)]


def test_window_starts_at_a_definition_and_holds_enough_lines() -> None:
    edges = [window_edge(DEFINITIONS, anchor, 96) for anchor in range(1000)]
    assert edges[:97] == [0] * 97
    for anchor, edge in enumerate(edges):
        assert 0 <= edge <= anchor - min(anchor, 96)
        assert DEFINITIONS[edge].startswith("def") or edge == anchor - 96
    assert len(set(edges)) < 60, "neighbouring anchors share their edge"


def test_lines_typed_above_the_window_leave_its_text_alone() -> None:
    for anchor in range(300, 900, 7):
        texts = {
            "".join(moved[window_edge(moved, anchor + n, 96) : anchor + n])
            for n in range(8)
            for moved in [[*["import x\n"] * n, *DEFINITIONS]]
        }
        assert len(texts) == 1


def test_imports_above_the_window_stand_before_it() -> None:
    head = "import a\nfrom b import c\n  import never\nimportant = 1\n"
    before = head + "".join(DEFINITIONS) + "def g():\n    "
    line = before.count("\n") - 1
    prompt = infill_prompt(before, "\n", form=QWEN, function_line=line)
    prefix = prompt.parts[1]
    assert isinstance(prefix, str)
    assert prefix.startswith("import a\nfrom b import c\n\ndef f")
    bare = infill_prompt(
        before, "\n", form=QWEN, function_line=line, limits=PromptLimits(import_characters=0)
    )
    assert bare.parts[1] == prefix.removeprefix("import a\nfrom b import c\n\n")


def test_limits_at_zero_leave_their_parts_out() -> None:
    limits = PromptLimits(
        suffix_lines=0, test_characters=0, file_characters=0, anchor_step=0, import_characters=0
    )
    for typed in ("", "    ret"):
        prompt = infill_prompt(
            BEFORE + typed,
            AFTER,
            form=QWEN,
            function_line=3,
            tests=TESTS,
            files=TESTS,
            limits=limits,
        )
        assert prompt.parts == (PREFIX, BEFORE, SUFFIX, "", MIDDLE, typed)


def test_other_files_stand_before_the_tests() -> None:
    files = (("signatures.py", "def half(x): ..."),)
    prompt = infill_prompt(
        BEFORE, AFTER, form=QWEN, function_line=3, path=PATH, tests=TESTS, files=files
    )
    head = (SEPARATOR, "signatures.py\ndef half(x): ...\n", SEPARATOR)
    assert prompt.parts[:3] == head


@pytest.mark.parametrize("form", EVERY_FORM)
def test_a_small_context_gets_a_small_prompt(form: PromptForm) -> None:
    limits = DEFAULT_LIMITS.within(1000)
    line = "some_name = other_name + 1\n"
    prompt = infill_prompt(
        line * 500, line * 500, form=form, function_line=450, tests=TESTS, limits=limits
    )
    assert len(text_of(prompt)) < 3000 + 400
    assert DEFAULT_LIMITS.within(100_000) == DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("rest", "kept"),
    [(")", ""), ("])", ""), ("'):", ""), (")  ", ""), (":", ":"), (") + 1", ") + 1"), ("", "")],
)
def test_closers_right_of_the_cursor_are_left_out_of_the_suffix(rest: str, kept: str) -> None:
    typed = BEFORE + "    f("
    prompt = infill_prompt(typed, f"{rest}{AFTER}", form=QWEN, function_line=3)
    assert prompt.parts[3] == kept + AFTER
    limits = PromptLimits(closers_in_suffix=True)
    with_all = infill_prompt(typed, f"{rest}{AFTER}", form=QWEN, function_line=3, limits=limits)
    assert with_all.parts[3] == rest + AFTER
