"""The target under the cursor (`|`), in whole and in broken buffers, and what the cursor stands in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.source.lines import position_at, split_lines
from egcfg_lsp.source.target import Surroundings, find_target, surroundings
from tests.support.cursor import at_cursor


def check(marked: str, name: str | None) -> None:
    target = find_target(*at_cursor(marked))
    assert (None if target is None else target.qualified_name) == name


@pytest.mark.parametrize(
    ("marked", "name"),
    [
        ("def f(x):\n    |", "f"),
        ("def f(x):\n|", "f"),
        ("def f(x):  # note\n|", "f"),
        ("def f(\n    x,\n):\n|", "f"),
        ("def f(x):\n    '''doc'''\n    |\n", "f"),
        ("def f(x):\n    '''doc'''\n|", "f"),
        ("def f(x):\n    '''doc\n\n  less| indented\n    '''\n", "f"),
        ("def f(x):\n    '''doc\n\n|\n    '''\n", "f"),
        ("def f(x):\n    '''doc'''|\n", "f"),
        ("def f(x): ret|", "f"),
        ("def f(): return |", "f"),
        ("def f(): return 1\n|\nx = 1", None),
        ("def f(x):\n    return x.|\n\ndef g(): pass\n", "f"),
        ("def f(x):\n    if x:\n        |\n    return 1\n\ndef g(): pass\n", "f"),
        ("def f(x):\n    if x:\n        y\n  |\n    return 1\n", "f"),
        ("def f(x):\n    a\n\n|\n    b\n", "f"),
        ("def f(x):\n    a\n# note|\n    b\n", "f"),
        ("def f():\n    y = foo(\n        1, |\n    )\n    return y\n", "f"),
        ("def f():\n    y = foo(\n  1, |\n)\n    return y\n", "f"),
        ("def f():\n    y = foo(\n|\n    )\n    return y\n", "f"),
        ("class A:\n    def g(self):\n        y = foo(\n  1,\n)\n        |\n", "A.g"),
        ("class A:\n    def g(self):\n        y = 1 + \\\n  2\n        |\n", "A.g"),
        ("class A:\n    def g(self):\n        retu|\n\n    def h(self):\n        pass\n", "A.g"),
        ("class A:\n    async def g(self):\n        |\n", "A.g"),
        ("def outer():\n    def inner():\n        |\n    return inner\n", "outer.inner"),
        ("def outer():\n    def inner():\n        pass\n    |\n", "outer"),
        ("def outer():\n    class A:\n        x = |\n", "outer"),
        ("def f():\n    key = lambda x: |\n", "f"),
        ("key = lambda x: |\n", None),
        ("x = 1\n|\n", None),
        ("|", None),
        ("def f():\n    return 1\n\n\n|\ndef g():\n    pass\n", None),
        ("def f():\n    return 1\n\n\nx = |\n", None),
        ("class A:\n    x = 1\n    |\n", None),
        (
            "class A:\n    def f(self):\n        pass\n\n    |\n\n    def g(self):\n        pass\n",
            None,
        ),
        ("class A(|):\n    def f(self):\n        pass\n", None),
        ("def f():\n    x = 1\n\n|", None),
    ],
)
def test_innermost_function(marked: str, name: str | None) -> None:
    check(marked, name)


@pytest.mark.parametrize(
    ("marked", "name"),
    [
        ("def f(x|):\n    pass\n", "f"),
        ("def f(x=|):\n    pass\n", "f"),
        ("def f(\n    x: int,\n    y: |\n):\n    pass\n", "f"),
        ("def f(\n    x,\n|", "f"),
        ("def f(x) -> |:\n    pass\n", "f"),
        ("def f(x|\n\ndef g():\n    pass\n", "f"),
        ("def |\n", None),
        ("class A:\n    def |\n\n    def g(self):\n        pass\n", None),
        ("@cached\ndef f(x):\n    |\n", "f"),
        ("@cach|ed\ndef f(x):\n    pass\n", None),
        ("def f():\n    @cach|ed\n    def g(x):\n        pass\n", "f"),
        ("@cached(\n    1, |\n)\ndef f(x):\n    pass\n", None),
    ],
)
def test_header_belongs_to_the_function_and_decorators_to_what_is_around_it(
    marked: str, name: str | None
) -> None:
    check(marked, name)


@pytest.mark.parametrize(
    ("marked", "name"),
    [
        ("def f(x):\r\n    a = 1\r\n    |\r\n", "f"),
        ("def f(x):\r\n    a = foo(\r\n  1, |\r\n)\r\n", "f"),
        ("def f(x):\n\tif x:\n\t\t|\n", "f"),
        ("class A:\n\tdef f(x):\n\t\tif x:\n        \t\t|\n", "A.f"),
        ("def f(x):\n    s = '\x0c'\n    |\n", "f"),
        ("\x0cdef f(x):\n    |\n", "f"),
        ("def f(x):\n    s = '\u2028'\n    |\n", "f"),
        ("def f(x):\n    s = '𝄞é'\n    t = '𝄞' + |\n", "f"),
        ("def f(x):\n    s = '\ud800'\n    |\n", "f"),
        ("def 𝓯(x):\n    |\n", "𝓯"),
        ("%matplotlib inline\n\ndef f():\n    |\n", "f"),
        ("def f():\n    !ls (it's\n    x = |\n", "f"),
        ("?x\n\n\ndef f():\n    x = |\n\n%timeit f(\n", "f"),
        ("def f():\n    pass\n\n%time f(|)\n", None),
    ],
)
def test_line_ends_white_space_and_characters(marked: str, name: str | None) -> None:
    check(marked, name)


@pytest.mark.parametrize(
    ("marked", "name"),
    [
        ("def half(a, b\n\n\ndef f():\n    x = |\n", "f"),
        ("def half(a,\n         b=(1,\n\n@cached\ndef f():\n    x = |\n", "f"),
        ("def half():\n    return foo(1, [2,\n\n\ndef f():\n    x = |\n", "f"),
        ("def half():\n    return 'it\n\n\ndef f():\n    x = |\n", "f"),
        ("def half():\n    x = 'it's' (\n\n\nclass A:\n    def f(self):\n        |\n", "A.f"),
        ("def half():\n    '''Doc.\n\n\ndef f():\n    '''Doc.'''\n    x = |\n", "f"),
        ('def half():\n    """It\'s\n\ndef f():\n    """It isn\'t."""\n    x = |\n', "f"),
        (
            "T = '''\ndef t():\n'''\n\ndef half():\n    '''Doc.\n\ndef f():\n    '''D.'''\n    |\n",
            "f",
        ),
        ("T = '''\ndef t():\n    |\n'''\n", None),
        ("class Half(\n\n\ndef f():\n    |\n", "f"),
        ("x = foo(\n\ndef f():\n    y = bar(|\n    return y\n", "f"),
        ("def f():\n    y = (1,\n    z = |\n", "f"),
        ("def f():\n    if x:\n        y = foo(1,\n    z = |\n    return z\n", "f"),
        ("def outer():\n    def inner():\n        return foo(\n    x = |\n", "outer"),
        ("def f():\n    return foo(|\n\n\ndef g():\n    pass\n", "f"),
        ("def f():\n    return {'a': [|\n\n\nx = 1\n", "f"),
        ("def f():\n    '''Doc|\n    return 1\n\n\ndef g():\n    '''Doc.'''\n", "f"),
        ("def f():\n    s = 'it|\n    return 1\n", "f"),
        ("def f():\n    s = f'{x|\n    return 1\n", "f"),
        ("def f():\n    x = )|\n", "f"),
        ("def f():\n    x = 1)\n    ]\n    |\n", "f"),
    ],
)
def test_broken_buffers(marked: str, name: str | None) -> None:
    check(marked, name)


