"""Piecewise-linear encoding of numbers (Gorishniy et al. 2022)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from thinnet.errors import ParameterError
from thinnet.tabular.columns._robust_scaler import present_values


class PiecewiseLinearEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    r"""One column of numbers becomes T columns, each of which rises from 0 to 1 across its bin.

    With edges b_0 < … < b_T, e_t(x) = (x − b_{t−1}) / (b_t − b_{t−1}), held to [0, 1]; the first bin goes on below b_0
    and the last above b_T, as in the paper, but by no more than `reach` widths, so that a wild value stays finite.

    The edges are quantiles of the training values. A column of k distinct values, k ≤ n_bins + 1, has an edge at each
    of them; one that leaves fewer than two bins has none, since one bin only repeats the number itself. A missing
    value is encoded as the median is.

    Args:
        n_bins: largest T, at least 2.
        reach: how many widths the outer bins go on, at least 0.

    Attributes:
        edges_: list of one array per input column, `(T + 1,)`, empty where the column has no bins.
        medians_: (n_features,) medians.
        n_columns_: (n_features,) output columns per input column.

    Example:
        >>> encoder = PiecewiseLinearEncoder(n_bins=2).fit([[0.0], [1.0], [4.0], [5.0], [10.0]])
        >>> [edges.tolist() for edges in encoder.edges_]
        [[0.0, 4.0, 10.0]]
        >>> encoder.transform([[2.0], [7.0], [13.0]]).tolist()
        [[0.5, 0.0], [1.0, 0.5], [1.0, 1.5]]

    References:
        Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
    """

    def __init__(self, n_bins: int = 16, *, reach: float = 1.0) -> None:
        self.n_bins = n_bins
        self.reach = reach

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learns the edges of every column of X, `(n, n_features)`, finite or missing.

        Raises:
            ValueError: `n_bins` under 2, `reach` under 0, or X is no 2-D array, infinite, or a column all missing.
        """
        if self.n_bins < 2:
            raise ParameterError(f"PiecewiseLinearEncoder: `n_bins` must be >= 2, got {self.n_bins}.")
        if not self.reach >= 0:
            raise ParameterError(f"PiecewiseLinearEncoder: `reach` must be >= 0, got {self.reach}.")
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        present = [present_values(column) for column in values.T]
        self.edges_ = [_edges(column, self.n_bins) for column in present]
        self.medians_ = np.array([np.median(column) for column in present])
        self.n_columns_ = np.array([max(len(edges) - 1, 0) for edges in self.edges_])
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """The encoding of X: `(n, n_features)` to `(n, sum of n_columns_)`, float32.

        Raises:
            ValueError: X is infinite or not of the width seen at fit.
        """
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        values = np.where(np.isnan(values), self.medians_, values)
        out = np.empty((len(values), int(self.n_columns_.sum())), dtype=np.float32)
        start = 0
        for column, edges in zip(values.T, self.edges_, strict=True):
            bins = max(len(edges) - 1, 0)
            if bins:
                out[:, start : start + bins] = _encode(column, edges, self.reach)
            start += bins
        return out

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[Any]:
        """Names of the output columns: the input column's name and the number of the bin."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        pairs = zip(names, self.n_columns_, strict=True)
        return np.array([f"{name}_bin{t}" for name, bins in pairs for t in range(bins)], dtype=object)


def _edges(x: NDArray[np.float64], n_bins: int) -> NDArray[np.float64]:
    """Edges b_0 < … < b_T, or none."""
    edges = np.unique(x)
    if len(edges) > n_bins + 1:
        edges = np.unique(np.quantile(x, np.linspace(0, 1, n_bins + 1)))
    return edges if len(edges) > 2 else np.empty(0)


def _encode(x: NDArray[np.float64], edges: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """e_t(x) for every bin: (n,) to (n, T)."""
    lowest, highest = np.zeros(len(edges) - 1), np.ones(len(edges) - 1)
    lowest[0], highest[-1] = -reach, 1 + reach
    # a quotient that overflows is clipped all the same
    with np.errstate(over="ignore"):
        return np.clip((x[:, None] - edges[:-1]) / np.diff(edges), lowest, highest)
