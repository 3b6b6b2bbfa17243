"""The judge's process: executes a data set's tests, which call the program in another process.

The tests are trusted code, the program is not: what comes from it are values made here of builtin
types, handles that equal nothing but themselves, and exceptions of builtin classes. Every `assert`
writes one line to the result descriptor, which the program's process does not have; after a failed
one the tests go on, but for those in the body of a `try` with handlers. The text of an assert's
message is not used. Does not know a deadline, and does not start the program.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import copy
import json
import os
import random
import symtable
import sys
import time
from collections import deque
from types import CodeType
from typing import Any, Iterator, NoReturn, Optional, Sequence

from . import wire
from .confinement import become_ordinary, clip, reserve, settle, silence
from .wire import WireError

READY, LOADED = 0, 1
RECORDER = "__egcfg_judge__"
CHECK = "check"
ENDED = "the program ended"


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    channel, record = reserve(order["channel_fd"]), reserve(order["result_fd"])
    silence(0)
    settle()
    become_ordinary(None)
    program = Program(channel)
    recorder = Recorder(record, order["max_results"], program)
    recorder.write({"end": run(order, program, recorder)})
    os._exit(0)


def run(order: dict[str, Any], program: Program, recorder: Recorder) -> dict[str, Any]:
    """Set up, load, test; what the last line of the record says.

    A set-up that needs the program's globals comes after its load, and its exception is the
    program's; that of any other says that the tests are broken.
    """
    entry_point = order["entry_point"]
    try:
        setup = compile(order["setup"], "<set-up>", "exec", dont_inherit=True)
        tree = ast.parse(order["source"])
        is_check = calls_check(tree)
        recorder.names = {parameter_of_check(tree): entry_point} if is_check else {}
        tests = asserts_recorded(tree, recorder)
        free = free_names(order["setup"], order["source"]) | {entry_point}
        needs_program = bool(free_names(order["setup"]))
        if entry_point in names_bound(symtable.symtable(order["source"], "<tests>", "exec")):
            return {"broken_tests": "they define %s themselves" % entry_point}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"broken_tests": "%s: %s" % (type(error).__name__, clip(str(error)))}
    if not program.is_ready():
        return {"no_program": True}
    namespace: dict[str, Any] = {"__name__": "tests", RECORDER: recorder}
    random.seed(0)
    if not needs_program:
        try:
            exec(setup, namespace)
        except BaseException as error:
            return {"broken_tests": "their set-up raised %s" % clip(explained(error))}
    recorder.start()
    try:
        program.wait_until_loaded()
        outside = globals_of(program, free, entry_point)
        if needs_program:
            namespace.update(outside)
            exec(setup, namespace)
        namespace.pop(entry_point, None)  # set-up code may hold the reference
        namespace.update(outside)
        exec(tests, namespace)
        if is_check:
            namespace[CHECK](named(outside, entry_point))
        program.expect_silence()
    except BaseException as error:
        recorder.failed(explained(error))
    return {
        "ended": program.ended,
        "blocked": program.blocked,
        "unable": program.unable,
        "first_error": recorder.first_error,
    }


class ProgramError(Exception):
    """An exception of the program that has no builtin class, or the end of the program."""


class Handle:
    """An object that stays in the program: it equals nothing but itself, is true, and no number."""

    __slots__ = ("__egcfg__",)

    def __init__(self, program: Program, number: int, kind: str) -> None:
        object.__setattr__(self, "__egcfg__", (program, number, kind))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return program_of(self).ask("call", (self, *args), kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return program_of(self).ask("getattr", (self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        program_of(self).ask("setattr", (self, name, value))

    def __getitem__(self, key: Any) -> Any:
        return program_of(self).ask("getitem", (self, key))

    def __iter__(self) -> Any:
        return program_of(self).ask("iter", (self,))

    def __next__(self) -> Any:
        return program_of(self).ask("next", (self,))

    def __len__(self) -> Any:
        return program_of(self).ask("len", (self,))

    def __array__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Without it NumPy makes an array of length and items, which the program chooses."""
        raise TypeError("%r is no array" % self)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "a %s of the program" % object.__getattribute__(self, "__egcfg__")[2]


