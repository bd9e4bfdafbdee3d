"""Temperature scaling (Guo et al., 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LEAST, _MOST = 0.1, 10.0
_FLOOR = 1e-15
_STEPS = 50


def temperature(probabilities: ArrayLike, targets: ArrayLike) -> float:
    r"""The T that makes p^(1/T), renormalised, fit the targets best: under 1 sharpens, over 1 softens.

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
    for _ in range(_STEPS):
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
    """p^(1/T), renormalised over the last dimension; T broadcasts.

    Example:
        >>> sharpened([0.8, 0.2], 0.5).round(4).tolist()  # 0.64 : 0.04
        [0.9412, 0.0588]
    """
    powers = np.clip(np.asarray(probabilities, dtype=np.float64), _FLOOR, None) ** (1 / np.asarray(t))
    scaled: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return scaled
