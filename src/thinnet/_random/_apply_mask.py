"""Products of tensors with masks, scaled so that the expectation does not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thinnet._random._mask import LEVELS

_CHUNK = 1 << 18
"""Elements at a time whose multipliers stay in the cache."""


def apply_mask(x: Tensor, mask: Tensor, keep_threshold: float, *, inplace: bool = False) -> Tensor:
    """Multiply by a mask and scale by 65536/t: M ∘ x · 65536/t for a bool mask M that broadcasts to x; zeros for t = 0.

    Autograd keeps one byte for each element of M.
    """
    # as bytes, not bool: torch multiplies by a byte three times as fast
    kept, scale = mask.view(torch.uint8), LEVELS / keep_threshold if keep_threshold else 0.0
    if kept.shape != x.shape:
        return scale_kept(x, kept, scale, inplace=inplace)
    if inplace:
        return x.mul_(kept).mul_(scale)
    if x.numel() > _CHUNK and x.is_contiguous() and kept.is_contiguous() and not left_to_torch(x):
        y: Tensor = _InChunks.apply(x, kept, scale)  # type: ignore[no-untyped-call]
        return y
    # the mask first: scale · M cannot overflow
    return (x * kept) * scale


class _InChunks(torch.autograd.Function):
    """Autograd function for scale · M ∘ x that allocates the result alone.

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


def scale_kept(x: Tensor, kept: Tensor, scale: float, *, inplace: bool = False) -> Tensor:
    """Compute scale · M ∘ x for a small mask M that broadcasts to x, such as one value a channel.

    Autograd keeps no more than M.
    """
    factors = kept.to(x.dtype)
    if torch.finfo(x.dtype).bits >= 32:
        factors *= scale
        return x.mul_(factors) if inplace else x * factors
    # rounded to 8 or 11 bits, the scale would be a bias
    return (x.mul_(factors) if inplace else x * factors).mul_(scale)


def left_to_torch(x: Tensor) -> bool:
    """Return whether torch's own kernels are used: on other devices than CPU, when compiled and under `torch.func`."""
    return x.device.type != "cpu" or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
