"""The prompt of a draft fits the context, whatever the file is made of."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.draft import BODY_TOKENS, Circumstances, fitting_prompt, place_of
from egcfg_lsp.model.llama.engine import LlamaEngine
from egcfg_lsp.prompt.fim import DEFAULT_LIMITS
from egcfg_lsp.settings import ModelOptions
from egcfg_lsp.source.oracle import OracleKind, OracleTest

_CHANCE = random.Random(0)
DENSE = {
    "code": "    total = sum(price * quantity for price, quantity in items)\n" * 900,
    "digits": "    3, 14, 159, 26535, 897932, 3846264,\n" * 900,
    "base64": "".join(
        "    '" + "".join(_CHANCE.choices(string.ascii_letters + string.digits, k=60)) + "'\n"
        for _ in range(900)
    ),
    "other scripts": "    '光阴似箭日月如梭', 'Съешь ещё этих мягких', '𝄞🎼'\n" * 900,
    "brackets": "    ((([[[{{{}}}]]])))\n" * 900,
}


@pytest.mark.model
def test_prompts_fit_the_context(default_model: Path) -> None:
    """Counted by the real tokenizer, in a context so small that every part is cut."""
    engine = LlamaEngine(default_model, ModelOptions(context_tokens=1024))
    try:
        for name, filler in DENSE.items():
            text = f"def f():\n{filler}"
            request = Request(text + filler, len(text), None, None)
            test = OracleTest(Path("test_f.py"), "test_f", OracleKind.FUNCTION, "", filler)
            here = Circumstances(place_of(request, None), None, (test,), (("g.py", filler),))
            prompt = fitting_prompt(request, here, engine.info, DEFAULT_LIMITS)
            tokens = engine.tokenize(prompt, BODY_TOKENS)  # raises where it does not fit
            assert len(tokens) > 100, name
    finally:
        engine.close()
