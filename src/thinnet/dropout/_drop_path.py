"""Stochastic depth: dropout of whole residual branches."""

from __future__ import annotations

from torch import Tensor

from thinnet._random import apply_mask, threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class DropPath(DropoutLayer):
    r"""Drops a residual branch for single samples with probability p and divides it by 1 − p for the others.

    $$y_{n\cdot} = \frac{M_n\, x_{n\cdot}}{1 - p}, \qquad M_n \sim \mathrm{Bernoulli}(1 - p)$$

    It stands at the end of the branch, before the sum: `x + drop_path(branch(x))`. Known as stochastic depth, where the
    rate usually grows linearly from 0 at the first block to p at the last. p is rounded as in `Dropout`.

    Args:
        p: probability of a sample to lose the branch, in [0, 1].
        generator: source of the mask's bits, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1], or the input has no dimension.

    Shape:
        Input and output: (N, ...), the same.

    Example:
        >>> import torch, thinnet as tn
        >>> y = tn.DropPath(0.5)(torch.ones(99, 3))
        >>> sorted(set(y.sum(dim=1).tolist()))
        [0.0, 6.0]

    References:
        Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", 2016. Larsson, Maire,
        Shakhnarovich, "FractalNet: Ultra-Deep Neural Networks without Residuals", 2017 (the name).
    """

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x / (1 − p)."""
        if x.ndim == 0:
            raise ValueError("DropPath: the input must be (N, ...), got a tensor of shape ().")
        kept = noise.keep(x.shape[:1], self.p, x.device)
        return apply_mask(x, kept.reshape(-1, *(1,) * (x.ndim - 1)), threshold(self.p))
