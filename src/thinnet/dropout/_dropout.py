"""Dropout of single elements."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from thinnet._random import apply_mask, left_to_torch, threshold, whole_mask
from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class Dropout(DropoutLayer):
    r"""Zeroes each element with probability p while training and divides the others by 1 − p; identity in eval mode.

    $$y = \frac{M \circ x}{1 - p}, \qquad M_i \sim \mathrm{Bernoulli}(1 - p)$$

    What `torch.nn.Dropout` does, with the same signature, but on CPU with masks from a few random bits an element: p is
    rounded to the nearest of 1/65536, ..., 65535/65536 (0 and 1 stay what they are: a p too close to them becomes
    1/65536 or 65535/65536), and the rate and the division are exact for the rounded p. On other devices, when compiled
    and under `torch.func` transforms, it is torch's own dropout, unless a generator is given.

    Args:
        p: probability of an element to be zeroed, in [0, 1].
        inplace: overwrite the input.
        generator: source of the mask's bits, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1].

    Shape:
        Input and output: any shape, the same.

    Example:
        >>> import torch, thinnet as tn
        >>> y = tn.Dropout(0.2)(torch.ones(3, 5))
        >>> bool(((y == 0) | (y == 65536 / 52429)).all())
        True
        >>> tn.Dropout(0.2).eval()(torch.ones(2))
        tensor([1., 1.])

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
        Overfitting", 2014.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        self.inplace = inplace

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x / (1 − p)."""
        own = type(noise) is Noise
        if own and noise.generator is None and left_to_torch(x):
            return F.dropout(x, self.p, True, self.inplace)
        # a subclass of Tensor may be a fake without numbers
        if own and x.device.type == "cpu" and type(x) is Tensor and not torch.compiler.is_compiling():
            mask = whole_mask(x.shape, threshold(self.p), generator=noise.generator)
        else:
            mask = noise.keep(x.shape, self.p, x.device)
        return apply_mask(x, mask, threshold(self.p), inplace=self.inplace)

    def extra_repr(self) -> str:
        """The settings, as torch's dropout prints them."""
        return f"p={self.p}, inplace={self.inplace}"
