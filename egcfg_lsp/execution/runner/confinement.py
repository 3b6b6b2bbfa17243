"""What the kernel lets this process do from here on, for good; and how to tell that it refused.

`confine` follows the plan that came with the order: whatever of it cannot be applied is an error,
and the runner then executes nothing. Does not cover the namespaces around the process, which are
the sandbox's, nor what Landlock and seccomp mean (`landlock.py`, `seccomp.py`).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import sys
from typing import Any, Dict, Optional, Sequence

from . import landlock, seccomp

BLOCKED_ERRNOS = {
    errno.EPERM,
    errno.EACCES,
    errno.EROFS,
    errno.ENOSYS,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EFBIG,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EMFILE,
}
"""Refused, or more than a limit of the sandbox. `MemoryError` and EAGAIN say too little."""
NO_NETWORK = "no network"
"""How what the sandbox refused begins, where it was that."""
MAX_TEXT = 200
RESERVED_DESCRIPTOR = 200
"""The lowest number for a descriptor of ours, out of the way of code that counts up from 3."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION = 0x20080522
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
_KEPT_MOUNT_FLAGS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""What `statvfs` says and `mount` is told: no set-user-ID, no devices, no programs, times of access."""


LANDLOCK_WITH_SIGNALS = 6
"""The version that keeps a process from signalling others outside of its domain."""
_CAP_SETUID, _CAP_SETPCAP = 7, 8
MAPPED_UID = 1
"""In the user namespace: by whom root's processes are counted."""


class ConfinementError(Exception):
    """A layer that is required could not be applied; the message says which."""


def confine(plan: Dict[str, Any], keep: Sequence[int]) -> None:
    """Apply the plan to this process, which must have one thread. Raises ConfinementError.

    Returns in a child. The process itself waits for its end, and holds it down: with namespaces it
    is their first, with which all others end, without it ends the child when the server does.

    `keep` are the descriptors that stay open besides standard input, output and error. Keys of the
    plan: `parent` (its process), `limits`, `namespaces`, `landlock` (with `abi`, the lowest that
    will do, `read`, `write`) or None, `tmp` (with `path`, `bytes`, `inodes`: a tmpfs to bound) or
    None, `devices` (to make read-only), `settles` (whether `settle` is still to come),
    `is_zygote` (it may confine itself, and its children, further: `confine_further`).
    """
    step = "descriptors"
    try:
        close_others(keep)
        os.umask(0o022)
        volunteer_for_out_of_memory()
        step = "namespaces"
        if plan["namespaces"]:
            if os.getpid() != 1:
                raise OSError(errno.EPERM, "this is not the first process of one")
            step = "the private /tmp"
            bound_tmpfs(**plan["tmp"])
            step = "a read-only /proc"
            for path in ("/proc", *plan["devices"]):
                make_readonly(path)
        silence(1)
        step = "limits"
        limits = dict(plan["limits"])
        of_child = {"RLIMIT_NPROC": limits.pop("RLIMIT_NPROC")}
        lower_limits(limits)
        step = "capabilities"
        drop_capabilities((_CAP_SETUID, _CAP_SETPCAP) if plan["settles"] else ())
        step = "process attributes"
        set_attributes(signal.SIGKILL if plan["namespaces"] else signal.SIGTERM)
        if os.getppid() != plan["parent"] and not plan["namespaces"]:
            raise OSError(errno.ESRCH, "the server has ended")
        step = "Landlock"
        if plan["landlock"] is not None:
            version = landlock.abi()
            if version < plan["landlock"]["abi"]:
                raise OSError(errno.EOPNOTSUPP, "the kernel has version %d" % version)
            landlock.apply(version, plan["landlock"]["read"], plan["landlock"]["write"])
        step = "seccomp"
        if plan["namespaces"]:
            seccomp.apply(True, may_settle=plan["settles"], may_confine=plan["is_zygote"])
            go_on_in_child()
            os.setsid()
            lower_limits(of_child)
        else:
            # What else the user runs counts, and must not stand in the way of this one fork.
            go_on_in_child()
            lower_limits(of_child)
            seccomp.apply(False)
    except (OSError, ValueError, ArithmeticError) as error:
        raise ConfinementError("not run: %s could not be applied (%s)" % (step, error)) from error