@pytest.mark.parametrize(
    ("marked", "lines"),
    [
        ("import x\n\nclass A:\n    def g(self):\n        '''d'''\n        |\n", (3, 3, 6)),
        ("def f():\n    |\n\n\n\nx = 1\n", (0, 0, 2)),
        ("def f():\n    |", (0, 0, 2)),
        ("def f():\n    |\n    x\n\n    # note\n\n# other\nx = 1\n", (0, 0, 5)),
        ("def f():\n    |x\n\n  # y\n# z\n    y\n\n\n", (0, 0, 6)),
        ("def f():\n    x = |foo(\n1)\n    y", (0, 0, 4)),
        ("def f():\n    x = foo(|\n\n\ndef g(): pass\n", (0, 0, 2)),
        ("def f():\n    '''D|\n    x\n\n\n@cached\ndef g():\n    '''Doc.'''\n", (0, 0, 6)),
        ("@a\n@b(\n  1\n)\n# note\n\n@c\nasync def f():\n    |\n", (0, 7, 9)),
        ("x\n@a\nclass A:\n    @b\n    def f():\n        |\n", (3, 4, 6)),
        ("def g(): pass\ndef f(): |pass\ndef h(): pass", (1, 1, 2)),
        ("def f(a,\n      b): |\n", (0, 0, 2)),
        ("def f(\n  |a\n):\n    pass\n", (0, 0, 4)),
    ],
)
def test_lines_of_the_target(marked: str, lines: tuple[int, int, int]) -> None:
    text, offset = at_cursor(marked)
    target = find_target(text, offset)
    assert target is not None
    assert (target.first_line, target.start_line, target.end_line) == lines
    row, _ = position_at(text, offset)
    assert target.below == "".join(split_lines(text)[row + 1 : target.end_line])


