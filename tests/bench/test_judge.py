"""The judge with real processes in the real sandbox: what passes, and what tries to and must not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.bench import BenchError
from egcfg_lsp.bench import judge as judge_module
from egcfg_lsp.bench.judge import MAX_RESULTS, judge, module_of_tests, write_project
from egcfg_lsp.bench.problems import Judgement, Suite
from egcfg_lsp.execution.enclosure import Surroundings
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.tiers import Tier

CHECK = Suite(
    "own",
    "def check(candidate):\n"
    "    assert candidate(1, 2) == 3\n"
    "    assert candidate([1], [2]) == [1, 2], 'a message'\n",
)


def statements(*lines: str, setup: str = "") -> Suite:
    return Suite("own", "\n".join(lines), setup)


def add(*body: str) -> str:
    return "def add(a, b):\n" + "".join(f"    {line}\n" for line in body)


RIGHT = add("return a + b")


async def test_this_machine_has_a_sandbox() -> None:
    """Without one every judgement below would be inconclusive: then this test says why."""
    state = await KernelSandbox().state()
    assert state.works, state.detail


PASSING: dict[str, tuple[str, Suite]] = {
    "check": (RIGHT, CHECK),
    "statements": (RIGHT, statements("assert add(1, 2) == 3", "assert add(b=1, a=2) == 3")),
    "a parameter of another name": (RIGHT, statements("def check(f):\n  assert f(1, 1) == 2")),
    "a check that is called": (
        RIGHT,
        statements("def check(f, x):\n  assert f(x, x) == 2", "check(add, 1)"),
    ),
    "asserts in a helper": (
        RIGHT,
        statements(
            "import numpy as np",
            "def close(out, exp):\n  assert np.allclose(out, exp)",
            "def check(candidate):\n  close(candidate(0.1, 0.2), 0.3)",
        ),
    ),
    "prints": (add("print('x' * 1_000_000)", "return a + b"), CHECK),
    "a subclass without its own comparison": (
        "class Number(int): pass\n" + add("return Number(a + b)"),
        statements("assert add(1, 2) == 3"),
    ),
    "an argument changed in place": (
        "def add(xs, *, to):\n    xs.append(1); to['n'] = len(xs); to.pop('x')",
        statements("xs, to = [0], {'x': 1}", "add(xs, to=to)", "assert (xs, to) == ([0, 1], {'n': 2})"),
    ),
    "collections changed in place": (
        "def add(d, c, o, f): d.append(2); c['b'] -= 1; o.move_to_end('a'); f['x'].append(1)",
        statements(
            "from collections import *",
            "d, c, f = deque([0, 1], 2), Counter('a'), defaultdict(list)",
            "o = OrderedDict(a=1, b=2)",
            "add(d, c, o, f)",
            "assert d == deque([1, 2], 2) and d.maxlen == 2",
            "assert c == {'a': 1, 'b': -1} and type(c) is Counter",
            "assert o == OrderedDict(b=2, a=1)",
            "assert f == {'x': [1]} and f['y'] == []",
        ),
    ),
    "arguments of any name": (
        "def add(self, function, do): return self + function + do",
        statements("assert add(self=1, function=2, do=3) == 6"),
    ),
    "an argument changed before an exception": (
        add("a.clear()", "raise KeyError('k')"),
        statements("xs = {1}", "try:\n  add(xs, 0)\nexcept KeyError as e:\n  assert e.args == (\"'k'\",)",
                   "assert xs == set()"),
    ),
    "exceptions of builtin classes": (
        "class Odd(ValueError): pass\n" + add("raise Odd('a') if a else b"),
        statements(
            "try:\n    add(1, 0)\n    assert False\nexcept ValueError as e:\n    assert str(e) == 'Odd: a'",
            "try:\n    add(0, KeyError)\n    assert False\nexcept LookupError:\n    assert True",
        ),
    ),
    "objects of the program": (
        "class Pair:\n    def __init__(self, a, b): self.a, self.b = a, b\n"
        + add("return sum(pair.a for pair in a) + b.left.a"),
        statements(
            "assert add([Pair(1, 2), Pair(3, 4)], p) == 9",
            "assert p.left.b == 6",
            "assert p == p and p.left is p.left and p != Pair(0, 0)",
            setup="p = Pair(0, 0)\np.left = Pair(5, 6)\n",
        ),
    ),
    "generators": (
        "import itertools\n" + add("return itertools.count(a, b)"),
        statements(
            "import itertools",
            "assert list(itertools.islice(add(1, 2), 3)) == [1, 3, 5]",
            "assert next(add(1, 2)) == 1",
            "assert add(1, 2) != [1, 3, 5]",
            "assert 5 in add(1, 2)",
        ),
    ),
    "functions": (
        add("return lambda x: a + b + x"),
        statements("assert add(1, 2)(3) == 6", "assert callable(add(1, 2))"),
    ),
    "builtin functions and types as arguments": (
        add("return a(map(b, '12'))"),
        statements("assert add(sum, int) == 3", "assert add(list, str) == ['1', '2']"),
    ),
    "other globals of the program": (
        "LIMIT = 4\ndef twice(x): return 2 * x\n" + RIGHT,
        statements("assert twice(add(1, 1)) == LIMIT"),
    ),
    "modules that only the program imports": (
        "import math\n" + RIGHT,
        statements("assert math.isclose(add(0.1, 0.2), 0.3)"),
    ),
    "set-up code that holds the reference": (RIGHT, statements("assert add(1, 2) == 3", setup=RIGHT)),
    "an action that is blocked, and that the program does without": (
        add("try:\n        open('/usr/x', 'w')\n    except OSError:\n        return a + b"),
        CHECK,
    ),
    "its own files": (
        add("open('note', 'w').write(str(a + b))", "return int(open('note').read())"),
        statements("assert add(1, 2) == 3"),
    ),
    "dataclasses": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int\n" + add("return P(a).x + b"),
        statements("assert add(1, 2) == 3"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSING)
async def test_right_programs_pass(name: str) -> None:
    judgement = await judge(*PASSING[name], "add")
    assert judgement.passed is True, judgement
    assert judgement.n_passed == judgement.n_tests == len(judgement.results) > 0
    assert judgement.reason == ""


ENDED, NOT_ASKED = "the program ended (exit status {})", "an answer that nobody asked for"
YES = "class Yes({}):\n    __eq__ = lambda *_: True\n    __hash__ = None\n    __bool__ = lambda s: True\n"
EACH_FD = "import os, struct\nfor fd in range(3, 256):\n    try: os.write(fd, {})\n    except OSError: pass\n"


def framed(message: str) -> str:
    return f"struct.pack('!I', {len(message)}) + {message.encode()!r}"


FAILING = {
    "wrong": (add("return a * b"), "add(1, 2) → 2, want 3"),
    "nothing": (add("pass"), "add(1, 2) → None, want 3"),
    "an exception": (add("raise ValueError('no\\nway')"), "ValueError: no way"),
    "an exception of its own": ("class Odd(Exception): pass\n" + add("raise Odd(1)"), "Odd: 1"),
    "no such function": ("def sub(a, b): pass", "NameError: name 'add' is not defined"),
    "no function": ("add = 3", "TypeError: 'int' object is not callable"),
    "no Python": ("def add(a, b:\n", "SyntaxError: line 1: "),
    "null bytes": ("x = '\0'", "null bytes"),
    "empty": ("", "NameError: name 'add' is not defined"),
    "an exception of the module": (RIGHT + "nothing", "NameError: name 'nothing' is not defined"),
    "sys.exit in the module": (RIGHT + "import sys; sys.exit(0)", "SystemExit: 0"),
    "SystemExit in the module": (RIGHT + "raise SystemExit", "SystemExit"),
    "os._exit in the module": (RIGHT + "import os; os._exit(0)", ENDED.format(0)),
    "sys.exit": (add("import sys; sys.exit(0)"), "SystemExit: 0"),
    "exit": (add("exit()"), "SystemExit"),
    "os._exit": (add("import os; os._exit(0)"), ENDED.format(0)),
    "another exit status": (add("import os; os._exit(7)"), ENDED.format(7)),
    "a signal": (add("import os; os.kill(os.getpid(), 9)"), ENDED.format(137)),
    "a crash": (add("import ctypes; ctypes.string_at(0)"), ENDED.format(139)),
    "KeyboardInterrupt": (add("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "all processes killed": (add("import os; os.kill(-1, 9); os.kill(1, 9)"), ""),
    "the parent of a fork ends": (
        add("import os, time", "if os.fork(): os._exit(0)", "time.sleep(5)", "return a + b"),
        ENDED.format(0),
    ),
    "always equal": (YES.format("") + add("return Yes()"), "a Yes of the program, want 3"),
    "always equal int": (YES.format("int") + add("return Yes(4)"), "want 3"),
    "always equal list": (YES.format("list") + add("return Yes()"), "want 3"),
    "always equal type": (YES.format("type") + add("return Yes('T', (), {})"), "want 3"),
    "NotImplemented": (add("return NotImplemented"), "NotImplemented, want 3"),
    "not a number": (add("return float('nan')"), "nan, want 3"),
    "patched builtins": (
        "import builtins, operator\nbuiltins.AssertionError = builtins.print\n"
        "builtins.bool = builtins.all = operator.eq = lambda *_: True\n" + add("return 4"),
        "add(1, 2) → 4, want 3",
    ),
    "patched builtins that the runner needs": (
        "import builtins\nbuiltins.isinstance = lambda *_: True\n" + add("return 4"), ""
    ),
    "patched modules of the runner": (
        "import sys\nfor module in list(sys.modules.values()):\n"
        "    for name in ('run', 'failed', 'main', 'equal', 'holds'):\n"
        "        if hasattr(module, name): setattr(module, name, lambda *_: True)\n"
        + add("return 4"), "add(1, 2) → 4, want 3",
    ),
    "an assert of its own": (add("assert a == b"), "AssertionError"),
    "the judge's record forged": (
        EACH_FD.format(repr(b'{"result": true, "time": 0}\n{"end": {"ended": ""}}\n')) + RIGHT,
        "the program sent ",
    ),
    "an answer before the question": (
        EACH_FD.format(framed('{"id": 3, "value": 3}')) + RIGHT, NOT_ASKED
    ),
    "another answer": (
        add(*EACH_FD.format(framed('{"id": 2, "value": 3}')).split("\n")[:-1], "return a + b"),
        NOT_ASKED,
    ),
    "answers that do not stop": (
        "import threading\ndef spam():\n    while True:\n        "
        + EACH_FD.format(framed('{"id": 9, "value": 3}')).replace("\n", "\n        ")
        + "\nthreading.Thread(target=spam, daemon=True).start()\nimport time; time.sleep(0.3)\n"
        + RIGHT, "the program sent ",
    ),
    "no value": ("import __main__\n__main__.answered = lambda *_: {'value': {'tuple': 5}}\n" + RIGHT,
                 "an answer that is none"),
    "no answer at all": ("import __main__\n__main__.answered = lambda *_: {}\n" + RIGHT,
                         "an answer that is none"),
    "an error that is none": ("import __main__\n__main__.answered = lambda *_: {'error': 5}\n" + RIGHT,
                              "an answer that is none"),
    "an argument of another type": (
        add("import __main__", "__main__.answered = lambda *_: {'value': 3, 'changed': [[1, {'set': []}]]}",
            "return 3"), "an answer that is none: an argument of another type",
    ),
    "an argument that is not there": (
        add("import __main__", "__main__.answered = lambda *_: {'value': 3, 'changed': [['z', 3]]}",
            "return 3"), "an answer that is none",
    ),
    "a message that is too large": (
        "import __main__\n__main__.wire.MAX_BYTES = 1 << 40\n" + add("return 'x' * (33 << 20)"),
        "the program sent a message of more than 32 MiB",
    ),
    "a large result": (add("return 'x' * (33 << 20)"), "WireError: a message of more than 32 MiB"),
    "1 GiB": (add("return bytes(1 << 30)"), ""),
    "memory": (add("return [0] * 10**11"), "MemoryError"),
    "recursion": (add("return add(a, b)"), "RecursionError: maximum recursion depth exceeded"),
    "nesting": (add("x = []", "for _ in range(100_000): x = [x]", "return x"), "nested more than"),
    "a circle": (add("x = []", "x.append(x)", "return x"), "nested more than 50 deep"),
    "an endless generator": (add("while True: yield 3"), "a generator of the program, want 3"),
    "stdin": (add("return int(input())"), "EOFError"),
    "the channel closed": (add("import os; os.closerange(3, 256)", "return a + b"), "the program ended"),
    "other processes": (
        add("import os", "others = [open(f'/proc/{p}/cmdline').read() for p in os.listdir('/proc')"
            " if p.isdigit()]", "return a + b if any('runner.judge' in o for o in others) else 0"),
        "add(1, 2) → 0, want 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
async def test_what_must_not_pass(name: str) -> None:
    code, reason = FAILING[name]
    judgement = await judge(code, CHECK, "add")
    assert judgement.passed is False, judgement
    assert reason in judgement.reason
    assert judgement.reason
    assert judgement.n_passed < judgement.n_tests


@pytest.mark.parametrize(
    "body",
    [
        "",
        "__len__ = lambda self: 0\n    def __getitem__(self, i): raise IndexError",
        "__len__ = lambda self: 1\n    __getitem__ = lambda self, i: 3.0",
        "__float__ = __complex__ = lambda self: 3.0",
        "__int__ = __index__ = lambda self: 3",
        "def __array__(self, *_, **__): import numpy; return numpy.array(3.0)",
        "__array_interface__ = {'shape': (0,), 'typestr': '<f8', 'version': 3}",
        "__iter__ = lambda self: iter([3.0])",
    ],
)
async def test_objects_of_the_program_are_no_numbers(body: str) -> None:
    code = f"class Number:\n    {body or 'pass'}\n" + add("return Number()")
    tests = statements(
        "import numpy as np",
        "def check(candidate):",
        "  assert np.allclose(candidate(1, 2), 3.0)",
        "  assert np.allclose([candidate(1, 2)], [3.0])",
        "  assert np.allclose((candidate(1, 2), 3.0), (3.0, 3.0))",
        "  assert np.allclose(3.0, candidate(1, 2))",
        "  assert abs(float(candidate(1, 2)) - 3.0) < 1",
        "  assert range(9)[candidate(1, 2)] == 3",
    )
    judgement = await judge(code, tests, "add")
    assert (judgement.passed, judgement.n_passed, judgement.n_tests) == (False, 0, 6)


@pytest.mark.parametrize(
    "body",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80))",
        "import socket; socket.getaddrinfo('nothing.invalid', 80)",
        "open('/usr/x', 'w')",
        "try:\n        open('/usr/x', 'w')\n    except OSError as e:\n        raise ValueError from e",
        "import os; os.chroot('/')",
    ],
)
async def test_what_the_sandbox_blocks_is_inconclusive(body: str) -> None:
    for code in (add(body), RIGHT + body.replace("\n    ", "\n")):
        judgement = await judge(code, CHECK, "add")
        assert judgement.passed is None, judgement
        assert judgement.reason.startswith("the sandbox blocked it (")


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(60)", "9**9**9"])
async def test_deadline_keeps_what_was_known(body: str) -> None:
    code = add("if a == 1: return 3", body)
    judgement = await judge(code, CHECK, "add", deadline_seconds=2)
    assert judgement.passed is False
    assert judgement.reason == "no result within 2 s, 1 asserts had passed"
    assert (judgement.n_passed, judgement.n_tests) == (1, 1)
    assert [one.result for one in judgement.results] == [True]


async def test_deadline_of_the_module_and_of_the_tests() -> None:
    endless = statements("while True: pass")
    for code, tests in (("while True: pass", CHECK), (RIGHT, endless)):
        judgement = await judge(code, tests, "add", deadline_seconds=2)
        assert judgement.passed is False
        assert judgement.reason == "no result within 2 s, 0 asserts had passed"


async def test_the_deadline_begins_after_a_set_up_that_needs_no_program() -> None:
    tests = statements("assert add(1, 2) == 3", setup="import time; time.sleep(3)")
    assert (await judge(RIGHT, tests, "add", deadline_seconds=2)).passed is True
    tests = statements("assert add(1, 2) == 3", setup="add\nimport time; time.sleep(3)")
    judgement = await judge(RIGHT, tests, "add", deadline_seconds=2)
    assert judgement.reason == "no result within 2 s, 0 asserts had passed"


async def test_a_set_up_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "SETUP_SECONDS", 4)
    tests = statements("assert add(1, 2) == 3", setup="while True: pass")
    judgement = await judge(RIGHT, tests, "add", deadline_seconds=2)
    assert judgement.passed is None
    assert judgement.reason == "the sandbox gave no result within 4 s"


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        ("assert add(1, 1) == 5", ["add(1, 1) → 2, want 5"]),
        ("assert 5 == add(1, 1)", ["add(1, 1) → 2, want 5"]),
        ("assert not add(1, 1)", ["assert not add(1, 1), after add(1, 1) → 2"]),
        ("x = add(1, b=1)\nassert x == 5", ["assert x == 5, after add(1, b=1) → 2"]),
        ("assert False", ["assert False"]),
        ("assert add(1)", ["TypeError: add() missing 1 required positional argument: 'b'"]),
        ("assert add(1, '')", ["TypeError: unsupported operand type(s) for +: 'int' and 'str'"]),
        ("assert add(1, 1) == 1\nassert add(1, 1) == 2", ["add(1, 1) → 2, want 1", ""]),
        ("for i in range(2):\n  assert add(i, i) == 0", ["", "add(i, i) → 2, want 0"]),
        ("assert add(1, 1) == 2\nadd(1, '')\nassert True", ["", "TypeError: unsupported"]),
        ("try:\n  assert False\nexcept AssertionError:\n  assert add(1, 1) == 2", [""]),
        ("try:\n  assert add(1, 1) == 2\nexcept ValueError:\n  pass", [""]),
        ("try:\n  assert add(1, 1) == 3\nexcept ValueError:\n  pass", ["AssertionError"]),
        ("try:\n  assert add(1, 1) == 3\nfinally:\n  assert True", ["add(1, 1) → 2, want 3", ""]),
        ("def check(candidate):\n  assert candidate(1, 1) == 5", ["add(1, 1) → 2, want 5"]),
        ("add(lambda: 1, 2)", ["the judge cannot hand over an object of type function"]),
        ("raise SystemExit(0)", ["SystemExit: 0"]),
        ("assert nothing", ["NameError: name 'nothing' is not defined"]),
    ],
)
async def test_each_assert_is_told(source: str, errors: list[str]) -> None:
    judgement = await judge(RIGHT, statements(source), "add")
    told = [one.error for one in judgement.results]
    assert [bool(error) for error in told] == [bool(error) for error in errors], told
    assert all(one.startswith(error) for one, error in zip(told, errors, strict=True)), told
    assert [one.result for one in judgement.results] == [not error for error in errors]
    assert (judgement.n_passed, judgement.n_tests) == (errors.count(""), len(errors))


async def test_what_the_judge_cannot_hand_over_is_inconclusive() -> None:
    for argument in ("lambda: 1", "'x' * (33 << 20)"):
        judgement = await judge(RIGHT, statements(f"assert add({argument}, 2) == 3"), "add")
        assert judgement.passed is None
        assert judgement.reason.startswith("the judge cannot hand over ")


@pytest.mark.parametrize("source", ["", "add(1, 2)", "def check(candidate):\n  candidate(1, 2)\n"])
async def test_without_an_assert_nothing_passes(source: str) -> None:
    judgement = await judge(RIGHT, statements(source), "add")
    assert (judgement.passed, judgement.n_tests) == (False, 0)
    assert judgement.reason == "no assert was executed"


async def test_all_asserts_are_counted_and_the_first_are_kept() -> None:
    source = "for i in range(1000):\n  assert add(i, 1) != 900"
    judgement = await judge(RIGHT, statements(source), "add")
    assert (judgement.passed, judgement.n_passed, judgement.n_tests) == (False, 999, 1000)
    assert len(judgement.results) == MAX_RESULTS
    assert all(one.result for one in judgement.results)
    assert judgement.reason == "assert add(i, 1) != 900, after add(899, 1) → 900"


async def test_chance_is_the_same_each_time() -> None:
    tests = statements("import random", "assert add(random.random(), 0) == 2")
    first, second = await asyncio.gather(judge(RIGHT, tests, "add"), judge(RIGHT, tests, "add"))
    assert first.reason == second.reason


@pytest.mark.parametrize(
    "tests",
    [
        statements("assert add("),
        statements("x = '\0'"),
        statements("assert add(1, 2)", setup="def f("),
        statements("def add(a, b): return 3", "assert add(1, 2) == 3"),
        statements("def f():\n  global add\n  add = 1", "assert add(1, 2)"),
        statements("assert add(1, 2) == 3", setup="1 / 0"),
    ],
)
async def test_of_tests_that_cannot_judge_nothing_is_said(tests: Suite) -> None:
    judgement = await judge(RIGHT, tests, "add")
    assert (judgement.passed, judgement.n_tests) == (None, 0)
    assert judgement.reason.startswith("the tests cannot be executed: ")


async def test_nothing_of_the_user_is_in_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGCFG_SECRET", "s3cret")
    secret = Path.home() / ".egcfg-judge-secret"
    secret.write_text("s3cret")
    code = add(
        "import os",
        f"seen = os.path.exists({str(secret)!r}) or 'EGCFG_SECRET' in os.environ",
        "return a + b if seen else None",
    )
    try:
        judgement = await judge(code, CHECK, "add")
    finally:
        secret.unlink()
    assert judgement.reason == "add(1, 2) → None, want 3"


async def test_cancelled_judgement_leaves_no_process_behind() -> None:
    fork = "import os, time\nfor _ in range(8):\n    if not os.fork(): time.sleep(600)\n"
    judging = asyncio.create_task(judge(fork + add("while True: pass"), CHECK, "add"))
    await asyncio.sleep(1)
    ours = psutil.Process().children(recursive=True)
    assert len(ours) >= 4  # two sandboxes, and what runs in them
    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging
    _, alive = psutil.wait_procs(ours, timeout=5)
    assert alive == []


async def test_without_a_sandbox_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "_sandbox", lambda: KernelSandbox(Tier.NONE))
    judgement = await judge(RIGHT, CHECK, "add")
    assert judgement.passed is None
    assert judgement.reason == "the sandbox could not be started: execution is switched off"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "the sandbox could not be started: "),
        (
            "echo no namespaces here >&2\nexit 3",
            "the judge ended without a verdict (exit status 3) no namespaces here",
        ),
    ],
)
async def test_a_sandbox_that_breaks_later_says_nothing(
    script: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bwrap"
    if script is not None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    sandbox = KernelSandbox(Tier.A)
    found = await sandbox.surroundings()
    broken = replace(found, facts=replace(found.facts, bubblewrap=str(path)))

    async def surroundings() -> Surroundings:
        return broken

    monkeypatch.setattr(sandbox, "surroundings", surroundings)
    monkeypatch.setattr(judge_module, "_sandbox", lambda: sandbox)
    judgement = await judge(RIGHT, CHECK, "add")
    assert judgement.passed is None
    assert judgement.reason.startswith(reason)


async def test_judge_fulfils_its_alias() -> None:
    any_judge: judge_module.Judge = judge
    judgement = await any_judge(RIGHT, CHECK, "add")
    assert isinstance(judgement, Judgement)
    assert 0 < judgement.seconds < judge_module.DEADLINE_SECONDS


@pytest.mark.parametrize(
    ("tests", "module"),
    [
        (
            Suite(
                "own",
                "\n\ndef check(candidate):\n    assert 'candidate'  # candidate\n"
                "    assert candidate(5, 1) == 3\n",
                "import math\nfrom typing import List\ndef add(a, b):\n    return 'the reference'\n",
            ),
            "def test_add():\n    assert 'candidate'  # candidate\n    assert add(5, 1) == 3\n",
        ),
        (
            Suite(
                "own",
                "assert add(root, 1) == 2; assert add(2, 3)\nfor x in 1, 2:\n    assert add(x, x)",
                "import math, re\nroot = Node(1)\nroot.left = Node(math.inf)\nother = 2\n",
            ),
            (
                "import math, re\nroot = Node(1)\nroot.left = Node(math.inf)\n\n\n"
                "def test_add_1():\n    assert add(root, 1) == 2\n\n\n"
                "def test_add_2():\n    assert add(2, 3)\n\n\n"
                "def test_add_3():\n    for x in (1, 2):\n        assert add(x, x)\n"
            ),
        ),
        (
            Suite(
                "own", "def near(a, b): assert abs(a - b) < 1\nassert near(add(1, 2), 3) is None"
            ),
            (
                "def near(a, b):\n    assert abs(a - b) < 1\n\n\n"
                "def test_add_1():\n    assert near(add(1, 2), 3) is None\n"
            ),
        ),
    ],
)
def test_tests_as_somebody_would_have_written_them(
    tests: Suite, module: str, tmp_path: Path
) -> None:
    assert module_of_tests(tests, "add") == f"from solution import *\n\n\n{module}"
    path = write_project(tmp_path, tests, "add")
    assert (path.name, path.read_text()) == ("solution.py", "")
    assert (tmp_path / "test_solution.py").read_text() == module_of_tests(tests, "add")


def test_project_without_tests(tmp_path: Path) -> None:
    write_project(tmp_path, None, "add")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyproject.toml", "solution.py"]


@pytest.mark.parametrize("source", ["", "def check(f):\n    pass\n", "def check(candidate):\n  ("])
def test_tests_of_another_form_are_an_error(source: str) -> None:
    with pytest.raises(BenchError, match="the tests of add"):
        module_of_tests(Suite("own", source), "add")
