"""The model worker and its client: messages, requests, cancelling, dying, hanging, damaged files.

With a tiny random model, and with the real one where its answers matter.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from egcfg_lsp.model import (
    Continuation,
    Finished,
    Line,
    ModelError,
    Priority,
    Sampling,
    Stop,
    StopReason,
    Token,
    Usage,
)
from egcfg_lsp.model.llama.client import LlamaModel, Patience
from egcfg_lsp.model.llama.messages import (
    HEADER_BYTES,
    Cancel,
    Ended,
    FromWorker,
    Generate,
    GeneratedEnd,
    GeneratedLine,
    Loaded,
    LoadFailed,
    Read,
    Score,
    Scored,
    ToWorker,
    Used,
    Working,
    decode_from_worker,
    decode_options,
    decode_to_worker,
    encode,
    encode_options,
)
from egcfg_lsp.prompt import Control, Marker, Prompt, PromptForm, infill_prompt
from egcfg_lsp.settings import ModelOptions, Settings
from tests.support.gguf_models import tiny_mamba, tiny_model
from tests.support.scripted import INFO

QWEN = PromptForm("Qwen2.5-Coder", frozenset(Marker))
PREFIX = "import math\n\n\ndef circle_area(radius: float) -> float:\n"
COUNT = Prompt(("# count: 1\n2\n3\n",))
LONG = Continuation(COUNT, Stop(4000))
PROMPT = Prompt((Marker.FIM_PREFIX, Control("<|im_end|>"), "fim_suffix", "𝄞\n"))


def prompt_of(before: str, after: str = "\n") -> Prompt:
    return infill_prompt(before, after, form=QWEN, function_line=3)


@pytest.mark.parametrize(
    "message",
    [
        Generate(1, Priority.IDLE, (Continuation(PROMPT, Stop(9)),)),
        Generate(
            2,
            Priority.KEYSTROKE,
            (
                Continuation(
                    PROMPT,
                    Stop(9, at_line_end=True, min_indent=4, suffix_line="x", strings=("a", "b")),
                    Sampling(0.8, 0.9, 0.1, 7),
                    signal=PROMPT,
                    guidance_scale=3.0,
                    plausibility=0.1,
                    heal=False,
                    begins=(Token(3, -0.5, 2, 4, 0.125), Token(5, -1.0)),
                    guesses=((3, 5, 7), ()),
                ),
            ),
        ),
        Score(3, Priority.VERIFICATION, PROMPT, ("a", "é\n")),
        Read(4, Priority.EXPLORATION, PROMPT),
        Cancel(2),
    ],
)
def test_messages_to_the_worker_come_back_equal(message: ToWorker) -> None:
    assert decode_to_worker(encode(message)[HEADER_BYTES:]) == message


@pytest.mark.parametrize(
    "message",
    [
        Loaded(INFO),
        LoadFailed("no"),
        GeneratedLine(1, Line("é\n", (Token(7, -0.5), Token(8, 0.0, 2, 9, 0.25)), 3)),
        GeneratedEnd(1, Finished(3, StopReason.DEDENT, (Token(2, -1.5, 3, margin=1.0),))),
        Scored(1, ((-1.0,), ())),
        Used(1, Usage(2, 3, 4)),
        Working(),
        Ended(1, Usage(2, 3), "x"),
    ],
)
def test_messages_from_the_worker_come_back_equal(message: FromWorker) -> None:
    frame = encode(message)
    assert int.from_bytes(frame[:HEADER_BYTES], "big") == len(frame) - HEADER_BYTES
    assert decode_from_worker(frame[HEADER_BYTES:]) == message


def test_settings_reach_the_worker_as_model_options() -> None:
    settings = Settings(gpu_layers=3, threads=2, kv_cache_type="q8_0", model="x")
    assert decode_options(encode_options(settings)) == ModelOptions(
        gpu_layers=3, threads=2, kv_cache_type="q8_0"
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny.gguf", n_ctx_train=8192)


@pytest.fixture
async def model(tiny: Path) -> AsyncIterator[LlamaModel]:
    model = LlamaModel(tiny)
    yield model
    await model.close()


@pytest.fixture
async def real(default_model: Path) -> AsyncIterator[LlamaModel]:
    model = LlamaModel(default_model)
    yield model
    await model.close()


def worker_of(model: LlamaModel) -> int:
    assert model._worker is not None
    return model._worker._process.pid


async def lines_of(model: LlamaModel, prompt: Prompt, max_tokens: int = 32) -> list[str]:
    continuations = [Continuation(prompt, Stop(max_tokens))]
    events = [event async for event in model.generate(continuations, Priority.KEYSTROKE)]
    assert isinstance(events[-1], Finished)
    return [event.text for event in events if isinstance(event, Line)]


@pytest.mark.model
async def test_real_model_completes_lines(real: LlamaModel) -> None:
    info = await real.info()
    assert (info.form.family, info.notes, info.trims) == ("Qwen2.5-Coder", (), True)
    lines = await lines_of(real, prompt_of(PREFIX), 96)
    assert "math.pi" in "".join(lines)
    assert lines[0].endswith("\n")
    assert await lines_of(real, prompt_of(PREFIX), 96) == lines, "greedy decoding is deterministic"


@pytest.mark.model
async def test_real_model_completes_a_half_typed_word(real: LlamaModel) -> None:
    """Token healing: `radi` is no beginning of a word the model would write, `radius` is."""
    line, *_ = await lines_of(real, prompt_of(f"{PREFIX}    return math.pi * radi"), 12)
    assert line.startswith("us")


@pytest.mark.model
async def test_real_model_scores_the_right_line_higher(real: LlamaModel) -> None:
    texts = ["    return math.pi * radius ** 2\n", "    return math.tau + radius\n"]
    right, wrong = await real.score(prompt_of(PREFIX), texts, Priority.VERIFICATION)
    assert sum(right) > sum(wrong)


@pytest.mark.model
async def test_real_model_samples_several_continuations_at_once(real: LlamaModel) -> None:
    """The same seeds give the same texts; each line is as probable as scoring says it is."""
    stop = Stop(32, at_line_end=True)
    continuations = [
        Continuation(prompt_of(PREFIX), stop, Sampling(1.0, 0.95, seed=seed), heal=False)
        for seed in range(6)
    ]

    async def sampled() -> list[Line]:
        events = [event async for event in real.generate(continuations, Priority.EXPLORATION)]
        assert {event.index for event in events if isinstance(event, Finished)} == set(range(6))
        lines = [event for event in events if isinstance(event, Line)]
        return sorted(lines, key=lambda line: line.index)

    lines = await sampled()
    assert [line.text for line in await sampled()] == [line.text for line in lines]
    assert len({line.text for line in lines}) > 1
    texts = [line.text for line in lines]
    scores = await real.score(prompt_of(PREFIX), texts, Priority.VERIFICATION)
    for line, score in zip(lines, scores, strict=True):
        if len(score) == len(line.log_probabilities):  # else it was written in other tokens
            assert sum(line.log_probabilities) == pytest.approx(sum(score), abs=0.3)


@pytest.mark.model
async def test_real_model_follows_the_signal(real: LlamaModel) -> None:
    """Two-branch decoding: what only the signal knows is followed the more, the larger γ is."""
    prior = prompt_of(PREFIX)
    signal = prompt_of("# Use the constant PI of this module.\nPI = 3\n" + PREFIX)
    continuations = [
        Continuation(prior, Stop(24, at_line_end=True), signal=signal, guidance_scale=scale)
        for scale in (0.0, 1.0, 3.0)
    ]
    lines = {
        event.index: event.text
        async for event in real.generate(continuations, Priority.EXPLORATION)
        if isinstance(event, Line)
    }
    (plain,) = await lines_of_one(real, Continuation(prior, Stop(24, at_line_end=True)))
    (conditioned,) = await lines_of_one(real, Continuation(signal, Stop(24, at_line_end=True)))
    assert (lines[0], lines[1]) == (plain, conditioned)
    assert set(lines) == {0, 1, 2}


async def told(model: LlamaModel, continuation: Continuation) -> tuple[str, list[Token], Usage]:
    """Text, tokens and what was used."""
    text, usage = "", Usage()
    tokens: list[Token] = []
    async for event in model.generate([continuation], Priority.EXPLORATION):
        if isinstance(event, Usage):
            usage = event
        else:
            tokens += event.tokens
            text += event.text if isinstance(event, Line) else ""
    return text, tokens, usage


@pytest.mark.model
async def test_real_model_forks_its_draft(real: LlamaModel) -> None:
    """A branch reads one token, and has the draft's text up to it."""
    draft = Continuation(prompt_of(PREFIX), Stop(40, at_line_end=True))
    text, tokens, usage = await told(real, draft)
    assert usage.n_generated == len(tokens)
    n, least = min(enumerate(tokens), key=lambda place: place[1].margin)
    assert least.runner_up is not None
    runner_up = Token(least.runner_up, least.log_probability - least.margin)
    branch = replace(draft, begins=(*tokens[:n], runner_up))
    forked, of_fork, used = await told(real, branch)
    start = tokens[n - 1].end if n else 0
    assert forked[:start] == text[:start]
    assert forked != text
    assert [token.id for token in of_fork[: n + 1]] == [*(t.id for t in tokens[:n]), runner_up.id]
    assert (used.n_read, used.n_generated) == (1, len(of_fork) - n - 1)
    again = await told(real, replace(draft, begins=tuple(tokens)))
    assert again == (text, tokens, Usage())


