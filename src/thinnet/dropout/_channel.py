"""Dropout of whole channels."""

from __future__ import annotations

from typing import Literal

from torch import Generator, Tensor

from thinnet._random import apply_mask, threshold
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class ChannelDropout(DropoutLayer):
    r"""Zeroes whole channels of each sample with probability p and divides the others by 1 − p.

    $$y_{nc\cdot} = \frac{M_{nc}\, x_{nc\cdot}}{1 - p}, \qquad M_{nc} \sim \mathrm{Bernoulli}(1 - p)$$

    `torch.nn.Dropout1d`, `Dropout2d` and `Dropout3d` in one; p is rounded as in `Dropout`. Without `dims`, the first
    two dimensions are always samples and channels. With it, an input of dims + 1 dimensions is one sample without a
    batch dimension, which its shape alone would not tell: `dims=1` is `Dropout1d` and `dims=3` is `Dropout3d`;
    `Dropout2d` takes three dimensions for (N, C, L), as no `dims` does.

    Args:
        p: probability of a channel to be zeroed, in [0, 1].
        inplace: overwrite the input.
        dims: number of dimensions after the channels; None takes any number from 1 on, in a batch.
        generator: source of the mask's bits, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1], dims is none of 1, 2, 3, or the input has another number of dimensions.

    Shape:
        Input and output: (N, C, ...), the same; with `dims` also (C, ...).

    Example:
        >>> import torch, thinnet as tn
        >>> y = tn.ChannelDropout(0.5)(torch.ones(2, 3, 4, 4))
        >>> sums = y.sum(dim=(2, 3))
        >>> bool(((sums == 0) | (sums == 32)).all())
        True

    References:
        Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient Object Localization Using Convolutional Networks", 2015.
    """

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        dims: Literal[1, 2, 3] | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(p, generator=generator)
        if dims not in (None, 1, 2, 3):
            raise ValueError(f"ChannelDropout: `dims` must be 1, 2, 3 or None, got {dims!r}.")
        self.inplace = inplace
        self.dims = dims

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x / (1 − p)."""
        alone = self.dims is not None and x.ndim == self.dims + 1
        if not alone and (x.ndim < 3 if self.dims is None else x.ndim != self.dims + 2):
            raise ValueError(self._mismatch(x))
        rows, channels = (1, x.shape[0]) if alone else x.shape[:2]
        kept = noise.keep((rows, channels), self.p, x.device)
        mask = kept.reshape(*x.shape[: 1 if alone else 2], *(1,) * (x.ndim - (1 if alone else 2)))
        return apply_mask(x, mask, threshold(self.p), inplace=self.inplace)

    def _mismatch(self, x: Tensor) -> str:
        if self.dims is not None:
            shapes = f"(N, C, ...) or (C, ...) with {self.dims} dimensions after the channels"
            return f"ChannelDropout: with `dims={self.dims}` the input must be {shapes}, got shape {tuple(x.shape)}."
        return (
            f"ChannelDropout: the input must be (N, C, ...) of at least 3 dimensions, got shape {tuple(x.shape)}; say "
            "`dims=1` if it is (C, L), or take Dropout or NodeDropout if it is (N, features)."
        )

    def extra_repr(self) -> str:
        """The settings, as torch's dropout prints them."""
        return f"p={self.p}, inplace={self.inplace}" + (f", dims={self.dims}" if self.dims else "")
