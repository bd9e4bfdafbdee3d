"""Strengths, one number or one for each member of a stack, and how they meet weights."""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor

Strength = float | Tensor
"""A strength: one number, or a tensor whose dimensions are the leading (stack) dimensions of the weights it acts on."""


def check_strength(rule: str, field: str, value: object) -> Strength:
    """Convert a strength to a float or a floating-point tensor; refuse by name what is negative or not a number."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.dtype == torch.bool:
            raise TypeError(f"{rule}: `{field}` must be a tensor of real numbers, got one of {value.dtype}.")
        value = value if value.is_floating_point() else value.double()
        lowest, allowed = float(value.detach().min()) if value.numel() else 0.0, bool((value >= 0).all())
    elif isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{rule}: `{field}` must be a number or a tensor, got {value!r} ({type(value).__name__}).")
    else:
        value = lowest = float(value)
        allowed = lowest >= 0
    if not allowed:
        raise ValueError(f"{rule}: `{field}` must be >= 0, got {lowest}.")
    return value


def stack_depth(*strengths: Strength) -> int:
    """Count the leading dimensions of weights that belong to the stack."""
    return max((strength.ndim for strength in strengths if isinstance(strength, Tensor)), default=0)


def precise(w: Tensor) -> Tensor:
    """Convert weights to float32 or better, the precision in which sums and steps are computed."""
    if not w.is_floating_point():
        raise TypeError(f"rules act on floating-point weights, got {w.dtype}.")
    return w.to(torch.promote_types(w.dtype, torch.float32))


def broadcast(strength: Strength, w: Tensor) -> Strength:
    """Reshape a strength so that it broadcasts over the leading dimensions of `w`, in the precision of `precise(w)`."""
    if not isinstance(strength, Tensor):
        return strength
    if strength.shape != w.shape[: strength.ndim]:
        raise ValueError(
            f"a strength of shape {tuple(strength.shape)} acts on a stack of weights {(*strength.shape, '...')}, "
            f"got weights {tuple(w.shape)}."
        )
    strength = strength.to(device=w.device, dtype=torch.promote_types(w.dtype, torch.float32))
    return strength.reshape(strength.shape + (1,) * (w.ndim - strength.ndim))


def quotient(dividend: Strength, divisor: Tensor) -> Tensor:
    """Divide, with the same rounding whether the dividend is a number or a tensor."""
    # a number over a tensor would be a reciprocal, then a product: two passes and two roundings
    if not isinstance(dividend, Tensor):
        dividend = torch.full((), dividend, dtype=divisor.dtype, device=divisor.device)
    return dividend / divisor
