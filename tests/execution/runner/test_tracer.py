"""What the tracer sees of code that runs in this process: every kind of frame, and every bound."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from egcfg_lsp.execution.runner.recording import Limits
from egcfg_lsp.execution.runner.tracer import Tracer
from tests.execution.runner.functions import (
    BRANCHES,
    ENDLESS,
    FINALLY,
    GENERATOR,
    MATCH,
    RECURSION,
    STRING,
)
from tests.execution.runner.traced import Names, frames, module_of, run, told


def test_only_the_target_and_what_it_calls_in_its_module(tmp_path: Path) -> None:
    source = """\
import json

def helper(x):
    return json.loads(json.dumps(x))

def target(x):
    y = helper(x)
    return y

def test():
    helper(0)
    assert target(1) == 1
"""
    traced = run(tmp_path, source, "test()", watched=range(7, 9))
    assert frames(traced) == ["1<0 target(x=1) return 1", "2<1 helper(x=1) return 1"]
    assert traced.trace.frames[0].caller == "test"
    assert traced.trace.frames[0].caller_line == 12
    assert traced.trace.hit == (7, 8)
    assert traced.trace.n_lines == 3


def test_lines_of_the_target(tmp_path: Path) -> None:
    traced = run(tmp_path, MATCH, "f(5)", watched=range(4, 6))
    assert traced.tracer.missed() == [4]
    assert traced.tracer.has_entered()
    assert traced.trace.hit == (2, 3, 5, 7, 8)
    assert traced.trace.missed == (4, 6, 9, 10)
    untouched = run(tmp_path, FINALLY, "g", watched=range(2, 6))
    assert not untouched.tracer.has_entered()
    assert untouched.trace.frames == ()
    assert not run(tmp_path, "x = 1\n", "x").tracer.entries


def test_lines_add_up_over_tests_and_the_first_failure_is_kept(tmp_path: Path) -> None:
    path, names = module_of(tmp_path, MATCH)
    lines = set(range(2, 11))
    tracer = Tracer(str(path), [lines], lines, MATCH.split("\n"))
    for test, value in (("a", [1]), ("b", 5), ("c", {"k": 1}), ("d", None)):
        tracer.start(test)
        names["f"](value)
        tracer.stop()
        if test == "b":
            error = AssertionError("assert 5 == 4")
            tracer.keep_failure(error, None)
    assert tracer.missed() == []
    record = tracer.record()
    assert record["test"] == "b"
    assert record["missed"] == [4, 6, 9, 10]
    assert record["assertion"] == {"left": "5", "op": "==", "right": "4", "call": ""}


def test_the_last_test_that_enters_is_shown_where_all_pass(tmp_path: Path) -> None:
    path, names = module_of(tmp_path, RECURSION)
    tracer = Tracer(str(path), [{2, 3, 4}], {2}, RECURSION.split("\n"))
    for test in ("a", "b", "c"):
        tracer.start(test)
        if test != "c":
            names["f"](0)
        tracer.stop()
    assert tracer.record()["test"] == "b"


def test_exception_that_passed_a_watched_line(tmp_path: Path) -> None:
    inner = run(tmp_path, FINALLY, "f(1)", watched=range(8, 9))
    outer = run(tmp_path, FINALLY, "f(1)", watched=range(3, 4))
    other = run(tmp_path, FINALLY, "f(1)", watched=range(5, 6))
    for traced, is_passed in ((inner, True), (outer, True), (other, False)):
        assert traced.error is not None
        assert traced.tracer.is_passed_by(traced.error.__traceback__) is is_passed
    assert not inner.tracer.is_passed_by(None)


BIG = """\
def f(n):
    total = 0
    for i in range(n):
        if i % 1000 == 999:
            total += 1
        else:
            total += 2
    return total
