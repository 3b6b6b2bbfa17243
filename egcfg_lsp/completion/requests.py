"""What there is to know of a request before the model is asked: whether to, and which tests judge it.

Reads files of the project. Does not know how a completion comes about.
"""

from __future__ import annotations

from collections.abc import Hashable

from egcfg_lsp.completion import Request
from egcfg_lsp.completion.causes import Cause
from egcfg_lsp.completion.draft import Circumstances, place_of
from egcfg_lsp.completion.filters import Trigger, rejects_trigger
from egcfg_lsp.completion.project import Project, project_at
from egcfg_lsp.completion.verify import reason_not_to_run, without_suggestion
from egcfg_lsp.source.oracle import OracleTest, find_oracle_tests
from egcfg_lsp.source.reach import is_bare
from egcfg_lsp.source.target import Target, find_target, surroundings


def reason_not_to_ask(request: Request) -> Cause | None:
    """Why the model is not asked for this request at all."""
    if not request.settings.enabled:
        return Cause.DISABLED
    project = project_of(request)
    if project is not None and request.path is not None and project.is_excluded(request.path):
        return Cause.EXCLUDED
    return rejects_trigger(place_of(request, None), trigger(request))


def project_of(request: Request) -> Project | None:
    return None if request.root is None else project_at(request.root, request.settings.exclude)


def tests_version(request: Request) -> Hashable:
    """Changes when a test file of the project appears, goes or is written, and with what is not
    saved in other buffers; belongs into a thread."""
    project = project_of(request)
    if project is None:
        return 0
    project.refresh()
    return project.version(beside=request.path), frozenset(request.overlays.items())


def is_without_body(request: Request, here: Circumstances) -> bool:
    """Whether tests wait for a function that does nothing yet, and the cursor is where its body goes."""
    if not here.goes_to_the_end or reason_not_to_run(request, here.tests) is not None:
        return False
    text = without_suggestion(request)
    target = find_target(text, request.offset)
    return target is not None and is_bare(text, target.first_line + 1, target.end_line)


def oracle_tests(
    request: Request, target: Target | None, project: Project
) -> tuple[OracleTest, ...]:
    """The tests of the target, as they are on disk."""
    if target is None or request.path is None or not request.path.is_relative_to(project.root):
        return ()
    return find_oracle_tests(target, request.path, project.root, request.text, project)


def trigger(request: Request) -> Trigger:
    stands_in = surroundings(request.text, request.offset)
    return Trigger(
        request.is_automatic,
        stands_in,
        just_accepted=request.just_accepted,
        allows_strings=request.settings.in_strings,
    )