@pytest.mark.model
async def test_real_model_says_with_guesses_what_it_says_without(real: LlamaModel) -> None:
    prior = prompt_of(PREFIX)
    signal = prompt_of("# Use the constant PI of this module.\nPI = 3\n" + PREFIX)
    stop = Stop(24, at_line_end=True)
    guided = Continuation(prior, stop, signal=signal, guidance_scale=1.5, plausibility=0.1)
    text, tokens, _ = await told(real, guided)
    guesses = (tuple(token.id for token in tokens),)
    assert (await told(real, replace(guided, guesses=guesses)))[0] == text


async def lines_of_one(
    model: LlamaModel, continuation: Continuation, priority: Priority = Priority.KEYSTROKE
) -> list[str]:
    events = [event async for event in model.generate([continuation], priority)]
    return [event.text for event in events if isinstance(event, Line)]


async def test_what_was_read_ahead_is_not_read_again(model: LlamaModel) -> None:
    first = await model.read(COUNT, Priority.IDLE)
    again = await model.read(COUNT, Priority.IDLE)
    assert first.n_read > 1
    assert (again.n_read, again.n_reused) == (0, first.n_read)


@pytest.mark.model
async def test_what_was_used_is_told_before_what_it_was_used_for(real: LlamaModel) -> None:
    continuations = [
        Continuation(COUNT, Stop(12), Sampling(temperature=1, seed=seed)) for seed in range(2)
    ]
    usage, n_tokens, n_finished = Usage(), 0, 0
    async for event in real.generate(continuations, Priority.EXPLORATION):
        if isinstance(event, Usage):
            assert event.n_generated > usage.n_generated
            assert event.n_read + event.n_reused > 0
            usage = event
        elif isinstance(event, Line):
            n_tokens += len(event.log_probabilities)
            assert usage.n_generated >= n_tokens
        else:
            n_finished += 1
    assert n_finished == 2
    assert n_tokens <= usage.n_generated <= 24


