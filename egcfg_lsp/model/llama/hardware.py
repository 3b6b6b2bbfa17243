"""How a model is loaded: what is asked for first, and what is tried when that does not fit.

Pure; `native` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import psutil

from egcfg_lsp.settings import ModelOptions

ALL_LAYERS = -1
MIN_CONTEXT = 1024
"""Tokens; with less, a function and its tests do not fit."""


@dataclass(frozen=True)
class Plan:
    n_gpu_layers: int
    """`ALL_LAYERS`, or how many of the last ones."""
    n_context: int
    """Tokens."""
    flash_attention: bool
    kv_type: str
    n_threads: int


def plans(
    options: ModelOptions, *, n_layers: int, n_context_trained: int, offloads: bool
) -> Iterator[tuple[Plan, str]]:
    """Plans in the order to try them, each with what it has less than the options ask for."""
    n_context = min(options.context_tokens, n_context_trained or options.context_tokens)
    wanted = Plan(
        n_gpu_layers=_wanted_layers(options, offloads),
        n_context=n_context,
        flash_attention=options.flash_attention,
        kv_type=options.kv_cache_type,
        n_threads=options.threads or physical_cores(),
    )
    for plan, note in _ever_smaller(wanted, n_layers):
        if options.gpu_layers and not offloads:
            note = "; ".join(filter(None, ("this build of llama.cpp has no GPU support", note)))
        yield plan, note
        plain = replace(plan, flash_attention=False, kv_type="f16")
        if plain != plan:
            refused = "no flash attention and KV quantisation, which this model or device refuses"
            yield plain, "; ".join(filter(None, (note, refused)))


def _ever_smaller(plan: Plan, n_layers: int) -> Iterator[tuple[Plan, str]]:
    yield plan, ""
    n_gpu_layers = n_layers + 1 if plan.n_gpu_layers == ALL_LAYERS else plan.n_gpu_layers
    while n_gpu_layers > 0:
        n_gpu_layers //= 2
        where = f"only {n_gpu_layers} layers on the GPU" if n_gpu_layers else "on the CPU"
        note = f"the model does not fit into the GPU's memory: {where}"
        yield replace(plan, n_gpu_layers=n_gpu_layers), note
    n_context = plan.n_context
    while n_context > MIN_CONTEXT:
        n_context = max(n_context // 2, MIN_CONTEXT)
        note = f"memory is short: a context of {n_context} tokens only"
        yield replace(plan, n_gpu_layers=0, n_context=n_context), note


def physical_cores() -> int:
    """Cores this process may use, hyper-threads counted once; at least 1."""
    process = psutil.Process()
    usable = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count()
    return max(1, min(usable or 1, psutil.cpu_count(logical=False) or usable or 1))


def _wanted_layers(options: ModelOptions, offloads: bool) -> int:
    if not offloads:
        return 0
    return ALL_LAYERS if options.gpu_layers is None else options.gpu_layers
