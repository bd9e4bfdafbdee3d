"""Bernoulli masks drawn as a whole, from as few random bits as the rate needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Generator, Tensor

from thinnet._random._mask import LEVELS, random_words

_MOST_HITS = 1 / 8
"""Hits an element, above which one more binary digit of the rate is cheaper."""

_BLOCK = 1 << 18
"""Elements at a time that are hit: their bytes stay in the cache, and three positions fit a 64-bit word."""

_CPU = torch.device("cpu")
_POSITIONS = torch.tensor([[0], [21], [42]], device=_CPU)
_BITS_OF_A_BYTE = torch.arange(8, device=_CPU).unsqueeze(1)
_LOWEST_BITS = 0x0101010101010101


def whole_mask(shape: Sequence[int], keep_threshold: int, *, generator: Generator | None = None) -> Tensor:
    r"""Draw a mask M of independent elements on CPU with P(M_i = 1) = q = t/65536.

    What `keep_mask` draws, in a fraction of its time, but as a whole: rows drawn in parts are other rows. Two stages
    multiply to q, the first with few binary digits and the second close to 1:

    $$q = q_0 e^{-\lambda}, \qquad q_0 = 0.d_1 \dots d_b \ge q, \quad \lambda \le 1/8$$

    With r a fresh random bit, b steps from the last digit to the first, a ← r ∨ a where d = 1 and a ← r ∧ a where
    d = 0, lead from 0 to a bit that is 1 with probability q_0, 64 elements at once. Then Poisson(λ n) hits at uniform
    positions drop what they meet: the hits of different elements are independent, and an element escapes them all with
    probability exp(−λ). So p = 0.5 costs one random bit an element, and p = 0.1 about two.

    Args:
        shape: shape of the mask.
        keep_threshold: t in [0, 65536], as `threshold` gives it.
        generator: source of the bits, on CPU; None is torch's default one.

    Returns:
        A contiguous bool tensor of `shape`: True is kept.

    References:
        Knuth, Yao, "The complexity of nonuniform random number generation", 1976 (a rate by its binary digits).
        Kingman, "Poisson Processes", 1993 (counts of disjoint sets are independent).
    """
    if keep_threshold in (0, LEVELS):
        return torch.full(tuple(shape), keep_threshold == LEVELS, dtype=torch.bool, device=_CPU)
    digits, rate = _stages(keep_threshold)
    size = math.prod(shape)
    kept = _by_digits(size, digits, generator) if digits else torch.ones(size, dtype=torch.uint8, device=_CPU)
    if rate > 0:
        for start in range(0, size, _BLOCK):
            _hit(kept[start : start + _BLOCK], rate, generator)
    return kept.view(torch.bool).view(tuple(shape))


@lru_cache
def _stages(keep_threshold: int) -> tuple[tuple[int, ...], float]:
    """The digits (d_b, ..., d_1) of q_0, as few as can be, and λ."""
    shares = ((b, -(-(keep_threshold << b) // LEVELS)) for b in range(LEVELS.bit_length()))
    rates = ((b, share, math.log(share * LEVELS / (keep_threshold << b))) for b, share in shares)
    b, share, rate = next(stage for stage in rates if stage[2] <= _MOST_HITS)
    return tuple(share >> i & 1 for i in range(b)), rate


def _by_digits(size: int, digits: tuple[int, ...], generator: Generator | None) -> Tensor:
    """Bytes that are 1 with probability 0.d_1...d_b, else 0."""
    count = -(-size // 64)
    # d_b is 1, or b would be smaller
    words = random_words(count, generator, _CPU)
    for digit in digits[1:]:
        fresh = random_words(count, generator, _CPU)
        words = words.bitwise_or_(fresh) if digit else words.bitwise_and_(fresh)
    kept = torch.bitwise_right_shift(words, _BITS_OF_A_BYTE).bitwise_and_(_LOWEST_BITS)
    return kept.view(-1).view(torch.uint8)[:size]


def _hit(kept: Tensor, rate: float, generator: Generator | None) -> None:
    """Set each element to 0 with probability 1 − exp(−rate)."""
    # positions are uniform over a power of two; those beyond the end hit nothing
    width = 1 << (len(kept) - 1).bit_length()
    mean = torch.tensor(rate * width, dtype=torch.float64, device=_CPU)
    count = int(torch.poisson(mean, generator))
    words = random_words(-(-count // len(_POSITIONS)), generator, _CPU)
    hits = torch.bitwise_right_shift(words, _POSITIONS).bitwise_and_(width - 1).view(-1)[:count]
    if width > len(kept):
        hits = hits[hits < len(kept)]
    # a tensor of zeros, not the number: torch has a faster kernel for it
    kept.scatter_(0, hits, torch.zeros(len(hits), dtype=torch.uint8, device=_CPU))
