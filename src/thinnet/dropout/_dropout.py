"""Dropout of single elements."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._broadcast import scale_kept
from thinnet.dropout._mask import LEVELS, threshold
from thinnet.dropout._noise import Noise
from thinnet.dropout._whole_mask import whole_mask

_CHUNK = 1 << 18
"""Elements at a time whose multipliers stay in the cache."""


def apply_mask(x: Tensor, mask: Tensor, keep_threshold: float, *, inplace: bool = False) -> Tensor:
    """M ∘ x · 65536/t for a bool mask M that broadcasts to x; zeros for t = 0.

    Autograd keeps one byte for each element of M.
    """
    # as bytes, not bool: torch multiplies by a byte three times as fast
    kept, scale = mask.view(torch.uint8), LEVELS / keep_threshold if keep_threshold else 0.0
    if kept.shape != x.shape:
        return scale_kept(x, kept, scale, inplace=inplace)
    if inplace:
        return x.mul_(kept).mul_(scale)
    if x.numel() > _CHUNK and x.is_contiguous() and kept.is_contiguous() and not _left_to_torch(x):
        y: Tensor = _InChunks.apply(x, kept, scale)  # type: ignore[no-untyped-call]
        return y
    # the mask first: scale · M cannot overflow
    return (x * kept) * scale


class _InChunks(torch.autograd.Function):
    """Scale · M ∘ x, its only fresh memory the result.

    Mixed types make torch widen the whole mask into a temporary, whose pages cost more than the arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(kept)
        ctx.scale = scale
        y = torch.empty_like(x)
        for part_x, part_kept, part_y in zip(*(torch.split(t.view(-1), _CHUNK) for t in (x, kept, y)), strict=True):
            torch.mul(part_x, part_kept, out=part_y).mul_(scale)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return _InChunks.apply(grad.contiguous(), kept, ctx.scale), None, None  # type: ignore[no-untyped-call]


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
        if own and noise.generator is None and _left_to_torch(x):
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


def _left_to_torch(x: Tensor) -> bool:
    return x.device.type != "cpu" or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
