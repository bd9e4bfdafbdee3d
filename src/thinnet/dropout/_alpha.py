"""Dropout that keeps mean and variance, for self-normalizing networks."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from thinnet._random import LEVELS, threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise

ALPHA = -1.7580993408473766
"""Where SELU saturates: its scale, 1.0507009873554805, times its negative alpha, -1.6732632423543772."""


class AlphaDropout(DropoutLayer):
    r"""Sets elements to SELU's saturation value α' with probability p, and rescales to keep mean 0 and variance 1.

    $$y = a\,(M \circ x + \alpha' (1 - M)) + b, \qquad
      a = \bigl(q + \alpha'^2 q (1 - q)\bigr)^{-1/2}, \quad b = -a\,\alpha' (1 - q), \quad q = 1 - p$$

    What `torch.nn.AlphaDropout` does, with the same signature, and with `channels=True` what
    `torch.nn.FeatureAlphaDropout` does; p is rounded as in `Dropout`. It keeps the mean and the variance of standard
    normal inputs, not the expectation of each element.

    Args:
        p: probability of an element to be dropped, in [0, 1].
        inplace: overwrite the input.
        channels: drop whole channels of (N, C, ...) instead of elements.
        generator: source of the mask's bits, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1], or the input of `channels=True` has fewer than 2 dimensions.

    Shape:
        Input and output: any shape, the same; (N, C, ...) with `channels=True`.

    Example:
        At p = 0.5 a zero becomes b = (1 + 2/α'²)^{-1/2} where it is kept and −b where it is dropped.

        >>> import torch, thinnet as tn
        >>> y = tn.AlphaDropout(0.5)(torch.zeros(99))
        >>> sorted({round(value, 4) for value in y.tolist()})
        [-0.7792, 0.7792]

    References:
        Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", 2017.
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, channels: bool = False, generator: Generator | None = None
    ) -> None:
        super().__init__(p, generator=generator)
        self.inplace = inplace
        self.channels = channels

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """A (M ∘ x + α' (1 − M)) + b."""
        if self.channels and x.ndim < 2:
            raise ValueError(
                f"AlphaDropout: with `channels=True` the input must be (N, C, ...), got shape {tuple(x.shape)}."
            )
        q = threshold(self.p) / LEVELS
        a = (q + ALPHA**2 * q * (1 - q)) ** -0.5 if q else 0.0
        b = -a * ALPHA * (1 - q)
        kept = noise.keep((*x.shape[:2], *(1,) * (x.ndim - 2)) if self.channels else x.shape, self.p, x.device)
        bits, dropped = kept.view(torch.uint8), (~kept).view(torch.uint8)
        y = x.mul_(bits) if self.inplace else x * bits
        return y.mul_(a).add_(dropped, alpha=a * ALPHA).add_(b)

    def extra_repr(self) -> str:
        """The settings, as torch's dropout prints them."""
        return f"p={self.p}, inplace={self.inplace}" + (", channels=True" if self.channels else "")
