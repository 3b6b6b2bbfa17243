"""A recording as JSON values within a number of bytes: what does not fit is cut, and counted.

What tells most is kept longest: the first call, those that raise, the last ones, and of a call its
beginning and its end. Looks at nothing of the tested code any more.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Sequence

from .calls import OpenLoop, RecordedFrame

MAX_NAME, MAX_VALUES = 60, 64
_encode = json.JSONEncoder(check_circular=False).encode
MIN_ROOM = 800
"""Bytes; with less left no further frame is tried."""


def serialise(
    head: Dict[str, Any], frames: Sequence[RecordedFrame], n_bytes: int
) -> Dict[str, Any]:
    """`head`, with `frames` as a list in the order of their calls; `json.dumps` of it fits."""
    whole = [_frame(frame) for frame in frames]
    room = n_bytes - _size(head) - len(', "frames": []')
    sizes = [_size(frame) + 2 for frame in whole]
    if sum(sizes) > room:
        whole = _fitted(whole, sizes, room)
    return {**head, "frames": whole}


def _frame(frame: RecordedFrame) -> Dict[str, Any]:
    return {
        "call": frame.number,
        "parent": frame.parent,
        "name": frame.plan.name[:MAX_NAME],
        "line": frame.plan.code.co_firstlineno,
        "caller": [frame.caller_name, frame.caller_line],
        "arguments": _few(frame.arguments),
        "steps": _steps(frame.all_steps),
        "end": None if frame.end is None else list(frame.end),
    }


def _steps(steps: Sequence[Any]) -> List[Any]:
    return [
        _loop(step) if isinstance(step, OpenLoop) else [step[0], _few(step[1])]
        for step in list(steps)
    ]


def _few(values: Dict[str, str]) -> Dict[str, str]:
    return values if len(values) <= MAX_VALUES else dict([*values.items()][:MAX_VALUES])


def _loop(loop: OpenLoop) -> Dict[str, Any]:
    """A loop that still runs has its running iteration as the last one."""
    iterations = list(loop.kept)
    if loop.latest is not None:
        iterations.append(loop.latest)
    n = loop.n
    if loop.running:
        iterations.append((n, loop.running))
        n += 1
    return {
        "loop": loop.loop.line,
        "n": n,
        "more": not loop.is_counted,
        "iterations": [[number, _steps(steps)] for number, steps in iterations],
    }


def _size(value: Any) -> int:
    return len(_encode(value))


def _fitted(frames: List[Dict[str, Any]], sizes: List[int], room: int) -> List[Dict[str, Any]]:
    """Each frame, in the order of what it tells, gets half of what is left at the most."""
    kept: Dict[int, Dict[str, Any]] = {}
    for i in _by_importance(frames):
        if room < MIN_ROOM:
            break
        share = room if i == len(frames) - 1 and len(kept) == len(frames) - 1 else room // 2
        frame, size = frames[i], sizes[i]
        if size > share:
            frame = _shortened(frame, share - 2)
            size = _size(frame) + 2
        if size <= room:
            kept[i] = frame
            room -= size
    return [kept[i] for i in sorted(kept)]


def _by_importance(frames: Sequence[Dict[str, Any]]) -> List[int]:
    last = len(frames) - 1

    def rank(i: int) -> int:
        end = frames[i]["end"]
        if i == 0:
            return 0
        return 1 if end is None or end[0] == "raise" else 2

    return sorted(range(last + 1), key=lambda i: (rank(i), -i))


def _shortened(frame: Dict[str, Any], n_bytes: int) -> Dict[str, Any]:
    """A frame that fits, if its arguments do; the fewer of its steps the less room there is."""
    shorter = {**frame, "steps": [_fewer_iterations(step) for step in frame["steps"]]}
    for n in (None, 64, 16, 4, 1, 0):
        if n is not None:
            shorter = {**shorter, "steps": _cut(shorter["steps"], n)}
        if _size(shorter) <= n_bytes:
            return shorter
    return {**shorter, "arguments": {}}


def _fewer_iterations(step: Any) -> Any:
    """Of every loop the first iteration and the last one."""
    if not isinstance(step, dict) or "loop" not in step:
        return step
    iterations = step["iterations"]
    chosen = [*iterations[:1], *iterations[1:][-1:]]
    return {
        **step,
        "iterations": [[n, [_fewer_iterations(inner) for inner in steps]] for n, steps in chosen],
    }


def _cut(steps: List[Any], n: int) -> List[Any]:
    """`n` steps from both ends of every list, and how many were left out between them."""
    shorter = [
        {**step, "iterations": [[number, _cut(inner, n)] for number, inner in step["iterations"]]}
        if isinstance(step, dict) and "loop" in step
        else step
        for step in steps
    ]
    n_left_out = len(steps) - 2 * n
    if n_left_out <= 1:
        return shorter
    gaps = [step["skipped"] for step in steps if isinstance(step, dict) and "skipped" in step]
    known = sum(gaps) - len(gaps)
    return [*shorter[:n], {"skipped": n_left_out + known}, *shorter[len(steps) - n :]]
