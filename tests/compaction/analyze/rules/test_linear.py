"""Products with a weight matrix: what goes, and what of it moves into the next bias."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import thinnet as tn


def two_layers(between: nn.Module, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), between, nn.Linear(5, 2, bias=bias)).double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


HIDDEN_1_AND_3_GONE = {"0.weight": {0: [0, 2, 4]}, "0.bias": {0: [0, 2, 4]}, "2.weight": {1: [0, 2, 4]}}


@torch.no_grad()
def test_what_nobody_reads_goes_whatever_it_is(kept: Callable, x: Tensor) -> None:
    model = two_layers(nn.Softplus())
    model[2].weight[:, [1, 3]] = 0
    assert kept(model, x) == HIDDEN_1_AND_3_GONE


@torch.no_grad()
def test_a_zero_that_stays_zero_goes(kept: Callable, x: Tensor) -> None:
    model = two_layers(nn.Tanh(), bias=False)
    model[0].weight[[1, 3]] = 0
    model[0].bias[[1, 3]] = 0
    assert kept(model, x) == HIDDEN_1_AND_3_GONE


@torch.no_grad()
def test_a_constant_goes_into_the_next_bias(x: Tensor) -> None:
    model = two_layers(nn.Sigmoid())
    model[0].weight[[1, 3]] = 0
    model[0].bias[1] = 0  # 1/2 behind the sigmoid
    model[0].bias[3] = math.log(3.0)  # 3/4
    wanted = model[2].bias + 0.5 * model[2].weight[:, 1] + 0.75 * model[2].weight[:, 3]
    small, report = tn.compact(model, x)
    assert {name: sorted(dims) for name, dims in report.removed.items()} == {
        "0.weight": [0],
        "0.bias": [0],
        "2.weight": [1],
    }
    torch.testing.assert_close(small[2].bias, wanted, rtol=1e-14, atol=0)


@torch.no_grad()
def test_a_constant_without_a_bias_to_go_to_stays(kept: Callable, x: Tensor) -> None:
    model = two_layers(nn.Sigmoid(), bias=False)
    model[0].weight[[1, 3]] = 0
    assert kept(model, x) == {}


@torch.no_grad()
def test_a_row_that_is_zero_where_its_inputs_are_not_stays(kept: Callable, x: Tensor) -> None:
    model = two_layers(nn.ReLU())
    model[0].weight[1, :2] = 0
    model[0].bias[1] = -1e6  # never alive on any example, and not zero by its weights
    assert kept(model, x) == {}


@torch.no_grad()
def test_who_is_read_only_by_what_goes_goes_too(kept: Callable, x: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    model[4].weight[:, 2] = 0  # so node 2 of the second layer goes, the only one that reads node 0 of the first
    model[2].weight[[0, 1, 3], 0] = 0
    assert kept(model, x) == {
        "0.weight": {0: [1, 2, 3]},
        "0.bias": {0: [1, 2, 3]},
        "2.weight": {0: [0, 1, 3], 1: [1, 2, 3]},
        "2.bias": {0: [0, 1, 3]},
        "4.weight": {1: [0, 1, 3]},
    }


@torch.no_grad()
def test_what_is_silent_makes_the_next_constant(kept: Callable, x: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    model[0].weight[:2] = 0
    model[0].bias[:2] = 0
    model[2].weight[1, 2:] = 0  # reads zeros only
    model[2].bias[1] = 0.7
    assert kept(model, x) == {
        "0.weight": {0: [2, 3]},
        "0.bias": {0: [2, 3]},
        "2.weight": {0: [0, 2, 3], 1: [2, 3]},
        "2.bias": {0: [0, 2, 3]},
        "4.weight": {1: [0, 2, 3]},
    }


@torch.no_grad()
def test_one_node_of_a_dead_layer_stays(kept: Callable, x: Tensor) -> None:
    model = two_layers(nn.ReLU())
    model[2].weight.zero_()
    found = kept(model, x)
    assert {name: {dim: len(at) for dim, at in dims.items()} for name, dims in found.items()} == {
        "0.weight": {0: 1},
        "0.bias": {0: 1},
        "2.weight": {1: 1},
    }


@torch.no_grad()
def test_inputs_and_outputs_stay(kept: Callable, reasons: Callable, x: Tensor) -> None:
    model = nn.Linear(3, 2).double()
    model.weight[0] = 0
    model.weight[:, 1] = 0
    assert kept(model, x) == {}
    assert reasons(model, x) == {"output: the model returns it", "linear: takes an input of fixed width"}


@torch.no_grad()
def test_one_row_without_a_batch(kept: Callable) -> None:
    model = two_layers(nn.ReLU())
    model[2].weight[:, [1, 3]] = 0
    assert kept(model, torch.randn(3, dtype=torch.float64)) == HIDDEN_1_AND_3_GONE


class Shared(nn.Module):
    """One layer that reads two others."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.both = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.both(torch.sigmoid(self.one(x))) * self.both(torch.sigmoid(self.other(x)))


