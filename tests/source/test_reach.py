from __future__ import annotations

import pytest

from egcfg_lsp.source.reach import dead_lines


@pytest.mark.parametrize(
    ("function", "dead"),
    [
        ("def f(a):\n    return a\n", set()),
        ("def f(a):\n    return a\n    return 0\n", {3}),
        ("def f(a):\n    raise a\n    a = 1\n    if a:\n        a = 2\n", {3, 4, 5}),
        ("def f(a):\n    while True:\n        a += 1\n    return a\n", {4}),
        ("def f(a):\n    for x in a:\n        continue\n        a = 1\n", {4}),
        ("def f(a):\n    if 0:\n        a = 1\n    return a\n", {3}),
        ('def f(a):\n    """Text."""\n    global b\n    x: int\n    pass\n    ...\n', set()),
        ("def f(a):\n    try:\n        a()\n    except E:\n        pass\n    finally:\n        b()\n", set()),
        ("def f(a):\n    def g():\n        return 1\n        return 2\n    return g\n", {4}),
        ("@decorated\ndef f(a):\n    return (\n        a\n    )\n", set()),
        ("def f(a):\n    return a +\n", set()),
        ("    def f(self):\n        return 1\n        self.x = 2\n", {3}),
        (
            "def f(a):\n    match a:\n        case 1:\n            return 2\n"
            "        case _:\n            pass\n",
            set(),
        ),
        ("async def f(a):\n    async with a as b:\n        yield b\n    return\n    await a\n", {5}),
    ],
)  # fmt: skip
def test_dead_lines(function: str, dead: set[int]) -> None:
    assert dead_lines(function, 1, function.count("\n")) == dead
    above = "import a\n\n\n"
    assert dead_lines(above + function, 4, 3 + function.count("\n")) == {n + 3 for n in dead}


def test_dead_line_of_windows_text() -> None:
    assert dead_lines("def f():\r\n    return 1\r\n    return 2\r\n", 1, 3) == {3}
