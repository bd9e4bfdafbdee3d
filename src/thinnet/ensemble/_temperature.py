"""One temperature for all samples of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from thinnet.ensemble._likelihood import mixture_log_probability

_LEAST, _MOST = 0.1, 10.0
_FLOOR = 1e-15
_GRID, _STEPS = 9, 30


def tempered(p: Tensor, t: float, *, classes: bool) -> Tensor:
    """p^(1/T), renormalised: over the last dimension for classes, with 1 − p for events."""
    wide = p.double().clamp(0, 1)
    if classes:
        return (wide.clamp(min=_FLOOR).log() / t).softmax(-1).to(p.dtype)
    logit = wide.clamp(min=_FLOOR).log() - (1 - wide).clamp(min=_FLOOR).log()
    return (logit / t).sigmoid().to(p.dtype)


def fitted_temperature(p: Tensor, y: Tensor, *, classes: bool) -> float:
    r"""The T in [0.1, 10] at which the mean of the tempered samples fits the targets best.

    $$T = \arg\min_T \; -\sum_i \log \frac 1 S \sum_s q_{si}(y_i), \qquad q_{si}(c) \propto p_{si}(c)^{1/T}$$

    For one sample it is the T of Guo et al. (2017), `temperature`.
    """
    p = p.detach().double()

    def loss(log_t: float) -> float:
        return -float(mixture_log_probability(tempered(p, math.exp(log_t), classes=classes), y, classes=classes).mean())

    low, high = math.log(_LEAST), math.log(_MOST)
    width = (high - low) / (_GRID - 1)
    # of a mixture the loss may have more than one valley: the lowest of a grid's is searched
    best = min((low + width * k for k in range(_GRID)), key=loss)
    return math.exp(_golden(loss, max(low, best - width), min(high, best + width)))


def _golden(loss: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a valley by golden sections."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(_STEPS):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = loss(b)
    return (low + high) / 2