def confine_further(plan: Dict[str, Any], folder: str, *, has_children: bool = False) -> None:
    """Part a zygote's child from its siblings and from the zygote. Raises ConfinementError.

    It has a session of its own, ends with its parent, writes below one folder only, signals nobody
    but itself and what it has started (before Landlock 6: itself alone), and can confine nobody any
    more. With `has_children` it may still confine its own, and before Landlock 6 signal everybody.
    Only with namespaces.
    """
    step = "the session"
    try:
        os.setsid()
        die_with_parent()
        step = "the child's Landlock"
        version = landlock.abi()
        landlock.apply(version, plan["landlock"]["read"], ["/dev/null", folder])
        if has_children:
            return
        step = "the child's seccomp"
        seccomp.apply(True, only_itself=version < LANDLOCK_WITH_SIGNALS)
    except (OSError, ValueError) as error:
        raise ConfinementError("not run: %s could not be applied (%s)" % (step, error)) from error


def reserve(descriptor: int) -> int:
    """The same descriptor under a high number, which no program that is executed inherits."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, RESERVED_DESCRIPTOR)
    os.close(descriptor)
    return moved


def become_ordinary(first_path: Optional[str]) -> None:
    """The interpreter as if it had just been started without us: its packages, and no trace of ours.

    `python -S` has left out what the environment's own start-up files say, since they may execute
    code. `first_path` takes the place of our folder in `sys.path`.
    """
    import site

    ours = __package__ or ""
    for name in list(sys.modules):
        if name == ours or name.startswith(ours + "."):
            del sys.modules[name]
    main: Any = sys.modules["__main__"]
    main.__spec__ = None
    vars(main).pop("__file__", None)
    sys.path[:1] = [] if first_path is None else [first_path]
    if os.getuid() != os.geteuid():
        answer_for_effective_user()
    site.main()


def answer_for_effective_user() -> None:
    """The real user only counts processes: to Python files seem owned, as they are, by ourselves."""
    access: Any = os.access

    def effective_access(path: Any, mode: int, **options: Any) -> bool:
        return bool(access(path, mode, **{"effective_ids": True, **options}))

    module: Any = os
    module.getuid, module.access = os.geteuid, effective_access


def close_others(keep: Sequence[int]) -> None:
    """Close all descriptors but the standard ones and those to keep."""
    first = 3
    for descriptor in [*sorted(keep), resource.getrlimit(resource.RLIMIT_NOFILE)[1]]:
        os.closerange(first, descriptor)
        first = descriptor + 1


def volunteer_for_out_of_memory() -> None:
    """If the machine runs out of memory, this process is killed before any other."""
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")
    except OSError:
        return


def bound_tmpfs(path: str, bytes: int, inodes: int, folder: str) -> None:
    """Give a tmpfs limits, and a folder in it; needs CAP_SYS_ADMIN in its user namespace."""
    options = "size=%d,nr_inodes=%d,mode=0700" % (bytes, inodes)
    flags = ctypes.c_ulong(_MS_REMOUNT | _MS_NOSUID | _MS_NODEV)
    if _libc().mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()) != 0:
        raise _error("mount")
    os.makedirs(folder, 0o700, exist_ok=True)


def make_readonly(mount: str) -> None:
    """By `/proc/sys` the system's own root, though without capabilities, sets the kernel's options;
    by a device it changes that device's mode. What is written to a device is not concerned."""
    known = os.statvfs(mount).f_flag
    kept = sum(ms for st, ms in _KEPT_MOUNT_FLAGS.items() if known & st)
    flags = ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)
    if _libc().mount(None, os.fsencode(mount), None, flags, None) != 0:
        raise _error("mount")


