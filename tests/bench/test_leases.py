"""Leases: one holder at a time, expiry by death and by silence, and races between takers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.bench import leases as leases_module
from egcfg_lsp.bench.leases import Holder, Leases, this_process

TTL = 60.0


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def elsewhere(number: int = 1) -> Holder:
    """A process of another machine, of which nothing can be seen but its files."""
    return Holder(f"machine {number}", 1, 0.0)


def leases(folder: Path, holder: Holder | None = None, clock: Clock | None = None) -> Leases:
    return Leases(folder, ttl_seconds=TTL, clock=clock or Clock(), holder=holder)


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    ours, theirs = leases(tmp_path), leases(tmp_path, elsewhere())
    assert ours.take("a task/with: signs")
    assert not theirs.take("a task/with: signs")
    assert theirs.take("a task/with: signs.1"), "a name that begins like another's is another"
    ours.release("a task/with: signs")
    assert theirs.take("a task/with: signs")


def test_a_silent_holder_elsewhere_loses_it_by_our_own_clock(tmp_path: Path) -> None:
    clock = Clock()
    theirs, ours = leases(tmp_path, elsewhere()), leases(tmp_path, clock=clock)
    assert theirs.take("t")
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))  # their clock is decades behind
    assert not ours.take("t"), "an old time alone says nothing"
    clock.now = TTL - 1
    assert not ours.take("t")
    theirs.renew()
    clock.now = TTL + 1
    assert not ours.take("t"), "it was renewed meanwhile"
    clock.now = 2 * TTL + 2
    assert ours.take("t")
    assert not theirs.take("t")
    theirs.renew()  # woke up: touches nobody else's file
    theirs.release("t")
    assert not theirs.take("t"), "the new holder's file is still there"


@pytest.mark.parametrize(
    ("change", "expires"),
    [
        pytest.param({}, False, id="this very process lives"),
        pytest.param({"pid": 2**22 + 1}, True, id="no such process"),
        pytest.param({"start": 1.0}, True, id="its number is another process' now"),
        pytest.param({"machine": "x", "pid": 2**22 + 1}, False, id="of another machine"),
    ],
)
def test_death_on_the_same_machine_is_seen_at_once(
    change: dict[str, object], expires: bool, tmp_path: Path
) -> None:
    holder = replace(this_process(), **change)  # type: ignore[arg-type]
    assert leases(tmp_path, holder).take("t")
    assert leases(tmp_path).take("t") is expires


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only that clock tells a start")
@pytest.mark.parametrize("step", [-3600.0, 5.0])
def test_a_living_holder_survives_that_the_clock_is_set(
    step: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The starts that psutil tells on Linux are counted from now: they move with the clock."""
    real = psutil.Process.create_time
    assert leases(tmp_path).take("t")
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + step)
    assert not leases(tmp_path).take("t")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["x", "a) R 1 (b", ") ) )", "\n) S"])
def test_a_process_may_have_any_name(name: str, tmp_path: Path) -> None:
    code = f"open('/proc/self/comm', 'w').write({name!r}); print(); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        before = holder_of(child.pid)
        child.stdout.readline()
        assert Path(f"/proc/{child.pid}/comm").read_text() == f"{name}\n"
        assert holder_of(child.pid) == before
        assert leases(tmp_path, before).take("t")
        assert not leases(tmp_path).take("t")
        child.communicate(b"\n")
    assert leases(tmp_path).take("t")


def holder_of(pid: int) -> Holder:
    return replace(this_process(), pid=pid, start=leases_module._start_of(pid))


def test_zombie_is_dead(tmp_path: Path) -> None:
    """A killed child that its parent has not waited for still has a process number."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert leases(tmp_path, holder_of(child.pid)).take("t")
    assert not leases(tmp_path).take("t")
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert leases(tmp_path).take("t")
    child.communicate()


def test_half_written_lease_expires_by_silence(tmp_path: Path) -> None:
    """Killed between creating and writing: it names nobody."""
    clock = Clock()
    (tmp_path / "t.1.json").write_text("")
    ours = leases(tmp_path, clock=clock)
    assert not ours.take("t")
    clock.now = TTL + 1
    assert ours.take("t")
    assert [path.name for path in tmp_path.iterdir()] == ["t.2.json"]


async def test_a_lease_that_cannot_be_written_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("egcfg_lsp.bench.leases.json.dump", fail)
    ours = leases(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        async with ours.kept_alive():
            ours.take("t")
    assert list(tmp_path.iterdir()) == []


def test_of_many_takers_of_an_expired_lease_one_gets_it(tmp_path: Path) -> None:
    for round_ in range(20):
        name = f"t{round_}"
        gone = replace(this_process(), pid=2**22 + 1)
        assert leases(tmp_path, gone).take(name)
        takers = [leases(tmp_path) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda one: one.take(name), takers))  # noqa: B023
        assert taken.count(True) == 1


async def test_leaving_gives_back_what_is_held(tmp_path: Path) -> None:
    ours = leases(tmp_path)

    async def break_while_holding() -> None:
        async with ours.kept_alive():
            assert ours.take("t")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await break_while_holding()
    assert list(tmp_path.iterdir()) == []


async def test_a_living_holder_keeps_it(tmp_path: Path) -> None:
    """Its file is written anew while it works, so that nobody waits for nothing."""
    theirs = Leases(tmp_path, ttl_seconds=0.6, holder=elsewhere())
    ours = Leases(tmp_path, ttl_seconds=0.6)
    async with theirs.kept_alive():
        assert theirs.take("t")
        for _ in range(20):
            assert not ours.take("t")
            await asyncio.sleep(0.1)
    assert ours.take("t")
