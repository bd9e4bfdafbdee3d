"""Element by element: what meets goes together."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Two(nn.Module):
    """Two layers, something between them and a reader."""

    def __init__(self, together: Callable[..., Tensor], left: int = 5, right: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right, self.together = nn.Linear(3, left), nn.Linear(3, right), together
        self.reader = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.together(self.left(x), self.right(x)))


BOTH = {
    **{"left.weight": {0: [0, 2, 4]}, "left.bias": {0: [0, 2, 4]}},
    **{"right.weight": {0: [0, 2, 4]}, "right.bias": {0: [0, 2, 4]}, "reader.weight": {1: [0, 2, 4]}},
}


@pytest.mark.parametrize("together", [torch.add, torch.sub, torch.maximum, lambda a, b: torch.where(a > 0, a, b)])
@torch.no_grad()
def test_a_sum_is_zero_where_both_are(kept: Callable, together: Callable[..., Tensor]) -> None:
    model = Two(together).double()
    model.left.weight[[1, 3]] = 0
    model.left.bias[[1, 3]] = 0
    assert kept(model, normal(4, 3)) == {}
    model.right.weight[[1, 3]] = 0
    model.right.bias[[1, 3]] = 0
    assert kept(model, normal(4, 3)) == BOTH


@pytest.mark.parametrize("together", [torch.mul, lambda a, b: F.silu(a) * b, lambda a, b: a / (1 + b * b)])
@torch.no_grad()
def test_a_product_is_zero_where_one_is(kept: Callable, together: Callable[..., Tensor]) -> None:
    model = Two(together).double()
    model.left.weight[[1, 3]] = 0
    model.left.bias[[1, 3]] = 0
    assert kept(model, normal(4, 3)) == BOTH


@torch.no_grad()
def test_a_gate_that_is_half_open_is_no_zero(kept: Callable) -> None:
    model = Two(lambda a, b: a.sigmoid() * b).double()
    model.left.weight[[1, 3]] = 0
    model.left.bias[[1, 3]] = 0
    assert kept(model, normal(4, 3)) == {}


@torch.no_grad()
def test_one_slice_meets_all(kept: Callable) -> None:
    """A dimension of length 1 is stretched, and has nothing to lose."""
    model = Two(torch.mul, right=1).double()
    model.reader.weight[:, [1, 3]] = 0
    assert kept(model, normal(4, 3)) == {name: dims for name, dims in BOTH.items() if "right" not in name}


@torch.no_grad()
def test_dimensions_meet_from_the_last(kept: Callable) -> None:
    model = Two(lambda a, b: a[:, None, :] + b[:, :, None].sum(1, keepdim=True)).double()
    model.reader.weight[:, [1, 3]] = 0
    assert kept(model, normal(4, 3)) == {name: dims for name, dims in BOTH.items() if "right" not in name}


class Fixed(nn.Module):
    """A hidden layer meets a tensor that the model was not asked about."""

    def __init__(self, meet: Callable[..., Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down, self.meet = nn.Linear(3, 5), nn.Linear(5, 2), meet

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        return self.down(self.meet(torch.relu(self.up(x)), *others))


@torch.no_grad()
def test_what_meets_an_input_stays(kept: Callable, reasons: Callable) -> None:
    model, inputs = Fixed(torch.add).double(), (normal(4, 3), normal(4, 5))
    model.down.weight[:, 1] = 0
    assert kept(model, *inputs) == {}
    assert "add: meets a dimension of fixed size" in reasons(model, *inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "meet",
    [
        lambda x: x + torch.ones_like(x),
        lambda x: torch.maximum(x, torch.zeros_like(x)),
        lambda x: x * torch.full_like(x, 2.0),
        lambda x: x.masked_fill(x > 1, 0.0),
        lambda x: x.clone().detach().contiguous(),
        lambda x: F.dropout(x, 0.5, training=False),
    ],
)
@torch.no_grad()
def test_what_is_made_alike_goes_along(kept: Callable, meet: Callable[..., Any]) -> None:
    model = Fixed(meet).double()
    model.down.weight[:, [1, 3]] = 0
    assert kept(model, normal(4, 3)) == {
        "up.weight": {0: [0, 2, 4]},
        "up.bias": {0: [0, 2, 4]},
        "down.weight": {1: [0, 2, 4]},
    }


class Scaled(nn.Module):
    def __init__(self, combine: Callable[[Tensor, Tensor], Tensor], *buffer: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down, self.combine = nn.Linear(3, 5), nn.Linear(5, 2), combine
        self.scale = nn.Parameter(torch.rand(5) + 0.5)
        self.register_buffer("mask", torch.tensor(buffer or (1.0, 0.0, 1.0, 0.0, 1.0)))

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.combine(self.up(x), self.scale) * self.mask)


@torch.no_grad()
def test_a_mask_of_the_model_silences(kept: Callable) -> None:
    model = Scaled(torch.mul).double()
    assert kept(model, normal(4, 3)) == {
        "up.weight": {0: [0, 2, 4]},
        "up.bias": {0: [0, 2, 4]},
        "scale": {0: [0, 2, 4]},
        "mask": {0: [0, 2, 4]},
        "down.weight": {1: [0, 2, 4]},
    }


@torch.no_grad()
def test_a_scale_of_zero_silences(kept: Callable) -> None:
    model = Scaled(torch.mul, 1.0, 1.0, 1.0, 1.0, 1.0).double()
    model.scale[[1, 3]] = 0
    assert kept(model, normal(4, 3))["scale"] == {0: [0, 2, 4]}
    shifted = Scaled(torch.add, 1.0, 1.0, 1.0, 1.0, 1.0).double()
    shifted.scale[[1, 3]] = 0
    assert kept(shifted, normal(4, 3)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "at_zero"),
    [
        (torch.relu, 0.0),
        (torch.tanh, 0.0),
        (F.gelu, 0.0),
        (F.silu, 0.0),
        (F.hardswish, 0.0),
        (F.mish, 0.0),
        (torch.square, 0.0),
        (torch.sigmoid, 0.5),
        (torch.cos, 1.0),
        (torch.exp, 1.0),
        (F.hardsigmoid, 0.5),
        (lambda x: x + 2, 2.0),
        (lambda x: (1 + x * x).sqrt(), 1.0),
        (lambda x: x.clamp(min=0.25), 0.25),
    ],
)
@torch.no_grad()
def test_constants_behind_activations(function: Callable[[Tensor], Tensor], at_zero: float, kept: Callable) -> None:
    """A silent node goes without a trace where f(0) = 0, and by way of the next bias elsewhere."""
    assert float(function(torch.zeros((), dtype=torch.float64))) == pytest.approx(at_zero)
    found = []
    for bias in (True, False):
        torch.manual_seed(0)
        model = Between(function, bias).double()
        model.up.weight[1] = 0
        model.up.bias[1] = 0
        found.append(kept(model, normal(4, 3)).get("down.weight"))
    assert found == [{1: [0, 2, 3, 4]}, None if at_zero else {1: [0, 2, 3, 4]}]


class Between(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], bias: bool) -> None:
        super().__init__()
        self.up, self.down, self.function = nn.Linear(3, 5), nn.Linear(5, 2, bias=bias), function

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.function(self.up(x)))
