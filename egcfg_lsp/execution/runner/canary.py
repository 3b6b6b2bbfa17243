"""The sandbox's self-test: tries to get out, and tells what of it worked.

Started, ordered and confined as a run is. The server looks for the effects by itself as well: what
is told here is only what can be seen from inside alone. Tries one way of each kind; the many ways
are the hostile tests'.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import time
from typing import Any, Callable, Dict, List

from .confinement import reserve, settle, silence

GRANDCHILD_SECONDS = 60


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    record = reserve(order["result_fd"])
    silence(0)
    settle()
    answer = {"escapes": escapes(order, record), "nonce": order["nonce"]}
    os.write(record, json.dumps(answer).encode())
    os._exit(0)


def escapes(order: Dict[str, Any], record: int) -> List[str]:
    """What worked, a few words each."""
    attempts: Dict[str, Callable[[], bool]] = {
        "read a file of the home folder": lambda: reads(order["secret_in_home"], order["secret"]),
        "read a file outside of the project": lambda: reads(
            order["secret_elsewhere"], order["secret"]
        ),
        "read another process's environment": lambda: reads_environments(order["secret"]),
        "see a variable of the server's environment": lambda: bool(
            set(os.environ) - set(order["variables"])
        ),
        "keep a descriptor that was left open": lambda: bool(
            open_descriptors() - {0, 1, 2, record}
        ),
        "connect to a TCP port": lambda: connects(socket.AF_INET, tuple(order["tcp"])),
        "connect to a Unix socket": lambda: connects(socket.AF_UNIX, order["unix"]),
        "connect to an abstract Unix socket": lambda: connects(
            socket.AF_UNIX, "\0" + order["abstract"]
        ),
        "have a capability": has_capability,
    }
    found = [name for name, attempt in attempts.items() if works(attempt)]
    # Of these the server sees the effect.
    for path in order["write"]:
        works(lambda path=path: writes(path))  # type: ignore[misc]
    if order["victim"] not in (os.getpid(), os.getppid(), 1):
        works(lambda: limits(order["victim"]))
        works(lambda: kills(order["victim"]))
    works(leaves_a_grandchild)
    return found


def works(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except (OSError, ValueError):
        return False


def reads(path: str, secret: str) -> bool:
    with open(path, "rb") as stream:
        return secret.encode() in stream.read()


def reads_environments(secret: str) -> bool:
    processes = [name for name in os.listdir("/proc") if name.isdigit()]
    return any(works(lambda n=n: reads("/proc/%s/environ" % n, secret)) for n in processes)  # type: ignore[misc]


def open_descriptors() -> "set[int]":
    found = set()
    for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        if works(lambda number=number: bool(os.fstat(number))):  # type: ignore[misc]
            found.add(number)
    return found


def connects(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as end:
        end.settimeout(0.2)
        end.connect(address)
    return True


def has_capability() -> bool:
    with open("/proc/self/status") as stream:
        lines = [line for line in stream if line.startswith(("CapEff", "CapPrm", "CapBnd"))]
    return any(int(line.split()[1], 16) for line in lines)


def writes(path: str) -> bool:
    with open(path, "w"):
        return True


def limits(process: int) -> bool:
    resource.prlimit(process, resource.RLIMIT_NOFILE, (9, 9))
    return True


def kills(process: int) -> bool:
    os.kill(process, signal.SIGKILL)
    return True


def leaves_a_grandchild() -> bool:
    """It holds the record's descriptor, so that the server sees whether it lives on."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(GRANDCHILD_SECONDS)
        os._exit(0)
    return True


if __name__ == "__main__":
    main()
