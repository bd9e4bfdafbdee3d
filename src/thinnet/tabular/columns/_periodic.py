"""Periodic encoding of numbers: sines and cosines of several frequencies (Gorishniy et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from thinnet.tabular.columns._robust_scaler import Floats


@dataclass(frozen=True, eq=False)
class PeriodicEncoder:
    r"""Each number as cosines and sines, which let a network bend sharply where straight inputs make it smooth.

    x becomes cos(c_1 z), ..., cos(c_m z), sin(c_1 z), ..., sin(c_m z) with z = (x − mean) / deviation. The frequencies
    are the quantiles of |N(0, scale²)| at (j − ½)/m, where the paper draws them at random: the same spread, evenly.

    Attributes:
        frequencies: (m,) ascending.
        mean: (D,) means.
        deviation: (D,) standard deviations; 1 for a constant column.

    Example:
        >>> waves = PeriodicEncoder.fit(np.array([[-1.0], [1.0]]), n_frequencies=1)
        >>> waves.encode(np.array([[0.0]])).tolist()  # cos 0 and sin 0
        [[1.0, 0.0]]
        >>> waves.frequencies.round(4).tolist()  # the median of |N(0, 1)|
        [0.6745]

    References:
        Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022.
    """

    frequencies: Floats
    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, x_ND: Floats, *, n_frequencies: int = 8, scale: float = 1.0) -> Self:
        """Learn mean and deviation of every column of `x_ND`, finite.

        Args:
            x_ND: the training values.
            n_frequencies: m.
            scale: spread of the frequencies, in radians per standard deviation of a column. At 1 the functions are
                smooth over the whole range of the data, at 4 they bend within a small part of it.
        """
        from scipy.special import ndtri  # fitting alone needs scipy

        deviation = x_ND.std(0)
        middles = (np.arange(n_frequencies) + 0.5) / n_frequencies
        # the quantile of |N(0, 1)| at p is that of N(0, 1) at (1 + p) / 2
        return cls(scale * ndtri((1 + middles) / 2), x_ND.mean(0), np.where(deviation > 0, deviation, 1.0))

    @property
    def width(self) -> int:
        """Output columns of every input column."""
        return 2 * len(self.frequencies)

    def encode(self, x_ND: Floats) -> NDArray[np.float32]:
        """Encode every column: (N, D) to (N, 2 · m · D), column by column, cosines first."""
        z_ND = (x_ND - self.mean) / self.deviation
        angles = z_ND[:, :, None] * self.frequencies
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=2)
        return waves.reshape(len(x_ND), -1).astype(np.float32)