async def test_no_continuations_no_events(model: LlamaModel) -> None:
    assert [event async for event in model.generate([], Priority.IDLE)] == []
    assert await model.score(COUNT, [], Priority.IDLE) == []


async def test_closing_the_answer_frees_the_worker(model: LlamaModel) -> None:
    async with aclosing(model.generate([LONG] * 8, Priority.KEYSTROKE)) as events:
        async for _ in events:
            break
    assert await lines_of(model, COUNT)


async def test_a_more_urgent_request_is_answered_first(model: LlamaModel) -> None:
    order: list[str] = []
    begun = asyncio.Event()

    async def ask(name: str, continuations: list[Continuation], priority: Priority) -> None:
        async for _ in model.generate(continuations, priority):
            if name not in order:
                order.append(name)
                begun.set()
        order.append(f"{name} ended")

    await model.info()
    idle_work = [Continuation(COUNT, Stop(1500))] * 4
    idle = asyncio.create_task(ask("idle", idle_work, Priority.IDLE))
    await begun.wait()
    await ask("keystroke", [Continuation(COUNT, Stop(8))], Priority.KEYSTROKE)
    assert "idle ended" not in order, "the keystroke did not wait for the idle request"
    await idle
    assert order[-1] == "idle ended", "what was interrupted went on to its end"