def program_of(handle: Handle) -> Program:
    program: Program = object.__getattribute__(handle, "__egcfg__")[0]
    return program


class Program:
    """The other end of the channel. Once something has gone wrong there, nothing is asked again."""

    def __init__(self, channel: int) -> None:
        self.reader = os.fdopen(channel, "rb")
        self.writer = os.fdopen(os.dup(channel), "wb")
        self.last_id = LOADED
        self.handles: dict[int, Handle] = {}
        self.labels: dict[int, str] = {}
        self.last_call: Optional[tuple[Any, Any, Any, Any]] = None
        self.ended = ""
        self.blocked = ""
        self.unable = ""

    def is_ready(self) -> bool:
        """Whether the process came up, the program's text not yet executed."""
        try:
            return wire.receive(self.reader) == {"id": READY}
        except (WireError, OSError):
            return False

    def wait_until_loaded(self) -> None:
        """Raises what the program's text raised."""
        reply = self.reply(LOADED)
        if "error" in reply:
            raise self.error(reply["error"])

    def ask(self, do: str, args: tuple[Any, ...], kwargs: Optional[dict[str, Any]] = None) -> Any:
        """The value of an operation in the program; raises its exception, or ProgramError."""
        if self.ended:
            raise ProgramError(self.ended)
        keywords = kwargs or {}
        self.last_id += 1
        try:
            request = {
                "id": self.last_id,
                "do": do,
                "args": [wire.encode(argument, self.refer) for argument in args],
                "kwargs": {n: wire.encode(item, self.refer) for n, item in keywords.items()},
            }
            wire.send(self.writer, request)
        except WireError as error:
            self.unable = "the judge cannot hand over %s" % error
            raise ProgramError(self.unable) from error
        except OSError:
            self.end(ENDED)
        reply = self.reply(self.last_id)
        try:
            for place, data in reply.get("changed", ()):
                change(
                    keywords[place] if isinstance(place, str) else args[place], self.decode(data)
                )
            outcome = (
                self.error(reply["error"]) if "error" in reply else self.decode(reply["value"])
            )
        except (WireError, LookupError, TypeError, ValueError) as error:
            self.end("the program sent an answer that is none: %s" % clip(str(error)))
        if do == "call":
            self.last_call = (args[0], args[1:], keywords, outcome)
        if "error" in reply:
            raise outcome
        return outcome

    def global_named(self, name: str) -> Any:
        """The program's global of a name; raises KeyError if it has none."""
        value = self.ask("global", (name,))
        if isinstance(value, Handle):
            self.labels[self.refer(value)] = name
        return value

    def expect_silence(self) -> None:
        """Raises ProgramError if there is an answer to nothing."""
        os.set_blocking(self.reader.fileno(), False)
        if not self.ended and self.reader.peek(1):
            self.end("the program sent an answer that nobody asked for")

    def reply(self, expected: int) -> dict[str, Any]:
        try:
            reply = wire.receive(self.reader)
        except WireError as error:
            self.end("the program sent %s" % error)
        except OSError:
            reply = None
        if reply is None:
            self.end(ENDED)
        if type(reply.get("id")) is not int or reply["id"] != expected:
            self.end("the program sent an answer that nobody asked for")
        return reply

    def end(self, reason: str) -> NoReturn:
        self.ended = self.ended or reason
        raise ProgramError(self.ended)

    def error(self, told: dict[str, str]) -> Exception:
        """The exception that the program described."""
        kind, name, text, blocked = (str(told[k]) for k in ("kind", "name", "text", "blocked"))
        self.blocked = self.blocked or clip(blocked)
        builtin = getattr(builtins, kind, None)
        if isinstance(builtin, type) and issubclass(builtin, Exception):
            with contextlib.suppress(TypeError):
                return builtin(clip(text if name == kind else "%s: %s" % (name, text)))
        return ProgramError(clip("%s: %s" % (name, text) if text else name))

    def decode(self, data: Any) -> Any:
        return wire.decode(data, self.resolve)

    def resolve(self, number: int, kind: str) -> Handle:
        if number not in self.handles:
            self.handles[number] = Handle(self, number, clip(kind))
        return self.handles[number]

    def refer(self, value: Any) -> int:
        if type(value) is not Handle:
            raise WireError("an object of type %s" % type(value).__name__)
        number: int = object.__getattribute__(value, "__egcfg__")[1]
        return number

    def told_last_call(self) -> str:
        """`add(1, 2) → 4`, or nothing if there was none."""
        if self.last_call is None:
            return ""
        function, args, kwargs, outcome = self.last_call
        shown = [short(argument) for argument in args]
        shown += ["%s=%s" % (name, short(argument)) for name, argument in kwargs.items()]
        name = self.labels.get(self.refer(function), "…")
        result = explained(outcome) if isinstance(outcome, Exception) else short(outcome)
        return "%s(%s) → %s" % (name, ", ".join(shown), result)


