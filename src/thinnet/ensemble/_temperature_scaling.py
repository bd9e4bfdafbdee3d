"""Temperature scaling (Guo et al., 2017), of one prediction and of the samples of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from thinnet.ensemble._likelihood import mixture_log_probability

_LEAST, _MOST = 0.1, 10.0
_FLOOR = 1e-15
_NEWTON_STEPS = 50
_GRID, _SECTIONS = 9, 30


def temperature(probabilities: ArrayLike, targets: ArrayLike) -> float:
    r"""Fit the temperature T at which p^(1/T), renormalised, has the lowest log loss: under 1 sharpens, over 1 softens.

    $$T = \arg\min_T \; -\sum_i \log q_i(y_i), \qquad q_i(c) = \frac{p_i(c)^{1/T}}{\sum_d p_i(d)^{1/T}}$$

    Args:
        probabilities: p, of shape (N, C).
        targets: y, the classes (N,) as numbers from 0.

    Returns:
        T in [0.1, 10].

    Example:
        >>> import numpy as np
        >>> from thinnet.ensemble import temperature
        >>> p, y = np.array([[0.8, 0.2]] * 5), np.array([0, 0, 0, 0, 1])  # 0.8 said, 0.8 true
        >>> round(temperature(p, y), 2)
        1.0
        >>> y = np.array([0, 0, 0, 1, 1])  # 0.8 said, 0.6 true: log 4 / T = log 1.5
        >>> round(temperature(p, y), 2), round(float(np.log(4) / np.log(1.5)), 2)
        (3.42, 3.42)

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", 2017.
    """
    log_p = np.log(np.clip(np.asarray(probabilities, dtype=np.float64), _FLOOR, None))
    of_target = log_p[np.arange(len(log_p)), np.asarray(targets)].mean()
    b = 1.0  # 1/T, in which the loss is convex
    for _ in range(_NEWTON_STEPS):
        powers = np.exp(b * (log_p - log_p.max(1, keepdims=True)))
        q = powers / powers.sum(1, keepdims=True)
        mean = (q * log_p).sum(1, keepdims=True)
        curvature = (q * (log_p - mean) ** 2).sum(1).mean()
        step = (of_target - mean.mean()) / max(curvature, 1e-12)
        # no more than a doubling or halving at once: far from its end, Newton's step overshoots
        previous, b = b, float(np.clip(b + step, max(b / 2, 1 / _MOST), min(b * 2, 1 / _LEAST)))
        if abs(b - previous) <= 1e-9 * b:
            break
    return 1 / b


def sharpened(probabilities: ArrayLike, t: ArrayLike) -> NDArray[np.float64]:
    """Rescale probabilities to p^(1/T), renormalised over the last dimension; T broadcasts.

    Example:
        >>> sharpened([0.8, 0.2], 0.5).round(4).tolist()  # 0.64 : 0.04
        [0.9412, 0.0588]
    """
    powers = np.clip(np.asarray(probabilities, dtype=np.float64), _FLOOR, None) ** (1 / np.asarray(t))
    scaled: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return scaled


def tempered(p: Tensor, t: float, *, classes: bool) -> Tensor:
    """Rescale probabilities to p^(1/T), renormalised: over the last dimension for classes, with 1 − p for events."""
    wide = p.double().clamp(0, 1)
    if classes:
        return (wide.clamp(min=_FLOOR).log() / t).softmax(-1).to(p.dtype)
    logit = wide.clamp(min=_FLOOR).log() - (1 - wide).clamp(min=_FLOOR).log()
    return (logit / t).sigmoid().to(p.dtype)


def fitted_temperature(p: Tensor, y: Tensor, *, classes: bool) -> float:
    r"""Fit one temperature in [0.1, 10] to all samples: the mean of the tempered samples has the lowest log loss.

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
    """Find the minimum of a unimodal function by golden-section search."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(_SECTIONS):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = loss(b)
    return (low + high) / 2
