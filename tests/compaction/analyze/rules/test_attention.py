"""Products of activations, and attention: heads go as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS, SIZE = 3, 2


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-1, -2) / SIZE**0.5).softmax(-1) @ v


def summed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1)
    return torch.einsum("bhqk,bhkd->bhqd", scores, v)


def masked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    ahead = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1)
    return (q @ k.transpose(-1, -2)).masked_fill(ahead, -torch.inf).softmax(-1) @ v


class Attention(nn.Module):
    def __init__(self, attend: Callable[..., Tensor], shared: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        few = HEADS if shared == 1 else 2
        self.heads, self.attend, self.shared = few * shared, attend, shared
        self.q, self.out = nn.Linear(4, self.heads * SIZE), nn.Linear(self.heads * SIZE, 5)
        self.k, self.v = nn.Linear(4, few * SIZE), nn.Linear(4, few * SIZE)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (-1, SIZE)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.out(self.attend(q, k, v).transpose(1, 2).flatten(2))


def without_the_middle_head() -> dict[str, dict[int, list[int]]]:
    rest = [0, 1, 4, 5]
    rows = {f"{name}.{part}": {0: rest} for name in "qkv" for part in ("weight", "bias")}
    return {**rows, "out.weight": {1: rest}}


each = pytest.mark.parametrize("attend", [fused, causal, by_hand, summed, masked])


@pytest.mark.slow
@each
@torch.no_grad()
def test_a_head_that_nobody_reads_goes(kept: Callable, attend: Callable[..., Tensor]) -> None:
    model = Attention(attend).double()
    model.out.weight[:, 2] = 0
    x = normal(2, 5, 4)
    assert kept(model, x) == {}  # half of a head
    model.out.weight[:, 3] = 0
    assert kept(model, x) == without_the_middle_head()


@each
@torch.no_grad()
def test_a_head_of_zeros_goes(kept: Callable, attend: Callable[..., Tensor]) -> None:
    model = Attention(attend).double()
    model.v.weight[2:4] = 0
    model.v.bias[2:4] = 0
    assert kept(model, normal(2, 5, 4)) == without_the_middle_head()


@each
@torch.no_grad()
def test_a_head_that_looks_everywhere_alike_stays(kept: Callable, attend: Callable[..., Tensor]) -> None:
    """Queries of zero give equal weights, not none."""
    model = Attention(attend).double()
    model.q.weight[2:4] = 0
    model.q.bias[2:4] = 0
    assert kept(model, normal(2, 5, 4)) == {}


@torch.no_grad()
def test_shared_keys_go_with_all_of_their_queries(kept: Callable) -> None:
    def grouped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    model = Attention(grouped, shared=2).double()
    x = normal(2, 5, 4)
    model.out.weight[:, 0:2] = 0  # one of two query heads of the first group
    assert kept(model, x) == {}
    model.out.weight[:, 2:4] = 0
    found = kept(model, x)
    assert found["q.weight"] == {0: [4, 5, 6, 7]}
    assert found["k.weight"] == found["v.weight"] == {0: [2, 3]}
    assert found["out.weight"] == {1: [4, 5, 6, 7]}


@torch.no_grad()
def test_the_length_of_queries_sets_the_scale(kept: Callable, reasons: Callable) -> None:
    """One head: a dead dimension of queries and keys counts in 1 / sqrt(d), unless the scale is given."""

    class Single(nn.Module):
        def __init__(self, scale: float | None) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.q, self.k, self.scale = nn.Linear(4, 6), nn.Linear(4, 6), scale

        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(self.q(x), self.k(x), x, scale=self.scale)

    for scale, wanted in (
        (None, {}),
        (0.7, {f"{n}.{p}": {0: [0, 1, 3, 4, 5]} for n in "qk" for p in ("weight", "bias")}),
    ):
        model = Single(scale).double()
        model.q.weight[2] = 0
        model.q.bias[2] = 0
        assert kept(model, normal(2, 5, 4)) == wanted
        assert any("sets the scale" in reason for reason in reasons(model, normal(2, 5, 4))) == (scale is None)


@torch.no_grad()
def test_a_product_of_activations_reads_both(kept: Callable) -> None:
    """A dimension that is summed over goes where one of the two is zero."""

    class Bilinear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one, self.other = nn.Linear(4, 6), nn.Linear(4, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) @ self.other(x).transpose(-1, -2)

    model = Bilinear().double()
    model.one.weight[1] = 0
    model.one.bias[1] = 0
    model.other.weight[4] = 0
    model.other.bias[4] = 0
    assert kept(model, normal(2, 5, 4)) == {
        f"{name}.{part}": {0: [0, 2, 3, 5]} for name in ("one", "other") for part in ("weight", "bias")
    }
