"""A zygote's child: parked until its order comes, used once.

Two kinds: one forked from where the tests have been collected, in which the target's code is
exchanged (`live_swapped`), and one forked from an interpreter without the project's modules, which
imports the candidate and collects again (`live_fresh`). Both write one record, or nothing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Dict, List, NoReturn, Optional, Sequence

from . import cold
from .asserts import ModuleAsserts
from .candidate import Texts, replace
from .choice import path_of
from .confinement import (
    ConfinementError,
    close_others,
    confine_further,
    lower_limits,
    reserve,
)
from .frames import receive, send, send_bytes
from .items import Items
from .notice import Alarm, Programs
from .rehearsal import ONCE, Rehearsal
from .session import Run, Session, encoded
from .swap import Lines, Place, SwapError

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
    alarm = alarm_for(one, channel)
    limit(order["deadline"], alarm)
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
    items: Items,
    place: Place,
    served: Texts,
    rehearsal: Optional[Rehearsal],
) -> None:
    channel = settled(descriptor, folder, plan, keep)
    if channel is None:
        return
    reset_folders(items.config, folder)
    one: List[Run] = []
    alarm = alarm_for(one, channel)
    rehearse(place, served, session.asserts, rehearsal, alarm)
    items.catch_warnings()
    order = awaited(channel)
    if order is None:
        return
    try:
        lines = Lines(place, order["function"])
        code = exchanged(place, lines, served, session.asserts)
    except SwapError as error:
        channel.finish({"slow": str(error)})
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        channel.finish({"syntax_error": cold.syntax_error(error)})
    if any((path_of(test), test["name"]) in session.left_out for test in order["tests"]):
        channel.finish({"slow": "a test with many sets of parameters was not collected"})
    cold.seed_random(order["seed"])
    run = session.run = Run(order, code, lines, channel.finish)
    one.append(run)
    limit(order["deadline"], alarm)
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


def exchanged(place: Place, lines: Lines, served: Texts, asserts: ModuleAsserts) -> CodeType:
    """The module with the function, which from now on is executed, imported and shown. Raises
    SwapError, and what `compile` raises."""
    code = place.compile(lines)
    if place.functions:
        place.exchange(code)
    else:  # a test will import it
        asserts.read("".join(lines).encode())
    replace(served, place.path, lines)
    return code


def rehearse(
    place: Place,
    served: Texts,
    asserts: ModuleAsserts,
    rehearsal: Optional[Rehearsal],
    alarm: Alarm,
) -> None:
    """Do everything once, with the stub and with tests of nothing."""
    with contextlib.suppress(Exception):  # plugins may want more of a test than there is
        exchanged(place, place.stub(), served, asserts)
        limit(REHEARSAL_SECONDS, alarm)
        if rehearsal is not None:
            rehearsal.run(ONCE)
        alarm.take_away()


def awaited(channel: Channel) -> Optional[Dict[str, Any]]:
    """The order; None if there will be none."""
    send(channel.descriptor, {"parked": True})
    order = receive(channel.descriptor)
    if order is not None:
        channel.nonce = order.pop("nonce")
    return order


def alarm_for(runs: List[Run], channel: Channel) -> Alarm:
    """What tells all that is known of the one run, if there is one by then."""

    def on_alarm(_signal: int, frame: Optional[FrameType]) -> None:
        if not runs:
            channel.finish({"late": "no result in time: the tests were still being collected"})
        runs[0].watch.flush(frame)
        runs[0].stop()
        channel.finish(runs[0].record(stopped="timeout"))

    return Alarm(on_alarm)


def limit(seconds: float, alarm: Alarm) -> None:
    """Ring in good time before the server's deadline; and limit the CPU time of what does not let
    itself be interrupted."""
    lower_limits({"RLIMIT_CPU": int(seconds) + 1})
    alarm.set(SOFT * seconds)


def reset_folders(config: Any, folder: str) -> None:
    """`tmp_path` and the cache below the child's own folder, whatever the parent has made of it."""
    cache: Any = getattr(config, "cache", None)
    if hasattr(cache, "_cachedir"):
        cache._cachedir = Path(folder) / cold.CACHE
    factory: Any = getattr(config, "_tmp_path_factory", None)
    if hasattr(factory, "_given_basetemp"):
        factory._given_basetemp = Path(folder) / "pytest"
        factory._basetemp = None
