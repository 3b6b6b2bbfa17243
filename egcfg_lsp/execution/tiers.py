"""What a machine can enforce, and the tier of protection that follows.

Pure: nothing is probed here (`facts.py`), and nothing is applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MIN_LANDLOCK_B = 3
"""Without namespaces Landlock is all that stands before the user's files; before version 3 (Linux
6.2) it does not stop opening a file that may be read with `O_TRUNC`."""
ADVICE = "install the package bubblewrap, or `pip install 'egcfg-lsp[sandbox]'`"


class Tier(StrEnum):
    A = "A"
    """Namespaces by bubblewrap, Landlock, seccomp, resource limits."""
    A_MINUS = "A−"
    """As A, on a kernel without Landlock."""
    B = "B"
    """No namespaces: Landlock, a stricter seccomp filter, resource limits."""
    NONE = "none"
    """Nothing is executed."""

    @property
    def has_namespaces(self) -> bool:
        return self in (Tier.A, Tier.A_MINUS)

    @property
    def layers(self) -> str:
        """For people."""
        return _LAYERS[self]


_LAYERS = {
    Tier.A: "bubblewrap, Landlock, seccomp, limits",
    Tier.A_MINUS: "bubblewrap, seccomp, limits",
    Tier.B: "Landlock, seccomp, limits",
    Tier.NONE: "nothing is executed",
}


@dataclass(frozen=True)
class Facts:
    platform: str
    """As `sys.platform`."""
    kernel: tuple[int, int] = (0, 0)
    """Of Linux: major and minor version."""
    bubblewrap: str | None = None
    """Its path, None if it is not installed."""
    bubblewrap_problem: str = ""
    """Why it does not work here; empty: it does."""
    landlock_abi: int = 0
    """0: none."""
    has_seccomp: bool = False
    """The kernel has it, and there is a table of system calls for the machine."""
    spare_uid: int | None = None
    """For root, to whom no limit on processes applies: a user without processes, to count them by."""


@dataclass(frozen=True)
class Choice:
    tier: Tier
    reason: str
    """For people: why no better tier; empty for the best."""


def choose_tier(facts: Facts, forced: Tier | None = None) -> Choice:
    """The best tier for a machine; with `forced` that one, or none if it cannot be had."""
    best = _best_tier(facts)
    if forced is None or forced is best.tier:
        return best
    missing = "" if best.tier is not Tier.NONE else best.reason
    if not missing and forced.has_namespaces:
        missing = _without_bubblewrap(facts)
    if not missing and forced in (Tier.A, Tier.B):
        missing = _without_landlock(facts, MIN_LANDLOCK_B if forced is Tier.B else 1)
    if missing or forced is Tier.NONE:
        return Choice(Tier.NONE, missing or "execution is switched off")
    return Choice(forced, f"chosen instead of {best.tier}")


def seatbelt_profile(read: Iterable[str], write: Iterable[str]) -> str:
    """A profile for macOS' `sandbox-exec`: files below `read` read-only, below `write` writable.

    Designed by the documentation, never tried: no tier uses it.
    """
    readable = "".join(f"\n  (subpath {_quoted(path)})" for path in read)
    writable = "".join(f"\n  (subpath {_quoted(path)})" for path in write)
    return "\n".join(
        [
            "(version 1)",
            "(deny default)",
            "(deny network*)",
            "(deny mach-lookup)",
            "(allow process-exec process-fork)",
            "(allow signal (target self))",
            "(allow sysctl-read)",
            "(allow file-read-metadata)",
            f'(allow file-read* (literal "/dev/urandom") (literal "/dev/null"){readable})',
            f'(allow file-read* file-write* (literal "/dev/null"){writable})',
            "",
        ]
    )


def spare_uid(uid_map: str) -> int | None:
    """From `/proc/self/uid_map`: a user of this namespace that can be mapped, as high as there is.

    None where only one user is mapped.
    """
    ranges = [line.split() for line in uid_map.splitlines()]
    highest = max((int(first) + int(n) - 1 for first, _, n in ranges), default=0)
    return min(highest, 2_000_000_000) if highest > 0 else None


def _best_tier(facts: Facts) -> Choice:
    if facts.platform == "darwin":
        return Choice(
            Tier.NONE,
            "no sandbox for macOS yet: a profile for sandbox-exec is designed, not tested",
        )
    if facts.platform == "win32":
        return Choice(Tier.NONE, "no sandbox for Windows; use WSL2, where it is that of Linux")
    if facts.platform != "linux":
        return Choice(Tier.NONE, f"no sandbox for {facts.platform}")
    if not facts.has_seccomp:
        return Choice(
            Tier.NONE, "the kernel has no seccomp, or this machine is no x86_64 or aarch64"
        )
    no_bubblewrap = _without_bubblewrap(facts)
    if not no_bubblewrap:
        no_landlock = _without_landlock(facts, 1)
        return Choice(Tier.A_MINUS, no_landlock) if no_landlock else Choice(Tier.A, "")
    no_landlock = _without_landlock(facts, MIN_LANDLOCK_B)
    if not no_landlock:
        return Choice(Tier.B, no_bubblewrap)
    return Choice(Tier.NONE, f"{no_bubblewrap}; and {no_landlock}")


def _without_bubblewrap(facts: Facts) -> str:
    if facts.bubblewrap is None:
        return f"bubblewrap is not installed: {ADVICE}"
    if facts.bubblewrap_problem:
        return f"{facts.bubblewrap} does not work here: {facts.bubblewrap_problem}"
    return ""


def _without_landlock(facts: Facts, needed: int) -> str:
    if facts.landlock_abi == 0:
        return "the kernel has no Landlock, or it is switched off"
    if facts.landlock_abi < needed:
        return f"the kernel's Landlock is version {facts.landlock_abi}, {needed} is needed"
    return ""


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
