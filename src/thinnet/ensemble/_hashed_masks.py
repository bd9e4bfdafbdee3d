"""Counter-based masks and uniform numbers: a hash of a key and a position."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thinnet._buffers import scratch
from thinnet._random import LEVELS, SPLITMIX64_STEP, splitmix64_, splitmix64_array_

_CACHED = 1 << 15
"""Words at a time that stay in the cache while they are hashed."""


def hashed_words(keys_K: NDArray[np.uint64], first: int, count: int, device: torch.device) -> Tensor:
    """Compute the words `first` to `first + count` of each key's sequence, of shape (K, count)."""
    keys = torch.from_numpy(keys_K.view(np.int64)).to(device)
    return splitmix64_(keys[:, None] + torch.arange(first, first + count, device=device))


def hashed_mask(keys_K: NDArray[np.uint64], first: int, count: int, t: int, device: torch.device) -> Tensor:
    """Compute masks (K, count) with P(1) = t/65536, each element from its own 8 or 16 bits of a word."""
    if t in (0, LEVELS):
        return torch.full((len(keys_K), count), t == LEVELS, device=device)
    # 8 bits decide just as exactly where they can
    narrow = t % 256 == 0
    lanes, bound = (8, t // 256) if narrow else (4, t - LEVELS // 2)
    start, stop = first // lanes, -(-(first + count) // lanes)
    here = slice(first - start * lanes, first - start * lanes + count)
    if device.type == "cpu":
        return torch.from_numpy(_kept_words(keys_K, start, stop, lanes, bound)[:, here])
    words = hashed_words(keys_K, start, stop - start, device)
    return (words.view(torch.uint8 if narrow else torch.int16) < bound)[:, here]


def _kept_words(keys_K: NDArray[np.uint64], start: int, stop: int, lanes: int, bound: int) -> NDArray[np.bool_]:
    """Masks of whole words by numpy, whose calls cost less than torch's, in memory that stays in the cache."""
    k = len(keys_K)
    step = max(1, _CACHED // k)
    kept = np.empty((k, (stop - start) * lanes), np.bool_)
    kind, kind_bound = (np.uint8, np.uint8(bound)) if lanes == 8 else (np.int16, np.int16(bound))
    size = max(k, _CACHED)
    positions = _multiplied(size)
    # memory of this thread, as what is fresh costs more
    words, spare = scratch(16 * size).view(np.uint64).reshape(2, size)
    for a in range(start, stop, step):
        count = min(step, stop - a)
        z = words[: k * count].reshape(k, count)
        np.add(((keys_K + np.uint64(a)) * SPLITMIX64_STEP)[:, None], positions[:count], out=z)
        bits = splitmix64_array_(z, spare[: k * count].reshape(k, count), multiplied=True).view(kind)
        np.less(bits, kind_bound, out=kept[:, (a - start) * lanes : (a - start + count) * lanes])
    return kept


@lru_cache(maxsize=1)
def _multiplied(size: int) -> NDArray[np.uint64]:
    """Positions from 0 on, times the step."""
    return np.arange(size, dtype=np.uint64) * SPLITMIX64_STEP


def unit(words: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert words to numbers in [0, 1) with as many bits as the type resolves."""
    bits = 1 - round(math.log2(torch.finfo(dtype).eps))
    return ((words >> (64 - bits)) & ((1 << bits) - 1)).to(dtype).mul_(2.0**-bits)
