"""Numbers as waves: sines and cosines of several frequencies (Gorishniy et al. 2022)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import halfnorm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data


class PeriodicEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    r"""Each number as cosines and sines, which let a network bend sharply where straight inputs make it smooth.

    x becomes cos(c_1 z), ..., cos(c_m z), sin(c_1 z), ..., sin(c_m z) with z = (x − mean) / deviation. The frequencies
    are the quantiles of |N(0, scale²)| at (j − ½)/m, where the paper draws them at random: the same spread, evenly.

    Args:
        n_frequencies: m.
        scale: spread of the frequencies, in radians per standard deviation of a column. At 1 the functions are smooth
            over the whole range of the data, at 4 they bend within a small part of it.

    Attributes:
        frequencies_: (m,) ascending.
        mean_: (n_features,) means.
        deviation_: (n_features,) standard deviations; 1 for a constant column.

    Example:
        >>> waves = PeriodicEncoder(1, scale=1.0).fit([[-1.0], [1.0]])
        >>> waves.transform([[0.0]]).tolist()  # cos 0 and sin 0
        [[1.0, 0.0]]
        >>> waves.frequencies_.round(4).tolist()  # the median of |N(0, 1)|
        [0.6745]

    References:
        Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
    """

    def __init__(self, n_frequencies: int = 8, *, scale: float = 1.0) -> None:
        self.n_frequencies = n_frequencies
        self.scale = scale

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learns mean and deviation of every column of X, `(n, n_features)`, finite."""
        values = validate_data(self, X, dtype=np.float64)
        self.mean_ = values.mean(0)
        deviation = values.std(0)
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)
        middles = (np.arange(self.n_frequencies) + 0.5) / self.n_frequencies
        self.frequencies_ = self.scale * halfnorm.ppf(middles)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """X as waves, `(n, 2 · m · n_features)`, float32: feature by feature, cosines first."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        z = (values - self.mean_) / self.deviation_
        angles = z[:, :, None] * self.frequencies_
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=2)
        return waves.reshape(len(values), -1).astype(np.float32)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names such as "size_cos0" and "size_sin0"."""
        check_is_fitted(self)
        names = [f"x{i}" for i in range(self.n_features_in_)] if input_features is None else np.asarray(input_features)
        waves = [f"{kind}{j}" for kind in ("cos", "sin") for j in range(self.n_frequencies)]
        return np.array([f"{name}_{wave}" for name in names for wave in waves], dtype=object)
