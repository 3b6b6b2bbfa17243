from __future__ import annotations

import pytest

from egcfg_lsp.source.reach import RAISE, dead_lines, hidden_blocks, is_bare


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
        ("def f(a):\n    return a; a()\n", {2}),
        ("def f(a):\n    if a: return 1\n    for x in a: continue; a()\n", {3}),
        ("    def f(self):\n        return 1\n        self.x = 2\n", {3}),
        (
            "def f(a):\n match a:\n  case 1:\n   return 2\n  case _:\n   pass\n",
            set(),
        ),
        ("async def f(a):\n    async with a as b:\n        yield b\n    return\n    await a\n", {5}),
    ],
)  # fmt: skip
def test_dead_lines(function: str, dead: set[int]) -> None:
    assert dead_lines(function, 1, function.count("\n")) == dead
    above = "import a\n\n\n"
    assert dead_lines(above + function, 4, 3 + function.count("\n")) == {n + 3 for n in dead}


@pytest.mark.parametrize(
    ("line", "raising"),
    [
        ("    if a: return b", "    if a: @"),
        ("    elif b: x = 1; y = 2  # why", "    elif b: @  # why"),
        ("    for x in a: b += x", "    for x in a: @"),
        ("    while a: a -= 1", "    while a: @"),
        ("    except E: a = 'é'", "    except E: @"),
        ("    def g(x=(1, 2)) -> int: return x", "    def g(x=(1, 2)) -> int: @"),
        ("    if (a and\n  b): return (1,\n  2)", "    if (a and\n  b): @\n"),
        ("        case [1, 2] if b: return 5", "        case [1, 2] if b: @"),
        ("    else: b = 1", None),
        ("    with a: b = 1", None),
        ("    if a:\n        return b", None),
        ("    b = [x for x in a if x]", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("head", ["def f(a, b):\n", "async def f(a, b):\n"])
def test_hidden_blocks(head: str, line: str, raising: str | None) -> None:
    word = line.split()[0]
    above = {"elif": "    if a:\n        b = 0\n", "else:": "    if a:\n        b = 0\n",
             "except": "    try:\n        a()\n", "case": "    match a:\n"}  # fmt: skip
    head = f"import x\n\n{head}{above.get(word, '')}"
    text = f"{head}{line}\n    return b\n"
    found = hidden_blocks(text, 3, text.count("\n"))
    if raising is None:
        assert found == []
    else:
        (one,) = found
        assert one.text == f"{head}{raising}\n    return b\n".replace("@", RAISE)
        at = line.split(": ")[0].count("\n")
        assert one.line == head.count("\n") + 1 + at


def test_dead_line_of_windows_text() -> None:
    assert dead_lines("def f():\r\n    return 1\r\n    return 2\r\n", 1, 3) == {3}


@pytest.mark.parametrize(
    ("body", "bare"),
    [
        ("    pass\n", True),
        ("    ...\n", True),
        ("    'Says.'\n", True),
        ("    'Says.'\n    pass\n", True),
        ("    'Says.'\n    # soon\n    ...\n", True),
        ("    return None\n", False),
        ("    x = 1\n", False),
        ("    f()\n", False),
        ("    raise NotImplementedError\n", False),
        ("    (\n", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("head", ["def f(a,\n      b):\n", "@g\nasync def f(a):\n"])
def test_is_bare(head: str, body: str, bare: bool) -> None:
    text = f"import g\n\n{head}{body}"
    assert is_bare(text, 3, text.count("\n")) is bare
