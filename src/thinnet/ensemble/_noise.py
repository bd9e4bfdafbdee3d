"""Counter-based noise: a function of seed, sample, layer, call and row alone, whatever the batches."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thinnet._random import splitmix64, splitmix64_array_, threshold
from thinnet.dropout import Noise
from thinnet.ensemble._hashed_masks import hashed_mask, hashed_words, unit


@dataclass(frozen=True)
class Block:
    """Samples and rows of one forward pass, in the order samples × rows.

    Args:
        samples: which.
        rows: which of each sample; None where the arguments have no rows in common.
        whole: all rows, not a part of them.
    """

    samples: range
    rows: range | None
    whole: bool


class Source:
    """Source of the random numbers of all samples.

    Args:
        seed: any integer >= 0, or None for one from the operating system.
        samples: how many.

    Attributes:
        block: what is predicted now.
        asked: the layers and shapes of this forward pass, without its rows where they are the first dimension: the
            same for any number of rows, unless they are in another dimension.
        requests: how often numbers were asked for.
        largest: the most numbers that were asked for at once.
    """

    block: Block

    def __init__(self, seed: int | None, samples: int) -> None:
        word = int.from_bytes(os.urandom(8)) if seed is None else seed
        # 64 bits at a time, as a seed may have more; not from 0, which the hash leaves where it is
        key = 1
        for at in range(0, max(word.bit_length(), 1), 64):
            key = splitmix64(key + (word >> at))
        keys_S = np.arange(samples, dtype=np.uint64) + np.uint64(key)
        self.keys_S = splitmix64_array_(keys_S, np.empty_like(keys_S))
        self.calls: dict[int, int] = {}
        self.asked: list[tuple[int, tuple[int, ...]]] = []
        self.requests = self.largest = 0

    def begin(self, block: Block) -> None:
        """Start a forward pass."""
        self.block = block
        self.calls.clear()
        self.asked = []

    def keys(self, stream: np.uint64) -> NDArray[np.uint64]:
        """Return the keys of the samples predicted now for a stream of numbers, of shape (K,)."""
        samples = self.block.samples
        return self.keys_S[samples.start : samples.stop] + stream

    def seed(self, sample: int) -> int:
        """Return the seed of a sample for torch's generators."""
        return int(self.keys_S[sample] >> np.uint64(1))


class SampleNoise(Noise):
    """Noise of one layer.

    A request is one of four kinds. Its first dimension is the rows of the forward pass (or a multiple: rows that were
    split further, such as by heads): each row has its own numbers. It is 1, or `keep_shared`: all rows of a sample
    share them. It is none of both: then the rows must all be there, and one sample alone.

    Args:
        source: of all numbers.
        name: of the layer, for errors.
        index: of the layer; each has its own numbers.
    """

    def __init__(self, source: Source, name: str, index: int) -> None:
        super().__init__()
        self.source = source
        self.name = name
        self.index = index

    def keep(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        """Draw a bool mask of independent elements, False with probability p (rounded to a multiple of 1/65536)."""
        return self.keep_below(shape, threshold(p), device)

    def keep_shared(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        """Draw a mask as `keep` does that all rows of a sample have in common."""
        return self.keep_below(shape, threshold(p), device, shared=True)

    def keep_below(self, shape: Sequence[int], t: int, device: torch.device, *, shared: bool = False) -> Tensor:
        """Draw a mask as `keep` or `keep_shared` does for a keep threshold t, as `threshold` gives it."""
        keys_K = self._keys(math.prod(shape))
        return self._arrange(shape, lambda first, count: hashed_mask(keys_K, first, count, t, device), shared=shared)

    def keep_nodes(self, groups: int, n: int, p: float, device: torch.device) -> Tensor:
        """Draw bool masks (groups, n): one node set a sample, which all groups share where there is one sample."""
        keys_K = self._keys(n)
        self.source.asked.append((self.index, (0, n)))
        if groups != len(keys_K) != 1:
            raise self._cannot_split((groups, n))
        words = hashed_words(keys_K, 0, n + 1, device)
        share = n * (1 - p)
        most = math.floor(share)
        extra = unit(words[:, n:], torch.float64) < share - most
        kept = words[:, :n].argsort(1).argsort(1) < most + extra.long()
        return kept.expand(groups, n)

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Draw independent standard normal elements."""
        fine = torch.promote_types(dtype, torch.float32)
        keys_K = self._keys(math.prod(shape))

        def make(first: int, count: int) -> Tensor:
            """Each half of a word is a number in (0, 1]; two of them make a normal one (Box, Muller 1958)."""
            halves = hashed_words(keys_K, first, count, device).view(torch.int32) & 0x7FFFFFFF
            units = halves.to(fine).add_(0.5).mul_(2.0**-31)
            radius, angle = units.view(len(keys_K), count, 2).unbind(-1)
            return (radius.log() * -2).sqrt_() * (angle * (2 * math.pi)).cos_()

        return self._arrange(shape, make).to(dtype)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Draw independent elements, uniform in [0, 1)."""
        keys_K = self._keys(math.prod(shape))
        return self._arrange(shape, lambda first, count: unit(hashed_words(keys_K, first, count, device), dtype))

    def _keys(self, size: int) -> NDArray[np.uint64]:
        """Keys for the next request of this layer."""
        source = self.source
        source.requests += 1
        source.largest = max(source.largest, size)
        call = source.calls.get(self.index, 0)
        source.calls[self.index] = call + 1
        return source.keys(_stream(self.index, call))

    def _arrange(self, shape: Sequence[int], make: Callable[[int, int], Tensor], *, shared: bool = False) -> Tensor:
        """Numbers of a shape; `make(first, count)` gives (K, count) of each sample's endless sequence."""
        shape = tuple(shape)
        block, size = self.source.block, math.prod(shape)
        rows = len(block.samples) * len(block.rows or ())
        by_row = not shared and bool(rows and shape) and shape[0] % rows == 0
        if not shared:
            self.source.asked.append((self.index, (shape[0] // rows, *shape[1:]) if by_row else (-1, *shape)))
        if len(block.samples) == 1 and (block.whole or shared or shape[:1] == (1,)):
            return make(0, size).reshape(shape)
        if by_row and block.rows is not None:
            width = size // rows
            return make(block.rows.start * width, len(block.rows) * width).reshape(shape)
        if shared or shape[:1] != (1,) or block.rows is None:
            raise self._cannot_split(shape)
        return make(0, size).reshape(-1, *shape[1:]).repeat_interleave(len(block.rows), 0)

    def _cannot_split(self, shape: tuple[int, ...]) -> ValueError:
        block = self.source.block
        rows = len(block.samples) * len(block.rows or ())
        return ValueError(
            f"mc_predict: '{self.name}' asks for noise of shape {shape} in a batch of {rows} rows, which are not its "
            "first dimension, so its numbers would depend on the batches; leave `batch_size` out."
        )


@cache
def _stream(index: int, call: int) -> np.uint64:
    """A distance between keys that no other call of any layer has."""
    return np.uint64(splitmix64((index << 32) + call))
