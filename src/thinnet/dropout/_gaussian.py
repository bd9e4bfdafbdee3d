"""Gaussian dropout: multiplicative normal noise."""

from __future__ import annotations

import math

from torch import Generator, Tensor

from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class GaussianDropout(DropoutLayer):
    r"""Multiplies each element by normal noise of the mean and variance of dropout's factor.

    $$y = \xi \circ x, \qquad \xi_i \sim \mathcal N\Bigl(1, \frac{p}{1 - p}\Bigr)$$

    Nothing becomes zero; for the next layer's sum of many inputs it is the same noise as dropout at rate p.

    Args:
        p: rate of the dropout whose variance the noise takes, in [0, 1); the variance grows beyond all bounds toward 1.
        generator: source of the noise, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1).

    Shape:
        Input and output: any shape, the same.

    Example:
        >>> import torch, thinnet as tn
        >>> y = tn.GaussianDropout(0.2, generator=torch.Generator().manual_seed(0))(torch.ones(1_000_000))
        >>> round(y.mean().item(), 2), round(y.var().item(), 2)
        (1.0, 0.25)

    References:
        Wang, Manning, "Fast dropout training", 2013. Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov,
        "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014 (section 10).
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        if p == 1:
            raise ValueError("GaussianDropout: `p` must be less than 1, got 1: its variance p / (1 - p) has no bound.")

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """ξ ∘ x."""
        deviation = math.sqrt(self.p / (1 - self.p))
        return x * noise.normal(x.shape, x.real.dtype, x.device).mul_(deviation).add_(1)
