from __future__ import annotations

from dataclasses import replace

import pytest

from egcfg_lsp.execution.facts import kernel_version
from egcfg_lsp.execution.tiers import (
    Facts,
    Tier,
    choose_tier,
    seatbelt_profile,
    spare_uid,
)

BEST = Facts("linux", (6, 18), "/usr/bin/bwrap", "", 7, True)
NO_USER_NAMESPACES = replace(BEST, bubblewrap_problem="setting up uid map: Permission denied")


@pytest.mark.parametrize(
    ("facts", "tier", "reason"),
    [
        (BEST, Tier.A, ""),
        (replace(BEST, landlock_abi=1), Tier.A, ""),
        (replace(BEST, landlock_abi=0), Tier.A_MINUS, "no Landlock"),
        (NO_USER_NAMESPACES, Tier.B, "bwrap does not work here: setting up uid map"),
        (replace(BEST, bubblewrap=None), Tier.B, "install the package bubblewrap"),
        (replace(NO_USER_NAMESPACES, landlock_abi=3), Tier.B, "does not work here"),
        (replace(NO_USER_NAMESPACES, landlock_abi=2), Tier.NONE, "version 2, 3 is needed"),
        (
            replace(NO_USER_NAMESPACES, landlock_abi=0),
            Tier.NONE,
            "; and the kernel has no Landlock",
        ),
        (replace(BEST, has_seccomp=False), Tier.NONE, "no seccomp"),
        (Facts("darwin"), Tier.NONE, "no sandbox for macOS yet"),
        (Facts("win32"), Tier.NONE, "use WSL2"),
        (Facts("freebsd14"), Tier.NONE, "no sandbox for freebsd14"),
    ],
)
def test_best_tier(facts: Facts, tier: Tier, reason: str) -> None:
    choice = choose_tier(facts)
    assert choice.tier is tier
    assert reason in choice.reason
    assert bool(reason) == bool(choice.reason)


@pytest.mark.parametrize(
    ("facts", "forced", "tier", "reason"),
    [
        (BEST, Tier.A, Tier.A, ""),
        (BEST, Tier.A_MINUS, Tier.A_MINUS, "chosen instead of A"),
        (BEST, Tier.B, Tier.B, "chosen instead of A"),
        (BEST, Tier.NONE, Tier.NONE, "switched off"),
        (NO_USER_NAMESPACES, Tier.A, Tier.NONE, "does not work here"),
        (NO_USER_NAMESPACES, Tier.A_MINUS, Tier.NONE, "does not work here"),
        (replace(BEST, landlock_abi=0), Tier.A, Tier.NONE, "no Landlock"),
        (replace(BEST, landlock_abi=2), Tier.B, Tier.NONE, "3 is needed"),
        (replace(BEST, has_seccomp=False), Tier.B, Tier.NONE, "no seccomp"),
        (Facts("darwin"), Tier.B, Tier.NONE, "macOS"),
    ],
)
def test_forced_tier_or_none(facts: Facts, forced: Tier, tier: Tier, reason: str) -> None:
    choice = choose_tier(facts, forced)
    assert choice.tier is tier
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("uid_map", "uid"),
    [
        ("         0          0 4294967295\n", 2_000_000_000),
        ("0 100000 65536\n", 65535),
        ("0 1000 1\n1 100000 65536\n", 65536),
        ("0 0 1\n", None),
        ("", None),
    ],
)
def test_spare_uid(uid_map: str, uid: int | None) -> None:
    assert spare_uid(uid_map) == uid


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-fc", (6, 18)), ("5.4.0-150-generic", (5, 4)), ("strange", (0, 0))],
)
def test_kernel_version(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version


def test_profile_for_macos_is_as_designed() -> None:
    """Untested on macOS: no tier uses it."""
    profile = seatbelt_profile(["/usr", '/Users/a "b"'], ["/private/tmp/run"])
    assert profile.startswith("(version 1)\n(deny default)\n(deny network*)")
    assert '(subpath "/Users/a \\"b\\"")' in profile
    assert profile.count("file-write*") == 1
    write = profile.partition("file-write*")[2]
    assert '"/private/tmp/run"' in write
    assert "/usr" not in write
