"""Pooling and resampling: channel by channel."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Pooled(nn.Module):
    def __init__(self, pool: Callable[[Tensor], Tensor], dimensions: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        self.up, self.reader, self.pool = convolution(2, 4, 1), convolution(4, 2, 1, bias=False), pool

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.pool(self.up(x)))


POOLS = [
    (1, lambda x: F.max_pool1d(x, 2)),
    (1, lambda x: F.adaptive_avg_pool1d(x, 3)),
    (2, lambda x: F.max_pool2d(x, 3, 2, 1)),
    (2, lambda x: F.avg_pool2d(x, 2, padding=1)),
    (2, lambda x: F.adaptive_max_pool2d(x, 2)),
    (2, lambda x: F.adaptive_avg_pool2d(x, 1)),
    (2, lambda x: F.interpolate(x, scale_factor=2)),
    (2, lambda x: F.interpolate(x, size=(3, 7), mode="bilinear", align_corners=True)),
    (2, lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic")),
    (2, lambda x: F.pad(x, (1, 1, 0, 2), mode="reflect")),
    (2, lambda x: F.pad(x, (1, 1, 0, 2), mode="replicate")),
    (2, lambda x: F.pad(x, (1, 1, 0, 2))),
    (3, lambda x: F.max_pool3d(x, 2)),
    (3, lambda x: F.interpolate(x, scale_factor=2, mode="trilinear")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("dimensions", "pool"), POOLS)
@torch.no_grad()
def test_channels_go_through(kept: Callable, dimensions: int, pool: Callable[[Tensor], Tensor]) -> None:
    model = Pooled(pool, dimensions)
    model.up.weight[0] = 0
    model.up.bias[0] = 0
    model.reader.weight[:, 2] = 0
    found = kept(model, normal(2, 2, *[4] * dimensions))
    assert found == {"up.weight": {0: [1, 3]}, "up.bias": {0: [1, 3]}, "reader.weight": {1: [1, 3]}}


@torch.no_grad()
def test_padding_that_is_no_zero_wakes_a_channel(kept: Callable) -> None:
    model = Pooled(lambda x: F.pad(x, (1, 1, 0, 2), value=1.0), 2)
    model.up.weight[0] = 0
    model.up.bias[0] = 0
    assert kept(model, normal(2, 2, 4, 4)) == {}
