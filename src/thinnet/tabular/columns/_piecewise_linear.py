"""Piecewise-linear encoding of numbers (Gorishniy et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from thinnet.errors import ParameterError
from thinnet.tabular.columns._robust_scaler import Floats, present_values


@dataclass(frozen=True, eq=False)
class PiecewiseLinearEncoder:
    r"""One column of numbers becomes T columns, each of which rises from 0 to 1 across its bin.

    With edges b_0 < … < b_T, e_t(x) = (x − b_{t−1}) / (b_t − b_{t−1}), held to [0, 1]; the first bin goes on below b_0
    and the last above b_T, as in the paper, but by no more than `reach` widths, so that a wild value stays finite.

    The edges are quantiles of the training values. A column of k distinct values, k ≤ n_bins + 1, has an edge at each
    of them; one that leaves fewer than two bins has none, since one bin only repeats the number itself. A missing
    value is encoded as the median is.

    Attributes:
        edges: one array per input column, (T + 1,), empty where the column has no bins.
        medians: (D,) medians.
        reach: how many widths the outer bins go on.

    Example:
        >>> encoder = PiecewiseLinearEncoder.fit(np.array([[0.0], [1.0], [4.0], [5.0], [10.0]]), n_bins=2)
        >>> [edges.tolist() for edges in encoder.edges]
        [[0.0, 4.0, 10.0]]
        >>> encoder.encode(np.array([[2.0], [7.0], [13.0]])).tolist()
        [[0.5, 0.0], [1.0, 0.5], [1.0, 1.5]]

    References:
        Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
    """

    edges: Sequence[Floats]
    medians: Floats
    reach: float = 1.0

    @classmethod
    def fit(cls, x_ND: Floats, *, n_bins: int = 16, reach: float = 1.0) -> Self:
        """Learn the edges of every column of `x_ND`, finite or missing (NaN).

        Args:
            x_ND: the training values.
            n_bins: largest T, at least 2.
            reach: how many widths the outer bins go on, at least 0.

        Raises:
            ParameterError: `n_bins` under 2 or `reach` under 0.
            DataError: a column is all missing.
        """
        if n_bins < 2:
            raise ParameterError(f"PiecewiseLinearEncoder: `n_bins` must be >= 2, got {n_bins}.")
        if not reach >= 0:
            raise ParameterError(f"PiecewiseLinearEncoder: `reach` must be >= 0, got {reach}.")
        present = [present_values(column) for column in x_ND.T]
        edges = [_edges(column, n_bins) for column in present]
        return cls(edges, np.array([np.median(column) for column in present]), reach)

    @property
    def widths(self) -> list[int]:
        """Output columns of every input column."""
        return [max(len(edges) - 1, 0) for edges in self.edges]

    def encode(self, x_ND: Floats) -> NDArray[np.float32]:
        """Encode every column: (N, D) to (N, sum of `widths`)."""
        x_ND = np.where(np.isnan(x_ND), self.medians, x_ND)
        out = np.empty((len(x_ND), sum(self.widths)), dtype=np.float32)
        start = 0
        for column, edges, width in zip(x_ND.T, self.edges, self.widths, strict=True):
            if width:
                out[:, start : start + width] = _encode(column, edges, self.reach)
            start += width
        return out


def _edges(x: Floats, n_bins: int) -> Floats:
    """Edges b_0 < … < b_T, or none."""
    edges = np.unique(x)
    if len(edges) > n_bins + 1:
        edges = np.unique(np.quantile(x, np.linspace(0, 1, n_bins + 1)))
    return edges if len(edges) > 2 else np.empty(0)


def _encode(x: Floats, edges: Floats, reach: float) -> Floats:
    """e_t(x) for every bin: (n,) to (n, T)."""
    lowest, highest = np.zeros(len(edges) - 1), np.ones(len(edges) - 1)
    lowest[0], highest[-1] = -reach, 1 + reach
    # a quotient that overflows is clipped all the same
    with np.errstate(over="ignore"):
        return np.clip((x[:, None] - edges[:-1]) / np.diff(edges), lowest, highest)
