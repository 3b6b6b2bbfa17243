"""The order in which ways to load a model are tried. Graphics cards are pretended."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest

from egcfg_lsp.model.llama.hardware import ALL_LAYERS, MIN_CONTEXT, Plan, physical_cores, plans
from egcfg_lsp.settings import ModelOptions

OPTIONS = ModelOptions(threads=3, context_tokens=8192)
CPU = Plan(0, 8192, flash_attention=True, kv_type="f16", n_threads=3)
GPU = replace(CPU, n_gpu_layers=ALL_LAYERS)


def all_plans(
    options: ModelOptions, *, n_layers: int = 27, n_context_trained: int = 32768, offloads: bool
) -> list[tuple[Plan, str]]:
    return list(
        plans(options, n_layers=n_layers, n_context_trained=n_context_trained, offloads=offloads)
    )


def check(options: ModelOptions, wanted: list[Plan], *, offloads: bool) -> None:
    assert [plan for plan, _ in all_plans(options, offloads=offloads)] == wanted


def plain(plan: Plan) -> Plan:
    return replace(plan, flash_attention=False, kv_type="f16")


def shorter(plan: Plan, *lengths: int) -> list[Plan]:
    return [replace(plan, n_gpu_layers=0, n_context=n) for n in lengths]


def fewer_layers(plan: Plan, *counts: int) -> list[Plan]:
    return [replace(plan, n_gpu_layers=n) for n in counts]


def each_and_plain(*plans: Plan) -> list[Plan]:
    return [variant for plan in plans for variant in (plan, plain(plan))]


def test_on_the_cpu_ever_shorter_each_also_plainer() -> None:
    check(OPTIONS, each_and_plain(CPU, *shorter(CPU, 4096, 2048, 1024)), offloads=False)


def test_on_a_gpu_fewer_layers_then_the_cpu_then_shorter() -> None:
    check(
        OPTIONS,
        each_and_plain(GPU, *fewer_layers(GPU, 14, 7, 3, 1, 0), *shorter(CPU, 4096, 2048, 1024)),
        offloads=True,
    )


@pytest.mark.parametrize(
    ("gpu_layers", "offloads", "n_gpu_layers"),
    [
        (None, True, [ALL_LAYERS, 14, 7, 3, 1, 0]),
        (10, True, [10, 5, 2, 1, 0]),
        (1, True, [1, 0]),
        (0, True, [0]),
        (None, False, [0]),
        (10, False, [0]),
    ],
)
def test_layers_on_the_gpu(gpu_layers: int | None, offloads: bool, n_gpu_layers: list[int]) -> None:
    options = replace(OPTIONS, gpu_layers=gpu_layers, context_tokens=MIN_CONTEXT)
    got = all_plans(options, offloads=offloads)
    assert [plan.n_gpu_layers for plan, _ in got if plan.flash_attention] == n_gpu_layers


@pytest.mark.parametrize(
    ("wanted", "trained", "lengths"),
    [
        (8192, 32768, [8192, 4096, 2048, 1024]),
        (8192, 2048, [2048, 1024]),
        (8192, 512, [512]),
        (8192, 0, [8192, 4096, 2048, 1024]),
        (5000, 32768, [5000, 2500, 1250, 1024]),
        (1024, 32768, [1024]),
    ],
)
def test_the_context_is_what_the_model_was_trained_for_at_most(
    wanted: int, trained: int, lengths: list[int]
) -> None:
    options = replace(OPTIONS, context_tokens=wanted)
    got = all_plans(options, n_context_trained=trained, offloads=False)
    assert list(dict.fromkeys(plan.n_context for plan, _ in got)) == lengths


@pytest.mark.parametrize(
    ("options", "has_plainer"),
    [
        (OPTIONS, True),
        (replace(OPTIONS, kv_cache_type="q8_0"), True),
        (replace(OPTIONS, flash_attention=False, kv_cache_type="q8_0"), True),
        (replace(OPTIONS, flash_attention=False), False),
    ],
)
def test_only_what_is_not_plain_yet_is_tried_plainer(
    options: ModelOptions, has_plainer: bool
) -> None:
    first, second = (plan for plan, _ in all_plans(options, offloads=False)[:2])
    assert first.flash_attention == options.flash_attention
    assert first.kv_type == options.kv_cache_type
    assert (second == plain(first)) == has_plainer


def test_each_plan_says_what_it_lacks() -> None:
    plain = "no flash attention and KV quantisation, which this model or device refuses"
    smaller = [
        *(
            f"the model does not fit into the GPU's memory: only {n} layers on the GPU"
            for n in (14, 7, 3, 1)
        ),
        "the model does not fit into the GPU's memory: on the CPU",
        *(f"memory is short: a context of {n} tokens only" for n in (4096, 2048, 1024)),
    ]
    notes = [note for _, note in all_plans(OPTIONS, offloads=True)]
    assert notes[::2] == ["", *smaller]
    assert notes[1::2] == [plain, *(f"{note}; {plain}" for note in smaller)]


@pytest.mark.parametrize(
    ("gpu_layers", "offloads", "said"),
    [(10, False, True), (10, True, False), (None, False, False), (0, False, False)],
)
def test_layers_that_no_gpu_can_take_are_said(
    gpu_layers: int | None, offloads: bool, said: bool
) -> None:
    _, note = all_plans(replace(OPTIONS, gpu_layers=gpu_layers), offloads=offloads)[0]
    assert note == ("this build of llama.cpp has no GPU support" if said else "")


def test_threads_are_the_usable_cores_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= physical_cores() <= (psutil.cpu_count() or 1)
    plan, _ = all_plans(replace(OPTIONS, threads=None), offloads=False)[0]
    assert plan.n_threads == physical_cores()
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: None)
    assert physical_cores() >= 1
