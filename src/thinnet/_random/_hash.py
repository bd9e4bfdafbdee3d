"""Counter-based random numbers: splitmix64 of a key and a position."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


# constants of splitmix64 (Steele, Lea, Flood 2014)
SPLITMIX64_STEP = np.uint64(0x9E3779B97F4A7C15)
_WORD = (1 << 64) - 1
_ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
_ROUNDS_OF_ARRAYS = tuple((np.uint64(shift), np.uint64(factor)) for shift, factor in _ROUNDS)


def splitmix64(position: int) -> int:
    """Compute the number at a position of the splitmix64 sequence, in [0, 2^64).

    Args:
        position: taken modulo 2^64.

    Example:
        >>> from thinnet._random import splitmix64
        >>> hex(splitmix64(1))  # the first number of the sequence of seed 0
        '0xe220a8397b1dcdaf'

    References:
        Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
    """
    z = position * int(SPLITMIX64_STEP) & _WORD
    for shift, factor in _ROUNDS:
        z = (z ^ z >> shift) * factor & _WORD
    return z


def splitmix64_(z: Tensor, scratch: Tensor | None = None) -> Tensor:
    """Compute `splitmix64` of each position in z, in place on int64.

    Args:
        z: positions, int64.
        scratch: memory of z's shape; None takes its own.

    Returns:
        z, now uniform over all of int64 for distinct positions.

    Example:
        >>> import torch
        >>> from thinnet._random import splitmix64_
        >>> hex(splitmix64_(torch.tensor([1])).item() % 2**64)
        '0xe220a8397b1dcdaf'
    """
    scratch = torch.empty_like(z) if scratch is None else scratch
    z.mul_(_signed(int(SPLITMIX64_STEP)))
    for shift, factor in _ROUNDS:
        # torch shifts int64 with its sign: the mask makes the shift logical, without which z's top bit is lost
        torch.bitwise_right_shift(z, shift, out=scratch)
        z.bitwise_xor_(scratch.bitwise_and_((1 << (64 - shift)) - 1))
        if factor != 1:
            z.mul_(_signed(factor))
    return z


def splitmix64_array_(
    z: NDArray[np.uint64], scratch: NDArray[np.uint64], *, multiplied: bool = False
) -> NDArray[np.uint64]:
    """Compute `splitmix64_` on an array: on one core about twice as fast, and several times where z is small.

    Args:
        z: positions.
        scratch: memory of z's shape.
        multiplied: z is positions times `SPLITMIX64_STEP` already, its first pass.

    Example:
        >>> import numpy as np
        >>> from thinnet._random import splitmix64_array_
        >>> z = np.ones(1, np.uint64)
        >>> hex(splitmix64_array_(z, np.empty_like(z))[0])
        '0xe220a8397b1dcdaf'
    """
    if not multiplied:
        np.multiply(z, SPLITMIX64_STEP, out=z)
    for shift, factor in _ROUNDS_OF_ARRAYS:
        np.bitwise_xor(z, np.right_shift(z, shift, out=scratch), out=z)
        if factor != 1:
            np.multiply(z, factor, out=z)
    return z
