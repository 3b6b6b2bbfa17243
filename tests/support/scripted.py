"""A scripted model and a scripted sandbox: they fulfil the protocols and answer what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from egcfg_lsp.execution import Job, RunResult, SandboxState, Status
from egcfg_lsp.model import (
    Continuation,
    Finished,
    Line,
    ModelError,
    ModelInfo,
    Priority,
    Token,
    Usage,
)
from egcfg_lsp.model.llama.text import GeneratedText
from egcfg_lsp.prompt import Marker, Prompt, PromptForm

INFO = ModelInfo("scripted", PromptForm("Qwen2.5-Coder", frozenset(Marker)), 8192, 0.0)
END = "<end>"
"""The text by which `ScriptedModel.token` knows the end token."""


@dataclass
class ScriptedModel:
    """Says `lines_to_say`, one every `delay_seconds`, up to where a continuation's stop says.

    A first line that repeats the indentation before the cursor goes on behind it. Each line is a
    token, whose id `token` tells. Behind the n tokens that an answer begins with come the lines from
    the n-th on, or what `answer` says. Remembers its continuations and how each answer ended.
    """

    lines_to_say: list[str] = field(default_factory=lambda: ["    return a + b\n"])
    delay_seconds: float = 0.0
    error: str = ""
    answer: Callable[[Continuation, str], Sequence[str]] | None = None
    """From a continuation, and the text it begins with, the texts of the tokens that follow."""
    runners_up: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """By a token's text the text of the one that nearly stood in its place, and the margin."""
    continuations: list[Continuation] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    _texts: list[str] = field(default_factory=lambda: [END])
    """By token ids."""

    @property
    def prompts(self) -> list[Prompt]:
        return [continuation.prompt for continuation in self.continuations]

    def token(self, text: str) -> Token:
        """A token as it is told when it is chosen, but for its end."""
        if text not in self.runners_up:
            return Token(self._id(text), -1.0)
        runner_up, margin = self.runners_up[text]
        return Token(self._id(text), -1.0, runner_up=self._id(runner_up), margin=margin)

    async def info(self) -> ModelInfo:
        return INFO

    async def generate(
        self, continuations: Sequence[Continuation], priority: Priority
    ) -> AsyncGenerator[Line | Finished]:
        self.continuations += continuations
        if self.error:
            raise ModelError(self.error)
        ending = "stopped"
        try:
            for i, continuation in enumerate(continuations):
                before = continuation.prompt.parts[-1]
                starts_line = isinstance(before, str) and before.endswith("\n")
                text = GeneratedText(continuation.stop, i, starts_line)
                for token, delay_seconds in self._tokens(continuation):
                    await asyncio.sleep(delay_seconds)
                    said = self._texts[token.id]
                    lines = text.end(token) if said == END else text.push(said.encode(), token)
                    for line in lines:
                        yield line
                    if text.reason is not None:
                        break
                yield text.finished
            ending = "complete"
        finally:
            self.endings.append(ending)

    def _tokens(self, continuation: Continuation) -> Iterator[tuple[Token, float]]:
        """All tokens of an answer, and how long each takes."""
        begins = continuation.begins
        yield from ((token, 0.0) for token in begins)
        before = continuation.prompt.parts[-1]
        typed = before.rpartition("\n")[2] if isinstance(before, str) and not begins else ""
        typed = "" if typed.strip() else typed
        if self.answer is None:
            texts: Sequence[str] = self.lines_to_say[len(begins) :]
        else:
            texts = self.answer(continuation, "".join(self._texts[token.id] for token in begins))
        for text in texts:
            yield self.token(text.removeprefix(typed)), self.delay_seconds
            typed = ""
        yield self.token(END), 0.0

    def _id(self, text: str) -> int:
        if text not in self._texts:
            self._texts.append(text)
        return self._texts.index(text)

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
