"""Sums, means, comparisons: whether a zero that goes is noticed."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Reduced(nn.Module):
    """A layer of five outputs and what is made of them."""

    def __init__(self, reduce: Callable[[Tensor], Tensor], reader: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up, self.reader, self.reduce = nn.Linear(3, 5), reader or nn.Identity(), reduce

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.reduce(self.up(x)))


@torch.no_grad()
def silenced(reduce: Callable[[Tensor], Tensor], reader: nn.Module | None = None) -> Reduced:
    model = Reduced(reduce, reader).double()
    model.up.weight[[1, 3]] = 0
    model.up.bias[[1, 3]] = 0
    return model


REST = {"up.weight": {0: [0, 2, 4]}, "up.bias": {0: [0, 2, 4]}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.sum(-1),
        lambda x: x.sum(-1, keepdim=True),
        lambda x: x.sum(),
        lambda x: torch.linalg.vector_norm(x, dim=-1),
        lambda x: x.square().sum(1).sqrt(),
        lambda x: x @ x.T,
        lambda x: torch.einsum("bi,bi->b", x, x),
    ],
)
@torch.no_grad()
def test_zeros_leave_a_sum(kept: Callable, reduce: Callable[[Tensor], Tensor]) -> None:
    assert kept(silenced(reduce), normal(4, 3)) == REST


@pytest.mark.slow
@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.mean(-1),
        lambda x: x.amax(-1),
        lambda x: x.min(-1).values,
        lambda x: x.std(-1),
        lambda x: x.var(-1, keepdim=True),
        lambda x: x.prod(-1),
        lambda x: x.logsumexp(-1),
        lambda x: x.softmax(-1).square().sum(-1),
        lambda x: x.log_softmax(-1).square().sum(-1),
        lambda x: x.cumsum(-1).square().sum(-1),
        lambda x: x.sort(-1).values.square().sum(-1),
        lambda x: x.topk(4, -1).values.sum(-1),
        lambda x: x.cos().sum(-1),
        lambda x: F.normalize(x + 1, dim=-1).sum(-1),
        lambda x: (x > -1).sum(-1),
        lambda x: x.argmax(-1),
    ],
)
@torch.no_grad()
def test_zeros_count_elsewhere(kept: Callable, reduce: Callable[[Tensor], Tensor]) -> None:
    assert kept(silenced(reduce), normal(4, 3)) == {}


@pytest.mark.parametrize("reduce", [lambda x: x.mean(1), lambda x: x.amax(1), lambda x: x.softmax(1)[:, 0] * 2])
@torch.no_grad()
def test_other_dimensions_go_through(kept: Callable, reduce: Callable[[Tensor], Tensor]) -> None:
    model = Reduced(reduce, nn.Linear(5, 2)).double()
    model.reader.weight[:, [1, 3]] = 0
    assert kept(model, normal(4, 6, 3)) == {**REST, "reader.weight": {1: [0, 2, 4]}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "reduce",
    [
        lambda x: x.sum(1),
        lambda x: x.softmax(1),
        lambda x: x.cumsum(1)[:, -1],
        lambda x: torch.linalg.vector_norm(x, dim=1),
        lambda x: x.logsumexp(1),
    ],
)
@torch.no_grad()
def test_a_constant_that_grows_with_the_sequence_stays(kept: Callable, reduce: Callable[[Tensor], Tensor]) -> None:
    """A sum over six positions is no constant of the model: another sequence has seven."""
    model = Reduced(reduce, nn.Linear(5, 2)).double()
    model.up.weight[[1, 3]] = 0
    assert kept(model, normal(4, 6, 3)) == {}


@pytest.mark.parametrize("reduce", [lambda x: x.mean(1), lambda x: x.amax(1), lambda x: x.sort(1).values])
@torch.no_grad()
def test_a_constant_that_does_not_is_folded(kept: Callable, reduce: Callable[[Tensor], Tensor]) -> None:
    model = Reduced(reduce, nn.Linear(5, 2)).double()
    model.up.weight[[1, 3]] = 0
    assert kept(model, normal(4, 6, 3)) == {**REST, "reader.weight": {1: [0, 2, 4]}}


@torch.no_grad()
def test_zeros_have_a_softmax_that_depends_on_their_number(kept: Callable) -> None:
    assert kept(silenced(lambda x: x.softmax(1), nn.Linear(5, 2)), normal(4, 6, 3)) == {}


@torch.no_grad()
def test_zeros_sum_to_zero_at_any_length(kept: Callable) -> None:
    model = silenced(lambda x: x.sum(1), nn.Linear(5, 2))
    assert kept(model, normal(4, 6, 3)) == {**REST, "reader.weight": {1: [0, 2, 4]}}
