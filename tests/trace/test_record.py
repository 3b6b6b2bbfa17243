"""Records, most of which no honest run writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egcfg_lsp.trace import Assertion, End, Gap, Iteration, Loop, Raised, Step, parse
from egcfg_lsp.trace.contrast import contrast
from egcfg_lsp.trace.markdown import explain
from egcfg_lsp.trace.record import MAX_CALL, MAX_NAME, MAX_TEST, MAX_VALUE, steps_of
from egcfg_lsp.trace.summary import failed, unfinished
from tests.trace.traces import PRICING, frame, loop, pricing, record


def nested(n: int) -> dict[str, Any]:
    made = loop(iterations=[])
    for _ in range(n):
        made = loop(iterations=[[0, [made]]])
    return made


def test_good_record() -> None:
    trace = parse(record())
    assert trace is not None
    assert (trace.hit, trace.missed) == ((4, 5), (6,))
    assert trace.exception == Raised("AssertionError('no')", 0)
    assert trace.assertion == Assertion("1", "==", "2", "total([])")
    (call,) = trace.frames
    assert call.arguments == (("items", "[]"),)
    assert call.end == End("return", "1")
    assert call.steps == (
        Step(4, (("result", "0"),)),
        Loop(5, 9, True, (Iteration(0, (Step(5, (("n", "1"),)),)), Iteration(8, ()))),
        Gap(3),
        Step(9, ()),
    )
    assert [step.line for step in steps_of(call.steps)] == [4, 5, 9]


ODD: list[Any] = [
    None,
    [],
    "trace",
    {},
    record(more=1),
    {key: value for key, value in record().items() if key != "hit"},
    record(test=1),
    record(stopped="deadline"),
    record(stopped=None),
    record(at=-1),
    record(at=1.0),
    record(n_lines=True),
    record(n_lines=10**30),
    record(hit=[2, 1]),
    record(hit=[1, 1]),
    record(hit=list(range(501))),
    record(hit={"1": 1}),
    record(exception="KeyError"),
    record(exception={"text": 1, "line": 0}),
    record(exception={"text": "", "line": -1}),
    record(assertion=[]),
    record(assertion={}),
    record(assertion={"left": 1, "op": "==", "right": "2", "call": ""}),
    record(frames={}),
    record(frames=[None]),
    record(frames=[frame(), frame()]),
    record(frames=[frame(call=2), frame(call=1)]),
    record(frames=[frame(call=i + 1) for i in range(65)]),
    record(frames=[frame(parent=1)]),
    record(frames=[frame(parent=-1)]),
    record(frames=[frame(call=0)]),
    record(frames=[frame(caller=["f"])]),
    record(frames=[frame(caller="ab")]),
    record(frames=[frame(arguments=[["a", "1"]])]),
    record(frames=[frame(arguments={"a": 1})]),
    record(frames=[frame(arguments={str(i): "" for i in range(257)})]),
    record(frames=[frame(end="return")]),
    record(frames=[frame(end=["yield", "1"])]),
    record(frames=[frame(end=["return", None])]),
    record(frames=[frame(end=["return"])]),
    record(frames=[frame(steps=None)]),
    record(frames=[frame(steps=[[1]])]),
    record(frames=[frame(steps=[[1, {}, 2]])]),
    record(frames=[frame(steps=[[1, {"a": ["b"]}]])]),
    record(frames=[frame(steps=[["1", {}]])]),
    record(frames=[frame(steps=[[1, {str(i): "" for i in range(65)}]])]),
    record(frames=[frame(steps=[{"skipped": "1"}])]),
    record(frames=[frame(steps=[{"skipped": 1, "n": 2}])]),
    record(frames=[frame(steps=[[1, {}]] * 4001)]),
    record(frames=[frame(call=i + 1, steps=[[1, {}]] * 2001) for i in range(2)]),
    record(frames=[frame(steps=[loop(n=8)])]),
    record(frames=[frame(steps=[loop(n=None)])]),
    record(frames=[frame(steps=[loop(more=0)])]),
    record(frames=[frame(steps=[loop(more=None)])]),
    record(frames=[frame(steps=[loop(iterations=[[0]])])]),
    record(frames=[frame(steps=[loop(iterations=[[1, []], [0, []]])])]),
    record(frames=[frame(steps=[loop(iterations=[[0, []], [0, []]])])]),
    record(frames=[frame(steps=[loop(n=99, iterations=[[i, []] for i in range(17)])])]),
    record(frames=[frame(steps=[nested(30)])]),
    record(frames=[frame(steps=[nested(300)])]),
]


@pytest.mark.parametrize("raw", ODD)
def test_other_records_are_none(raw: object) -> None:
    assert parse(raw) is None


WILD = "a\x1b[31m\n\u202e\ud800\x00" + "x" * 9000


def test_texts_are_short_and_printable() -> None:
    raw = record(
        test=WILD,
        exception={"text": WILD, "line": 1},
        assertion=dict.fromkeys(("left", "op", "right", "call"), WILD),
        frames=[
            frame(
                name=WILD,
                caller=[WILD, 1],
                arguments={WILD: WILD},
                steps=[[1, {WILD: WILD, "raise": WILD}]],
                end=["raise", WILD],
            )
        ],
    )
    trace = parse(raw)
    assert trace is not None
    assert trace.assertion is not None
    (call,) = trace.frames
    assert call.end is not None
    for text, n in (
        (trace.test, MAX_TEST),
        (trace.assertion.left, MAX_VALUE),
        (trace.assertion.call, MAX_CALL),
        (call.name, MAX_NAME),
        (call.caller, MAX_NAME),
        (call.end.value, MAX_VALUE),
        *((text, MAX_NAME) for pair in call.arguments for text in pair),
    ):
        assert text.isprintable()
        assert len(text) <= n
    everything = explain(trace, WILD, summary=WILD, output=WILD) + failed(0, 1, trace)
    assert all(line.isprintable() for line in everything.split("\n"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_none(raw: object) -> None:
    assert parse(raw) is None


def paths_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [at]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [at] + [path for key, one in inner for path in paths_in(one, (*at, key))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@given(st.data())
def test_record_with_one_thing_changed_is_none_or_can_be_shown(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths_in(record())))
    trace = parse(replaced(record(), path, data.draw(JSON)))
    if trace is not None:
        assert explain(trace, PRICING)
        assert failed(0, 1, trace)
        assert unfinished(trace, "deadline")
        assert contrast(trace, trace) is None


@pytest.mark.parametrize(
    "call",
    ["total([(1, 2)] * 30 + [(5, 11)], 'us')", "total([], 'us')", "total([], 'xx')", "discount(1)"],
)
def test_what_the_tracer_writes_is_read_whole(tmp_path: Path, call: str) -> None:
    traced = pricing(tmp_path, call)
    raw, trace = traced.raw, traced.trace
    assert len(trace.frames) == len(raw["frames"])
    assert trace.hit == tuple(raw["hit"])
    text = json.dumps(raw)
    for recorded in trace.frames:
        for step in steps_of(recorded.steps):
            assert json.dumps([step.line, dict(step.values)]) in text
