"""A scripted model and a scripted sandbox: they fulfil the protocols and answer what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from egcfg_lsp.execution import Job, RunResult, SandboxState, Status
from egcfg_lsp.model import Line, ModelError, ModelInfo
from egcfg_lsp.prompt import Marker, Prompt

INFO = ModelInfo("scripted", frozenset(Marker), 8192, False, 0.0)


@dataclass
class ScriptedModel:
    """Says `lines`, one every `delay_seconds`; remembers its prompts and how each answer ended."""

    lines_to_say: list[str] = field(default_factory=lambda: ["    return a + b\n"])
    delay_seconds: float = 0.0
    error: str = ""
    prompts: list[Prompt] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)

    async def info(self) -> ModelInfo:
        return INFO

    async def lines(self, prompt: Prompt, max_tokens: int) -> AsyncGenerator[Line]:
        self.prompts.append(prompt)
        if self.error:
            raise ModelError(self.error)
        ending = "stopped"
        try:
            for line in self.lines_to_say:
                await asyncio.sleep(self.delay_seconds)
                yield Line(line, n_tokens=len(line.split()))
            ending = "complete"
        finally:
            self.endings.append(ending)

    async def close(self) -> None:
        self.endings.append("closed")


@dataclass
class ScriptedSandbox:
    """Answers each job by a function; by default only `return a + b` passes."""

    answer: Callable[[Job], RunResult] = lambda job: passes_if("return a + b")(job)
    delay_seconds: float = 0.0
    works: bool = True
    jobs: list[Job] = field(default_factory=list)

    async def state(self) -> SandboxState:
        return SandboxState("scripted", self.works, "scripted" if self.works else "switched off")

    async def run(self, job: Job) -> RunResult:
        self.jobs.append(job)
        await asyncio.sleep(self.delay_seconds)
        return self.answer(job)


def passes_if(wanted: str, n_tests: int = 3) -> Callable[[Job], RunResult]:
    """Runs pass when the module's text contains `wanted`, else all tests fail."""

    def answer(job: Job) -> RunResult:
        if wanted in job.text:
            return RunResult(Status.PASSED, n_tests, n_tests)
        return RunResult(Status.FAILED, 0, n_tests, failure="add(1, 2) → None, want 3")

    return answer
