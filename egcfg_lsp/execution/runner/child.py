"""A zygote's child: parked until its order comes, used once.

Two kinds: one forked from where the tests have been collected, in which the target's code is
exchanged (`live_swapped`), and one forked from an interpreter without the project's modules, which
imports the candidate and collects again (`live_fresh`). Both write one record, or nothing.
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Dict, List, NoReturn, Optional, Sequence

from . import cold
from .asserts import ModuleAsserts
from .candidate import Texts, replace
from .choice import Index, chosen_items, path_of
from .confinement import (
    ConfinementError,
    close_others,
    confine_further,
    lower_limits,
    reserve,
)
from .frames import receive, send, send_bytes
from .notice import Alarm, Programs
from .session import Run, Session, encoded
from .swap import Place, SwapError, split_lines

REHEARSAL_SECONDS = 3600
SOFT = 0.9
"""The part of the deadline behind which a child tells by itself what it has, if it still can."""


class Channel:
    """Where the record goes, once."""

    programs: Programs

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.nonce = ""

    def finish(self, record: Dict[str, Any]) -> NoReturn:
        record["nonce"] = self.nonce
        send_bytes(self.descriptor, encoded(record))
        # Threads and exit handlers of the tested code must not hold anything open.
        os._exit(0)


def settled(
    descriptor: int, folder: str, plan: Dict[str, Any], keep: Sequence[int] = ()
) -> Optional[Channel]:
    """Become a child: its own folder, no descriptor but one, no way out. None, and told, if it
    cannot be confined."""
    channel = Channel(reserve(descriptor))
    try:
        close_others([channel.descriptor, *keep])
        os.mkdir(folder, 0o700)
        for name in ("TMPDIR", "HOME"):
            os.environ[name] = folder
        tempfile.tempdir = folder
        confine_further(plan, folder)
        channel.programs = Programs(folder)
    except (ConfinementError, OSError) as error:
        send(channel.descriptor, {"unfit": str(error)})
        return None
    channel.programs.watch()
    return channel


def live_fresh(descriptor: int, folder: str, plan: Dict[str, Any]) -> None:
    channel = settled(descriptor, folder, plan)
    order = None if channel is None else awaited(channel)
    if channel is None or order is None:
        return
    one: List[Run] = []
    alarm = limit(order["deadline"], one, channel)
    if cold.is_imported(order["path"]):
        channel.finish({"slow": "pytest itself has imported the module"})
    record = cold.run(order, channel.finish, one.append)
    give_up_if_noticed(channel, alarm)
    channel.finish(record)


def live_swapped(
    descriptor: int,
    folder: str,
    plan: Dict[str, Any],
    keep: Sequence[int],
    session: Session,
    items: "Items",
    place: Place,
    served: Texts,
) -> None:
    channel = settled(descriptor, folder, plan, keep)
    if channel is None:
        return
    reset_folders(items.config, folder)
    rehearse(session, items, place, served, channel)
    order = awaited(channel)
    if order is None:
        return
    try:
        lines = lines_with(place, order["function"])
        code = exchanged(place, order["function"], lines, served, session.asserts)
    except SwapError as error:
        channel.finish({"slow": str(error)})
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        channel.finish({"syntax_error": cold.syntax_error(error)})
    if any((path_of(test), test["name"]) in session.left_out for test in order["tests"]):
        channel.finish({"slow": "a test with many sets of parameters was not collected"})
    cold.seed_random(order["seed"])
    run = session.run = Run(order, code, lines, channel.finish)
    alarm = limit(order["deadline"], [run], channel)
    items.run(order["tests"], run, order["stop_early"])
    give_up_if_noticed(channel, alarm)
    if run.wants_a_file:
        # Collected with `--capture=sys`: the files of `--capture=fd` would be shared by all forks.
        channel.finish({"slow": "a test wants standard output to be a file"})
    session.tell_uncollected(run, order["tests"])
    channel.finish(run.record())


def give_up_if_noticed(channel: Channel, alarm: Alarm) -> None:
    """The verdict of tests that could see how they are run says nothing."""
    if channel.programs.were_started:
        channel.finish({"slow": "a test starts a program, which sees the file"})
    if alarm.was_found:
        channel.finish({"slow": "a test sets an alarm"})


def lines_with(place: Place, function: str) -> List[str]:
    """The module's lines with other ones for the target."""
    return [*place.lines[: place.first - 1], *split_lines(function), *place.lines[place.last :]]


def exchanged(
    place: Place, function: str, lines: List[str], served: Texts, asserts: ModuleAsserts
) -> CodeType:
    """The module with the function, which from now on is executed, imported and shown; `lines` are
    all of it. Raises SwapError, and what `compile` raises."""
    code = place.compile(function)
    text = "".join(lines).encode()
    if place.functions:
        place.exchange(code)
    else:  # a test will import it
        asserts.read(text)
    replace(served, place.path, text, lines)
    return code


