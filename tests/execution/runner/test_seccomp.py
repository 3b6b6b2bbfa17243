"""The filters as the kernel would execute them, by an interpreter of their few instructions."""

from __future__ import annotations

import errno
import itertools
import struct
from pathlib import Path

import pytest

from egcfg_lsp.execution.runner import seccomp

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
PID = 4711
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


def verdict(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *(0,) * 6)[:6])
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = place = 0
    while True:
        code, if_true, if_false, value = instructions[place]
        place += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("=I", data, value)[0]
            case 0x54:
                accumulator &= value
            case 0x15:
                place += if_true if accumulator == value else if_false
            case 0x25:
                place += if_true if accumulator > value else if_false
            case 0x35:
                place += if_true if accumulator >= value else if_false
            case 0x45:
                place += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


def table(name: str) -> dict[str, int]:
    allowed, inodes = seccomp._TABLES[name]
    return seccomp._numbers(allowed) | seccomp._numbers(inodes)


@pytest.mark.parametrize(
    ("call", "arguments", "in_namespaces", "alone"),
    [
        ("read", (), ALLOW, ALLOW),
        ("openat", (), ALLOW, ALLOW),
        ("futex_wake", (), ALLOW, ALLOW),
        ("clone", (0x01200011,), ALLOW, EPERM),
        ("clone", (0x003D0F00,), ALLOW, ALLOW),
        ("clone", (0x10000000,), EPERM, EPERM),
        ("clone", (0x003D0F00 | 0x20000000,), EPERM, EPERM),
        ("fchmodat", (), ALLOW, EPERM),
        ("utimensat", (), ALLOW, EPERM),
        ("inotify_add_watch", (), ALLOW, EPERM),
        ("kill", (PID, 9), ALLOW, ALLOW),
        ("kill", (PID + 1, 9), ALLOW, EPERM),
        ("kill", (0xFFFFFFFF, 9), ALLOW, EPERM),
        ("kill", (0, 9), ALLOW, EPERM),
        ("tgkill", (PID, PID, 9), ALLOW, ALLOW),
        ("tgkill", (1, 1, 9), ALLOW, EPERM),
        ("setsid", (), ALLOW, EPERM),
        ("setpgid", (0, 0), ALLOW, EPERM),
        ("fgetxattr", (3,), ALLOW, EPERM),
        ("setsockopt", (3, 1, 7), ALLOW, ALLOW),
        ("setsockopt", (3, 1, 26), EPERM, EPERM),
        ("fcntl", (3, 3), ALLOW, ALLOW),
        ("fcntl", (3, 1030), ALLOW, ALLOW),
        ("fcntl", (3, 8), EPERM, EPERM),
        ("fcntl", (3, 1031), EPERM, EPERM),
        ("ioctl", (0, 0x5401), ALLOW, ALLOW),
        ("ioctl", (0, 0x5412), EPERM, EPERM),
        ("ioctl", (0, (1 << 32) | 0x5412), EPERM, EPERM),
        ("mmap", (0, 4096, 3, 0x22, 0xFFFFFFFF), ALLOW, ALLOW),
        ("mmap", (0, 4096, 3, 0x01, 3), ALLOW, ALLOW),
        ("mmap", (0, 4096, 3, 0x21, 0xFFFFFFFF), EPERM, EPERM),
        ("personality", (0xFFFFFFFF,), ALLOW, ALLOW),
        ("personality", (0x0040000,), EPERM, EPERM),
        ("prctl", (15,), ALLOW, ALLOW),
        ("prctl", (1, 0), EPERM, EPERM),
        ("prctl", (4, 1), EPERM, EPERM),
        ("prlimit64", (0, 7), ALLOW, ALLOW),
        ("prlimit64", (1, 7), EPERM, EPERM),
        ("socketpair", (1, 1 | 0x80800, 0), ALLOW, ALLOW),
        ("socketpair", (1, 2, 0), EPERM, EPERM),
        ("socketpair", (16, 1, 0), EPERM, EPERM),
    ],
)
def test_calls_and_arguments(
    call: str, arguments: tuple[int, ...], in_namespaces: int, alone: int
) -> None:
    for name, arch in ARCHITECTURES.items():
        for namespaces, wanted in ((True, in_namespaces), (False, alone)):
            program = seccomp.assemble(name, namespaces, PID)
            found = verdict(program, arch, table(name)[call], arguments)
            assert found == wanted, (name, namespaces)


