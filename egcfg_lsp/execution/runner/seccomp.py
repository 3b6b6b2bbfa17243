"""A seccomp filter that this process puts on itself: an allow-list of system calls, by architecture.

What is not named here is refused with EPERM, what is newer than the tables with ENOSYS, so that the
C library falls back to something older. A system call of another architecture kills the process.
Pointers cannot be looked into: paths are Landlock's and the mounts' business. Knows Linux on x86_64
and aarch64 only; the assembler makes nothing but what these filters need.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Dict, List, Optional, Sequence, Tuple

NEWEST = 449
"""Calls above this number are refused as not implemented unless they are named."""

ANY_OF, NONE_OF, NO_BITS, NOT_ALL_BITS, ALL_BITS = range(5)
Check = Tuple[int, int, Sequence[int]]
"""Argument number, what its lower 32 bits must fulfil, and the values, or one mask. The kernel reads
all these arguments as 32 bits."""

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_GREATER_EQUAL, _JUMP_BITS, _AND, _RETURN = (
    0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06,
)  # fmt: skip
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER = 21, 22, 2

_CLONE_THREAD = 0x10000
_CLONE_OTHERS = 0x7E020000 | 0x2000 | 0x800000
"""CLONE_NEW*, CLONE_PTRACE, CLONE_UNTRACED."""
_STREAM, _SEQPACKET, _CLOEXEC, _NONBLOCK = 1, 5, 0x80000, 0x800
_SOCKET_TYPES = tuple(
    kind | flags
    for kind in (_STREAM, _SEQPACKET)
    for flags in (0, _CLOEXEC, _NONBLOCK, _CLOEXEC | _NONBLOCK)
)
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_FCNTLS_REFUSED = (8, 10, 15, 1024, 1026, 1031)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX send signals to others; F_SETLEASE and F_NOTIFY reach beyond
the process by files it can only read; F_SETPIPE_SZ takes from what all of a user's pipes share."""
_SOCKET_OPTIONS_REFUSED = (26, 50, 51, 52)
"""SO_ATTACH_FILTER, SO_ATTACH_BPF and their kin: programs for the kernel."""
_PRCTLS = (2, 3, 15, 16, 21, 23, 27, 29, 30, 39, 40, 41, 42, 0x53564D41)
"""Own name, timer slack, huge pages, names of memory; and what only asks."""