def go_on_in_child() -> None:
    """Returns in a child; this process waits, and ends as the child does."""
    child = os.fork()
    if child == 0:
        return
    # A first process ignores the signals for which it has no handler.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.getpid() != 1:
        # The child cannot leave the group, nor signal it.
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    os.closerange(0, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    ended, status = 0, 0
    while ended != child:
        ended, status = os.wait()
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def lower_limits(limits: Dict[str, int]) -> None:
    """Set limits by their names in `resource`, none above the one in force."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        soft, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        # A stack that may grow further at once would also be the size of every thread's.
        soft = min(soft, value) if name == "RLIMIT_STACK" and soft >= 0 else value
        resource.setrlimit(kind, (soft, value))


def drop_capabilities(keep: Sequence[int] = ()) -> None:
    """From all sets; those of the user namespace that bubblewrap left are among them."""
    libc = _libc()
    number = 0
    while number in keep or libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    mask = sum(1 << one for one in keep)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    effective_and_permitted = (ctypes.c_uint32 * 6)(mask, mask)
    if libc.capset(ctypes.byref(header), effective_and_permitted) != 0:
        raise _error("capset")


def settle(*, is_zygote: bool = False) -> None:
    """The end of `confine` for root, in the project's Python: executing it would have undone this.

    The *real* user, by whom processes are counted, becomes another one, since no limit on processes
    applies to root; the effective one stays, for the sake of the files. Raises ConfinementError.
    """
    if not has_capability(_CAP_SETUID):
        return
    try:
        os.setresuid(MAPPED_UID, -1, -1)
        drop_capabilities()
        seccomp.apply(True, may_confine=is_zygote)
    except OSError as error:
        raise ConfinementError("not run: it could not be settled (%s)" % error) from error


def has_capability(number: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    if _libc().capget(ctypes.byref(header), sets) != 0:
        raise _error("capget")
    return bool(sets[0] >> number & 1)


def set_attributes(death: int) -> None:
    """Get a signal when the parent ends, be read by nobody, gain nothing by executing a program."""
    for option, value in (
        (_PR_SET_NO_NEW_PRIVS, 1),
        (_PR_SET_DUMPABLE, 0),
        (_PR_SET_PDEATHSIG, int(death)),
    ):
        if _libc().prctl(option, value, 0, 0, 0) != 0:
            raise _error("prctl %d" % option)


def die_with_parent() -> None:
    """A fork has not inherited this; the other attributes it has."""
    if _libc().prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise _error("prctl %d" % _PR_SET_PDEATHSIG)


def silence(*descriptors: int) -> None:
    """Let descriptors lead nowhere; reading them gives their end."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def blocked_by_sandbox(error: Optional[BaseException], hidden: Sequence[str] = ()) -> str:
    """What the sandbox refused, if that is what an exception (or one behind it) reports.

    `hidden` are folders of the user's of which only the current one can be seen.
    """
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        is_blocked = isinstance(error, OSError) and error.errno in BLOCKED_ERRNOS
        is_hidden = isinstance(error, FileNotFoundError) and lies_below(error.filename, hidden)
        has_no_thread = type(error) is RuntimeError and str(error) == "can't start new thread"
        if is_blocked or is_hidden or has_no_thread or type(error).__name__ == "gaierror":
            network = NO_NETWORK + ", " if is_about_network(error) else ""
            return "%s%s: %s" % (network, type(error).__name__, clip(str(error)))
        error = error.__cause__ or error.__context__
    return ""


def is_about_network(error: BaseException) -> bool:
    """Whether the module for sockets raised it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals.get("__name__") == "socket"


def lies_below(path: Any, hidden: Sequence[str]) -> bool:
    path = str(path)
    return not path.startswith(os.getcwd() + os.sep) and any(
        path.startswith(folder + os.sep) for folder in hidden
    )


def clip(text: str) -> str:
    """One line of at most `MAX_TEXT` characters."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, "%s: %s" % (what, os.strerror(number)))