def change(value: Any, new: Any) -> None:
    """Let a mutable argument be what the program has left of it."""
    if type(value) is not type(new):
        raise TypeError("an argument of another type")
    if isinstance(value, (list, bytearray)):
        value[:] = new
    elif isinstance(value, deque):
        value.clear()
        value.extend(new)
    elif isinstance(value, (dict, set)):
        value.clear()
        value.update(new)
    else:
        raise TypeError("an argument that cannot change")


class Recorder:
    """What the rewritten asserts call; a line for each, the first `max_results` with its error."""

    def __init__(self, descriptor: int, max_results: int, program: Program) -> None:
        self.descriptor = descriptor
        self.max_results = max_results
        self.program = program
        self.asserts: list[ast.Assert] = []
        self.names: dict[str, str] = {}
        self.n_results = 0
        self.first_error = ""
        self.last_time = 0.0

    def start(self) -> None:
        self.write({"started": True})
        self.last_time = time.perf_counter()

    def write(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode() + b"\n"
        while data:
            data = data[os.write(self.descriptor, data) :]

    def holds(self, i: int, value: Any) -> None:
        if value:
            self.passed()
        else:
            self.failed(self.told(i))

    def equal(self, i: int, left: Any, right: Any) -> None:
        if left == right:
            self.passed()
        else:
            self.failed(self.told_comparison(i, left, right))

    def raised(self, i: int) -> None:
        error = sys.exc_info()[1]
        self.failed(explained(error) if error is not None else self.told(i))

    def passed(self) -> None:
        if self.n_results < self.max_results:
            self.write({"result": True, "time": self.lap()})
        else:
            os.write(self.descriptor, b"+\n")
        self.n_results += 1

    def failed(self, error: str) -> None:
        self.first_error = self.first_error or clip(error)
        if self.n_results < self.max_results:
            self.write({"result": False, "time": self.lap(), "error": clip(error)})
        else:
            os.write(self.descriptor, b"-\n")
        self.n_results += 1

    def lap(self) -> float:
        before, self.last_time = self.last_time, time.perf_counter()
        return round(self.last_time - before, 6)

    def told(self, i: int) -> str:
        call = self.program.told_last_call()
        source = "assert %s" % self.source(self.asserts[i].test)
        return "%s, after %s" % (source, call) if call else source

    def told_comparison(self, i: int, left: Any, right: Any) -> str:
        test = self.asserts[i].test
        assert isinstance(test, ast.Compare)
        if isinstance(test.left, ast.Call):
            return "%s → %s, want %s" % (self.source(test.left), short(left), short(right))
        if isinstance(test.comparators[0], ast.Call):
            call = self.source(test.comparators[0])
            return "%s → %s, want %s" % (call, short(right), short(left))
        return self.told(i)

    def source(self, node: ast.expr) -> str:
        """Python of an expression, the parameter of `check` by the name of what it stands for."""
        if not self.names:
            return ast.unparse(node)
        renamed = copy.deepcopy(node)
        for inner in ast.walk(renamed):
            if isinstance(inner, ast.Name):
                inner.id = self.names.get(inner.id, inner.id)
        return ast.unparse(renamed)


def asserts_recorded(tree: ast.Module, recorder: Recorder) -> CodeType:
    """The code of the tests, with asserts that record and go on."""
    tree.body = list(statements_recorded(tree.body, recorder.asserts, is_caught=False))
    return compile(tree, "<tests>", "exec", dont_inherit=True)


def statements_recorded(
    statements: Sequence[ast.stmt], asserts: list[ast.Assert], is_caught: bool
) -> Iterator[ast.stmt]:
    """`is_caught`: an exception of the statements has a handler around them."""
    for statement in statements:
        if isinstance(statement, ast.Assert):
            yield from assert_recorded(statement, asserts, is_caught)
            continue
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, None)
            if isinstance(inner, list):
                has_handlers = name == "body" and bool(getattr(statement, "handlers", ()))
                caught = is_caught or has_handlers
                setattr(statement, name, list(statements_recorded(inner, asserts, caught)))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            part.body = list(statements_recorded(part.body, asserts, is_caught))
        yield statement


