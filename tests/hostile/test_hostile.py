"""Nothing that a candidate does harms the host, by any mechanism, in any tier, whoever the user is.

All of it happens in worlds of its own (`world.py`). The machine must have what the tiers need: if
not, the first tests fail and say what is missing.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from egcfg_lsp.execution.tiers import Tier
from tests.hostile.batches import Batch, Report, executed
from tests.hostile.driver import END, JUDGE, SIBLING, TIER, ZYGOTE
from tests.hostile.mechanisms import ABOUT_VERDICTS, CASES, JUDGED
from tests.hostile.world import User

pytestmark = pytest.mark.hostile
PARALLEL_WORLDS = 8
"""More than processors: much of the time they wait for deadlines."""
SUBJECTS = (Tier.A.value, Tier.A_MINUS.value, Tier.B.value, ZYGOTE, JUDGE)


def names_of(subject: str, user: User) -> list[str]:
    """The cases of a batch: all of them in every tier, what aims at the host as both users."""
    if subject == JUDGE:
        return list(JUDGED) if user is User.ORDINARY else []
    return [
        name
        for name in CASES
        if user is User.ORDINARY or name.partition(":")[0] not in ABOUT_VERDICTS
    ]


ROWS = [
    pytest.param(Batch(subject, user), name, id=f"{subject}-{user}-{name}")
    for subject in SUBJECTS
    for user in User
    if (names := names_of(subject, user))
    for name in (TIER, *names, *([END] if subject == ZYGOTE else []), SIBLING)
]


def test_this_machine_can_host_the_suite() -> None:
    """Landlock with scoped signals (ABI 6, Linux 6.12) and seccomp; else the tiers cannot be tested."""
    assert sys.platform == "linux"
    abi = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)
    assert abi >= 6, f"the kernel has Landlock ABI {abi}, tier A needs 6"
    actions = Path("/proc/sys/kernel/seccomp/actions_avail").read_text().split()
    assert {"errno", "kill_process"} <= {*actions}


@pytest.fixture(scope="module")
def batches(request: pytest.FixtureRequest) -> Iterator[dict[Batch, Future[dict[str, Report]]]]:
    """Of the selected cases, all of them started at the first."""
    chosen: dict[Batch, list[str]] = {}
    for item in request.session.items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if isinstance(batch := parameters.get("batch"), Batch):
            chosen.setdefault(batch, []).append(parameters["name"])
    with ThreadPoolExecutor(PARALLEL_WORLDS) as pool:
        yield {
            batch: pool.submit(executed, batch, [n for n in names if n not in (TIER, END, SIBLING)])
            for batch, names in chosen.items()
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("batch", "name"), ROWS)
def test_case(batches: dict[Batch, Future[dict[str, Report]]], batch: Batch, name: str) -> None:
    report = batches[batch].result().get(name, Report(("it was not executed",)))
    assert not report.problems, "\n".join((*report.problems, f"({report.told})"))