"""


def test_loop_of_a_million_rounds(tmp_path: Path) -> None:
    traced = run(tmp_path, BIG, "f(1_000_000)", limits=Limits(fuel=10**8))
    assert traced.result == 1_999_000
    raw = traced.raw
    loop = raw["frames"][0]["steps"][1]
    assert loop["more"]
    assert 10_000 < loop["n"] <= 1_000_000
    assert [number for number, _ in loop["iterations"]][:3] == [0, 1, 999]
    assert "total=1999000" in told(loop["iterations"][-1][1])
    assert raw["n_lines"] == 3_000_003
    assert len(json.dumps(raw)) < 2000


def test_fuel_is_the_same_every_time(tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    source = ENDLESS.replace("n -= 1", "n += 1")
    limits = Limits(fuel=70_000)
    runs = [run(tmp_path, source, "f(0)", limits=limits, on_out_of_fuel=stop) for _ in range(2)]
    for traced in runs:
        assert isinstance(traced.error, Stop)
        assert traced.trace.stopped == "fuel"
        assert traced.trace.n_lines == 70_001
        assert traced.trace.frames[0].end is None
        assert traced.trace.at in (2, 3, 4)
    assert runs[0].raw == runs[1].raw


def test_without_a_way_to_stop_the_run_goes_on_untraced(tmp_path: Path) -> None:
    traced = run(tmp_path, BIG, "f(30_000)", limits=Limits(fuel=100))
    assert traced.result == 59_970
    assert traced.trace.stopped == "fuel"
    assert traced.trace.n_lines == 101


def test_record_of_a_run_that_is_interrupted(tmp_path: Path) -> None:
    """As a deadline does it: from a signal's handler, or another thread, anywhere."""
    source = ENDLESS.replace("n -= 1", "n += 1")
    found: list[dict[str, Any]] = []

    class Stop(BaseException):
        pass

    def in_some_lines(names: Names) -> None:
        traced_by: Tracer = names["tracer"]
        left = 25

        def interrupt(_frame: FrameType) -> bool:
            nonlocal left
            left -= 1
            if left == 0:
                traced_by.flush(sys._getframe(1))
                found.append(traced_by.record())
                raise Stop
            return False

        names["interrupt"] = interrupt
        names["f"](0)

    source = source.replace("n < 0", "interrupt(n)")
    path, names = module_of(tmp_path, source)
    lines = set(range(2, 7))
    tracer = names["tracer"] = Tracer(str(path), [lines], lines, source.split("\n"))
    tracer.start()
    with pytest.raises(Stop):
        in_some_lines(names)
    tracer.stop()
    (record,) = found
    assert record["at"] == 4
    loop = record["frames"][0]["steps"][-1]
    assert (loop["loop"], loop["n"]) == (2, 25)
    assert loop["iterations"][-1][0] == 24
    assert "n=25" in told(loop["iterations"][-1][1])


@pytest.mark.parametrize("n", [40, 900, 5000])
def test_many_calls(tmp_path: Path, n: int) -> None:
    source = (
        "def f(x):\n    y = x * 2\n    if x == 4999:\n        raise ValueError(y)\n    return y\n"
    )
    traced = run(tmp_path, source, lambda names: [names["f"](i) for i in range(n)])
    trace = traced.trace
    assert trace.n_calls == n
    assert len(trace.frames) <= 64
    assert [frame.call for frame in trace.frames][:32] == list(range(1, 33))
    assert len(json.dumps(traced.raw)) <= Limits().n_bytes
    if n == 5000:
        last = trace.frames[-1]
        assert (last.call, last.arguments) == (5000, (("x", "4999"),))
        assert last.end is not None
        assert last.end.value == "ValueError(9998)"
        assert ("y", "9998") in last.steps[-1].values  # type: ignore[union-attr]


def test_exception_through_more_calls_than_are_recorded(tmp_path: Path) -> None:
    source = "def f(n):\n    if n == 0:\n        raise KeyError(n)\n    return f(n - 1)\n"
    trace = run(tmp_path, source, "f(300)").trace
    calls = [frame.call for frame in trace.frames]
    assert calls == sorted(set(calls))
    assert calls[0] == 1
    assert {frame.end.value for frame in trace.frames if frame.end} == {"KeyError(0)"}
    assert len(trace.frames) > 40


def test_deep_recursion(tmp_path: Path) -> None:
    traced = run(tmp_path, RECURSION, "f(300)")
    assert traced.result == 300
    trace = traced.trace
    assert trace.n_calls == 301
    assert trace.frames[0].end is not None


