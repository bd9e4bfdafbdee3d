"""Robust scaling and smooth clipping of numbers (RealMLP, Holzmüller et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from thinnet.errors import DataError

Floats = NDArray[np.float64]

BOUND = 3.0
"""The largest absolute value of a clipped number."""


def present_values(column: Floats) -> Floats:
    """The values of a column that are not missing; refuses a column without any."""
    present = column[~np.isnan(column)]
    if not len(present):
        raise DataError("a column without a single value cannot be scaled or binned. Leave it out.")
    return present


def smooth_clip(z: Floats, bound: float = BOUND) -> Floats:
    """The curve z / sqrt(1 + (z/bound)²): z itself near 0, ±bound far out, and nowhere flat."""
    # beyond 1e6 bounds the result is the bound to rounding, while the square could overflow
    z = np.clip(z, -1e6 * bound, 1e6 * bound)
    clipped: Floats = z / np.sqrt(1 + (z / bound) ** 2)
    return clipped


@dataclass(frozen=True, eq=False)
class RobustSmoothScaler:
    r"""Numbers centred at their median, scaled by their quartiles and smoothly clipped: heavy tails stay harmless.

    z = (x − median) / (q₇₅ − q₂₅), then z / sqrt(1 + (z/3)²). Where the quartiles coincide, half the range stands in
    for their distance. Compared with standardisation, one outlier no longer squeezes all other values together;
    compared with a rank transform, distances survive.

    Attributes:
        center: (D,) medians.
        scale: (D,) distances of the quartiles; 1 for a constant column.

    Example:
        >>> scaler = RobustSmoothScaler.fit(np.array([[0.0], [1.0], [2.0], [3.0], [1e9]]))
        >>> scaler.center.tolist(), scaler.scale.tolist()
        ([2.0], [2.0])
        >>> scaler.encode(np.array([[2.0], [1e9]])).tolist()
        [[0.0], [3.0]]

    References:
        D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
        Tabular Data", 2024.
    """

    center: Floats
    scale: Floats

    @classmethod
    def fit(cls, x_ND: Floats) -> Self:
        """Learn median and quartiles of every column of `x_ND`, finite or missing (NaN)."""
        cuts = [0, 0.25, 0.5, 0.75, 1]
        quantiles = [np.quantile(present_values(column), cuts) for column in x_ND.T]
        lowest, lower, center, upper, highest = np.array(quantiles).T
        scale = np.where(upper > lower, upper - lower, (highest - lowest) / 2)
        return cls(center, np.where(scale > 0, scale, 1.0))

    def encode(self, x_ND: Floats) -> NDArray[np.float32]:
        """Scale and clip `x_ND` to [−3, 3]: (N, D), a missing value stays NaN."""
        # a quotient that overflows is clipped all the same
        with np.errstate(over="ignore"):
            return smooth_clip((x_ND - self.center) / self.scale).astype(np.float32)
