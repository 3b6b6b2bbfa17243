"""The upper level of a zygote: a fork that has collected the tests, and forks in its turn.

pytest itself collects; its loop over the tests is replaced by one over the server's commands. The
module under test is imported with a stub in the place of the target's body, so that it can be
imported whatever is being typed there.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import stat
import sys
from typing import Any, Dict, List, Optional, Set

from .asserts import ModuleAsserts
from .candidate import Texts, serve
from .child import exchanged, live_swapped
from .choice import is_large
from .cold import overlays_of, pytest_arguments
from .confinement import clip
from .frames import receive, receive_with_descriptor, send
from .items import Items
from .lines import Visits
from .nursery import Nursery, children_of
from .rehearsal import N_TIMES, Rehearsal
from .session import Session, assert_words, has_hooks_around_tests
from .swap import Place, SwapError, located

MAX_FILES = 5000


def live(descriptor: int, plan: Dict[str, Any]) -> None:
    """Collect by the order that comes on the descriptor, then serve it to its end."""
    order = receive(descriptor)
    if order is None:
        return
    try:
        send(descriptor, {"error": collect_and_serve(descriptor, plan, order)})
    except (SyntaxError, ValueError, RecursionError) as error:
        send(descriptor, {"error": clip("the module does not compile: %s" % error)})
    except ImportError as error:
        send(descriptor, {"error": clip("no pytest: %s" % error)})


def collect_and_serve(descriptor: int, plan: Dict[str, Any], order: Dict[str, Any]) -> str:
    """Why it has ended. Raises ImportError, and what compiling the module raises."""
    import pytest

    others = overlays_of(order)
    texts = {**others, order["path"]: order["text"].encode()}
    served = serve(texts)
    asserts = ModuleAsserts(order["path"], texts[order["path"]], assert_words(order["tests"]), True)
    server = Server(order, descriptor, plan, asserts, others, served)
    sys.addaudithook(server.hear)
    Server.use(pytest)
    pytest.hookimpl(tryfirst=True)(Server.pytest_runtestloop)
    server.intercept_imports()
    arguments = ["--capture=sys", *pytest_arguments(order["root"], order["tests"])]
    try:
        status = int(pytest.main(arguments, plugins=[server]))
    except SystemExit as stop:
        return "pytest was left by SystemExit(%s)" % clip(repr(stop.code))
    for broken in server.broken:
        return broken.reason
    return "pytest ended by itself (exit status %d)" % status


class Server(Session):
    """The pytest plugin that serves children instead of running tests."""

    def __init__(
        self,
        order: Dict[str, Any],
        descriptor: int,
        plan: Dict[str, Any],
        asserts: ModuleAsserts,
        others: Dict[str, bytes],
        served: Texts,
    ) -> None:
        lines = set(range(order["lines"][0], order["lines"][1] + 1)) if order["lines"] else set()
        code = compile(asserts.source, order["path"], "exec", dont_inherit=True)
        visits = Visits(order["path"], code, lines, order["lines"])
        super().__init__(asserts, others, order["root"], order["tests"], visits, None)
        self.order = order
        self.descriptor = descriptor
        self.plan = plan
        self.served = served
        self.opened: Optional[Set[str]] = set()
        """Files that were read until everything had been collected; then None."""
        self.made: List[Any] = []
        self.pid = os.getpid()

    def pytest_collection_modifyitems(self, config: Any, items: Any) -> None:
        self.made = self.assert_items()
        items[:] = [*self.made, *items]
        self.traces_all = has_hooks_around_tests(config)
        mute_progress(config)

    def is_wanted(self, collector: Any, name: str, obj: Any) -> bool:
        return not is_large(obj) or super().is_wanted(collector, name, obj)

    def pytest_runtestloop(self, session: Any) -> bool:
        if os.getpid() != self.pid:
            os._exit(1)  # a fork of the project's, which has gone on as if it were this process
        items = Items(session, self.made)
        descriptors = open_descriptors(self.descriptor)
        told: Dict[str, Any] = {"slow": "", "n_items": len(session.items)}
        try:
            place = self.place()
            told["slow"] = why_not_to_fork(descriptors)
        except SwapError as error:
            told["slow"] = str(error)
        if self.visits.hit & self.visits.target:
            told["slow"] = "the function is called when its tests are imported"
        for broken in self.broken:
            if broken.outcome == "failed":
                told["slow"] = broken.reason
        told["broken"] = bool(self.broken)
        told["files"] = self.files(session.config)[:MAX_FILES]
        if len(told["files"]) == MAX_FILES:
            told["slow"] = "the tests rest on more than %d files" % MAX_FILES
        rehearsal = None
        if not told["slow"]:
            items.prepare(self.tests)
            rehearsal = self.rehearsed(session, place)
        gc.collect()
        gc.freeze()
        send(self.descriptor, told)
        if not told["slow"]:
            self.serve(items, place, sorted(descriptors), rehearsal)
        return True

    def rehearsed(self, session: Any, place: Place) -> Optional[Rehearsal]:
        with contextlib.suppress(Exception):  # plugins may want more of a test than there is
            rehearsal = Rehearsal(session, self)
            for _ in range(N_TIMES):
                exchanged(place, place.stub(), self.served, self.asserts)
                rehearsal.run()
            return rehearsal
        return None

    def hear(self, event: str, arguments: Any) -> None:
        """An audit hook; also of files that are not there, which then may come."""
        if self.opened is None or event != "open":
            return
        path, _, flags = arguments
        reads = flags & os.O_ACCMODE == os.O_RDONLY
        if reads and isinstance(path, (str, bytes)):
            name = os.path.abspath(os.fsdecode(path))
            if not name.endswith(".pyc"):
                self.opened.add(name)

    def place(self) -> Place:
        """Raises SwapError."""
        order = self.order
        place = located(order["path"], order["text"], order["lines"])
        real = os.path.realpath(order["path"])
        files = (getattr(module, "__file__", None) for module in [*sys.modules.values()])
        if any(isinstance(file, str) and os.path.realpath(file) == real for file in files):
            place.find()
        return place

    def serve(
        self, items: Items, place: Place, keep: List[int], rehearsal: Optional[Rehearsal]
    ) -> None:
        nursery = Nursery(self.plan["tmp"]["folder"])
        with socket.socket(fileno=os.dup(self.descriptor)) as channel:
            while True:
                command, descriptor = receive_with_descriptor(channel)
                if command is None:
                    return
                if command["do"] == "park":
                    folder = command.pop("folder")
                    nursery.fork(
                        command["number"],
                        descriptor,
                        lambda end, folder=folder: live_swapped(  # type: ignore[misc]
                            end, folder, self.plan, keep, self, items, place, self.served, rehearsal
                        ),
                    )
                else:
                    send(
                        self.descriptor,
                        nursery.end(command["number"], command["folder"], command["patience"]),
                    )

    def files(self, config: Any) -> List[str]:
        """Files of the project on which the collection rests."""
        root = os.path.join(os.path.realpath(self.order["root"]), "")
        things = [*sys.modules.values(), *config.pluginmanager.get_plugins()]
        found = {getattr(thing, "__file__", None) for thing in things}
        found.add(str(getattr(config, "inipath", None) or ""))
        ours = {
            path
            for path in found
            if isinstance(path, str) and path.endswith((".py", ".toml", ".ini", ".cfg"))
        }
        ours |= self.opened or set()
        self.opened = None
        packages = tuple(path for path in sys.path if path.endswith("-packages"))
        return sorted(
            path
            for path in ours
            if os.path.realpath(path).startswith(root) and not path.startswith(packages)
        )


class Mute:
    """In the place of pytest's reporter: it has all that that has, and hears of nothing."""

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)


def mute_progress(config: Any) -> None:
    """Nobody sees the dots, which are a fifth of what pytest does for a test."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.unregister(reporter)
        config.pluginmanager.register(Mute(reporter), "terminalreporter")


def why_not_to_fork(descriptors: Dict[int, int]) -> str:
    """What a fork of this process would not have, or would share; empty: nothing."""
    if children_of(os.getpid()):
        return "importing the project leaves processes behind"
    n_tasks = len(os.listdir("/proc/self/task"))
    if n_tasks > 1:
        return "importing the project leaves %d threads behind" % (n_tasks - 1)
    if not all(stat.S_ISCHR(mode) for mode in descriptors.values()):
        return "importing the project leaves a file, socket or pipe open"
    return ""


def open_descriptors(control: int) -> Dict[int, int]:
    """What has been opened since this process was forked, with the mode of each."""
    found = {}
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != control:
            # The folder that has just been listed is none any more.
            with contextlib.suppress(OSError):
                found[descriptor] = os.fstat(descriptor).st_mode
    return found
