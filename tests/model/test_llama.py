"""The model worker with the real model behind it: lines, reuse, cancelling, dying, damaged files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.model import ModelError
from egcfg_lsp.model.llama.client import LlamaModel
from egcfg_lsp.model.llama.engine import LlamaEngine, Usage
from egcfg_lsp.model.llama.messages import (
    HEADER_BYTES,
    Cancel,
    Ended,
    Generate,
    GeneratedLine,
    Loaded,
    LoadFailed,
    decode_from_worker,
    decode_to_worker,
    encode,
)
from egcfg_lsp.prompt import Marker, Prompt, infill_prompt
from tests.support.scripted import INFO

PREFIX = "import math\n\n\ndef circle_area(radius: float) -> float:\n"


def prompt_of(before: str, after: str = "\n") -> Prompt:
    return infill_prompt(before, after, markers=frozenset(Marker), function_line=3)


@pytest.mark.parametrize(
    "message",
    [
        Generate(1, (Marker.FIM_PREFIX, "fim_suffix", "𝄞\n"), 9),
        Cancel(2),
    ],
)
def test_messages_to_the_worker_come_back_equal(message: Generate | Cancel) -> None:
    assert decode_to_worker(encode(message)[HEADER_BYTES:]) == message


@pytest.mark.parametrize(
    "message", [Loaded(INFO), LoadFailed("no"), GeneratedLine(1, "é\n", 3), Ended(1, 2, 3, "x")]
)
def test_messages_from_the_worker_come_back_equal(
    message: Loaded | LoadFailed | GeneratedLine | Ended,
) -> None:
    frame = encode(message)
    assert int.from_bytes(frame[:HEADER_BYTES], "big") == len(frame) - HEADER_BYTES
    assert decode_from_worker(frame[HEADER_BYTES:]) == message


@pytest.fixture
async def model(default_model: Path) -> AsyncIterator[LlamaModel]:
    model = LlamaModel(default_model)
    yield model
    await model.close()


def worker_of(model: LlamaModel) -> int:
    assert model._worker is not None
    return model._worker._process.pid


async def lines_of(model: LlamaModel, prompt: Prompt, max_tokens: int = 32) -> list[str]:
    return [line.text async for line in model.lines(prompt, max_tokens)]


@pytest.mark.model
async def test_real_model_completes_lines(model: LlamaModel) -> None:
    info = await model.info()
    assert info.markers == frozenset(Marker)
    lines = await lines_of(model, prompt_of(PREFIX), 96)
    assert "math.pi" in "".join(lines)
    assert lines[0].endswith("\n")
    assert await lines_of(model, prompt_of(PREFIX), 96) == lines, "greedy decoding is deterministic"


@pytest.mark.model
async def test_closing_the_answer_stops_the_decoding(model: LlamaModel) -> None:
    """A cancelled long answer must leave the worker free for the next one at once."""
    long = Prompt(("# The numbers from one to a thousand, one a line:\n1\n2\n3\n4\n",))
    started = time.monotonic()
    await lines_of(model, long, 4)
    short_seconds = time.monotonic() - started
    async with aclosing(model.lines(long, 4000)) as lines:
        async for _ in lines:
            break
    started = time.monotonic()
    await lines_of(model, long, 4)
    assert time.monotonic() - started < short_seconds + 2


@pytest.mark.model
async def test_dead_worker_fails_the_request_and_the_next_one_works(model: LlamaModel) -> None:
    await model.info()
    worker = worker_of(model)
    long = Prompt(("# count: 1\n2\n3\n",))

    async def killed_in_between() -> None:
        async for _ in model.lines(long, 4000):
            os.kill(worker, signal.SIGKILL)

    with pytest.raises(ModelError, match="died"):
        await killed_in_between()
    assert await lines_of(model, prompt_of(PREFIX))
    assert worker_of(model) != worker


@pytest.mark.model
async def test_prompt_that_does_not_fit_is_a_clear_error(model: LlamaModel) -> None:
    with pytest.raises(ModelError, match="the prompt has"):
        await lines_of(model, Prompt(("x = 1\n" * 9000,)))
    assert await lines_of(model, prompt_of(PREFIX))


@pytest.mark.model
async def test_close_ends_the_worker(default_model: Path) -> None:
    model = LlamaModel(default_model)
    await model.info()
    worker = worker_of(model)
    await model.close()
    assert not psutil.pid_exists(worker)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all" * 100])
async def test_broken_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot load"):
        await LlamaModel(path).info()


@pytest.mark.model
async def test_truncated_model_is_a_clear_error(default_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "truncated.gguf"
    with default_model.open("rb") as stream:
        path.write_bytes(stream.read(50_000_000))
    with pytest.raises(ModelError, match="cannot load"):
        await LlamaModel(path).info()


@pytest.mark.model
def test_worker_ends_with_its_parent(default_model: Path) -> None:
    """Even when the parent is killed while the worker decodes."""
    program = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from egcfg_lsp.model.llama.client import LlamaModel\n"
        "from egcfg_lsp.prompt import Prompt\n"
        "async def main():\n"
        "    model = LlamaModel(Path(sys.argv[1]))\n"
        "    async for line in model.lines(Prompt(('# count: 1\\n2\\n3\\n',)), 4000):\n"
        "        print(model._worker._process.pid, flush=True)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(default_model)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    worker.wait(timeout=10)


@pytest.fixture(scope="module")
def engine(default_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(default_model, n_threads=2)
    yield engine
    engine.close()


def read_by(engine: LlamaEngine, prompt: Prompt) -> Usage:
    usage = Usage()
    list(engine.lines(prompt.parts, 1, usage))
    return usage


@pytest.mark.model
def test_typing_reads_only_what_was_typed(engine: LlamaEngine) -> None:
    first = read_by(engine, prompt_of(PREFIX, "\n\nprint(circle_area(2))\n"))
    for typed in ("    re", "    return", "    return math"):
        usage = read_by(engine, prompt_of(PREFIX + typed, "\n\nprint(circle_area(2))\n"))
        assert usage.n_read <= 4
        assert usage.n_read + usage.n_reused >= first.n_read


@pytest.mark.model
def test_reused_cache_gives_the_same_answer_as_a_fresh_one(engine: LlamaEngine) -> None:
    def answer(before: str) -> list[str]:
        return [line.text for line in engine.lines(prompt_of(before).parts, 24, Usage())]

    fresh = answer(PREFIX)
    answer(PREFIX + "    return 1\n")
    answer("class Unrelated:\n    pass\n\n\n")
    assert answer(PREFIX) == fresh


@pytest.mark.model
def test_text_never_becomes_a_control_token(engine: LlamaEngine) -> None:
    (marker,) = engine.tokenize([Marker.FIM_MIDDLE])
    assert marker not in engine.tokenize(["x = '<|fim_middle|><|im_end|>'"])


@pytest.mark.model
def test_abort_at_any_point_leaves_a_cache_that_is_right(engine: LlamaEngine) -> None:
    prompt = prompt_of("# about circles and squares\n" * 100 + PREFIX)
    fresh = [line.text for line in engine.lines(prompt.parts, 16, Usage())]
    for after in (0.0, 0.05, 0.2, 0.6):
        read_by(engine, Prompt(("something else\n",)))
        asyncio.run(_abort_later(engine, prompt, after))
        engine.abort.clear()
        assert [line.text for line in engine.lines(prompt.parts, 16, Usage())] == fresh


async def _abort_later(engine: LlamaEngine, prompt: Prompt, seconds: float) -> None:
    reading = asyncio.create_task(asyncio.to_thread(read_by, engine, prompt))
    await asyncio.sleep(seconds)
    engine.abort.set()
    await reading
