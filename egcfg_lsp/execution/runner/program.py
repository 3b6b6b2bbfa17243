"""The program under test: executes its text as a module, then does what the judge asks.

Nothing here can be trusted once the text has run: it shares this process. What the judge relies on
is that it sits in another one, and takes nothing from the channel but values. Does not know the
tests, nor what is wanted of a call.
"""

from __future__ import annotations

import builtins
import json
import operator
import os
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, BinaryIO, Callable, Optional

from . import wire
from .confinement import become_ordinary, blocked_by_sandbox, clip, reserve, settle, silence

READY, LOADED = 0, 1
"""Identifiers of the two messages that no request has asked for."""
MODULE = "solution"
_MUTABLE = (list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict)


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    channel = reserve(order["channel_fd"])
    settle()
    reader, writer = os.fdopen(channel, "rb"), os.fdopen(os.dup(channel), "wb")
    wire.send(writer, {"id": READY})
    silence(0, 1, 2)
    os.chdir(order["folder"])
    become_ordinary(order["folder"])
    program = types.ModuleType(MODULE)
    sys.modules[MODULE] = program
    wire.send(writer, {"id": LOADED, **load(program, order["code"])})
    serve(program, reader, writer)
    # Threads and exit handlers of the program must not hold the sandbox open.
    os._exit(0)


def load(program: types.ModuleType, code: str) -> dict[str, Any]:
    """Execute the text; the exception that came of it, or nothing."""
    try:
        compiled = compile(code, MODULE + ".py", "exec", dont_inherit=True)
        exec(compiled, program.__dict__)
    except BaseException as error:
        return {"error": described(error)}
    return {}


def serve(program: types.ModuleType, reader: BinaryIO, writer: BinaryIO) -> None:
    """Answer requests until the judge closes the channel."""
    objects = Objects()
    operations: dict[str, Callable[..., Any]] = {
        "global": program.__dict__.__getitem__,
        "call": lambda function, /, *args, **kwargs: function(*args, **kwargs),
        "getattr": getattr,
        "setattr": setattr,
        "getitem": operator.getitem,
        "len": len,
        "iter": iter,
        "next": next,
    }
    while (request := wire.receive(reader)) is not None:
        try:
            answer = answered(request, operations[request["do"]], objects)
            wire.send(writer, {"id": request["id"], **answer})
        except BaseException as error:
            wire.send(writer, {"id": request["id"], "error": described(error)})


class Objects:
    """What stays here and is known to the judge by its number."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.numbers: dict[int, int] = {}

    def refer(self, value: Any) -> int:
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.kept)
            self.kept.append(value)
        return self.numbers[id(value)]

    def resolve(self, number: int, _name: str) -> Any:
        return self.kept[number]


def answered(
    request: dict[str, Any], operation: Callable[..., Any], objects: Objects
) -> dict[str, Any]:
    """The result of an operation, or its exception; and what it has changed of its arguments."""
    args = [wire.decode(argument, objects.resolve) for argument in request["args"]]
    kwargs = {
        name: wire.decode(argument, objects.resolve) for name, argument in request["kwargs"].items()
    }
    try:
        answer = {"value": wire.encode(operation(*args, **kwargs), objects.refer)}
    except BaseException as error:
        answer = {"error": described(error)}
    changed = [
        [place, now]
        for place, value, before in (
            *((i, value, request["args"][i]) for i, value in enumerate(args)),
            *((name, value, request["kwargs"][name]) for name, value in kwargs.items()),
        )
        if type(value) in _MUTABLE and (now := wire.encode(value, objects.refer)) != before
    ]
    return {**answer, "changed": changed} if changed else answer


def described(error: BaseException) -> dict[str, Any]:
    """An exception by the builtin class that the judge can raise for it, and for people."""
    kinds = (kind.__name__ for kind in type(error).__mro__ if is_builtin_error(kind))
    try:
        text = clip(str(error))
    except Exception:
        text = ""
    name = type(error).__name__
    line: Optional[int] = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    return {
        "kind": next(kinds, ""),
        "name": name,
        "text": "line %d: %s" % (line, error.msg)
        if line and isinstance(error, SyntaxError)
        else text,
        "blocked": blocked_by_sandbox(error),
    }


def is_builtin_error(kind: type) -> bool:
    return (
        issubclass(kind, Exception)
        and kind is not Exception
        and getattr(builtins, kind.__name__, None) is kind
    )


if __name__ == "__main__":
    main()
