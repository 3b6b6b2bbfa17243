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
MAX_TEXT = 200
RESERVED_DESCRIPTOR = 200
"""The lowest number for a descriptor of ours, out of the way of code that counts up from 3."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION = 0x20080522
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096


class ConfinementError(Exception):
    """A layer that is required could not be applied; the message says which."""


def confine(plan: Dict[str, Any], keep: Sequence[int]) -> None:
    """Apply the plan to this process, which must have one thread. Raises ConfinementError.

    In namespaces it is the first process, and returns in a child: nothing that is executed later
    shares the first process, which only waits, as confined as the others.
    `keep` are the descriptors that stay open besides standard input, output and error. Keys of the
    plan: `parent` (its process), `limits`, `namespaces`, `landlock` (with `abi`, the lowest that
    will do, `read`, `write`) or None, `tmp` (with `path`, `bytes`, `inodes`: a tmpfs to bound) or
    None, `real_uid` (whose processes are counted) or None.
    """
    step = "descriptors"
    try:
        close_others(keep)
        os.umask(0o077)
        volunteer_for_out_of_memory()
        step = "the private /tmp"
        if plan["tmp"] is not None:
            bound_tmpfs(**plan["tmp"])
        step = "a read-only /proc"
        if plan["namespaces"]:
            make_proc_readonly()
        step = "the user whose processes are counted"
        if plan["real_uid"] is not None:
            os.setresuid(plan["real_uid"], -1, -1)
        step = "limits"
        lower_limits(plan["limits"])
        step = "capabilities"
        drop_capabilities()
        step = "process attributes"
        set_attributes()
        if os.getppid() != plan["parent"] and not plan["namespaces"]:
            raise OSError(errno.ESRCH, "the server has ended")
        step = "Landlock"
        if plan["landlock"] is not None:
            version = landlock.abi()
            if version < plan["landlock"]["abi"]:
                raise OSError(errno.EOPNOTSUPP, "the kernel has version %d" % version)
            landlock.apply(version, plan["landlock"]["read"], plan["landlock"]["write"])
        step = "seccomp"
        seccomp.apply(plan["namespaces"])
        step = "a process of its own"
        if plan["namespaces"]:
            leave_first_process()
    except (OSError, ValueError, ArithmeticError) as error:
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
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        found = list(range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for descriptor in found:
        if descriptor > 2 and descriptor not in keep:
            try:
                os.close(descriptor)
            except OSError:
                continue


def volunteer_for_out_of_memory() -> None:
    """If the machine runs out of memory, this process is killed before any other."""
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")
    except OSError:
        return


def bound_tmpfs(path: str, bytes: int, inodes: int) -> None:
    """Give a tmpfs limits; needs CAP_SYS_ADMIN in its user namespace."""
    options = "size=%d,nr_inodes=%d,mode=0700" % (bytes, inodes)
    flags = ctypes.c_ulong(_MS_REMOUNT | _MS_NOSUID | _MS_NODEV)
    if _libc().mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()) != 0:
        raise _error("mount")


def make_proc_readonly() -> None:
    """By `/proc/sys` the system's own root, though without capabilities, sets the kernel's options."""
    flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if _libc().mount(None, b"/proc", None, ctypes.c_ulong(flags), None) != 0:
        raise _error("mount")


def leave_first_process() -> None:
    """Go on in a child with a session of its own; the first process ends as it does, and all with it."""
    # A first process ignores the signals for which it has no handler.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        return
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


def drop_capabilities() -> None:
    """All sets; those of the user namespace that bubblewrap left for `bound_tmpfs` among them."""
    libc = _libc()
    number = 0
    while libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if libc.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)()) != 0:
        raise _error("capset")


def set_attributes() -> None:
    """Die with the parent, be read by nobody, gain nothing by executing a program."""
    for option, value in (
        (_PR_SET_NO_NEW_PRIVS, 1),
        (_PR_SET_DUMPABLE, 0),
        (_PR_SET_PDEATHSIG, int(signal.SIGKILL)),
    ):
        if _libc().prctl(option, value, 0, 0, 0) != 0:
            raise _error("prctl %d" % option)


def silence(*descriptors: int) -> None:
    """Let descriptors lead nowhere; reading them gives their end."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def blocked_by_sandbox(error: Optional[BaseException]) -> str:
    """What the sandbox refused, if that is what an exception (or one behind it) reports."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        is_blocked = isinstance(error, OSError) and error.errno in BLOCKED_ERRNOS
        if is_blocked or type(error).__name__ == "gaierror":
            return "%s: %s" % (type(error).__name__, clip(str(error)))
        error = error.__cause__ or error.__context__
    return ""


def clip(text: str) -> str:
    """One line of at most `MAX_TEXT` characters."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, "%s: %s" % (what, os.strerror(number)))
