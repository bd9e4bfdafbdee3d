"""Normalizations: what is alone goes, what is counted stays."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@torch.no_grad()
def chain(*layers: nn.Module) -> nn.Sequential:
    """The layers in eval mode with nothing at the constant that it starts from."""
    torch.manual_seed(0)
    model = nn.Sequential(*layers).double().eval()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.ndim == 1:
            tensor += 0.3 * torch.rand(tensor.shape, dtype=tensor.dtype)
        assert tensor.ndim != 1 or len(set(tensor.tolist())) == len(tensor), name
    return model


@torch.no_grad()
def silence(layer: nn.Module, *units: int) -> None:
    layer.weight[list(units)] = 0
    layer.bias[list(units)] = 0


@torch.no_grad()
def test_a_channel_of_batch_norm_goes_with_its_statistics(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
    silence(model[1], 0, 3)
    rest = {0: [1, 2]}
    assert kept(model, normal(2, 2, 6, 6)) == {
        **{"0.weight": rest, "0.bias": rest, "1.weight": rest, "1.bias": rest},
        **{"1.running_mean": rest, "1.running_var": rest, "3.weight": {1: [1, 2]}},
    }


@torch.no_grad()
def test_a_shift_is_a_constant(kept: Callable) -> None:
    """Gamma is zero and beta is not: a number behind the activation, which the next bias takes."""
    model = chain(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))
    model[1].weight[1] = 0
    wanted = model[3].bias + model[3].weight[:, 1] * model[1].bias[1]
    small, _ = tn.compact(model, normal(4, 3))
    assert small[1].num_features == 4
    torch.testing.assert_close(small[3].bias, wanted, rtol=1e-13, atol=0)


@torch.no_grad()
def test_a_silent_channel_is_not_silent_behind_batch_norm(kept: Callable) -> None:
    model = chain(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2, bias=False))
    silence(model[0], 1)
    assert kept(model, normal(4, 3)) == {}  # (0 - mean) / std * gamma + beta


@torch.no_grad()
def test_batch_norm_without_parameters(kept: Callable) -> None:
    model = chain(nn.Linear(3, 5), nn.BatchNorm1d(5, affine=False), nn.Linear(5, 2))
    model[2].weight[:, [1, 3]] = 0
    assert kept(model, normal(4, 3))["1.running_mean"] == {0: [0, 2, 4]}
    small, _ = tn.compact(model, normal(4, 3))
    assert small[1].num_features == 3


@pytest.mark.parametrize("affine", [True, False])
@torch.no_grad()
def test_layer_norm_counts_its_width(kept: Callable, reasons: Callable, affine: bool) -> None:
    model = chain(nn.Linear(3, 5), nn.LayerNorm(5, elementwise_affine=affine), nn.Linear(5, 2))
    silence(model[0], 1)
    model[2].weight[:, 1] = 0
    assert kept(model, normal(4, 3)) == {}
    assert "layer_norm: counts the width" in reasons(model, normal(4, 3))


@torch.no_grad()
def test_rms_norm_is_rescaled() -> None:
    model = chain(nn.Linear(3, 5), nn.RMSNorm(5, eps=0.25), nn.Linear(5, 2))
    silence(model[0], 1, 3)
    small, _ = tn.compact(model, normal(4, 3))
    assert small[1].normalized_shape == (3,)
    assert small[1].eps == pytest.approx(0.25 * 5 / 3)
    torch.testing.assert_close(small[1].weight, model[1].weight[[0, 2, 4]] * math.sqrt(5 / 3), rtol=1e-14, atol=0)


@torch.no_grad()
def test_rms_norm_counts_what_is_not_zero(kept: Callable) -> None:
    """Nobody reads it behind the norm, but it is in the mean of squares."""
    model = chain(nn.Linear(3, 5), nn.RMSNorm(5, eps=0.25), nn.Linear(5, 2))
    model[2].weight[:, 1] = 0
    assert kept(model, normal(4, 3)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
@torch.no_grad()
def test_dead_weights_of_a_norm_over_an_input_stay(
    kept: Callable, norm: type[nn.Module], shape: tuple[int, ...]
) -> None:
    """The input keeps its shape, and so does the norm that stands at it."""
    model = chain(norm(list(shape)), nn.Linear(4, 2))
    model[0].weight[..., 1] = 0
    model[1].weight[:, 1] = 0
    assert kept(model, normal(2, 3, 4)) == {}


@torch.no_grad()
def test_a_group_goes_as_a_whole(kept: Callable) -> None:
    model = chain(nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6), nn.ReLU(), nn.Conv2d(6, 2, 1))
    silence(model[1], 0)
    x = normal(2, 2, 6, 6)
    assert kept(model, x) == {}  # its neighbour is normalized with it
    silence(model[1], 1, 2)
    assert kept(model, x) == {
        **{f"{i}.{name}": {0: [2, 3, 4, 5]} for i in (0, 1) for name in ("weight", "bias")},
        "3.weight": {1: [2, 3, 4, 5]},
    }
    small, _ = tn.compact(model, x)
    assert (small[1].num_groups, small[1].num_channels) == (2, 4)


class Sideways(nn.Module):
    """A norm whose pixels come out of a linear layer."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.norm, self.down = nn.Linear(3, 5), norm, nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.norm(self.up(x)))


@pytest.mark.slow
@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.InstanceNorm1d(4, affine=True)])
@torch.no_grad()
def test_pixels_are_counted(kept: Callable, reasons: Callable, norm: nn.Module) -> None:
    model = Sideways(norm)
    silence(model.up, 1)
    model.down.weight[:, 1] = 0
    assert kept(model, normal(2, 4, 3)) == {}
    assert any("counts the width" in reason for reason in reasons(model, normal(2, 4, 3)))


@torch.no_grad()
def test_batch_norm_does_not_count_pixels(kept: Callable) -> None:
    model = Sideways(nn.BatchNorm1d(4))
    model.down.weight[:, 1] = 0
    assert kept(model, normal(2, 4, 3))["up.weight"] == {0: [0, 2, 3, 4]}


@pytest.mark.parametrize("statistics", [True, False])
@torch.no_grad()
def test_instance_norm_takes_each_channel_alone(kept: Callable, statistics: bool) -> None:
    model = chain(
        nn.Conv1d(2, 4, 2), nn.InstanceNorm1d(4, affine=True, track_running_stats=statistics), nn.Conv1d(4, 2, 1)
    )
    silence(model[1], 2)
    found = kept(model, normal(2, 2, 6))
    assert found["0.weight"] == found["1.weight"] == {0: [0, 1, 3]}
    assert found.get("1.running_var") == ({0: [0, 1, 3]} if statistics else None)


class Hyper(nn.Module):
    """A norm whose scale and shift come out of an input."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down = nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
        self.scale, self.shift = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = F.layer_norm(self.up(x), (4,), self.scale(condition), self.shift(condition))
        return self.down(x)


@torch.no_grad()
def test_a_scale_that_an_input_makes_is_no_constant(kept: Callable) -> None:
    """At the example, it is zero; elsewhere it is not."""
    model = Hyper().double()
    model.scale.bias.zero_()
    model.shift.bias.zero_()
    assert kept(model, normal(2, 3), torch.zeros(3, dtype=torch.float64)) == {}
    small, _ = tn.compact(model, (normal(2, 3), torch.zeros(3, dtype=torch.float64)))
    inputs = normal(2, 3), normal(3)
    torch.testing.assert_close(small(*inputs), model(*inputs))
