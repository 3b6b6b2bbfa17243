"""The canary in tiers as they are, and in tiers with one layer taken away."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from egcfg_lsp.execution import enclosure, sandbox, selftest
from egcfg_lsp.execution.enclosure import Surroundings
from egcfg_lsp.execution.facts import probe_facts
from egcfg_lsp.execution.runner import confinement
from egcfg_lsp.execution.sandbox import KernelSandbox
from egcfg_lsp.execution.selftest import self_test
from egcfg_lsp.execution.tiers import Tier

TIERS = [Tier.A, Tier.A_MINUS, Tier.B]


@pytest.mark.parametrize("tier", TIERS)
async def test_every_tier_holds_here(tier: Tier) -> None:
    before = {*Path.home().iterdir()}
    assert await self_test(Surroundings(tier, await probe_facts())) == ""
    assert {*Path.home().iterdir()} == before


def everything_readable(plan: dict[str, Any]) -> None:
    plan["landlock"]["read"].append("/")


def everything_writable(plan: dict[str, Any]) -> None:
    plan["landlock"]["write"].append("/")


@pytest.mark.parametrize(
    ("weaken", "escapes"),
    [
        (everything_readable, ["read a file of the home folder"]),
        (everything_writable, ["write to /var/tmp", "write to "]),
    ],
)
async def test_canary_that_gets_out_is_noticed(
    weaken: Callable[[dict[str, Any]], None], escapes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_of = enclosure._plan

    def weakened(*arguments: Any) -> dict[str, Any]:
        plan = plan_of(*arguments)
        weaken(plan)
        return plan

    monkeypatch.setattr(enclosure, "_plan", weakened)
    monkeypatch.setattr("egcfg_lsp.execution.selftest.SECONDS", 15.0)
    found = await self_test(Surroundings(Tier.B, await probe_facts()))
    for escape in escapes:
        assert escape in found


@pytest.mark.parametrize(("n_silent", "found"), [(1, ""), (2, "no answer (silence)")])
async def test_canary_without_an_answer_is_sent_once_more(
    n_silent: int, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, n_runs = selftest._run, 0

    async def silent(*arguments: Any) -> dict[str, Any]:
        nonlocal n_runs
        n_runs += 1
        if n_runs <= n_silent:
            raise selftest._NoAnswerError("no answer (silence)")
        return await run(*arguments)

    monkeypatch.setattr(selftest, "_run", silent)
    assert await self_test(Surroundings(Tier.A, await probe_facts())) == found
    assert n_runs == 2


async def test_canary_that_got_out_without_an_answer_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def killing(_around: object, _folder: object, order: dict[str, Any], _: int) -> NoReturn:
        os.kill(order["victim"], signal.SIGKILL)
        await asyncio.sleep(0.2)
        raise selftest._NoAnswerError

    monkeypatch.setattr(selftest, "_run", killing)
    found = await self_test(Surroundings(Tier.A, await probe_facts()))
    assert found == "it could kill another process"


async def test_escape_turns_execution_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def escaped(_surroundings: Surroundings) -> str:
        return "it could kill another process"

    monkeypatch.setattr(sandbox, "self_test", escaped)
    state = await KernelSandbox().state()
    assert not state.works
    assert state.detail.endswith("it could kill another process; nothing is executed")


@pytest.mark.parametrize(
    ("tier", "change", "step"),
    [
        (Tier.B, {"landlock": {"abi": 99, "read": [], "write": []}}, "Landlock"),
        (Tier.B, {"namespaces": True}, "namespaces"),
        (Tier.A, {"devices": ["/no/device"]}, "a read-only /proc"),
        (
            Tier.A,
            {"tmp": {"path": "/no", "bytes": 1, "inodes": 1, "folder": ""}},
            "the private /tmp",
        ),
    ],
)
async def test_layer_that_cannot_be_applied_stops_the_run(
    tier: Tier, change: dict[str, Any], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_of = enclosure._plan
    monkeypatch.setattr(enclosure, "_plan", lambda *arguments: plan_of(*arguments) | change)
    found = await self_test(Surroundings(tier, await probe_facts()))
    assert found.startswith(f"not run: {step} could not be applied (")


def test_limits_are_never_raised() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    confinement.lower_limits({"RLIMIT_NOFILE": before[1]})
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
