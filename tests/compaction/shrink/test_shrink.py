"""Parameters, buffers, gradients and sizes made smaller in place."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from thinnet.compaction.shrink._shrink import fold_, rescale_, set_attributes, shrink_


def at(*indices: int) -> Tensor:
    return torch.tensor(indices)


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))


KEPT = {
    "0.weight": {0: at(0, 3)},
    "0.bias": {0: at(0, 3)},
    **{f"1.{name}": {0: at(0, 3)} for name in ("weight", "bias", "running_mean", "running_var")},
    "2.weight": {1: at(0, 3)},
}


def test_parameters_stay_the_same_objects_with_their_slices(model: nn.Sequential) -> None:
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    objects = {name: id(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    shrink_(model, KEPT, {})
    assert {name: id(tensor) for name, tensor in (*model.named_parameters(), *model.named_buffers())} == objects
    torch.testing.assert_close(model[0].weight.data, before["0.weight"][[0, 3]])
    torch.testing.assert_close(model[1].running_var, before["1.running_var"][[0, 3]])
    torch.testing.assert_close(model[2].weight.data, before["2.weight"][:, [0, 3]])
    torch.testing.assert_close(model[2].bias.data, before["2.bias"])
    assert model[0].weight.is_contiguous()


def test_sizes_follow(model: nn.Sequential) -> None:
    assert shrink_(model, KEPT, {}) == {
        "0": {"out_features": 2},
        "1": {"num_features": 2},
        "2": {"in_features": 2},
    }
    assert (model[0].out_features, model[1].num_features, model[2].in_features) == (2, 2, 2)
    model.eval()(torch.randn(4, 3)).sum().backward()
    assert model[0].weight.grad.shape == (2, 3)


def test_gradients_shrink_alike(model: nn.Sequential) -> None:
    model(torch.randn(4, 3)).sum().backward()
    gradient = model[2].weight.grad.clone()
    shrink_(model, KEPT, {})
    torch.testing.assert_close(model[2].weight.grad, gradient[:, [0, 3]])
    assert model[0].bias.grad.shape == model[0].bias.shape == (2,)


def test_tied_parameters_shrink_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    shrink_(model, {"0.weight": {0: at(1, 2), 1: at(0, 1, 2)}, "1.weight": {0: at(1, 2), 1: at(0, 1, 2)}}, {})
    assert model[1].weight is model[0].weight
    assert model[0].weight.shape == (2, 3)


def test_a_norm_without_parameters_is_told_its_channels() -> None:
    model = nn.Sequential(nn.InstanceNorm2d(4), nn.GroupNorm(2, 4, affine=False))
    assert shrink_(model, {}, {"0": 2, "1": 2}) == {"0": {"num_features": 2}, "1": {"num_channels": 2, "num_groups": 1}}


def test_a_size_in_a_shared_configuration_is_set_for_one_module() -> None:
    config = SimpleNamespace(width=8, depth=2)
    one, other = nn.Identity(), nn.Identity()
    one.config = other.config = config
    set_attributes(one, {"config.width": 5, "heads": 3})
    assert (one.config.width, one.config.depth, one.heads) == (5, 2, 3)
    assert other.config.width == config.width == 8


def test_constants_are_added_to_a_bias(model: nn.Sequential) -> None:
    before = model[2].bias.detach().clone()
    fold_(model, {"2.bias": torch.tensor([0.5, -1.0], dtype=torch.float64)})
    torch.testing.assert_close(model[2].bias.data, before + torch.tensor([0.5, -1.0]))


def test_fewer_squares_are_made_up_for() -> None:
    torch.manual_seed(0)
    norm = nn.RMSNorm(3, eps=0.1)
    weight = norm.weight.detach().clone()
    full = torch.tensor([[1.0, -2.0, 0.5]])
    wide = nn.functional.rms_norm(torch.cat([full, torch.zeros(1, 2)], 1), (5,), torch.ones(5), 0.1)[:, :3]
    assert rescale_(nn.ModuleDict({"norm": norm}), {"norm": (5, 3)}) == {"norm": {"eps": pytest.approx(0.1 * 5 / 3)}}
    torch.testing.assert_close(norm(full), wide)
    torch.testing.assert_close(norm.weight.data, weight * math.sqrt(5 / 3))