def rehearse(
    session: Session, items: "Items", place: Place, served: Texts, channel: Channel
) -> None:
    """Do everything once, with the stub and with tests of nothing.

    A fork shares its memory until it writes to it, which it does wherever it looks; what a run will
    touch is then its own already.
    """
    try:
        function = "".join(place.lines[place.first - 1 : place.last])
        code = exchanged(place, function, place.lines, served, session.asserts)
        session.run = Run(rehearsal(place), code, place.lines, rehearsed)
        alarm = limit(REHEARSAL_SECONDS, [session.run], channel)
        items.rehearse(session)
        encoded(session.run.record())
        alarm.take_away()
    except Exception:  # plugins may want more of a test than there is
        sys.exc_info()
    session.run = None


def rehearsal(place: Place) -> Dict[str, Any]:
    return {
        "root": os.getcwd(), "path": place.path, "hidden": [],
        "first_line": place.first, "last_line": place.last, "target_lines": None,
    }  # fmt: skip


def awaited(channel: Channel) -> Optional[Dict[str, Any]]:
    """The order; None if there will be none."""
    send(channel.descriptor, {"parked": True})
    order = receive(channel.descriptor)
    if order is not None:
        channel.nonce = order.pop("nonce")
    return order


def limit(seconds: float, runs: List[Run], channel: Channel) -> Alarm:
    """Tell what is known in good time before the server's deadline; and limit the CPU time of what
    does not let itself be interrupted."""

    def on_alarm(_signal: int, frame: Optional[FrameType]) -> None:
        if not runs:
            channel.finish({"late": "no result in time: the tests were still being collected"})
        runs[0].watch.flush(frame)
        runs[0].stop()
        channel.finish(runs[0].record(stopped="timeout"))

    lower_limits({"RLIMIT_CPU": int(seconds) + 1})
    return Alarm(SOFT * seconds, on_alarm)


def reset_folders(config: Any, folder: str) -> None:
    """`tmp_path` and the cache below the child's own folder, whatever the parent has made of it."""
    cache: Any = getattr(config, "cache", None)
    if hasattr(cache, "_cachedir"):
        cache._cachedir = Path(folder) / cold.CACHE
    factory: Any = getattr(config, "_tmp_path_factory", None)
    if hasattr(factory, "_given_basetemp"):
        factory._given_basetemp = Path(folder) / "pytest"
        factory._basetemp = None


class Items:
    """What was collected, and how it is run."""

    def __init__(self, session: Any, asserts: List[Any]) -> None:
        self.session, self.config = session, session.config
        self.asserts = asserts
        self.index = Index([item for item in session.items if item not in asserts])

    def run(self, tests: List[Dict[str, str]], run: Run, stop_early: bool) -> None:
        items = chosen_items(self.index, self.asserts, tests)
        for i, item in enumerate(items):
            following = items[i + 1] if i + 1 < len(items) else None
            # pytest's own way reads sources to show a traceback that nobody would see.
            item.repr_failure = item._repr_failure_py = told_elsewhere
            self.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if stop_early and run.has_failed:
                return

    def rehearse(self, session: Session) -> None:
        """Run a test that passes and one that fails, of which only pytest itself and `session` hear."""
        import pytest

        class Rehearsed(pytest.Function):
            ihook: Any = Hooks(self.config.pluginmanager, session)

        namespace: Dict[str, Any] = {}
        exec(session.asserts.compile(ast.parse(REHEARSED).body), namespace)
        n_failed = self.session.testsfailed
        for name in ("passes", "fails"):
            item: Any = Rehearsed.from_parent(self.session, name=name, callobj=namespace[name])
            item.fixturenames[:] = []
            item.repr_failure = item._repr_failure_py = told_elsewhere
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        self.session.testsfailed = n_failed


class Hooks:
    """pytest's hooks, without what plugins and the project's `conftest.py` do in them."""

    def __init__(self, manager: Any, session: Session) -> None:
        self._manager = manager
        self._others = [
            plugin
            for plugin in manager.get_plugins()
            if plugin is not session and not module_of(plugin).startswith("_pytest.")
        ]

    def __getattr__(self, name: str) -> Any:
        return self._manager.subset_hook_caller(name, remove_plugins=self._others)


def module_of(plugin: Any) -> str:
    is_module = isinstance(plugin, ModuleType)
    return str(plugin.__name__ if is_module else type(plugin).__module__)


REHEARSED = """
def passes():
    assert 1 == len([1])


def fails():
    assert 1 == len([])
"""


def rehearsed(_record: Dict[str, Any]) -> NoReturn:
    raise RuntimeError


def told_elsewhere(*_arguments: Any, **_options: Any) -> str:
    return "failed"
