"""Dropout layers whose masks depend on a seed, a sample and a row, and on nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from thinnet.dropout import LEVELS, Dropout, apply_mask, keep_mask, threshold

# the value that SELU goes to at minus infinity, where AlphaDropout puts what it drops (Klambauer et al., 2017)
ALPHA = -1.7580993408473766
# dropout of whole channels, and how many dimensions an input without a batch has (Dropout2d takes none such)
CHANNELS: dict[type[nn.Module], int | None] = {
    nn.Dropout1d: 2,
    nn.Dropout2d: None,
    nn.Dropout3d: 4,
    nn.FeatureAlphaDropout: None,
}
MASKED = (Dropout, nn.Dropout, nn.AlphaDropout, *CHANNELS)


@dataclass
class Masks:
    """The random numbers of one sample of a whole model, drawn row by row.

    Every call of every layer has a generator of its own and reads whole 64-bit words for each row. So a row's mask is
    the same however the rows are cut into batches, as long as they come in order.
    """

    seed: int
    rows: int | None = None
    sample: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    generators: dict[tuple[str, int], Generator] = field(default_factory=dict)

    def begin_sample(self, sample: int) -> None:
        """Forget the sample before."""
        self.sample = sample
        self.generators.clear()

    def begin_batch(self, rows: int | None) -> None:
        """Start a forward pass of so many rows; None leaves the rows unchecked."""
        self.rows = rows
        self.calls.clear()

    def number(self, *key: int) -> int:
        """A 64-bit seed of its own for every key."""
        return int(np.random.SeedSequence(self.seed, spawn_key=(self.sample, *key)).generate_state(1, np.uint64)[0])

    def draw(self, layer: str, index: int, rows: int, size: int, t: int) -> Tensor:
        """A mask (rows, size) for the next call of a layer."""
        if self.rows not in (None, rows):
            raise ValueError(
                f"mc_predict: dropout layer '{layer}' sees {rows} rows in a batch of {self.rows}, so its masks would "
                "depend on the batches; leave `batch_size` out."
            )
        call = self.calls.get(layer, 0)
        self.calls[layer] = call + 1
        key = (layer, call)
        if key not in self.generators:
            # torch's generator on CPU keeps 32 bits of a seed
            self.generators[key] = Generator().manual_seed(self.number(index, call) >> 32)
        return keep_mask((rows, -(-size // 8) * 8), t, generator=self.generators[key], device="cpu")[:, :size]


def masked_forward(module: nn.Module, layer: str, index: int, masks: Masks) -> Callable[[Tensor], Tensor]:
    """What the layer does in training, with a mask from `masks`."""
    inplace = bool(module.inplace)
    t = threshold(cast(float, module.p))
    act = _alpha if isinstance(module, nn.AlphaDropout | nn.FeatureAlphaDropout) else apply_mask

    def forward(x: Tensor) -> Tensor:
        shape = x.shape
        if type(module) in CHANNELS:
            if x.ndim < 2:
                raise ValueError(f"mc_predict: '{layer}' drops channels, its input must be (N, C, ...), got {shape}.")
            alone = x.ndim == CHANNELS[type(module)]
            shape = torch.Size((1, *shape[:1]) if alone else shape[:2])
        mask = masks.draw(layer, index, shape[0] if shape else 1, math.prod(shape[1:]), t)
        if type(module) in CHANNELS:
            lead = shape[1:] if alone else shape
            shape = torch.Size((*lead, *(1,) * (x.ndim - len(lead))))
        return act(x, mask.reshape(shape).to(x.device), t, inplace=inplace)

    return forward


def _alpha(x: Tensor, mask: Tensor, t: int, *, inplace: bool) -> Tensor:
    """AlphaDropout: a (M ∘ x + α (1 − M)) + b, with a and b such that mean 0 and variance 1 stay so."""
    q = t / LEVELS
    a = (q * (1 + ALPHA**2 * (1 - q))) ** -0.5 if q else 0.0
    kept = mask.to(x.dtype)
    shift = (1 - kept).sub_(1 - q).mul_(a * ALPHA)
    return (x.mul_(kept) if inplace else x * kept).mul_(a).add_(shift)
