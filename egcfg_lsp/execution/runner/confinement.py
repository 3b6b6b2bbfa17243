"""What untrusted code may use, and how to tell that it was refused more.

Does not cover the namespaces around the process: those are the sandbox's.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import Optional

BLOCKED_ERRNOS = {
    errno.EPERM,
    errno.EACCES,
    errno.EROFS,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
}
MAX_TEXT = 200


def lower_limits(limits: dict[str, int]) -> None:
    """Set limits by their names in `resource`, none above the one in force."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))


def silence(*descriptors: int) -> None:
    """Let descriptors lead nowhere; reading them gives their end."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def blocked_by_sandbox(error: Optional[BaseException]) -> str:
    """What the sandbox refused, if that is what an exception (or one behind it) reports."""
    seen: set[int] = set()
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
