"""Sizes that a model's own code keeps: found by running it, or what depends on them stays."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn


class Heads(nn.Module):
    """Attention whose number of heads is an attribute, and its width another."""

    def __init__(self, heads: int = 4, head_dim: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.num_heads, self.head_dim, self.inner_dim = heads, head_dim, heads * head_dim
        self.query, self.key, self.value = (nn.Linear(12, heads * head_dim) for _ in range(3))
        self.out = nn.Linear(heads * head_dim, 12)

    def forward(self, x: Tensor) -> Tensor:
        shape = (x.shape[0], x.shape[1], self.num_heads, self.head_dim)
        q, k, v = (layer(x).view(shape).transpose(1, 2) for layer in (self.query, self.key, self.value))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return self.out(y.reshape(x.shape[0], x.shape[1], self.inner_dim))


@torch.no_grad()
def kill_heads(module: Heads, *heads: int) -> None:
    for head in heads:
        module.out.weight[:, 3 * head : 3 * head + 3] = 0


def sequence() -> Tensor:
    return torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def equal(small: nn.Module, model: nn.Module, x: Tensor) -> None:
    torch.testing.assert_close(small(x), model(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(small(2 * x[:, :3]), model(2 * x[:, :3]), rtol=1e-9, atol=1e-9)


def test_heads_and_width_are_set() -> None:
    model, x = Heads().double().eval(), sequence()
    kill_heads(model, 0, 2)
    small, report = tn.compact(model, x)
    assert (small.num_heads, small.head_dim, small.inner_dim) == (2, 3, 6)
    assert (model.num_heads, model.inner_dim) == (4, 12)
    assert report.removed["query.weight"] == {0: 6}
    torch.testing.assert_close(small.value.weight, model.value.weight[[3, 4, 5, 9, 10, 11]])
    equal(small, model, x)


def test_each_of_several_layers_gets_its_own() -> None:
    model, x = nn.Sequential(Heads(), Heads(), Heads()).double().eval(), sequence()
    kill_heads(model[0], 1)
    kill_heads(model[2], 0, 1, 3)
    small, _ = tn.compact(model, x)
    assert [layer.num_heads for layer in small] == [3, 4, 1]
    equal(small, model, x)


class Configured(nn.Module):
    """A width that is read from a configuration at each call."""

    def __init__(self, config: SimpleNamespace) -> None:
        super().__init__()
        self.config = config
        self.up, self.down = nn.Linear(12, config.inner), nn.Linear(config.inner, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(x).reshape(-1, self.config.inner).relu()
        return self.down(y).reshape(x.shape)


@torch.no_grad()
def test_a_shared_configuration_is_parted() -> None:
    torch.manual_seed(0)
    config = SimpleNamespace(inner=7, layers=2)
    model, x = nn.Sequential(Configured(config), Configured(config)).double().eval(), sequence()
    model[0].down.weight[:, [0, 4]] = 0
    model[1].down.weight[:, 3] = 0
    small, report = tn.compact(model, x)
    assert [layer.config.inner for layer in small] == [5, 6]
    assert config.inner == model[0].config.inner == model[1].config.inner == 7
    equal(small, model, x)
    rebuilt = tn.rebuild(model, report.recipe)
    rebuilt.load_state_dict(small.state_dict())
    equal(rebuilt, model, x)
    assert config.inner == 7


class Written(nn.Module):
    """A size that stands in the code itself, and beside it a layer that is free."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down = nn.Linear(12, 8), nn.Linear(8, 12)
        self.free = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 12))

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(x).reshape(x.shape[0], x.shape[1], 8).relu()
        return self.free(self.down(y))


@torch.no_grad()
def test_what_is_written_in_the_code_stays_and_the_rest_goes() -> None:
    model, x = Written().double().eval(), sequence()
    model.down.weight[:, [0, 3]] = 0
    model.free[2].weight[:, [1, 2]] = 0
    small, report = tn.compact(model, x)
    assert report.removed == {"free.0.weight": {0: 2}, "free.0.bias": {0: 2}, "free.2.weight": {1: 2}}
    assert any("written" in str(pin) and "test_repair.py" in str(pin) for pin in report.pinned)
    equal(small, model, x)


class Misleading(nn.Module):
    """An attribute that equals a size by accident, and means something else."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.width, self.power = 6, 6
        self.up, self.down = nn.Linear(12, 6), nn.Linear(6, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(x).view(*x.shape[:2], self.width)
        return self.down(y.tanh()) / self.power


@torch.no_grad()
def test_a_number_that_is_no_size_is_left_alone() -> None:
    model, x = Misleading().double().eval(), sequence()
    model.down.weight[:, [0, 5]] = 0
    small, _ = tn.compact(model, x)
    assert (small.width, small.power) == (4, 6)
    equal(small, model, x)


@pytest.mark.parametrize("factor", [2, 3])
@torch.no_grad()
def test_a_multiple_of_a_size_in_the_code(factor: int) -> None:
    """`repeat` by a number keeps its number; what is repeated may shrink."""

    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.up, self.down = nn.Linear(12, 4), nn.Linear(4 * factor, 12)

        def forward(self, x: Tensor) -> Tensor:
            return self.down(self.up(x).relu().repeat(1, 1, factor))

    model, x = Repeated().double().eval(), sequence()
    model.down.weight[:, 1::4] = 0
    small, _ = tn.compact(model, x)
    assert (small.up.out_features, small.down.in_features) == (3, 3 * factor)
    equal(small, model, x)
