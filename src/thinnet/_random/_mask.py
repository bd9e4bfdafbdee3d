"""Bernoulli masks from 8 or 16 random bits an element, instead of one random float."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

import torch
from torch import Generator, Tensor

LEVELS = 1 << 16
"""Rates are multiples of 1/LEVELS: an element is decided by 16 random bits."""


@overload
def threshold(p: float, *, name: str = ...) -> int: ...
@overload
def threshold(p: Tensor, *, name: str = ...) -> Tensor: ...
def threshold(p: float | Tensor, *, name: str = "dropout: `p`") -> int | Tensor:
    r"""Compute the keep threshold t of a dropout rate: t = 65536 − round(65536 · p).

    An element stays when its 16 random bits, read as a number in [0, 65536), are below t, so it is dropped at the rate
    p_eff = 1 − t/65536. A rate strictly between 0 and 1 stays so: it is rounded to one of 1/65536, ..., 65535/65536,
    never to 0 or 1. The error of p_eff is at most 1/65536, and 0 for p = 0, p = 1 and every multiple of 1/65536.

    Args:
        p: rate or rates of dropping an element, in [0, 1], of any shape.
        name: who asks, for errors.

    Returns:
        t in [0, 65536]: an int for a number, an int32 tensor of p's shape for a tensor.

    Raises:
        TypeError: if p is no number and no tensor.
        ValueError: if p is outside [0, 1] or not a number.

    Example:
        >>> from thinnet._random import threshold
        >>> [threshold(p) for p in (0.0, 1 / 65536, 0.1, 0.5, 1.0)]
        [65536, 65535, 58982, 32768, 0]
        >>> threshold(1e-9), threshold(1 - 1e-9)
        (65535, 1)
    """
    if isinstance(p, Tensor):
        rates = p.detach().to(torch.float64)
        if not bool(((rates >= 0) & (rates <= 1)).all()):
            raise ValueError(f"{name} must be in [0, 1], got {p.tolist()}.")
        dropped = (rates * LEVELS).round().clamp(1, LEVELS - 1)
        dropped = torch.where((rates == 0) | (rates == 1), rates * LEVELS, dropped)
        return LEVELS - dropped.to(torch.int32)
    if isinstance(p, bool) or not isinstance(p, int | float):
        raise TypeError(f"{name} must be a number or a tensor, got {p!r} ({type(p).__name__}).")
    if not 0 <= p <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {p}.")
    if p in (0, 1):
        return LEVELS - LEVELS * int(p)
    return LEVELS - min(max(round(p * LEVELS), 1), LEVELS - 1)


def keep_mask(
    shape: Sequence[int],
    keep_threshold: int | Tensor,
    *,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    r"""Draw a mask M of independent elements with P(M_i = 1) = t_i/65536 exactly.

    Every element reads its own 16 bits of a 64-bit random word (8 bits where t is a multiple of 256, which decide
    just as exactly), so a mask costs one draw for four or eight elements. Bits are read in the order of the elements:
    rows that fill whole words are the same whether drawn at once or in parts. With t = 0 or t = 65536, given as a
    number, nothing is drawn.

    Args:
        shape: shape of the mask.
        keep_threshold: t in [0, 65536], as `threshold` gives it: a number, or integers that broadcast to `shape`, for
            instance `(K, 1, 1)` for one rate for each of the K members of a stack.
        generator: source of the bits, on `device`; None is torch's default one.
        device: where the mask lies; None is torch's default device.

    Returns:
        A contiguous bool tensor of `shape`: True is kept.

    Raises:
        ValueError: if t is outside [0, 65536].

    Example:
        >>> import torch
        >>> from thinnet._random import keep_mask
        >>> keep_mask((2, 3), torch.tensor([[65536], [0]]))
        tensor([[ True,  True,  True],
                [False, False, False]])

    References:
        von Neumann, "Various techniques used in connection with random digits", 1951 (comparing digits to a threshold).
    """
    bounds = keep_threshold.aminmax() if isinstance(keep_threshold, Tensor) else (keep_threshold, keep_threshold)
    if not 0 <= int(bounds[0]) <= int(bounds[1]) <= LEVELS:
        raise ValueError(f"dropout: `keep_threshold` must be in [0, {LEVELS}], got {keep_threshold}.")
    if isinstance(keep_threshold, int):
        if keep_threshold in (0, LEVELS):
            return torch.full(tuple(shape), keep_threshold == LEVELS, dtype=torch.bool, device=device)
        if keep_threshold % 256 == 0:
            # comparing in place keeps the type, and torch vectorises only comparisons that do
            return _bits(shape, torch.uint8, generator, device).lt_(keep_threshold // 256).view(torch.bool)
        words = _bits(shape, torch.int16, generator, device).lt_(keep_threshold - LEVELS // 2)
        return words.to(torch.uint8).view(torch.bool)
    t = keep_threshold.to(device=device, dtype=torch.int32)
    # 65536 has no int16 to stand for it: those elements are kept afterwards
    below = (t - LEVELS // 2).clamp(max=LEVELS // 2 - 1).to(torch.int16)
    kept = _bits(shape, torch.int16, generator, device).lt_(below).to(torch.uint8)
    return kept.bitwise_or_((t == LEVELS).to(torch.uint8)).view(torch.bool)


def _bits(
    shape: Sequence[int], dtype: torch.dtype, generator: Generator | None, device: torch.device | str | None
) -> Tensor:
    """Draw uniform integers over all of `dtype`, several from each 64-bit word."""
    size = math.prod(shape)
    words = random_words(-(-size * dtype.itemsize // 8), generator, device)
    return words.view(dtype)[:size].view(tuple(shape))


def random_words(count: int, generator: Generator | None, device: torch.device | str | None) -> Tensor:
    """Draw uniform 64-bit integers: torch draws one in the time in which it draws two bytes."""
    return torch.empty(count, dtype=torch.int64, device=device).random_(-(2**63), None, generator=generator)