def assert_recorded(
    statement: ast.Assert, asserts: list[ast.Assert], is_caught: bool
) -> Iterator[ast.stmt]:
    test, i = statement.test, len(asserts)
    asserts.append(statement)
    if is_caught:
        yield statement
        yield from ast.parse("%s.passed()" % RECORDER).body
        return
    (attempt,) = ast.parse(
        "try:\n    %s.holds(%d)\nexcept Exception:\n    %s.raised(%d)" % (RECORDER, i, RECORDER, i)
    ).body
    call = attempt.body[0].value  # type: ignore[attr-defined]
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        call.func.attr = "equal"
        call.args += [test.left, test.comparators[0]]
    else:
        call.args.append(test)
    yield attempt


def calls_check(tree: ast.Module) -> bool:
    """Whether the tests are a `check(candidate)` that they do not call themselves."""
    called = any(
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and getattr(statement.value.func, "id", "") == CHECK
        for statement in tree.body
    )
    return not called and bool(parameter_of_check(tree))


def parameter_of_check(tree: ast.Module) -> str:
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == CHECK:
            return statement.args.args[0].arg if len(statement.args.args) == 1 else ""
    return ""


def free_names(*sources: str) -> set[str]:
    """Global names that are read and that neither the sources nor Python define."""
    tables = [symtable.symtable(source, "<tests>", "exec") for source in sources]
    bound = set(vars(builtins)).union(*map(names_bound, tables))
    return set().union(*map(names_read, tables)) - bound


def names_bound(table: symtable.SymbolTable) -> set[str]:
    """Global names that a module sets, in its functions too."""
    is_module = table.get_type() == "module"
    own = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if (is_module or symbol.is_declared_global())
        and (symbol.is_assigned() or symbol.is_imported())
    }
    return own.union(*map(names_bound, table.get_children()))


def names_read(table: symtable.SymbolTable) -> set[str]:
    """Global names, of Python too, that a module reads, in its functions too."""
    is_module = table.get_type() == "module"
    own = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (is_module or symbol.is_global())
    }
    return own.union(*map(names_read, table.get_children()))


def globals_of(program: Program, names: set[str], entry_point: str) -> dict[str, Any]:
    """What the names are outside of the tests: a module of Python, else the program's global.

    Names that are neither are left out.
    """
    modules: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())
    found: dict[str, Any] = {}
    for name in sorted(names):
        if name in modules and name != entry_point:
            found[name] = __import__(name)
            continue
        with contextlib.suppress(KeyError):
            found[name] = program.global_named(name)
    return found


def named(namespace: dict[str, Any], name: str) -> Any:
    """Raises NameError as Python does."""
    if name not in namespace:
        raise NameError("name '%s' is not defined" % name)
    return namespace[name]


def explained(error: BaseException) -> str:
    """`ValueError: no`; what the program's end or an exception without a builtin class says."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, ProgramError):
        return text
    return "%s: %s" % (type(error).__name__, text) if text else type(error).__name__


def short(value: Any) -> str:
    """A value as Python shows it, one bounded line."""
    try:
        return clip(repr(value))
    except Exception:
        return "a %s" % type(value).__name__


if __name__ == "__main__":
    main()
