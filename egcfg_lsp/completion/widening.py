"""Further tests of a function that those which name it do not reach, or not in all its lines.

A test that does not name a function may reach it all the same; only a run can tell. Of such tests
those count that pass and have entered it: one that fails may do so for reasons of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import groupby

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.history import TestHistory
from egcfg_lsp.completion.project import project_at
from egcfg_lsp.execution import Ending, Job, RunResult, Status
from egcfg_lsp.source.oracle import OracleTest, find_oracle_tests, guess_tests
from egcfg_lsp.source.target import find_target

MAX_NAMED, MAX_GUESSED, MAX_FILES = 32, 16, 4
"""Tests tried besides the first ones, and files of them: each is collected by itself."""
Ran = Callable[[Job], Awaitable[RunResult]]


def is_too_narrow(result: RunResult) -> bool:
    """Whether other tests could say more of what was run."""
    is_passed = result.status is Status.PASSED
    return result.ending is Ending.NOT_REACHED or (is_passed and bool(result.missed_lines))


async def widened(
    job: Job, result: RunResult, request: Request, history: TestHistory, ran: Ran
) -> tuple[Job, RunResult]:
    """The job with more tests and what they say together; or both as they were."""
    others = await asyncio.to_thread(further_tests, request)
    known = {(test.path, test.kind, test.name) for test in job.tests}
    others = tuple(
        test for test in history.steady(others) if (test.path, test.kind, test.name) not in known
    )
    files = [tuple(group) for _, group in groupby(others, key=lambda test: test.path)]
    found: list[OracleTest] = []
    for tests in files[:MAX_FILES]:
        one = await ran(replace(job, tests=tests))
        if one.status is Status.PASSED:
            found += tests
            if not one.missed_lines:
                break
    if not found:
        return job, result
    history.note_reaching(job.path, job.target, tuple(found))
    wider = replace(job, tests=(*job.tests, *found))
    return wider, await ran(wider)


def further_tests(request: Request) -> tuple[OracleTest, ...]:
    """Of the function around the cursor, the likeliest first, by file; reads files."""
    target = find_target(request.text, request.offset)
    if target is None or request.path is None or request.root is None:
        return ()
    project = project_at(request.root, request.settings.exclude)
    project.refresh()
    place = (target, request.path, project.root, request.text, project)
    named = find_oracle_tests(*place, limit=MAX_NAMED)
    tests = (*named, *guess_tests(*place, limit=MAX_GUESSED))
    files = list(dict.fromkeys(test.path for test in tests))
    return tuple(sorted(dict.fromkeys(tests), key=lambda test: files.index(test.path)))