@pytest.mark.model
async def test_an_interrupted_request_has_the_same_answer(real: LlamaModel) -> None:
    body = Continuation(prompt_of(PREFIX), Stop(48))
    alone = await lines_of_one(real, body)
    await lines_of(real, Prompt(("something else\n",)), 2)
    answer = asyncio.create_task(lines_of_one(real, body, Priority.VERIFICATION))
    for i in range(5):
        await asyncio.sleep(0.1)
        await lines_of(real, Prompt((f"other text {i}\n",)), 2)
    assert await answer == alone


async def test_a_recurrent_model_works_and_says_what_it_cannot(tmp_path: Path) -> None:
    model = LlamaModel(tiny_mamba(tmp_path / "mamba.gguf"))
    try:
        assert not (await model.info()).trims
        lines = await lines_of(model, COUNT)
        await lines_of(model, Prompt(("# count: 1\n2\n3\n4\n",)))
        assert await lines_of(model, COUNT) == lines
    finally:
        await model.close()


async def test_dead_worker_fails_the_request_and_the_next_one_works(model: LlamaModel) -> None:
    await lines_of(model, COUNT)
    worker = worker_of(model)

    async def killed_in_between() -> None:
        async for _ in model.generate([LONG], Priority.KEYSTROKE):
            os.kill(worker, signal.SIGKILL)

    with pytest.raises(ModelError, match=r"died.*memory"):
        await killed_in_between()
    assert await lines_of(model, COUNT)
    assert worker_of(model) != worker


async def test_hung_worker_is_ended_and_the_next_request_works(tiny: Path) -> None:
    model = LlamaModel(tiny, patience=Patience(at_work=0.5))
    await lines_of(model, COUNT)
    worker = worker_of(model)
    os.kill(worker, signal.SIGSTOP)
    with pytest.raises(ModelError, match="hung"):
        await lines_of(model, COUNT)
    assert await lines_of(model, COUNT)
    assert not psutil.pid_exists(worker)
    await model.close()


async def test_a_worker_at_work_is_not_taken_for_hung(tiny: Path) -> None:
    model = LlamaModel(tiny, patience=Patience(at_work=3))
    started = time.monotonic()
    while time.monotonic() - started < 4:
        await lines_of_one(model, Continuation(COUNT, Stop(8000)))
    await model.close()


async def test_worker_that_never_loads_is_given_up(tmp_path: Path) -> None:
    fifo = tmp_path / "never.gguf"
    os.mkfifo(fifo)
    model = LlamaModel(fifo, patience=Patience(to_load=1))
    with pytest.raises(ModelError, match="did not load within 1 s"):
        await model.info()


async def test_a_model_that_keeps_failing_is_tried_again_after_a_pause_only(
    tmp_path: Path, tiny: Path
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"no model")
    model = LlamaModel(path)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"cannot load .*too new$"):
            await model.info()
    with pytest.raises(ModelError, match="the next attempt is in 1 s"):
        await model.info()
    path.write_bytes(tiny.read_bytes())
    await asyncio.sleep(1.1)
    assert await lines_of(model, COUNT)
    await model.close()


