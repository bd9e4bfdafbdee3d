"""The random numbers of dropout layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from thinnet._random import LEVELS, keep_mask, threshold


class Noise:
    """Source of the random numbers of a layer's call.

    A layer asks for what it needs by shape, the rows of its input first, and knows no generator: so the same layer can
    be given the noise of a sample that stays the same however the rows are cut into batches.

    Args:
        generator: on the device of what is drawn; None is torch's default one.
    """

    def __init__(self, generator: Generator | None = None) -> None:
        self.generator = generator

    def _source(self) -> dict[str, Any]:
        # torch cannot compile functions that are given generator=None for batches of any size
        return {} if self.generator is None else {"generator": self.generator}

    def keep(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        """Draw a bool mask of independent elements, False with probability p (rounded to a multiple of 1/65536)."""
        if self.generator is None and (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()):
            return torch.rand(tuple(shape), dtype=torch.float32, device=device) < threshold(p) / LEVELS
        return keep_mask(shape, threshold(p), generator=self.generator, device=device)

    def keep_nodes(self, groups: int, n: int, p: float, device: torch.device) -> Tensor:
        """Draw the sets of `thinning.node_sets` as bool masks (groups, n)."""
        # what node_sets draws, with no number read back from the device and no shape that depends on one
        share = n * (1 - p)
        k: int | Tensor = math.floor(share)
        if share > k:
            k = (torch.rand((), device=device, **self._source()) < share - k) + k
        order = torch.randperm(n, device=device, **self._source())
        rank = torch.zeros_like(order).index_put((order,), torch.arange(n, device=device))
        start = torch.arange(groups, device=device)[:, None] * n // groups
        return (rank - start) % n < k

    def keep_shared(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        """Draw a mask as `keep` does that all rows have in common, such as one of the words of a vocabulary."""
        return self.keep(shape, p, device)

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Draw independent standard normal elements."""
        return torch.randn(tuple(shape), dtype=dtype, device=device, **self._source())

    def uniform(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Draw independent elements, uniform in [0, 1)."""
        return torch.rand(tuple(shape), dtype=dtype, device=device, **self._source())
