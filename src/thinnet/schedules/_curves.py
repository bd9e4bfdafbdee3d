"""Factors on dropout rates as functions of the number of steps."""

from __future__ import annotations

import math
from collections.abc import Callable

Curve = Callable[[int], float]
"""The factor on every rate after so many steps."""


def curriculum(steps: float, *, gamma: float = 10.0) -> Curve:
    r"""Curriculum dropout: a factor that rises exponentially from 0 towards 1, fast at first.

    .. math:: f(t) = 1 - \exp(-\gamma t / T)

    Args:
        steps: T > 0, of the whole training.
        gamma: γ > 0; at the end the rate is 1 − exp(−γ) of its own.

    Example:
        >>> from thinnet.schedules import curriculum
        >>> f = curriculum(1000)
        >>> f(0), round(f(100), 4), round(f(1000), 4)
        (0.0, 0.6321, 1.0)

    References:
        P. Morerio, J. Cavazza, R. Volpi, R. Vidal, V. Murino, "Curriculum Dropout", 2017.
    """
    _positive("curriculum", steps=steps, gamma=gamma)
    return lambda t: -math.expm1(-gamma * t / steps)


def linear_ramp(steps: float, *, start: float = 0.0, end: float = 1.0) -> Curve:
    r"""Linear ramp from `start` to `end` over the first T steps, then constant.

    .. math:: f(t) = a + (b - a) \min(t / T, 1)

    With `start=1, end=0` it is early dropout, which reduces underfitting.

    Args:
        steps: T > 0.
        start: a >= 0.
        end: b >= 0.

    Example:
        >>> from thinnet.schedules import linear_ramp
        >>> [linear_ramp(4, start=1, end=0)(t) for t in range(6)]
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]

    References:
        Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell, "Dropout Reduces Underfitting", 2023.
    """
    _positive("linear_ramp", steps=steps)
    return lambda t: start + (end - start) * min(t / steps, 1.0)


def cosine_ramp(steps: float, *, start: float = 0.0, end: float = 1.0) -> Curve:
    r"""Cosine ramp from `start` to `end` over the first T steps, then constant.

    .. math:: f(t) = b + \tfrac12 (a - b) (1 + \cos(\pi \min(t / T, 1)))

    Args:
        steps: T > 0.
        start: a >= 0.
        end: b >= 0.

    Example:
        >>> from thinnet.schedules import cosine_ramp
        >>> [round(cosine_ramp(4)(t), 4) for t in range(6)]
        [0.0, 0.1464, 0.5, 0.8536, 1.0, 1.0]
    """
    _positive("cosine_ramp", steps=steps)
    return lambda t: end + (start - end) * (1 + math.cos(math.pi * min(t / steps, 1.0))) / 2


def off_after(steps: float) -> Curve:
    """Step function that turns dropout off after T steps (early dropout).

    Args:
        steps: T > 0.

    Example:
        >>> from thinnet.schedules import off_after
        >>> [off_after(2)(t) for t in range(4)]
        [1.0, 1.0, 0.0, 0.0]

    References:
        Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell, "Dropout Reduces Underfitting", 2023 (early dropout).
    """
    _positive("off_after", steps=steps)
    return lambda t: float(t < steps)


def on_after(steps: float) -> Curve:
    """Step function that turns dropout on after T steps (late dropout).

    Args:
        steps: T > 0.

    Example:
        >>> from thinnet.schedules import on_after
        >>> [on_after(2)(t) for t in range(4)]
        [0.0, 0.0, 1.0, 1.0]

    References:
        Z. Liu, Z. Xu, J. Jin, Z. Shen, T. Darrell, "Dropout Reduces Underfitting", 2023 (late dropout).
    """
    _positive("on_after", steps=steps)
    return lambda t: float(t >= steps)


def _positive(curve: str, **settings: float) -> None:
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{curve}: `{name}` must be finite and > 0, got {value}.")
