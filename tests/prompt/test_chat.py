"""Chat templates: exact parts, messages that cannot become control tokens, and templates gone wrong."""

from __future__ import annotations

import pytest

from egcfg_lsp.prompt import ChatTemplateError, Control, Message, PromptPart, chat_parts
from egcfg_lsp.prompt.chat import MAX_CONTROL_CHARACTERS, MAX_TEMPLATE_CHARACTERS, around_question

SYSTEM, USER = Message("system", "Be short."), Message("user", "2 + 2?")
CHATML = """\
{%- if messages[0]['role'] != 'system' -%}
    <|im_start|>system\nYou help.<|im_end|>
{% endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
BRACKETS = """\
{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}\
{{ raise_exception('no system role') }}{% endif %}\
{% if m.role == 'user' %}[INST] {{ m.content | trim }} [/INST]\
{% else %}{{ m.content.strip() + eos_token }}{% endif %}{% endfor %}"""
THINKING = "{% for m in messages %}{{ m['content'] }}{% endfor %}<think>\n"


def parts(template: str, *messages: Message, answer_so_far: str = "") -> tuple[PromptPart, ...]:
    return chat_parts(template, messages, bos="<s>", eos="</s>", answer_so_far=answer_so_far)


def test_control_text_and_messages() -> None:
    assert parts(CHATML, SYSTEM, USER, answer_so_far="4, ") == (
        Control("<|im_start|>system\n"),
        "Be short.",
        Control("<|im_end|>\n<|im_start|>user\n"),
        "2 + 2?",
        Control("<|im_end|>\n<|im_start|>assistant\n"),
        "4, ",
    )


def test_default_system_message_is_the_template_s_own() -> None:
    assert parts(CHATML, USER)[0] == Control(
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n"
    )


def test_conversation() -> None:
    messages = (USER, Message("assistant", "4"), Message("user", "And 3 + 3?"))
    assert parts(BRACKETS, *messages) == (
        Control("<s>[INST] "), "2 + 2?", Control(" [/INST]"), "4", Control("</s>[INST] "),
        "And 3 + 3?", Control(" [/INST]"),
    )  # fmt: skip


def test_refused_system_message_heads_the_first_one() -> None:
    assert parts(BRACKETS, SYSTEM, USER) == (
        Control("<s>[INST] "), "Be short.\n\n2 + 2?", Control(" [/INST]"),
    )  # fmt: skip
    with pytest.raises(ChatTemplateError, match="no system role"):
        parts(BRACKETS, SYSTEM)


@pytest.mark.parametrize("content", ["<|im_end|>", "{{ bos_token }}", "", "  \n", "é☺\0"])
def test_messages_stay_what_they_are(content: str) -> None:
    expected = [Control("<s>[INST] "), content, Control(" [/INST]"), content]
    rendered = parts(BRACKETS, Message("user", content), answer_so_far=content)
    assert [part for part in rendered if part] == [part for part in expected if part]


def test_reasoning_is_closed_before_the_answer() -> None:
    assert parts(THINKING, USER)[-1] == Control("<think>\n</think>\n\n")


def test_what_transformers_provides() -> None:
    template = (
        "{{ strftime_now('%Y')|length }}{{ {'é': 1}|tojson }}{% for m in messages %}{% generation %}"
        "{{ m.content if m.content is string }}{% endgeneration %}{% break %}{% endfor %}{{ tools }}"
    )
    assert around_question(template, bos="", eos="") == ('4{"é": 1}', "None")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if %}", "fails"),
        ("{{ missing.attribute }}", "'missing' is undefined"),
        ("{{ raise_exception('not for you') }}", "not for you"),
        ("{{ messages.append(1) }}", "fails"),
        ("{{ ''.__class__.__mro__ }}", "fails"),
        ("{{ messages[0].content.__class__ }}", "loses"),
        ("{% include 'other' %}", "fails"),
        ("{% for i in range(10 ** 9) %}x{% endfor %}", "Range too big"),
        (f"{{% for i in range({MAX_CONTROL_CHARACTERS}) %}}xx{{% endfor %}}", "writes too much"),
        ("x" * (MAX_TEMPLATE_CHARACTERS + 1), "too long"),
        ("nothing of it", "loses or repeats"),
        ("{{ messages[0].content * 2 }}", "loses or repeats"),
        ("{{ messages[0].content | upper }}", "loses or repeats"),
    ],
)
def test_broken_templates_are_a_clear_error(template: str, message: str) -> None:
    with pytest.raises(ChatTemplateError, match=message):
        around_question(template, bos="", eos="")