_X86_64 = """
    read:0 write:1 open:2 close:3 stat:4 fstat:5 lstat:6 poll:7 lseek:8 mmap:9 mprotect:10
    munmap:11 brk:12 rt_sigaction:13 rt_sigprocmask:14 rt_sigreturn:15 ioctl:16 pread64:17
    pwrite64:18 readv:19 writev:20 access:21 pipe:22 select:23 sched_yield:24 mremap:25 msync:26
    mincore:27 madvise:28 dup:32 dup2:33 pause:34 nanosleep:35 getitimer:36 alarm:37 setitimer:38
    getpid:39 sendfile:40 sendto:44 recvfrom:45 sendmsg:46 recvmsg:47 shutdown:48 getsockname:51
    getpeername:52 socketpair:53 setsockopt:54 getsockopt:55 clone:56 fork:57 vfork:58 execve:59
    exit:60 wait4:61 kill:62 uname:63 fcntl:72 flock:73 fsync:74 fdatasync:75 truncate:76
    ftruncate:77 getdents:78 getcwd:79 chdir:80 fchdir:81 rename:82 mkdir:83 rmdir:84 creat:85
    link:86 unlink:87 symlink:88 readlink:89 umask:95 gettimeofday:96 getrlimit:97 getrusage:98
    sysinfo:99 times:100 getuid:102 getgid:104 geteuid:107 getegid:108 setpgid:109 getppid:110
    getpgrp:111 setsid:112 getgroups:115 getresuid:118 getresgid:120 getpgid:121 getsid:124
    capget:125 rt_sigpending:127 rt_sigtimedwait:128 rt_sigsuspend:130 sigaltstack:131 mknod:133
    personality:135 statfs:137 fstatfs:138 getpriority:140 sched_getparam:143
    sched_getscheduler:145 sched_get_priority_max:146 sched_get_priority_min:147
    sched_rr_get_interval:148 munlock:150 munlockall:152 prctl:157 arch_prctl:158 setrlimit:160
    gettid:186 readahead:187 tkill:200 time:201 futex:202 sched_getaffinity:204 epoll_create:213
    getdents64:217 set_tid_address:218 restart_syscall:219 fadvise64:221 timer_create:222
    timer_settime:223 timer_gettime:224 timer_getoverrun:225 timer_delete:226 clock_gettime:228
    clock_getres:229 clock_nanosleep:230 exit_group:231 epoll_wait:232 epoll_ctl:233 tgkill:234
    waitid:247 openat:257 mkdirat:258 mknodat:259 newfstatat:262 unlinkat:263 renameat:264
    linkat:265 symlinkat:266 readlinkat:267 faccessat:269 pselect6:270 ppoll:271
    set_robust_list:273 get_robust_list:274 sync_file_range:277 epoll_pwait:281 signalfd:282
    timerfd_create:283 eventfd:284 fallocate:285 timerfd_settime:286 timerfd_gettime:287
    signalfd4:289 eventfd2:290 epoll_create1:291 dup3:292 pipe2:293 preadv:295 pwritev:296
    recvmmsg:299 prlimit64:302 sendmmsg:307 getcpu:309 sched_getattr:315 renameat2:316
    getrandom:318 membarrier:324 copy_file_range:326 preadv2:327 pwritev2:328 statx:332 rseq:334
    close_range:436 openat2:437 faccessat2:439 epoll_pwait2:441 futex_waitv:449
    map_shadow_stack:453 futex_wake:454 futex_wait:455 futex_requeue:456 mseal:462
"""
_AARCH64 = """
    getcwd:17
    eventfd2:19 epoll_create1:20 epoll_ctl:21 epoll_pwait:22 dup:23 dup3:24 fcntl:25 ioctl:29
    flock:32 mknodat:33 mkdirat:34 unlinkat:35 symlinkat:36 linkat:37 renameat:38 statfs:43
    fstatfs:44 truncate:45 ftruncate:46 fallocate:47 faccessat:48 chdir:49 fchdir:50 openat:56
    close:57 pipe2:59 getdents64:61 lseek:62 read:63 write:64 readv:65 writev:66 pread64:67
    pwrite64:68 preadv:69 pwritev:70 sendfile:71 pselect6:72 ppoll:73 signalfd4:74 readlinkat:78
    newfstatat:79 fstat:80 fsync:82 fdatasync:83 sync_file_range:84 timerfd_create:85
    timerfd_settime:86 timerfd_gettime:87 capget:90 personality:92 exit:93 exit_group:94 waitid:95
    set_tid_address:96 futex:98 set_robust_list:99 get_robust_list:100 nanosleep:101 getitimer:102
    setitimer:103 timer_create:107 timer_gettime:108 timer_getoverrun:109 timer_settime:110
    timer_delete:111 clock_gettime:113 clock_getres:114 clock_nanosleep:115 sched_getscheduler:120
    sched_getparam:121 sched_getaffinity:123 sched_yield:124 sched_get_priority_max:125
    sched_get_priority_min:126 sched_rr_get_interval:127 restart_syscall:128 kill:129 tkill:130
    tgkill:131 sigaltstack:132 rt_sigsuspend:133 rt_sigaction:134 rt_sigprocmask:135
    rt_sigpending:136 rt_sigtimedwait:137 rt_sigreturn:139 getpriority:141 getresuid:148
    getresgid:150 times:153 setpgid:154 getpgid:155 getsid:156 setsid:157 getgroups:158 uname:160
    getrlimit:163 setrlimit:164 getrusage:165 umask:166 prctl:167 getcpu:168 gettimeofday:169
    getpid:172 getppid:173 getuid:174 geteuid:175 getgid:176 getegid:177 gettid:178 sysinfo:179
    socketpair:199 getsockname:204 getpeername:205 sendto:206 recvfrom:207 setsockopt:208
    getsockopt:209 shutdown:210 sendmsg:211 recvmsg:212 readahead:213 brk:214 munmap:215
    mremap:216 clone:220 execve:221 mmap:222 fadvise64:223 mprotect:226 msync:227 munlock:229
    munlockall:231 mincore:232 madvise:233 recvmmsg:243 wait4:260 prlimit64:261 sendmmsg:269
    sched_getattr:275 renameat2:276 getrandom:278 membarrier:283 copy_file_range:285 preadv2:286
    pwritev2:287 statx:291 rseq:293 close_range:436 openat2:437 faccessat2:439 epoll_pwait2:441
    futex_waitv:449 map_shadow_stack:453 futex_wake:454 futex_wait:455 futex_requeue:456 mseal:462
"""
_PRCTLS_CONFINING = (1, _PR_SET_SECCOMP)
"""PR_SET_PDEATHSIG, which a fork has lost, and another filter."""
_CONFINING = {
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_PRCTLS_SETTLING = (_PR_SET_SECCOMP, 24, 47)
"""PR_CAPBSET_DROP, PR_CAP_AMBIENT."""
_SETTLING = {"x86_64": "setresuid:117 capset:126", "aarch64": "setresuid:147 capset:91"}
_X86_64_INODES = """
    chmod:90 fchmod:91 chown:92 fchown:93 lchown:94 utime:132 setxattr:188 lsetxattr:189
    fsetxattr:190 getxattr:191 lgetxattr:192 fgetxattr:193 listxattr:194 llistxattr:195
    flistxattr:196 removexattr:197 lremovexattr:198 fremovexattr:199 utimes:235 inotify_init:253
    inotify_add_watch:254 inotify_rm_watch:255 fchownat:260 futimesat:261 fchmodat:268
    utimensat:280 inotify_init1:294
"""
_AARCH64_INODES = """
    setxattr:5 lsetxattr:6 fsetxattr:7 getxattr:8 lgetxattr:9 fgetxattr:10 listxattr:11
    llistxattr:12 flistxattr:13 removexattr:14 lremovexattr:15 fremovexattr:16
    inotify_init1:26 inotify_add_watch:27 inotify_rm_watch:28 fchmod:52 fchmodat:53 fchownat:54
    fchown:55 utimensat:88
"""


def machine() -> Optional[str]:
    """This machine's name in the tables, None if it is not among them."""
    name = platform.machine()
    return name if name in _AUDIT_ARCH and struct.calcsize("P") == 8 else None


def is_available() -> bool:
    """Whether the kernel has seccomp, and there is a table for this machine."""
    return machine() is not None and _libc().prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0


def apply(
    namespaces: bool,
    *,
    may_settle: bool = False,
    may_confine: bool = False,
    only_itself: bool = False,
) -> None:
    """Filter the calling thread, and what it starts, for good. Raises OSError.

    With PID and mount namespaces around it the process may also fork, signal and change what
    belongs to files; without them it may start threads, signal itself, and no more: it stays in its
    process group, too. With `may_settle` it may still change its users, lose its capabilities, and
    put on another filter; with `may_confine` it may put more on itself, as a zygote's children do;
    with `only_itself` it may signal nobody else.
    """
    name = machine()
    if name is None:
        raise OSError(errno.ENOSYS, "no table of system calls for this machine")
    program = assemble(
        name,
        namespaces,
        os.getpid(),
        may_settle=may_settle,
        may_confine=may_confine,
        only_itself=only_itself,
    )
    code = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.addressof(code))
    if _libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(header), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the seccomp filter is refused")


