"""The command that starts Python in new namespaces, by bubblewrap; pure but for looking at `/`.

The process sees its interpreter, the system's libraries and given folders read-only, and a private
`/tmp`; no network, no other process, none of the home folder. What else is imposed on it, it
imposes on itself (`runner/confinement.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from egcfg_lsp.execution.tiers import Facts

MAX_LINKS = 40
"""As the kernel follows."""
SYSTEM_FOLDERS = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
"""Not `/dev/zero`: memory that is mapped from it is shared, and counted by no limit."""
LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/shm": "/tmp",
}


def namespaced_command(
    facts: Facts,
    command: Sequence[str],
    *,
    folders: Sequence[Path],
    files: Mapping[Path, int],
    info: int,
    ready: int | None,
) -> list[str]:
    """`folders` are seen read-only at their own places, and where their links lead; in the place of
    each of `files` what a descriptor holds. The child's process is told on the descriptor `info`;
    with `ready` it waits there until somebody has mapped its users.

    The command is the first process of its PID namespace: bubblewrap's own could be read and written
    by those it starts. It has a few capabilities in its own user namespace: for the runner, which bounds the
    tmpfs, with `ready` changes its user, and drops them all before anything else is executed.
    """
    assert facts.bubblewrap is not None
    arguments = ["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    arguments += ["--as-pid-1"]
    arguments += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    arguments += ["--cap-add", "CAP_SETPCAP", "--info-fd", str(info)]
    if ready is not None:
        arguments += ["--cap-add", "CAP_SETUID", "--userns-block-fd", str(ready)]
    arguments += ["--tmpfs", "/tmp", "--proc", "/proc", "--ro-bind", "/usr", "/usr"]
    for device in DEVICES:
        arguments += ["--dev-bind", device, device]
    for link, target in LINKS.items():
        arguments += ["--symlink", target, link]
    for folder in map(Path, SYSTEM_FOLDERS):
        if folder.is_symlink():
            arguments += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            arguments += ["--ro-bind", str(folder), str(folder)]
    for file in SYSTEM_FILES:
        arguments += ["--ro-bind-try", file, file]
    for source, place in places_of(folders):
        arguments += ["--ro-bind", str(source), str(place)]
    for place, descriptor in files.items():
        arguments += ["--perms", "0644", "--ro-bind-data", str(descriptor), str(place)]
    arguments += ["--remount-ro", "/"]
    return [facts.bubblewrap, *arguments, "--", *command]


def places_of(folders: Iterable[Path]) -> list[tuple[Path, Path]]:
    """What is mounted where, so that no mount covers another: parents first.

    A folder that is a link is mounted where it leads, and at the places on the way there, unless
    they lie in a folder that is mounted, where the link is.
    """
    real = {folder.resolve() for folder in folders}
    mounted = {(folder, folder) for folder in real}
    for folder in folders:
        for place in _way(folder):
            parent = place.parent.resolve()
            if place != folder.resolve() and not any(parent.is_relative_to(one) for one in real):
                mounted.add((folder.resolve(), place))
    outside = [(source, place) for source, place in mounted if not place.is_relative_to("/usr")]
    return sorted(outside, key=lambda pair: (len(pair[1].parts), pair))


def _way(folder: Path) -> Iterator[Path]:
    """The folder, and where it leads if it is a link, step by step."""
    for _ in range(MAX_LINKS):
        yield folder
        if not folder.is_symlink():
            return
        folder = Path(os.path.normpath(folder.parent / folder.readlink()))
