"""Functions to be traced, by what is special about them."""

STRAIGHT = """\
def f(a, *b, k=1, **c):
    x = a + k
    y = [x]
    y.append(x)
    return y
"""
BRANCHES = """\
def f(items):
    found = []
    for item in items:
        if item > 3:
            found.append(item)
    return found
"""
NESTED = """\
def f(n):
    total = 0
    for i in range(n):
        for j in range(i):
            total += j
    return total
"""
WHILE = """\
def f(n):
    while n > 1:
        n -= 2
    else:
        n = -n
    return n
"""
ENDLESS = """\
def f(n):
    while True:
        n -= 1
        if n < 0:
            break
    return n
"""
ENDLESS_OVER_LOOP = """\
def f(n):
    while True:
        for i in range(2):
            n -= 1
        if n < 0:
            return n
"""
ONE_LINE = """\
def f(n):
    x = 0
    for i in range(n): x += i
    return x
"""
RAISING_IN_LOOP = """\
def f(items):
    total = 0
    for item in items:
        total += 1 / item
    return total
"""
CAUGHT = """\
def f(items):
    bad = 0
    for item in items:
        try:
            int(item)
        except ValueError as error:
            bad += 1
        finally:
            last = item
    return bad
"""
FINALLY = """\
def f(x):
    try:
        return g(x)
    finally:
        x = 0

def g(x):
    raise KeyError(x)
"""
WITH = """\
from contextlib import suppress

def f(d):
    with suppress(KeyError):
        d["x"]
    return 1
"""
GENERATOR = """\
def f(n):
    for i in range(n):
        got = yield i
    return 9

def g(n):
    x = yield from f(n)
    return x
"""
ASYNC = """\
import asyncio

async def f(n):
    await asyncio.sleep(0)
    async for x in g(n):
        n += x
    return n

async def g(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i
"""
RECURSION = """\
def f(n):
    if n == 0:
        return 0
    return 1 + f(n - 1)
"""
CLOSURE = """\
def f(n):
    seen = []
    def inner(x):
        nonlocal n
        n += x
        seen.append(n)
        return n
    inner(1)
    return seen
"""
DECORATED = """\
import functools

def deco(function):
    @functools.wraps(function)
    def wrapper(*args):
        result = function(*args)
        return result
    return wrapper

@deco
def f(x):
    return x + 1
"""
CLASSES = """\
class Cart:
    tax = 1

    def __init__(self):
        self.items = []
        self.n = 0

    def add(self, item):
        self.items.append(item)
        self.n += 1
        return self.total

    @property
    def total(self):
        return sum(self.items)

    @classmethod
    def make(cls, *items):
        cart = cls()
        for item in items:
            cart.add(item)
        return cart

def f(*items):
    return Cart.make(*items).total
"""
MATCH = """\
def f(x):
    match x:
        case [a, *rest]:
            return a
        case {"k": v, **others}:
            return v
        case int() as n if n > 3:
            return n
        case _:
            return None
"""
COMPREHENSION = """\
def f(n):
    squares = [i * i for i in range(n)]
    table = {
        i: double(i)
        for i in squares
    }
    return sum(x for x in table.values())

def double(x):
    return 2 * x
"""
WALRUS = """\
def f(items):
    it = iter(items)
    while (x := next(it, None)) is not None:
        del items[0]
    return x
"""
UNPACK = """\
def f(d):
    (a, b), *c = d["x"]
    del a
    import os as system
    a = b = c[0]
    return a
"""
STRING = '''\
class A:
    def f(self, n):
        text = """
no indentation
"""
        for i in range(n):
            n += 1
        return n
'''