REFUSED = {
    "x86_64": {
        "socket": 41, "connect": 42, "bind": 49, "ptrace": 101, "setuid": 105, "setreuid": 113,
        "setpriority": 141, "mount": 165, "chroot": 161, "io_uring_setup": 425, "unshare": 272,
        "setns": 308, "keyctl": 250, "bpf": 321, "userfaultfd": 323, "memfd_create": 319,
        "process_vm_readv": 310, "pidfd_open": 434, "perf_event_open": 298, "splice": 275,
        "vmsplice": 278, "shmget": 29, "mq_open": 240, "open_by_handle_at": 304, "capset": 126,
        "rt_sigqueueinfo": 129, "sched_setaffinity": 203, "move_mount": 429, "seccomp": 317,
    },
    "aarch64": {
        "socket": 198, "connect": 203, "bind": 200, "ptrace": 117, "setuid": 146, "setreuid": 145,
        "setpriority": 140, "mount": 40, "chroot": 51, "io_uring_setup": 425, "unshare": 97,
        "setns": 268, "keyctl": 219, "bpf": 280, "userfaultfd": 282, "memfd_create": 279,
        "process_vm_readv": 270, "pidfd_open": 434, "perf_event_open": 241, "splice": 76,
        "vmsplice": 75, "shmget": 194, "mq_open": 180, "open_by_handle_at": 265, "capset": 91,
        "rt_sigqueueinfo": 138, "sched_setaffinity": 122, "move_mount": 429, "seccomp": 277,
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "namespaces"), [*itertools.product(ARCHITECTURES, (True, False))])
def test_what_is_not_named_is_refused(name: str, namespaces: bool) -> None:
    program, arch = seccomp.assemble(name, namespaces, PID), ARCHITECTURES[name]
    for call, number in REFUSED[name].items():
        assert verdict(program, arch, number) == EPERM, call
    named = table(name).values()
    for number in range(seccomp.NEWEST + 1):
        if number not in named and number != 435:
            assert verdict(program, arch, number) == EPERM
    newer = [435, 451, 457, 463, 470, 1 << 20, 0x40000000, 0x40000001, 0xFFFFFFFF]
    for number in newer:
        assert verdict(program, arch, number) == ENOSYS
    for other in (*ARCHITECTURES.values(), I386):
        if other != arch:
            assert verdict(program, other, 0) == KILL


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_not_settled_yet_may_settle_and_no_more(name: str) -> None:
    before, after = (
        seccomp.assemble(name, True, PID, may_settle=may_settle) for may_settle in (True, False)
    )
    arch, prctl = ARCHITECTURES[name], table(name)["prctl"]
    for number in (REFUSED[name]["capset"], {"x86_64": 117, "aarch64": 147}[name]):
        assert verdict(before, arch, number) == ALLOW
        assert verdict(after, arch, number) == EPERM
    for option in (22, 24, 47):
        assert verdict(before, arch, prctl, (option,)) == ALLOW
        assert verdict(after, arch, prctl, (option,)) == EPERM
    for call in ("ptrace", "mount", "setuid", "unshare", "socket"):
        assert verdict(before, arch, REFUSED[name][call]) == EPERM


def test_tables_are_those_of_the_kernel_headers() -> None:
    """Where this machine has them; the numbers are fixed for ever."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        return
    lines = [line.split() for line in header.read_text().splitlines()]
    known = {
        words[1][5:]: int(words[2])
        for words in lines
        if words[:1] == ["#define"] and len(words) == 3
    }
    for call, number in table("x86_64").items():
        assert known.get(call, number) == number


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_zygote_may_confine_further_and_its_child_may_not(name: str) -> None:
    prctl = table(name)["prctl"]
    zygote = seccomp.assemble(name, True, PID, may_confine=True)
    child = seccomp.assemble(name, True, PID)
    for number, arguments in ((444, ()), (445, ()), (446, ()), (prctl, (22, 2)), (prctl, (1, 9))):
        assert verdict(zygote, ARCHITECTURES[name], number, arguments) == ALLOW
        assert verdict(child, ARCHITECTURES[name], number, arguments) == EPERM
    for number, arguments in ((317, ()), (prctl, (38, 0)), (prctl, (36, 1)), (447, ())):
        assert verdict(zygote, ARCHITECTURES[name], number, arguments) == EPERM


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_before_landlock_6_a_child_signals_itself_alone(name: str) -> None:
    child = seccomp.assemble(name, True, PID, only_itself=True)
    calls = table(name)
    for call, arguments, wanted in (
        ("kill", (PID, 9), ALLOW),
        ("kill", (0, 9), ALLOW),
        ("kill", (PID + 1, 9), EPERM),
        ("kill", (0xFFFFFFFF, 9), EPERM),
        ("tgkill", (PID, PID, 9), ALLOW),
        ("tgkill", (0, 0, 9), EPERM),
        ("tkill", (PID + 1, 9), EPERM),
        ("fork", (), ALLOW),
    ):
        if call in calls:
            assert verdict(child, ARCHITECTURES[name], calls[call], arguments) == wanted