@pytest.mark.parametrize(
    ("marked", "docstring"),
    [
        ("def f():\n    '''d'''\n    |\n", "'''d'''"),
        ("def f(\n    x=':',  # it's :\n    y: int = {1: 2},\n) -> int:\n    'd'\n    |\n", "'d'"),
        (
            'def f():  # note\n\n    # more\n    r"""a\n\n    b"""  # note\n    |\n',
            'r"""a\n\n    b"""',
        ),
        ("def f():\n    |\n    '''d'''\n", "'''d'''"),
        ("def f(): 'd'; |\n", "'d'"),
        ("def f():\n    |\n", ""),
        ("def f():\n    '''d'''.strip()\n    |\n", ""),
        ("def f():\n    f'''d'''\n    |\n", ""),
        ("def f(\n    |'''d'''\n", ""),
        ("def f():\n    |\n\n\n'''d'''\n", ""),
    ],
)
def test_docstring(marked: str, docstring: str) -> None:
    target = find_target(*at_cursor(marked))
    assert target is not None
    assert target.docstring == docstring


@pytest.mark.parametrize(
    ("marked", "placeholder", "is_open"),
    [
        ("def f():\n    |\n", None, True),
        ("def f():\n    |\n\n\ndef g():\n    return 1\n", None, True),
        ("def f():\n    |\n    # note\n", None, True),
        ("def f():\n    |\n    pass\n", (2, 3), True),
        ("def f():|\n    pass\n", (1, 2), True),
        ("def f():\n    |\n    pass", (2, 3), True),
        ("def f():\r\n    |\r\n    pass\r\n", (2, 3), True),
        ("def f():\n\t|\n\tpass\n", (2, 3), True),
        ("def f():\n    '''d'''\n    |\n\n    ...\n\n\nx = 1\n", (4, 5), True),
        ("def f():\n    |\n    raise NotImplementedError\n", (2, 3), True),
        ("def f():\n    |\n    raise NotImplementedError('later')  # soon\n", (2, 3), True),
        (
            "def f():\n    |\n    # a\n    raise NotImplementedError(\n  'x'\n    )\n    # b\n",
            (3, 6),
            True,
        ),
        ("def f():\n    |\n    pass\n    ...\n", (2, 4), True),
        ("def f():\n    '''d|\n\n    e'''\n    pass\n", (4, 5), False),
        ("def f():\n    '''d|\n\n    e'''\n", None, False),
        ("def f():\n    if x:\n        |\n        pass\n", (3, 4), True),
        ("def f():\n    if x:\n        |\n        pass\n    else:\n        pass\n", None, False),
        ("def f():\n    if x:\n        |\n        pass\n    return 1\n", None, False),
        ("def f():\n    |\n    pass; x\n", None, False),
        ("def f():\n    |\n    passing = 1\n", None, False),
        ("def f():\n    |\n    raise NotImplementedError from x\n", None, False),
        ("def f():\n    |\n    raise NotImplementedErrors\n", None, False),
        ("def f():\n    |\n    pass\n    return 1\n", None, False),
        ("def f():\n    |\n    return 1\n", None, False),
        ("def f():\n    x = foo(|\n    ...\n    )\n", None, False),
        ("def f():\n    |\n\n\ndef g():\n    pass\n", None, True),
    ],
)
def test_placeholder_below_the_cursor(
    marked: str, placeholder: tuple[int, int] | None, is_open: bool
) -> None:
    target = find_target(*at_cursor(marked))
    assert target is not None
    assert (target.placeholder, target.is_open) == (placeholder, is_open)


