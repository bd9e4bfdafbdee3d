"""DropBlock: dropout of square blocks of a feature map."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from thinnet.dropout._base import DropoutLayer
from thinnet.dropout._noise import Noise


class DropBlock2d(DropoutLayer):
    r"""Zeroes square blocks of every channel's map, such that a share p of its units is dropped in expectation.

    A block starts at each of the places where it lies wholly inside the map with probability γ, independently. Unit i
    lies in n_i possible blocks, fewer at the border, so it stays with probability (1 − γ)^{n_i}, and

    $$y_i = \frac{M_i\, x_i}{(1 - \gamma)^{n_i}}, \qquad \frac{1}{HW} \sum_i (1 - \gamma)^{n_i} = 1 - p$$

    fixes γ. The paper takes γ = p HW / (size² (H − size + 1) (W − size + 1)), which forgets that blocks overlap and so
    drops too little, and divides by the share that happened to stay in the batch. Here the rate is p and the
    expectation of each unit is the input. Blocks of size 1 are `Dropout`, blocks as large as the map `ChannelDropout`.

    Args:
        p: expected share of dropped units, in [0, 1].
        size: height and width of the blocks, in units; one larger than the map is cut to it.
        generator: source of the blocks, on the input's device; None is torch's default one.

    Raises:
        TypeError: if p is not a number, or the input is not of a floating-point or complex type.
        ValueError: if p is outside [0, 1], size is less than 1, or the input has neither 3 nor 4 dimensions.

    Shape:
        Input and output: (N, C, H, W) or (C, H, W), the same.

    Example:
        A block as large as the map drops it whole or not at all.

        >>> import torch, thinnet as tn
        >>> y = tn.DropBlock2d(0.5, size=4)(torch.ones(2, 3, 4, 4))
        >>> sums = y.sum(dim=(2, 3))
        >>> bool(((sums == 0) | (sums == 32)).all())
        True

    References:
        Ghiasi, Lin, Le, "DropBlock: A regularization method for convolutional networks", 2018.
    """

    def __init__(self, p: float = 0.1, size: int = 7, *, generator: Generator | None = None) -> None:
        super().__init__(p, generator=generator)
        if size < 1:
            raise ValueError(f"DropBlock2d: `size` must be >= 1, got {size}.")
        self.size = size

    def perturb(self, x: Tensor, noise: Noise) -> Tensor:
        """M ∘ x / E[M]."""
        if x.ndim not in (3, 4):
            raise ValueError(f"DropBlock2d: the input must be (N, C, H, W) or (C, H, W), got shape {tuple(x.shape)}.")
        # as numbers, not symbols of a compiler: γ is found in Python
        height, width = map(operator.index, x.shape[-2:])
        h, w = min(self.size, height), min(self.size, width)
        decay = block_decay(self.p, height, width, h, w)
        rows, channels = x.shape[:2] if x.ndim == 4 else (1, x.shape[0])
        draws = noise.uniform((rows, channels, height - h + 1, width - w + 1), torch.float32, x.device)
        # γ is small: 24 bits keep its rate, 16 would not
        no_block = (draws >= -math.expm1(-decay)).to(torch.uint8)
        around = F.pad(no_block, (w - 1, w - 1, h - 1, h - 1), value=1)
        kept = _all_of(_all_of(around, h, -2), w, -1)
        n = torch.outer(_blocks_over(height, h, x.device), _blocks_over(width, w, x.device))
        inverse = torch.exp(decay * n).nan_to_num(posinf=0).to(x.dtype)
        return (x * kept.reshape(x.shape)).mul_(inverse)

    def extra_repr(self) -> str:
        """The settings."""
        return f"p={self.p}, size={self.size}"


def block_decay(p: float, height: int, width: int, h: int, w: int) -> float:
    """Solve for the u = −log(1 − γ) at which blocks of h × w drop a share p of a map: Σ_i e^{−u n_i} = HW (1 − p)."""
    if p == 1:
        return math.inf
    lines = list(_units_under(height, h)), list(_units_under(width, w))
    counts = [(row * column, rows * columns) for (row, rows), (column, columns) in itertools.product(*lines)]
    u, aim = 0.0, math.log1p(-p)
    # the logarithm of the sum is convex and falls: Newton's steps come from the left and never pass the root
    for _ in range(100):
        stay = [(n, count / (height * width) * math.exp(-u * n)) for n, count in counts]
        share = sum(part for _, part in stay)
        step = (math.log(share) - aim) * share / sum(n * part for n, part in stay)
        u += step
        if step <= 1e-15 * u:
            break
    return u


def _units_under(length: int, block: int) -> Iterator[tuple[int, int]]:
    """How many units of a line lie in 1, 2, ... of the blocks inside it, as (blocks, units)."""
    most = min(block, length - block + 1)
    yield from ((blocks, 2) for blocks in range(1, most))
    yield most, length - 2 * (most - 1)


def _blocks_over(length: int, block: int, device: torch.device) -> Tensor:
    """In how many of the blocks inside a line each of its units lies."""
    place = torch.arange(length, device=device)
    return torch.minimum(place + 1, length - place).clamp(max=min(block, length - block + 1))


def _all_of(kept: Tensor, size: int, dim: int) -> Tensor:
    """The AND of every `size` neighbours along a dimension, by windows that double."""
    window = 1
    while window < size:
        step = min(window, size - window)
        length = kept.shape[dim] - step
        kept = kept.narrow(dim, 0, length) & kept.narrow(dim, step, length)
        window += step
    return kept
