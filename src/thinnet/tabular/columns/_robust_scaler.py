"""Robust scaling and smooth clipping of numbers (RealMLP, Holzmüller et al. 2024)."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from thinnet.errors import DataError


def present_values(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of a column that are not missing; refuses a column without any."""
    present = column[~np.isnan(column)]
    if not len(present):
        raise DataError("a column without a single value cannot be scaled or binned. Leave it out.")
    return present


def smooth_clip(z: NDArray[np.float64], bound: float = 3.0) -> NDArray[np.float64]:
    """The curve z / sqrt(1 + (z/bound)²): z itself near 0, ±bound far out, and nowhere flat."""
    # beyond 1e6 bounds the result is the bound to rounding, while the square could overflow
    z = np.clip(z, -1e6 * bound, 1e6 * bound)
    clipped: NDArray[np.float64] = z / np.sqrt(1 + (z / bound) ** 2)
    return clipped


class RobustSmoothScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    r"""Numbers centred at their median, scaled by their quartiles and smoothly clipped: heavy tails stay harmless.

    z = (x − median) / (q₇₅ − q₂₅), then z / sqrt(1 + (z/3)²). Where the quartiles coincide, half the range stands in
    for their distance. Compared with standardisation, one outlier no longer squeezes all other values together;
    compared with a rank transform, distances survive.

    Attributes:
        center_: (n_features,) medians.
        scale_: (n_features,) distances of the quartiles; 1 for a constant column.

    Example:
        >>> scaler = RobustSmoothScaler().fit([[0.0], [1.0], [2.0], [3.0], [1e9]])
        >>> scaler.center_.tolist(), scaler.scale_.tolist()
        ([2.0], [2.0])
        >>> scaler.transform([[2.0], [1e9]]).tolist()
        [[0.0], [3.0]]

    References:
        D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
        Tabular Data", 2024.
    """

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learns median and quartiles of the values of every column of X, `(n, n_features)`, finite or missing."""
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        cuts = [0, 0.25, 0.5, 0.75, 1]
        quantiles = [np.quantile(present_values(column), cuts) for column in values.T]
        lowest, lower, self.center_, upper, highest = np.array(quantiles).T
        scale = np.where(upper > lower, upper - lower, (highest - lowest) / 2)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """X scaled and clipped to [−3, 3], `(n, n_features)`, float32."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        # a quotient that overflows is clipped all the same
        with np.errstate(over="ignore"):
            return smooth_clip((values - self.center_) / self.scale_).astype(np.float32)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags
