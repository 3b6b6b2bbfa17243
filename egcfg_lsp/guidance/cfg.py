"""Guidance on log-probabilities: two distributions over the next token become one. Pure NumPy.

Arrays are (n_vocab,), float32 or bool; the callers own `out` and `scratch`, so that no token
allocates one. Does not know what a token is, and chooses none.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_NEVER = np.float32(-math.inf)


def guided(
    prior: Floats, signal: Floats, scale: float, out: Floats, mask: Mask | None = None
) -> Floats:
    """`log p_prior + γ (log p_signal − log p_prior)` of log-probabilities, not normalised.

    Classifier-free guidance as in EG-CFG, arXiv 2506.10948; `scale` is γ, any finite number. Exactly
    `prior` at γ = 0 and `signal` at γ = 1. At every other γ a token that is −inf in either is −inf:
    so says the formula for 0 < γ < 1, and beyond it what one of the two rules out is not let in by
    the other. Of inputs without NaN and +inf comes neither. Tokens whose `mask` is false are −inf at
    every γ. Allocates arrays of the size of what a mask keeps, and at γ < 0 one of bool.
    """
    if mask is not None:
        tokens = np.flatnonzero(mask)
        out.fill(_NEVER)
        out[tokens] = guided(
            prior[tokens], signal[tokens], scale, np.empty(len(tokens), np.float32)
        )
        return out
    if scale in (0, 1):
        out[:] = signal if scale else prior
        return out
    with np.errstate(invalid="ignore"):
        np.subtract(signal, prior, out=out)
        np.multiply(out, np.float32(scale), out=out)
        np.add(out, prior, out=out)
    if scale < 0:
        np.copyto(out, _NEVER, where=out == np.inf)
    return np.fmax(out, _NEVER, out=out)  # of a number and NaN, the number


def plausible(prior: Floats, signal: Floats, fraction: float, out: Mask, scratch: Mask) -> Mask:
    """Whether a token has at least `fraction` of the most probable one's probability, in either.

    The plausibility constraint of contrastive decoding (Li et al., arXiv 2210.15097), over the union
    of both distributions; logits do as well as log-probabilities. `fraction` 0 keeps every token, 1
    the most probable ones. Raises ValueError where it is not from 0 to 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"a fraction of a probability is from 0 to 1, not {fraction}")
    if fraction == 0:
        out.fill(True)
        return out
    least = np.float32(math.log(fraction))
    np.greater_equal(prior, prior.max() + least, out=out)
    np.greater_equal(signal, signal.max() + least, out=scratch)
    return np.logical_or(out, scratch, out=out)
