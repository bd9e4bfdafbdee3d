"""Convolutions: channels, groups of them, borders."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def chain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers).double().eval()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@torch.no_grad()
def test_a_channel_that_nobody_reads_goes(kept: Callable, dimensions: int) -> None:
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    model = chain(convolution(2, 4, 3, padding=1), nn.Softplus(), convolution(4, 3, 2, stride=2, dilation=1))
    model[2].weight[:, [0, 2]] = 0
    assert kept(model, normal(2, 2, *[5] * dimensions)) == {
        "0.weight": {0: [1, 3]},
        "0.bias": {0: [1, 3]},
        "2.weight": {1: [1, 3]},
    }


@torch.no_grad()
def test_a_channel_that_is_one_number_goes_into_the_next_bias_without_a_border(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 4, 3), nn.Sigmoid(), nn.Conv2d(4, 3, 2))
    model[0].weight[1] = 0
    model[0].bias[1] = 0
    wanted = model[2].bias + 0.5 * model[2].weight[:, 1].sum((1, 2))
    small, _ = tn.compact(model, normal(2, 2, 6, 6))
    assert small[0].out_channels == small[2].in_channels == 3
    torch.testing.assert_close(small[2].bias, wanted, rtol=1e-13, atol=0)


@torch.no_grad()
def test_at_a_border_a_number_other_than_zero_stays(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 4, 3), nn.Sigmoid(), nn.Conv2d(4, 3, 2, padding=1))
    model[0].weight[1] = 0
    assert kept(model, normal(2, 2, 6, 6)) == {}


@torch.no_grad()
def test_at_a_border_zero_goes(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 2, padding=1))
    model[0].weight[1] = 0
    model[0].bias[1] = -0.4  # zero behind the ReLU
    assert kept(model, normal(2, 2, 6, 6))["2.weight"] == {1: [0, 2, 3]}


@torch.no_grad()
def test_depthwise_channels_go_with_those_around_them(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Hardswish(), nn.Conv2d(4, 3, 1))
    model[3].weight[:, 0] = 0
    model[1].weight[2] = 0
    model[1].bias[2] = 0
    x = normal(2, 2, 5, 5)
    assert kept(model, x) == {
        "0.weight": {0: [1, 3]},
        "0.bias": {0: [1, 3]},
        "1.weight": {0: [1, 3]},
        "1.bias": {0: [1, 3]},
        "3.weight": {1: [1, 3]},
    }
    small, _ = tn.compact(model, x)
    assert (small[1].in_channels, small[1].out_channels, small[1].groups) == (2, 2, 2)


@torch.no_grad()
def test_a_group_goes_when_all_of_it_is_dead(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 6, 1), nn.Conv2d(6, 9, 1, groups=3), nn.Conv2d(9, 2, 1))
    model[2].weight[:, 2] = 0  # one output of the first group, which stays
    x = normal(2, 2, 4, 4)
    assert kept(model, x) == {}
    model[2].weight[:, 3:6] = 0  # all outputs of the second
    assert kept(model, x) == {
        "0.weight": {0: [0, 1, 4, 5]},
        "0.bias": {0: [0, 1, 4, 5]},
        "1.weight": {0: [0, 1, 2, 6, 7, 8]},
        "1.bias": {0: [0, 1, 2, 6, 7, 8]},
        "2.weight": {1: [0, 1, 2, 6, 7, 8]},
    }
    small, _ = tn.compact(model, x)
    assert (small[1].in_channels, small[1].out_channels, small[1].groups) == (4, 6, 2)


@pytest.mark.parametrize("convolution", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
@torch.no_grad()
def test_transposed(kept: Callable, convolution: type[nn.Module]) -> None:
    ndim = int(convolution.__name__[-2])
    model = chain(convolution(2, 4, 2, stride=2), nn.ReLU(), convolution(4, 3, 2))
    model[2].weight[[0, 2]] = 0
    x = normal(2, 2, *[3] * ndim)
    assert kept(model, x) == {"0.weight": {1: [1, 3]}, "0.bias": {0: [1, 3]}, "2.weight": {0: [1, 3]}}


@torch.no_grad()
def test_sizes_of_a_transposed_one(kept: Callable) -> None:
    model = chain(nn.ConvTranspose2d(2, 4, 2, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 3, 2))
    model[2].weight[[0, 2]] = 0
    small, _ = tn.compact(model, normal(2, 2, 3, 3))
    first, last = small[0], small[2]
    assert (first.in_channels, first.out_channels, first.groups) == (2, 2, 1)
    assert (last.in_channels, last.out_channels, last.groups) == (2, 3, 1)


@torch.no_grad()
def test_transposed_in_groups(kept: Callable) -> None:
    model = chain(nn.Conv1d(2, 4, 1), nn.ConvTranspose1d(4, 6, 2, groups=2), nn.Conv1d(6, 2, 1))
    model[2].weight[:, 3:] = 0
    x = normal(2, 2, 4)
    assert kept(model, x) == {
        "0.weight": {0: [0, 1]},
        "0.bias": {0: [0, 1]},
        "1.weight": {0: [0, 1]},
        "1.bias": {0: [0, 1, 2]},
        "2.weight": {1: [0, 1, 2]},
    }
    small, _ = tn.compact(model, x)
    assert (small[1].in_channels, small[1].out_channels, small[1].groups) == (2, 3, 1)


@torch.no_grad()
def test_pixels_stay(kept: Callable, reasons: Callable) -> None:
    """A kernel has as many columns as it has, zero or not."""
    model = chain(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 1))
    model[0].weight[..., 0] = 0
    x = normal(2, 2, 5, 5)
    assert kept(model, x) == {}
    assert "convolution: convolves along it" in reasons(model, x)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@torch.no_grad()
def test_borders_of_other_kinds(kept: Callable, mode: str) -> None:
    model = chain(nn.Conv2d(2, 4, 3, padding=1), nn.Sigmoid(), nn.Conv2d(4, 3, 3, padding=1, padding_mode=mode))
    model[0].weight[0] = 0
    model[0].bias[0] = 0
    # a constant stays one at such a border
    assert kept(model, normal(2, 2, 5, 5))["2.weight"] == {1: [1, 2, 3]}
