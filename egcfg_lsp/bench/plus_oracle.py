"""Whether an output is right, as EvalPlus sees it: the judge of its release files.

The source of this module is the set-up of such tests, in the judge's process: standard library only,
and nothing of this package. The rules are those of EvalPlus' `evalplus/eval`, with two differences,
both stricter: a tolerance holds for the one output that needs it, not for those after it, and
`are_equivalent` (Mbpp/164), where EvalPlus passes everything, is compared like the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

RELATIVE = 1e-7
FLOAT_TOLERANCE = 1e-6
"""Absolute, where the file gives none and the expected output is a float, or a row of them."""


def agrees(
    task_id: str, output: Any, given: Sequence[Any], expected: Any, tolerance: float
) -> bool:
    """Whether the output for `given` is as good as the expected one.

    `task_id`: as in the file, without `Mbpp/`; some tasks have several right answers.
    """
    if task_id == "HumanEval/32":
        return abs(polynomial(given[0], output)) <= tolerance
    if task_id in ("2", "7", "111", "140", "232", "249", "579", "769"):
        return set(output) == set(expected)
    if task_id in ("737", "787", "794"):
        found = output if isinstance(output, bool) else output is not None
        return bool(found) == (expected is not None and expected is not False)
    if is_same(output, expected, tolerance):
        return True
    if task_id == "295":
        return bool(output == 0)
    if task_id == "558":
        return bool(output == digit_distance(*given))
    if task_id == "581":
        return bool(abs(output - pyramid_surface(*given)) <= tolerance)
    return False


def is_same(output: Any, expected: Any, tolerance: float) -> bool:
    """Equal; or, of the same type and where a tolerance holds, close element by element."""
    if output == expected:
        return True
    if tolerance == 0 and is_floats(expected):
        tolerance = FLOAT_TOLERANCE
    return (
        tolerance != 0 and type(output) is type(expected) and is_close(output, expected, tolerance)
    )


def is_floats(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def is_close(output: Any, expected: Any, tolerance: float) -> bool:
    """NumPy's rule: |output − expected| ≤ tolerance + 1e-7 · |expected|."""
    numbers = (int, float, complex)
    if isinstance(output, numbers) and isinstance(expected, numbers):
        try:
            return output == expected or (
                abs(output - expected) <= tolerance + RELATIVE * abs(expected) < math.inf
            )
        except OverflowError:
            return False
    if isinstance(output, list | tuple) and isinstance(expected, list | tuple):
        pairs = zip(output, expected, strict=False)
        return len(output) == len(expected) and all(is_close(o, e, tolerance) for o, e in pairs)
    return bool(output == expected)


def polynomial(coefficients: Sequence[float], x: float) -> float:
    """The constant's coefficient first."""
    return sum(coefficient * math.pow(x, i) for i, coefficient in enumerate(coefficients))


def digit_distance(first: int, second: int) -> int:
    """Sum of the differences of the digits; the shorter number is filled with zeros."""
    width = max(len(str(first)), len(str(second)))
    pairs = zip(str(first).zfill(width), str(second).zfill(width), strict=True)
    return sum(abs(int(one) - int(other)) for one, other in pairs)


def pyramid_surface(edge: float, height: float) -> int:
    """Of a square pyramid; `height` is that of the apex above the base."""
    return round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))
