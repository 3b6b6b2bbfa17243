"""A scripted model and a scripted sandbox: they fulfil the protocols and answer what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from egcfg_lsp.execution import Job, RunResult, SandboxState, Status
from egcfg_lsp.model import (
    Continuation,
    Finished,
    Line,
    ModelError,
    ModelInfo,
    Priority,
    StopReason,
    Usage,
)
from egcfg_lsp.model.llama.text import GeneratedText
from egcfg_lsp.prompt import Marker, Prompt, PromptForm

INFO = ModelInfo("scripted", PromptForm("Qwen2.5-Coder", frozenset(Marker)), 8192, 0.0)


@dataclass
class ScriptedModel:
    """Says `lines`, one every `delay_seconds`, up to where a continuation's stop says.

    A first line that repeats the indentation before the cursor goes on behind it. Remembers its
    prompts and how each answer ended.
    """

    lines_to_say: list[str] = field(default_factory=lambda: ["    return a + b\n"])
    delay_seconds: float = 0.0
    error: str = ""
    prompts: list[Prompt] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)

    async def info(self) -> ModelInfo:
        return INFO

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Line | Finished]:
        self.prompts += [continuation.prompt for continuation in continuations]
        if self.error:
            raise ModelError(self.error)
        ending = "stopped"
        try:
            for i, continuation in enumerate(continuations):
                before = continuation.prompt.parts[-1]
                starts_line = isinstance(before, str) and before.endswith("\n")
                text = GeneratedText(continuation.stop, i, starts_line)
                typed = before.rpartition("\n")[2] if isinstance(before, str) else ""
                for said in self.lines_to_say:
                    await asyncio.sleep(self.delay_seconds)
                    said, typed = said.removeprefix("" if typed.strip() else typed), ""
                    for line in text.push(said.encode(), -1.0):
                        yield line
                    if text.reason is not None:
                        break
                else:
                    for line in text.end():
                        yield line
                yield Finished(i, text.reason or StopReason.END)
            ending = "complete"
        finally:
            self.endings.append(ending)

    async def score(
        self, prompt: Prompt, texts: Sequence[str], priority: Priority
    ) -> list[list[float]]:
        return [[-1.0] * len(text.split()) for text in texts]

    async def read(self, prompt: Prompt, priority: Priority) -> Usage:
        return Usage()

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