def assemble(
    name: str,
    namespaces: bool,
    pid: int,
    *,
    may_settle: bool = False,
    may_confine: bool = False,
    only_itself: bool = False,
) -> bytes:
    """The filter for a machine; `pid` is the process that is to have it. Pure."""
    allowed, inodes = _TABLES[name]
    numbers = _numbers(allowed)
    checks = _checks(namespaces, pid)
    prctls = list(_PRCTLS)
    if may_settle:
        numbers.update(_numbers(_SETTLING[name]))
        prctls += _PRCTLS_SETTLING
    if may_confine:
        numbers.update(_CONFINING)
        prctls += _PRCTLS_CONFINING
    checks["prctl"] = [(0, ANY_OF, list(dict.fromkeys(prctls)))]
    if only_itself:
        checks["kill"] = [(0, ANY_OF, [pid, 0])]
        checks["tkill"] = checks["tgkill"] = [(0, ANY_OF, [pid])]
    if namespaces:
        numbers.update(_numbers(inodes))
    else:
        for call in ("fork", "vfork", "setsid", "setpgid"):
            numbers.pop(call, None)
    program = [
        _instruction(_LOAD, _ARCH_OFFSET),
        _instruction(_JUMP_EQUAL, _AUDIT_ARCH[name], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_OFFSET),
        _instruction(_JUMP_EQUAL, _CLONE3, 0, 1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for call in sorted(checks.keys() & numbers.keys()):
        program += _checked(numbers.pop(call), checks[call])
    for low, high in _ranges(sorted(numbers.values())):
        refusal = errno.EPERM if low <= NEWEST else errno.ENOSYS
        program += [
            _instruction(_JUMP_GREATER, high, 3, 0),
            _instruction(_JUMP_GREATER_EQUAL, low, 0, 1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _ERRNO | refusal),
        ]
    program += [
        _instruction(_JUMP_GREATER, NEWEST, 1, 0),
        _instruction(_RETURN, _ERRNO | errno.EPERM),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    return b"".join(program)


def _checks(namespaces: bool, pid: int) -> Dict[str, List[Check]]:
    """What the arguments of some calls must be."""
    flags = (0, NO_BITS, [_CLONE_OTHERS])
    checks: Dict[str, List[Check]] = {
        "clone": [flags] if namespaces else [flags, (0, ALL_BITS, [_CLONE_THREAD])],
        "fcntl": [(1, NONE_OF, _FCNTLS_REFUSED)],
        "ioctl": [(1, ANY_OF, _IOCTLS)],
        # Shared memory without a file is counted by no limit.
        "mmap": [(3, NOT_ALL_BITS, [0x21])],
        "personality": [(0, ANY_OF, [0xFFFFFFFF])],
        "prctl": [(0, ANY_OF, _PRCTLS)],
        "prlimit64": [(0, ANY_OF, [0])],
        "setsockopt": [(2, NONE_OF, _SOCKET_OPTIONS_REFUSED)],
        # Unlike a stream, a pair of datagram sockets can send to any socket that has a name.
        "socketpair": [(0, ANY_OF, [1]), (1, ANY_OF, _SOCKET_TYPES)],
    }
    if not namespaces:
        for call in ("kill", "tkill", "tgkill"):
            checks[call] = [(0, ANY_OF, [pid])]
    return checks


def _checked(number: int, checks: Sequence[Check]) -> List[bytes]:
    """Decide on one call by its arguments, skip it for any other."""
    body: List[bytes] = []
    for argument, kind, values in checks:
        body.append(_instruction(_LOAD, _ARGUMENTS_OFFSET + 8 * argument))
        refuse = _instruction(_RETURN, _ERRNO | errno.EPERM)
        if kind == ANY_OF:
            last = len(values) - 1
            body += [
                _instruction(_JUMP_EQUAL, value, last - i + 1, 0) for i, value in enumerate(values)
            ]
            body.append(refuse)
        elif kind == NONE_OF:
            last = len(values) - 1
            body += [
                _instruction(_JUMP_EQUAL, value, last - i, 0 if i < last else 1)
                for i, value in enumerate(values)
            ]
            body.append(refuse)
        elif kind == NO_BITS:
            body += [_instruction(_JUMP_BITS, values[0], 0, 1), refuse]
        else:
            is_wanted = kind == ALL_BITS
            body += [
                _instruction(_AND, values[0]),
                _instruction(_JUMP_EQUAL, values[0], int(is_wanted), int(not is_wanted)),
                refuse,
            ]
    body.append(_instruction(_RETURN, _ALLOW))
    return [_instruction(_JUMP_EQUAL, number, 0, len(body)), *body]


def _ranges(numbers: Sequence[int]) -> List[Tuple[int, int]]:
    """Ascending numbers as first and last of what is consecutive; none spans `NEWEST`."""
    found: List[Tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1 and number != NEWEST + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _numbers(table: str) -> Dict[str, int]:
    return {name: int(number) for name, number in (entry.split(":") for entry in table.split())}


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


class _Program(ctypes.Structure):
    _fields_ = [("n_instructions", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


_CLONE3 = 435
_TABLES = {"x86_64": (_X86_64, _X86_64_INODES), "aarch64": (_AARCH64, _AARCH64_INODES)}
