"""Where a dropout layer's random numbers come from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from thinnet.dropout._mask import keep_mask, threshold
from thinnet.dropout._node_sets import node_sets


class Noise:
    """Random numbers of a layer's call, from one generator.

    A layer asks for what it needs by shape, the rows of its input first, and knows no generator: so the same layer can
    be given the noise of a sample that stays the same however the rows are cut into batches.

    Args:
        generator: on the device of what is drawn; None is torch's default one.
    """

    def __init__(self, generator: Generator | None = None) -> None:
        self.generator = generator

    def keep(self, shape: Sequence[int], p: float, device: torch.device) -> Tensor:
        """A bool mask of independent elements, False with probability p (rounded as `threshold` says)."""
        if torch.compiler.is_compiling() and self.generator is None:
            return torch.rand(tuple(shape), device=device) >= p
        return keep_mask(shape, threshold(p), generator=self.generator, device=device)

    def keep_nodes(self, groups: int, n: int, p: float, device: torch.device) -> Tensor:
        """Bool masks (groups, n) of the node sets of `node_sets`."""
        kept = torch.zeros(groups, n, dtype=torch.bool, device=device)
        for row, nodes in zip(kept, node_sets(n, p, groups, generator=self.generator, device=device), strict=True):
            row[nodes] = True
        return kept

    def normal(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Independent standard normal elements."""
        return torch.randn(tuple(shape), dtype=dtype, device=device, generator=self.generator)

    def uniform(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Independent elements, uniform in [0, 1)."""
        return torch.rand(tuple(shape), dtype=dtype, device=device, generator=self.generator)