@torch.no_grad()
def test_a_shared_reader_keeps_what_one_of_its_uses_needs(kept: Callable, x: Tensor) -> None:
    torch.manual_seed(0)
    model = Shared().double()
    model.one.weight[1] = 0
    model.one.bias[1] = 0
    assert kept(model, x) == {}
    model.other.weight[1] = 0
    model.other.bias[1] = 0.3  # another constant: there is one bias, and two amounts
    assert kept(model, x) == {}
    model.other.bias[1] = 0.0  # the same constant, 1/2, in both
    assert set(kept(model, x)) == {"one.weight", "one.bias", "other.weight", "other.bias", "both.weight"}


class Written(nn.Module):
    """The same product in several words."""

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down, self.product = nn.Linear(3, 5), nn.Parameter(torch.randn(5, 2)), product

    def forward(self, x: Tensor) -> Tensor:
        return self.product(torch.relu(self.up(x)), self.down)


@pytest.mark.slow
@pytest.mark.parametrize(
    "product",
    [
        torch.matmul,
        torch.mm,
        lambda x, w: F.linear(x, w.T),
        lambda x, w: torch.einsum("bi,io->bo", x, w),
        lambda x, w: torch.addmm(torch.ones(2, dtype=x.dtype), x, w),
        lambda x, w: (w.T @ x.T).T,
        lambda x, w: (x[:, :, None] * w).sum(1),
        lambda x, w: torch.bmm(x[None], w[None])[0],
        lambda x, w: torch.stack([torch.mv(w.T, row) for row in x]),
    ],
)
@torch.no_grad()
def test_products_by_any_name(kept: Callable, product: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> None:
    model = Written(product).double()
    model.down[[1, 3]] = 0
    assert kept(model, x) == {"up.weight": {0: [0, 2, 4]}, "up.bias": {0: [0, 2, 4]}, "down": {0: [0, 2, 4]}}


class Hyper(nn.Module):
    """A product whose matrix or bias comes out of another input."""

    def __init__(self, product: Callable[..., Tensor], bias: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.middle, self.down = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)
        self.hyper, self.product, self.bias = nn.Linear(2, 4, bias=False), product, bias

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x, made = torch.sigmoid(self.up(x)), self.hyper(condition)
        if self.bias:
            x = self.product(x, self.middle.weight, made)
        else:
            x = self.product(x, self.middle.weight * made[:, None], self.middle.bias)
        return self.down(torch.relu(x))


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv1d(x[:, :, None], weight[:, :, None], bias)[:, :, 0]


def addmm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, x, weight.T)


@pytest.mark.slow
@pytest.mark.parametrize("product", [F.linear, convolve, addmm])
@pytest.mark.parametrize("example", [0.0, 1.0])
@torch.no_grad()
def test_a_bias_that_an_input_makes_is_no_constant(
    kept: Callable, product: Callable[..., Tensor], example: float, x: Tensor
) -> None:
    model = Hyper(product, bias=True).double()
    model.middle.weight[[1, 2]] = 0
    assert kept(model, x, torch.full((2,), example, dtype=torch.float64)) == {}


@pytest.mark.parametrize("product", [F.linear, convolve, addmm])
@torch.no_grad()
def test_a_constant_times_what_an_input_makes_is_no_constant(
    kept: Callable, product: Callable[..., Tensor], x: Tensor
) -> None:
    model = Hyper(product, bias=False).double()
    model.up.weight[[1, 2]] = 0
    assert kept(model, x, torch.ones(2, dtype=torch.float64)) == {}


class Summed(nn.Module):
    """addmm with a bias of some shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.weight = nn.Linear(3, 5), nn.Parameter(torch.randn(5, 2))
        self.bias = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, torch.sigmoid(self.up(x)), self.weight)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2,), (1,), (1, 2), (4, 1), (4, 2), ()])
@torch.no_grad()
def test_a_constant_goes_to_a_bias_with_a_place_for_each_output(
    kept: Callable, shape: tuple[int, ...], x: Tensor
) -> None:
    model = Summed(*shape).double()
    model.up.weight[1] = 0
    rest = {0: [0, 2, 3, 4]}
    wanted = {"up.weight": rest, "up.bias": rest, "weight": rest} if shape == (2,) else {}
    assert kept(model, x) == wanted
