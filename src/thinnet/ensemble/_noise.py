"""Noise whose numbers depend on a seed, a sample, a layer, a call and a row, and on nothing else."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thinnet.dropout import LEVELS, Noise, splitmix64_, splitmix64_array_, threshold

_CACHED = 1 << 15
"""Words at a time that stay in the cache while they are hashed."""

_buffers = threading.local()


@dataclass(frozen=True)
class Block:
    """What one forward pass predicts, its rows in this order: samples × rows.

    Args:
        samples: which.
        rows: which of each sample; None where the arguments have no rows in common.
        whole: all rows, not a part of them.
    """

    samples: range
    rows: range | None
    whole: bool


class Source:
    """Where all numbers of all samples come from.

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
        key = np.ones(1, np.uint64)
        for at in range(0, max(word.bit_length(), 1), 64):
            splitmix64_array_(key := key + np.uint64(word >> at & (1 << 64) - 1), np.empty_like(key))
        keys_S = np.arange(samples, dtype=np.uint64)
        keys_S += key
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
        """Keys of the samples predicted now for a stream of numbers, of shape (K,)."""
        samples = self.block.samples
        return self.keys_S[samples.start : samples.stop] + stream

    def seed(self, sample: int) -> int:
        """A seed of a sample's own for torch's generators."""
        return int(self.keys_S[sample] >> np.uint64(1))


class SampleNoise(Noise):
    """The noise of one layer.

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
        """A bool mask of independent elements, False with probability p (rounded as `threshold` says)."""
        return self.keep_below(shape, threshold(p), device)

    def keep_shared(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        """A mask as of `keep` that all rows of a sample have in common."""
        return self.keep_below(shape, threshold(p), device, shared=True)

    def keep_below(self, shape: Sequence[int], t: int, device: torch.device, *, shared: bool = False) -> Tensor:
        """A mask as of `keep` or `keep_shared` for a keep threshold t, as `threshold` gives it."""
        keys_K = self._keys(math.prod(shape))
        return self._arrange(shape, lambda first, count: _kept(keys_K, first, count, t, device), shared=shared)

    def keep_nodes(self, groups: int, n: int, p: float, device: torch.device) -> Tensor:
        """Bool masks (groups, n): one node set for each sample, which all groups share where there is one sample."""
        keys_K = self._keys(n)
        self.source.asked.append((self.index, (0, n)))
        if groups != len(keys_K) != 1:
            raise self._cannot_split((groups, n))
        words = _words(keys_K, 0, n + 1, device)
        share = n * (1 - p)
        most = math.floor(share)
        extra = _unit(words[:, n:], torch.float64) < share - most
        kept = words[:, :n].argsort(1).argsort(1) < most + extra.long()
        return kept.expand(groups, n)

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Independent standard normal elements."""
        fine = torch.promote_types(dtype, torch.float32)
        keys_K = self._keys(math.prod(shape))

        def make(first: int, count: int) -> Tensor:
            """Each half of a word is a number in (0, 1]; two of them make a normal one (Box, Muller 1958)."""
            halves = _words(keys_K, first, count, device).view(torch.int32) & 0x7FFFFFFF
            units = halves.to(fine).add_(0.5).mul_(2.0**-31)
            radius, angle = units.view(len(keys_K), count, 2).unbind(-1)
            return (radius.log() * -2).sqrt_() * (angle * (2 * math.pi)).cos_()

        return self._arrange(shape, make).to(dtype)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Independent elements, uniform in [0, 1)."""
        keys_K = self._keys(math.prod(shape))
        return self._arrange(shape, lambda first, count: _unit(_words(keys_K, first, count, device), dtype))

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
    word = np.array([(index << 32) + call], np.uint64)
    return np.uint64(splitmix64_array_(word, np.empty_like(word))[0])


def _words(keys_K: NDArray[np.uint64], first: int, count: int, device: torch.device) -> Tensor:
    """Words `first` to `first + count` of each key's sequence, of shape (K, count)."""
    keys = torch.from_numpy(keys_K.view(np.int64)).to(device)
    return splitmix64_(keys[:, None] + torch.arange(first, first + count, device=device))


def _kept(keys_K: NDArray[np.uint64], first: int, count: int, t: int, device: torch.device) -> Tensor:
    """Masks (K, count) with P(1) = t/65536: each element reads its own 8 or 16 bits of a word."""
    if t in (0, LEVELS):
        return torch.full((len(keys_K), count), t == LEVELS, device=device)
    # 8 bits decide just as exactly where they can
    narrow = t % 256 == 0
    lanes, bound = (8, t // 256) if narrow else (4, t - LEVELS // 2)
    start, stop = first // lanes, -(-(first + count) // lanes)
    here = slice(first - start * lanes, first - start * lanes + count)
    if device.type == "cpu":
        return torch.from_numpy(_kept_words(keys_K, start, stop, lanes, bound)[:, here])
    return (_words(keys_K, start, stop - start, device).view(torch.uint8 if narrow else torch.int16) < bound)[:, here]


def _kept_words(keys_K: NDArray[np.uint64], start: int, stop: int, lanes: int, bound: int) -> NDArray[np.bool_]:
    """Masks of whole words by numpy, whose calls cost less than torch's, in memory that stays in the cache."""
    k = len(keys_K)
    step = max(1, _CACHED // k)
    kept = np.empty((k, (stop - start) * lanes), np.bool_)
    kind = np.uint8 if lanes == 8 else np.int16
    for a in range(start, stop, step):
        count = min(step, stop - a)
        words, scratch, positions = _memory(k, count)
        np.add((keys_K + np.uint64(a))[:, None], positions, out=words)
        bits = splitmix64_array_(words, scratch).view(kind)
        np.less(bits, kind(bound), out=kept[:, (a - start) * lanes : (a - start + count) * lanes])
    return kept


def _memory(k: int, count: int) -> Sequence[NDArray[np.uint64]]:
    """Two arrays (k, count) and the numbers from 0: memory of this thread, as what is fresh costs more."""
    if k * count > _CACHED:
        return *np.empty((2, k, count), np.uint64), np.arange(count, dtype=np.uint64)
    if not hasattr(_buffers, "words"):
        _buffers.words = np.empty((2, _CACHED), np.uint64)
        _buffers.positions = np.arange(_CACHED, dtype=np.uint64)
    words, scratch = (memory[: k * count].reshape(k, count) for memory in _buffers.words)
    return words, scratch, _buffers.positions[:count]


def _unit(words: Tensor, dtype: torch.dtype) -> Tensor:
    """Words as numbers in [0, 1), with as many bits as the type can hold in front of every one."""
    bits = 1 - round(math.log2(torch.finfo(dtype).eps))
    return ((words >> (64 - bits)) & ((1 << bits) - 1)).to(dtype).mul_(2.0**-bits)
