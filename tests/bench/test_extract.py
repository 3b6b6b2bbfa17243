"""The program in an answer: definitions stay as they are written, demonstrations go."""

from __future__ import annotations

import pytest

from egcfg_lsp.bench.extract import definitions

ADD = "def add(a, b):  # adds\n    return a + b\n"


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        pytest.param(ADD, ADD, id="nothing else"),
        pytest.param(ADD.rstrip("\n"), ADD, id="no line end"),
        pytest.param(f"{ADD}\n# Example:\nprint(add(1, 2))\n", ADD, id="print"),
        pytest.param(f"{ADD}assert add(1, 2) == 4\n", ADD, id="a wrong assert of its own"),
        pytest.param(f'{ADD}if __name__ == "__main__":\n    add()\n', ADD, id="main"),
        pytest.param(f"{ADD}for i in range(3):\n    print(add(i, i))\n", ADD, id="loop"),
        pytest.param(f"import math\n\n{ADD}N = 3\n", f"import math\n{ADD}N = 3\n", id="others"),
        pytest.param(
            f"@cache\n@other(1)\n{ADD}class A:\n    x = 1\n",
            f"@cache\n@other(1)\n{ADD}class A:\n    x = 1\n",
            id="decorators",
        ),
        pytest.param(
            "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n",
            "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n",
            id="guarded import",
        ),
        pytest.param(f"{ADD}\ndef half(a):\n    return (a +", ADD, id="cut in mid-line"),
        pytest.param(f"{ADD}\nThis adds two numbers.\n", ADD, id="words"),
        pytest.param("This is no program.", "This is no program.", id="no line parses"),
        pytest.param("print(1)\n", "", id="defines nothing"),
        pytest.param("", "", id="empty"),
        pytest.param("def f():\n    return '\\0\n", "def f():\n    return '\\0\n", id="broken"),
    ],
)
def test_definitions(answer: str, program: str) -> None:
    assert definitions(answer) == program
