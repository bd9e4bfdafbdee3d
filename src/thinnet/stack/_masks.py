"""Counter-based dropout masks of a stack: a hash of (seed, draw, layer, position), independent of the other members."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from thinnet._buffers import BufferPool
from thinnet._random import splitmix64_
from thinnet.stack._layer import Drop


def member_bits(seeds_K: Tensor, shape: tuple[int, ...], pool: BufferPool, *, draw: int, layer: int) -> Tensor:
    """Compute random words (K, W), int64: 16 bits for every unit of `shape`, in order.

    Member k's bits depend on `seeds_K[k]`, `draw`, `layer` and the position alone, never on its neighbours.
    """
    scratch_K = torch.empty_like(seeds_K)
    # the keys go through the hash themselves: neighbouring seeds and draws must not give shifted copies of one sequence
    keys_K = splitmix64_(splitmix64_(seeds_K + (draw << 8) + layer, scratch_K) + seeds_K, scratch_K)
    counter_W = torch.arange(-(-math.prod(shape) // 4), dtype=torch.int64, device=seeds_K.device)
    shape_KW = (len(seeds_K), len(counter_W))
    bits_KW, scratch_KW = (pool.take(shape_KW, torch.int64, seeds_K.device) for _ in range(2))
    splitmix64_(torch.add(keys_K.unsqueeze(-1), counter_W, out=bits_KW), scratch_KW)
    pool.give(scratch_KW)
    return bits_KW


def drop_run(
    rates: Sequence[float],
    seeds_K: Tensor,
    shape_HB: tuple[int, ...],
    dtype: torch.dtype,
    pool: BufferPool,
    *,
    draw: int,
    layer: int,
) -> Drop | None:
    """Draw the multipliers of the shortest run of members that holds every rate above zero; None where all are zero.

    A rate is exact to 1/65536.
    """
    dropping = [k for k, rate in enumerate(rates) if rate > 0]
    if not dropping:
        return None
    run = slice(dropping[0], dropping[-1] + 1)
    kept_K = torch.tensor([max(round((1 - rate) * 65536), 1) for rate in rates[run]], device=seeds_K.device)
    words_KW = member_bits(seeds_K[run], shape_HB, pool, draw=draw, layer=layer)
    bits_KHB = words_KW.view(torch.int16)[:, : math.prod(shape_HB)].view(-1, *shape_HB)
    # comparing into a floating tensor, and multiplying by one, is several times faster than by way of booleans
    scale = pool.take(tuple(bits_KHB.shape), dtype, seeds_K.device)
    # P(bits < t - 32768) = t / 65536; the largest t does not fit int16, so compare by <=
    torch.le(bits_KHB, (kept_K - 32769).to(torch.int16).view(-1, 1, 1), out=scale)
    pool.give(words_KW)
    return Drop(run.start, scale.mul_((65536 / kept_K).to(dtype).view(-1, 1, 1)))