CODE, STRING = Surroundings.CODE, Surroundings.STRING
COMMENT, DOCSTRING = Surroundings.COMMENT, Surroundings.DOCSTRING


@pytest.mark.parametrize(
    ("marked", "where"),
    [
        ("|", CODE),
        ("x = |\n", CODE),
        ("x = '|'\n", STRING),
        ("x = |''\n", CODE),
        ("x = ''|\n", CODE),
        ("x = 'a|\ny = 'b'\n", STRING),
        ("x = 'a\\'|\n", STRING),
        ("x = 'a\\\\'|\n", CODE),
        ("x = 'a\\\nb|'\n", STRING),
        ("x = 'a\ny = |\n", CODE),
        ("x = '#' + |\n", CODE),
        ("x = '#|'\n", STRING),
        ("x = 1  # it|'s\n", COMMENT),
        ("# a|", COMMENT),
        ("# a\n|", CODE),
        ("x = '''a\n|\n'''\n", STRING),
        ("x = '''a\n'''|\n", CODE),
        ("x = '''a\n''' + 'b|\n", STRING),
        ("'''D|oc'''\n", DOCSTRING),
        ("# note\n\n'Doc|'\n", DOCSTRING),
        ("def f(x,\n      y):\n    '''D|oc", DOCSTRING),
        ("def f():\n    '''Doc.\n|", DOCSTRING),
        ("def f():\n    '''Doc.'''\n|", CODE),
        ("class A:\n    r'Do|\n", DOCSTRING),
        ("class A:\n    x = 1\n    '''D|oc'''\n", STRING),
        ("def f():\n    '''D|oc\n    return 1\n\ndef g():\n    '''Doc.'''\n", DOCSTRING),
        ("def half():\n    '''Doc.\n\ndef g():\n    '''Doc.'''\n    x = |\n", CODE),
        ("if x:\n    '''a|'''\n", STRING),
        ("foo('a',\n    'b|')\n", STRING),
        ("f'a {|} b'\n", CODE),
        ("f'a {x| b'\n", CODE),
        ("f'a {x} |b'\n", STRING),
        ("f'a {{|}} b'\n", STRING),
        ("f'a {{{|}}} b'\n", CODE),
        ("f'a {d[{}|]} b'\n", CODE),
        ("x = rF'''a\n{|}'''\n", CODE),
        ("'a {|}'\n", DOCSTRING),
        ("x = rb'a {|}'\n", STRING),
        ("elf'a {|}'\n", STRING),
        ("%%bash\necho |", CODE),
    ],
)
def test_surroundings(marked: str, where: Surroundings) -> None:
    assert surroundings(*at_cursor(marked)) == where


PIECES = (
    "def f(",
    "class A:",
    "@",
    ":",
    "    ",
    "\n",
    "\r\n",
    "\t",
    "\x0c",
    "# ",
    "\\",
    "'",
    "'''",
)
MORE_PIECES = ('"', '"""', "pass", "...", "(", "[", "}", ")", "f'{", "=", " ", "𝄞", "\ud800", "\0")


@given(st.lists(st.sampled_from(PIECES + MORE_PIECES), max_size=30).map("".join), st.floats(0, 1))
def test_nothing_raises(text: str, part: float) -> None:
    offset = int(part * len(text))
    row, _ = position_at(text, offset)
    if (target := find_target(text, offset)) is not None:
        assert target.first_line <= target.start_line <= row < target.end_line
        start, end = target.placeholder or (row + 1, row + 2)
        assert row < start < end
    surroundings(text, offset)
