"""The zygote's lower level: an interpreter that has imported pytest, and nothing of the project.

It is confined as every run is, but may confine its children further. By the server's commands it
forks the upper level (`collection`), and fresh children (`child`).
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import tempfile
from typing import Any, Dict

from . import child, collection, frames
from .cold import become_project
from .confinement import (
    ConfinementError,
    close_others,
    confine_further,
    lower_limits,
    reserve,
    settle,
    silence,
)
from .nursery import Nursery

COLLECTION_CPU_SECONDS = 600
"""In all of a collection's life, forking included; then it ends, and another one is made."""


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    control = reserve(order["control_fd"])
    silence(0, 1)
    try:
        settle(is_zygote=True)
        os.chdir(order["root"])
    except (ConfinementError, OSError) as error:
        frames.send(control, {"error": str(error)})
        os._exit(0)
    become_project(order["root"])
    import_all(["pytest", *default_plugins()])
    silence(2)
    with socket.socket(fileno=control) as channel:
        frames.send(control, {"tasks": n_tasks(), "packages": package_folders()})
        serve(channel, order["confinement"])
    os._exit(0)


def serve(channel: socket.socket, plan: Dict[str, Any]) -> None:
    """Until the server closes the channel."""
    nursery = Nursery(plan["tmp"]["folder"])
    while True:
        command, descriptor = frames.receive_with_descriptor(channel)
        if command is None:
            return
        number = command.get("number", 0)
        if command["do"] == "collect":
            folder = command["folder"]
            nursery.fork(
                number,
                descriptor,
                lambda end, folder=folder: live_upper(end, folder, plan),  # type: ignore[misc]
            )
        elif command["do"] == "look":
            frames.send(channel.fileno(), nursery.look(number))
        elif command["do"] == "fresh":
            folder = command["folder"]
            nursery.fork(
                number,
                descriptor,
                lambda end, folder=folder: child.live_fresh(end, folder, plan),  # type: ignore[misc]
            )
        else:
            frames.send(
                channel.fileno(), nursery.end(number, command["folder"], command["patience"])
            )


def live_upper(descriptor: int, folder: str, plan: Dict[str, Any]) -> None:
    """Parted from the zygote and from other collections, whose text is another."""
    descriptor = reserve(descriptor)
    try:
        close_others([descriptor])
        os.mkdir(folder, 0o700)
        for name in ("TMPDIR", "HOME"):
            os.environ[name] = folder
        tempfile.tempdir = folder
        lower_limits({"RLIMIT_CPU": COLLECTION_CPU_SECONDS})
        confine_further(plan, folder, has_children=True)
    except (ConfinementError, OSError) as error:
        frames.send(descriptor, {"error": str(error)})
        return
    collection.live(descriptor, {**plan, "tmp": {**plan["tmp"], "folder": folder}})


def package_folders() -> "list[str]":
    return [path for path in sys.path if path.endswith("-packages")]


def default_plugins() -> "list[str]":
    """The modules of which pytest consists: each of its runs imports them."""
    try:
        from _pytest.config import default_plugins as names
    except ImportError:
        return []
    return ["_pytest." + name for name in names if not name.startswith("pytester")]


def import_all(names: "list[str]") -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException:  # whatever a package does: the run itself will tell
            sys.exc_info()


def n_tasks() -> int:
    return len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    main()
