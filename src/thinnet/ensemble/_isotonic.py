"""Isotonic regression: the best recalibration of probabilities that keeps their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def isotonic(p: Floats, y: Floats) -> Floats:
    r"""Fit the nondecreasing function of p nearest to y: $\arg\min_f \sum_i (f(p_i) - y_i)^2$.

    Neighbours that violate the order are pooled until none does; equal p get equal values.

    Args:
        p: shape (N,).
        y: shape (N,).

    Returns:
        f(p_i), of shape (N,).

    Example:
        >>> isotonic(np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.0, 1.0])).tolist()
        [0.5, 0.5, 1.0]

    References:
        Ayer, Brunk, Ewing, Reid, Silverman, "An Empirical Distribution Function for Sampling with Incomplete
        Information", 1955 (pool adjacent violators).
    """
    _, group, counts = np.unique(p, return_inverse=True, return_counts=True)
    sums = np.bincount(group, weights=y, minlength=len(counts))
    pools: list[list[float]] = []  # sum, weight, groups
    for total, weight in zip(sums.tolist(), counts.tolist(), strict=True):
        pools.append([total, weight, 1])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    table = np.array(pools).reshape(-1, 3)
    fitted: Floats = np.repeat(table[:, 0] / table[:, 1], table[:, 2].astype(int))
    return fitted[group]
