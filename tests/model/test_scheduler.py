"""Whose turn it is, with scripted jobs: requests come from this thread, a worker thread carries them out."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from egcfg_lsp.model import Finished, Line, ModelError, Priority, StopReason, Usage
from egcfg_lsp.model.llama.messages import Read, WorkRequest
from egcfg_lsp.model.llama.scheduler import Scheduler, usage_of
from egcfg_lsp.prompt import Prompt

SECONDS = 10
USAGE = Usage(5, 6)
KEYSTROKE, VERIFICATION = Priority.KEYSTROKE, Priority.VERIFICATION
EXPLORATION, IDLE = Priority.EXPLORATION, Priority.IDLE


def request(number: int, priority: Priority) -> Read:
    return Read(request=number, priority=priority, prompt=Prompt((f"{number}",)))


@dataclass
class Flag:
    """`engine.abort`, and what was done to it."""

    is_set: bool = False
    n_set: int = 0

    def set(self) -> None:
        self.is_set = True
        self.n_set += 1

    def clear(self) -> None:
        self.is_set = False


@dataclass
class ScriptedJob:
    """A job of `n_steps`, each of which may call something first; reports to a common log."""

    number: int
    log: list[str]
    n_steps: int = 1
    during: dict[int, Callable[[], None]] = field(default_factory=dict)
    fails_at: int | None = None
    usage: Usage = USAGE
    n_done: int = 0

    @property
    def is_done(self) -> bool:
        return self.n_done >= self.n_steps

    def step(self) -> list[Line | Finished]:
        self.log.append(f"step {self.number}")
        self.during.pop(self.n_done, lambda: None)()
        if self.n_done == self.fails_at:
            raise ModelError(f"job {self.number} failed")
        self.n_done += 1
        return [Finished(self.number, StopReason.END)] if self.is_done else []

    def pause(self) -> None:
        self.log.append(f"pause {self.number}")


@dataclass
class Work:
    """A scheduler over scripted jobs, carried out on this thread."""

    jobs: dict[int, ScriptedJob] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    flag: Flag = field(default_factory=Flag)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self._make, self.flag)
        self.steps = self.scheduler.steps()

    def add(self, number: int, priority: Priority, n_steps: int = 1) -> ScriptedJob:
        job = self.jobs[number] = ScriptedJob(number, self.log, n_steps)
        self.scheduler.add(request(number, priority))
        return job

    def run(self, n: int) -> None:
        for _ in range(n):
            next(self.steps)

    def stepped(self) -> list[int]:
        return [int(entry.split()[1]) for entry in self.log if entry.startswith("step")]

    def _make(self, one: WorkRequest) -> ScriptedJob:
        self.log.append(f"make {one.request}")
        if one.request not in self.jobs:
            raise ModelError(f"no job {one.request}")
        return self.jobs[one.request]


@pytest.mark.parametrize(
    ("added", "order"),
    [
        ([(1, IDLE), (2, KEYSTROKE)], [2, 1]),
        ([(1, KEYSTROKE), (2, IDLE)], [1, 2]),
        ([(1, EXPLORATION), (2, EXPLORATION), (3, EXPLORATION)], [1, 2, 3]),
        (
            [(1, IDLE), (2, EXPLORATION), (3, VERIFICATION), (4, KEYSTROKE), (5, VERIFICATION)],
            [4, 3, 5, 2, 1],
        ),
    ],
)
def test_most_urgent_first_then_oldest(added: list[tuple[int, Priority]], order: list[int]) -> None:
    work = Work()
    for number, priority in added:
        work.add(number, priority, n_steps=2)
    work.run(2 * len(added))
    assert work.stepped() == [number for number in order for _ in range(2)]


def test_a_job_is_made_at_its_first_step_and_paused_at_its_end() -> None:
    work = Work()
    work.add(1, IDLE, n_steps=2)
    assert work.log == []
    work.run(2)
    assert work.log == ["make 1", "step 1", "step 1", "pause 1"]


def test_steps_tell_request_job_and_events() -> None:
    work = Work()
    job = work.add(1, IDLE, n_steps=2)
    assert next(work.steps) == (request(1, IDLE), job, [], "")
    assert next(work.steps) == (request(1, IDLE), job, [Finished(1, StopReason.END)], "")
    assert usage_of(job) == USAGE
    assert usage_of(None) == Usage()


def test_a_job_that_has_nothing_to_do_ends_without_a_step() -> None:
    work = Work()
    work.add(1, IDLE, n_steps=0)
    one, job, events, error = next(work.steps)
    assert (one.request, job, events, error) == (1, work.jobs[1], [], "")
    assert work.stepped() == []


def test_a_more_urgent_request_interrupts_and_the_loser_is_paused_and_goes_on() -> None:
    work = Work()
    loser = work.add(1, EXPLORATION, n_steps=3)
    seen: list[bool] = []

    def arrives() -> None:
        work.add(2, KEYSTROKE, n_steps=1)
        seen.append(work.flag.is_set)

    loser.during[1] = arrives
    work.run(4)
    assert seen == [True]
    assert work.log == [
        "make 1", "step 1", "step 1", "pause 1", "make 2", "step 2", "pause 2",
        "step 1", "pause 1",
    ]  # fmt: skip
    assert not work.flag.is_set


@pytest.mark.parametrize("priority", [EXPLORATION, IDLE])
def test_a_request_that_is_not_more_urgent_waits(priority: Priority) -> None:
    work = Work()
    job = work.add(1, EXPLORATION, n_steps=3)

    def arrives() -> None:
        work.add(2, priority)

    job.during[0] = arrives
    work.run(4)
    assert work.flag.n_set == 0
    assert work.stepped() == [1, 1, 1, 2]
    assert work.log.count("pause 1") == 1


def test_each_more_urgent_request_overtakes_and_finds_the_flag_clear() -> None:
    work, urgencies = Work(), (IDLE, EXPLORATION, VERIFICATION, KEYSTROKE)

    def arrive(number: int) -> None:
        assert not work.flag.is_set
        if number < len(urgencies):
            job = work.add(number, urgencies[number], n_steps=2)
            job.during[0] = lambda: arrive(number + 1)

    arrive(0)
    work.run(8)
    assert work.stepped() == [0, 1, 2, 3, 3, 2, 1, 0]
    assert work.flag.n_set == 3


def test_cancelling_a_waiting_request_forgets_it() -> None:
    work = Work()
    work.add(1, KEYSTROKE, n_steps=2)
    work.add(2, IDLE)
    work.add(3, IDLE)
    work.run(1)
    work.scheduler.cancel(2)
    assert work.flag.n_set == 0
    work.run(2)
    assert work.stepped() == [1, 1, 3]
    assert "make 2" not in work.log


def test_cancelling_a_paused_request_ends_it() -> None:
    work = Work()
    work.add(1, IDLE, n_steps=5)
    work.run(1)
    work.add(2, KEYSTROKE, n_steps=2)
    work.run(1)
    work.scheduler.cancel(1)
    work.add(3, IDLE)
    work.run(2)
    assert work.stepped() == [1, 2, 2, 3]


def test_cancelling_the_current_request_interrupts_it() -> None:
    work = Work()
    job = work.add(1, KEYSTROKE, n_steps=5)
    work.add(2, IDLE)
    seen: list[bool] = []

    def cancelled() -> None:
        work.scheduler.cancel(1)
        seen.append(work.flag.is_set)

    job.during[1] = cancelled
    work.run(3)
    assert seen == [True]
    assert work.stepped() == [1, 1, 2]
    assert work.log.index("pause 1") < work.log.index("step 2")
    assert not work.flag.is_set


def test_cancelling_what_has_ended_or_never_was_does_nothing() -> None:
    work = Work()
    work.add(1, IDLE)
    work.run(1)
    work.scheduler.cancel(1)
    work.scheduler.cancel(99)
    work.add(2, IDLE)
    work.run(1)
    assert work.stepped() == [1, 2]
    assert work.flag.n_set == 0


def test_a_request_whose_number_was_cancelled_before_it_came_is_carried_out() -> None:
    """A client gives each request a new number; cancelling in advance means nothing."""
    work = Work()
    work.scheduler.cancel(1)
    work.add(1, IDLE)
    work.run(1)
    assert work.stepped() == [1]


def test_a_job_that_fails_ends_and_the_others_go_on() -> None:
    work = Work()
    job = work.add(1, KEYSTROKE, n_steps=3)
    job.fails_at = 1
    work.add(2, IDLE)
    work.run(1)
    assert next(work.steps) == (request(1, KEYSTROKE), job, [], "job 1 failed")
    work.run(1)
    assert work.log == ["make 1", "step 1", "step 1", "pause 1", "make 2", "step 2", "pause 2"]


def test_a_request_that_no_job_can_be_made_of_ends() -> None:
    work = Work()
    work.scheduler.add(request(7, KEYSTROKE))
    work.add(1, IDLE)
    assert next(work.steps) == (request(7, KEYSTROKE), None, [], "no job 7")
    work.run(1)
    assert work.stepped() == [1]


# Two threads.


@dataclass
class Threaded:
    """The same, with the steps on a thread of their own."""

    work: Work = field(default_factory=Work)
    ended: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        # It waits for ever when the test is over: nothing is left to do.
        threading.Thread(target=self._carry_out, daemon=True).start()

    def _carry_out(self) -> None:
        for one, job, _, error in self.work.steps:
            if error or (job is not None and job.is_done):
                self.ended.put(one.request)

    def take(self, n: int) -> list[int]:
        return [self.ended.get(timeout=SECONDS) for _ in range(n)]


@pytest.fixture
def threaded() -> Threaded:
    return Threaded()


def test_an_idle_worker_wakes_for_each_request(threaded: Threaded) -> None:
    for number in range(5):
        threaded.work.add(number, IDLE)
        assert threaded.take(1) == [number]


def test_a_running_step_is_overtaken(threaded: Threaded) -> None:
    running, go_on = threading.Event(), threading.Event()
    job = ScriptedJob(1, threaded.work.log, 2)
    threaded.work.jobs[1] = job

    def wait() -> None:
        running.set()
        assert go_on.wait(SECONDS)

    job.during[0] = wait
    threaded.work.scheduler.add(request(1, EXPLORATION))
    assert running.wait(SECONDS)
    threaded.work.add(2, IDLE)
    assert not threaded.work.flag.is_set
    threaded.work.add(3, KEYSTROKE)
    assert threaded.work.flag.is_set
    go_on.set()
    assert threaded.take(3) == [3, 1, 2]


def test_a_running_step_is_cancelled_and_the_worker_waits(threaded: Threaded) -> None:
    running, go_on = threading.Event(), threading.Event()
    job = ScriptedJob(1, threaded.work.log, 1000)
    threaded.work.jobs[1] = job

    def wait() -> None:
        running.set()
        assert go_on.wait(SECONDS)

    job.during[0] = wait
    threaded.work.scheduler.add(request(1, EXPLORATION))
    assert running.wait(SECONDS)
    threaded.work.scheduler.cancel(1)
    go_on.set()
    threaded.work.add(2, IDLE)
    assert threaded.take(1) == [2]
    assert threaded.work.stepped() == [1, 2]


def test_requests_from_several_threads_are_all_carried_out(threaded: Threaded) -> None:
    work, n_threads, n_each = threaded.work, 4, 25
    numbers = range(n_threads * n_each)
    work.jobs.update({number: ScriptedJob(number, work.log, 2) for number in numbers})

    def send(first: int) -> None:
        for number in range(first, first + n_each):
            work.scheduler.add(request(number, Priority(number % 4)))

    threads = [threading.Thread(target=send, args=(i * n_each,)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    assert sorted(threaded.take(len(numbers))) == list(numbers)
    for thread in threads:
        thread.join()
