"""Predictive variance of a regressor, from the disagreement of its networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PredictiveVariance:
    """Predictive variance σ²(x) = a · disagreement(x) + b.

    Attributes:
        a: factor on the networks' variance, >= 0.
        b: the noise that no network sees, > 0.
    """

    a: float
    b: float

    @classmethod
    def fit(cls, errors_N: Floats, disagreement_N: Floats) -> Self:
        """The a and b of the greatest Gaussian likelihood of held-out errors: min Σ log σ² + e²/σ².

        Example:
            >>> PredictiveVariance.fit(np.array([1.0, -1.0, 1.0, -1.0]), np.zeros(4))  # b is the mean square
            PredictiveVariance(a=0.0, b=1.0)
        """
        from scipy.optimize import minimize  # fitting alone needs scipy

        squares = np.asarray(errors_N, dtype=np.float64) ** 2
        noise, scale = max(float(squares.mean()), 1e-12), float(np.mean(disagreement_N))
        if scale <= 1e-12 * noise:
            return cls(0.0, noise)

        def cost(log_ab: Floats) -> float:
            variance = np.exp(log_ab[0]) * disagreement_N + np.exp(log_ab[1])
            return float(np.mean(np.log(variance) + squares / variance))

        limits = [(np.log(1e-6 * noise / scale), np.log(10 * noise / scale)), (np.log(1e-6 * noise), np.log(2 * noise))]
        starts = [np.log([share * noise / scale, (1 - share) * noise]) for share in (0.05, 0.5, 0.95)]
        found = min((minimize(cost, s, method="L-BFGS-B", bounds=limits) for s in starts), key=lambda r: float(r.fun))
        return cls(*(float(v) for v in np.exp(found.x)))

    def std(self, disagreement_N: Floats) -> Floats:
        """σ(x)."""
        return np.sqrt(self.a * disagreement_N + self.b)
