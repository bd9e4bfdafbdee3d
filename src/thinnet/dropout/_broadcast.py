"""Masks much smaller than what they mask."""

from __future__ import annotations

import torch
from torch import Tensor


def scale_kept(x: Tensor, kept: Tensor, scale: float, *, inplace: bool = False) -> Tensor:
    """Scale · M ∘ x for a small mask M that broadcasts to x, such as one value a channel.

    Autograd keeps no more than M.
    """
    factors = kept.to(x.dtype)
    if torch.finfo(x.dtype).bits >= 32:
        factors *= scale
        return x.mul_(factors) if inplace else x * factors
    # rounded to 8 or 11 bits, the scale would be a bias
    return (x.mul_(factors) if inplace else x * factors).mul_(scale)
