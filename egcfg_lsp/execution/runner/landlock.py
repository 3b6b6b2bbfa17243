"""Landlock: which files this process, and what it starts, may reach. By ctypes, any ABI version.

Does not govern what concerns a file without opening it: `stat`, `chmod`, `utime`, `chdir`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from typing import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The same on all architectures."""
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_TCP_BIND_AND_CONNECT = 0b11
_SCOPE_ABSTRACT_UNIX_AND_SIGNALS = 0b11


def abi() -> int:
    """The kernel's version of Landlock; 0: it has none, or it is switched off."""
    version = _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))
    return max(version, 0)


def apply(version: int, read: Sequence[str], write: Sequence[str]) -> None:
    """Below `read` files can be read and executed, below `write` anything but devices be done.

    Nothing else is reachable, no TCP port (ABI 4) and no process outside (ABI 6). Paths that do
    not exist are passed over. `PR_SET_NO_NEW_PRIVS` must be set. Raises OSError.
    """
    rights = handled_rights(version)
    ruleset = _syscall(
        _CREATE_RULESET, attributes(version), ctypes.c_size_t(_size(version)), ctypes.c_uint(0)
    )
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock: no rule set")
    try:
        for path in read:
            _allow(ruleset, path, _READ)
        for path in write:
            _allow(ruleset, path, rights & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV))
        if _syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)) != 0:
            raise OSError(ctypes.get_errno(), "Landlock: not applied")
    finally:
        os.close(ruleset)


def handled_rights(version: int) -> int:
    """All rights to files that a version knows: what no rule allows is refused."""
    newest = 16 if version >= 5 else 15 if version >= 3 else 14 if version >= 2 else 13
    return (1 << newest) - 1


def attributes(version: int) -> bytes:
    """What a rule set is made of."""
    net = _TCP_BIND_AND_CONNECT if version >= 4 else 0
    scoped = _SCOPE_ABSTRACT_UNIX_AND_SIGNALS if version >= 6 else 0
    return struct.pack("=QQQ", handled_rights(version), net, scoped)[: _size(version)]


def _size(version: int) -> int:
    return 24 if version >= 6 else 16 if version >= 4 else 8


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        if _syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock: no rule for %s" % path)
    finally:
        os.close(descriptor)


def _syscall(number: int, *arguments: object) -> int:
    return int(_libc().syscall(ctypes.c_long(number), *arguments))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