def test_stack_is_as_deep_as_without_a_trace(tmp_path: Path) -> None:
    source = """\
def f(n, values):
    if n == 0:
        return [values]
    values = {"a": [values, n]}
    return f(n - 1, values)
"""
    limit = sys.getrecursionlimit()
    _, names = module_of(tmp_path, source)

    def is_deep_enough(n: int) -> bool:
        try:
            (lambda: names["f"](n, []))()
        except RecursionError:
            return False
        return True

    n = max(filter(is_deep_enough, range(limit // 2, limit)))
    traced = run(tmp_path, source, lambda names: names["f"](n, []))
    assert traced.error is None
    assert traced.trace.stopped == ""
    assert sys.getrecursionlimit() == limit


def test_recursion_limit_that_a_test_sets_stays(tmp_path: Path) -> None:
    limit = sys.getrecursionlimit()
    try:
        run(tmp_path, RECURSION, lambda names: sys.setrecursionlimit(limit + 500))
        assert sys.getrecursionlimit() == limit + 500
    finally:
        sys.setrecursionlimit(limit)


def test_out_of_stack(tmp_path: Path) -> None:
    traced = run(tmp_path, RECURSION, "f(10**6)")
    assert isinstance(traced.error, RecursionError)
    assert traced.trace.n_calls > 100


TAKEN = [
    ("sys.settrace(None)", "lost"),
    ("sys.settrace(lambda *_: None)", "lost"),
    ("sys._getframe().f_trace = None", ""),
    ("sys._getframe().f_trace_lines = False", ""),
    ("old = sys.gettrace(); sys.settrace(None); sys.settrace(old)", ""),
    ("sys.settrace(sys.gettrace())", ""),
]


@pytest.mark.parametrize(("statement", "stopped"), TAKEN)
def test_code_that_takes_the_trace_away(tmp_path: Path, statement: str, stopped: str) -> None:
    source = f"import sys\n\ndef f(x):\n    {statement}\n    y = x\n    return y\n"
    traced = run(tmp_path, source, "f(1)")
    assert traced.result == 1
    assert traced.error is None
    assert traced.trace.stopped == stopped
    assert traced.trace.n_calls == 1


def test_exception_of_a_signal_handler_goes_through(tmp_path: Path) -> None:
    """It comes up within the trace function as well, and must not be lost there."""
    import signal

    source = "def f():\n    x = 0\n    while True:\n        x += 1\n"

    def ring(_number: int, _frame: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        traced = run(tmp_path, source, "f()", limits=Limits(fuel=10**9))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert isinstance(traced.error, TimeoutError)
    assert traced.trace.n_calls == 1


def test_lines_in_threads_count(tmp_path: Path) -> None:
    def call(names: Names) -> None:
        thread = threading.Thread(target=names["f"], args=([1, 5],))
        thread.start()
        thread.join()

    traced = run(tmp_path, BRANCHES, call)
    assert traced.trace.hit == (2, 3, 4, 5, 6)
    assert traced.trace.n_calls == 0
    assert traced.tracer.has_entered()


def test_generator_that_outlives_its_test(tmp_path: Path) -> None:
    path, names = module_of(tmp_path, GENERATOR)
    lines = set(range(1, 9))
    tracer = Tracer(str(path), [lines], lines, GENERATOR.split("\n"))
    tracer.start("a")
    generator = names["f"](3)
    next(generator)
    tracer.stop()
    tracer.start("b")
    assert list(generator) == [1, 2]
    tracer.stop()
    record = tracer.record()
    assert (record["test"], record["n_calls"]) == ("b", 1)
    assert told(record["frames"][0]["steps"]) == (
        "2×2[0: 2(i=1) 3(yield=1) 3(got=None) | 1: 2(i=2) 3(yield=2) 3(got=None)] 4"
    )


def test_source_that_is_not_the_code(tmp_path: Path) -> None:
    """Loops are then not told from other lines, and the steps end at their bound."""
    path, names = module_of(tmp_path, BIG)
    for source in ("", "def (", "\n".join(["for x in y:"] * 9)):
        lines = set(range(2, 9))
        tracer = Tracer(str(path), [lines], lines, source.split("\n"))
        tracer.start()
        assert names["f"](3000) == 5997
        tracer.stop()
        assert len(json.dumps(tracer.record())) <= Limits().n_bytes


def test_loop_after_an_unindented_string(tmp_path: Path) -> None:
    traced = run(tmp_path, STRING, "A().f(2)")
    assert told(traced.raw["frames"][0]["steps"]).startswith("3(text='\\nno indentation\\n') 6×2[")


def test_variables_of_a_class_body_are_left_alone(tmp_path: Path) -> None:
    """Its namespace may be an object of the user."""
    source = """\
class Names(dict):
    def __getitem__(self, name):
        if name == "__repr__":
            raise AssertionError
        return super().__getitem__(name)

class Meta(type):
    @classmethod
    def __prepare__(cls, name, bases):
        return Names()

def f():
    class Made(metaclass=Meta):
        x = 1
        y = x
    return Made.y
"""
    traced = run(tmp_path, source, "f()", watched=range(13, 17))
    assert traced.error is None
    assert traced.result == 1
    assert traced.trace.hit == (13, 14, 15, 16)


def test_value_that_is_hostile_is_named_only(tmp_path: Path) -> None:
    source = """\
class Evil:
    def __repr__(self):
        raise SystemExit
    __eq__ = __hash__ = __bool__ = __len__ = __repr__
    __class__ = property(__repr__)

def f(x):
    y = [x, x]
    z = {"k": x}
    return y
"""
    traced = run(tmp_path, source, "f(Evil())", watched=range(8, 11))
    assert traced.error is None
    assert frames(traced) == ["1<0 f(x=Evil()) return [Evil(), Evil()]"]


def test_time_is_no_part_of_a_record(tmp_path: Path) -> None:
    source = "def f(n):\n    for i in range(n):\n        wait(i)\n    return n\n"
    records = []
    for seconds in (0.0, 0.002):

        def call(names: Names, seconds: float = seconds) -> Any:
            names["wait"] = lambda _: time.sleep(seconds)
            return names["f"](20)

        records.append(run(tmp_path, source, call).raw)
    assert records[0] == records[1]