async def test_prompt_that_does_not_fit_is_a_clear_error(model: LlamaModel) -> None:
    with pytest.raises(ModelError, match="the prompt has"):
        await lines_of(model, Prompt(("x = 1\n" * 9000,)))
    assert await lines_of(model, COUNT)


async def test_close_ends_the_worker_and_what_it_was_doing(tiny: Path) -> None:
    model = LlamaModel(tiny)
    await model.info()
    worker = worker_of(model)

    async def closed_in_between() -> None:
        async for _ in model.generate([LONG] * 8, Priority.IDLE):
            await model.close()

    with pytest.raises(ModelError, match="closed"):
        await closed_in_between()
    assert not psutil.pid_exists(worker)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all" * 100])
async def test_broken_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot load"):
        await LlamaModel(path).info()


@pytest.mark.parametrize("cut", [0.3, 0.9])
async def test_truncated_model_is_a_clear_error(tiny: Path, tmp_path: Path, cut: float) -> None:
    path = tmp_path / "truncated.gguf"
    path.write_bytes(tiny.read_bytes()[: int(cut * tiny.stat().st_size)])
    with pytest.raises(ModelError, match=r"cannot load|died while loading"):
        await LlamaModel(path).info()


def test_a_context_that_does_not_fit_is_made_smaller(tmp_path: Path) -> None:
    """The worker runs in an address space that holds the model, but not the context asked for."""
    wide = tiny_model(tmp_path / "wide.gguf", n_embd=1024, n_layers=4, n_ctx_train=131_072)
    program = (
        "import resource, sys, llama_cpp\n"
        "from pathlib import Path\n"
        "from egcfg_lsp.model.llama.worker import _silence_llama\n"
        "from egcfg_lsp.model.llama.native import NativeModel\n"
        "from egcfg_lsp.settings import ModelOptions\n"
        "import psutil\n"
        "_silence_llama()\n"
        "limit = psutil.Process().memory_info().vms + (1 << 30)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "info = NativeModel(Path(sys.argv[1]), ModelOptions(context_tokens=131_072)).info\n"
        "print(info.n_context, *info.notes, sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(wide)], capture_output=True, text=True, check=True
    )
    n_context, *notes = done.stdout.splitlines()
    assert int(n_context) < 131_072
    assert f"memory is short: a context of {n_context} tokens only" in notes


@pytest.mark.parametrize("kv_cache_type", ["f16", "q8_0", "q4_0"])
@pytest.mark.parametrize("flash_attention", [True, False])
async def test_options_are_carried_out_or_noted(
    tiny: Path, kv_cache_type: str, flash_attention: bool
) -> None:
    options = ModelOptions(
        context_tokens=1024, kv_cache_type=kv_cache_type, flash_attention=flash_attention, threads=1
    )
    model = LlamaModel(tiny, options)
    info = await model.info()
    assert info.n_context == 1024
    assert "1 threads" in info.device
    assert await lines_of(model, COUNT)
    await model.close()


async def test_layers_for_a_gpu_that_is_not_there_are_noted(tiny: Path) -> None:
    import llama_cpp

    model = LlamaModel(tiny, ModelOptions(gpu_layers=5))
    noted = any("no GPU support" in note for note in (await model.info()).notes)
    assert noted is not llama_cpp.llama_supports_gpu_offload()
    await model.close()


def test_worker_ends_with_its_parent(tiny: Path) -> None:
    """Even when the parent is killed while the worker decodes."""
    program = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from egcfg_lsp.model import Continuation, Priority, Stop\n"
        "from egcfg_lsp.model.llama.client import LlamaModel\n"
        "from egcfg_lsp.prompt import Prompt\n"
        "async def main():\n"
        "    model = LlamaModel(Path(sys.argv[1]))\n"
        "    long = [Continuation(Prompt(('# count: 1\\n2\\n3\\n',)), Stop(7000))] * 16\n"
        "    async for line in model.generate(long, Priority.IDLE):\n"
        "        print(model._worker._process.pid, flush=True)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tiny)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    worker.wait(timeout=10)
