"""Compaction between epochs."""

import copy

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

from .networks._partly_dead import data, network, silence


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_share_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match=f"`at_least` must be between 0 and 1, got {share}"):
        tn.CompactCallback(network(), data(0)[0], at_least=share)


def test_callback_waits_for_its_share() -> None:
    model = network()
    callback = tn.CompactCallback(model, data(0)[0], at_least=0.2)
    silence(model)  # 3 of 21 structures
    assert not callback()
    assert model[0].out_features == 12


def test_removals_are_one_recipe() -> None:
    model, x = network(), data(0)[0]
    first = copy.deepcopy(model).eval()
    callback = tn.CompactCallback(model, x, at_least=0.0)
    silence(model)
    assert callback()
    with torch.no_grad():
        model[3].weight[:, [0, 4]] = 0
        model[5].weight[:, 3] = 0
    assert callback()
    assert len(callback.reports) == 2
    again = tn.rebuild(first, callback.recipe)
    again.load_state_dict(model.state_dict())
    assert (again[0].out_features, again[3].in_features, again[3].out_features) == (8, 8, 7)
    torch.testing.assert_close(again(x), model.eval()(x), rtol=0, atol=0)


def test_what_cannot_go_is_tried_once() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.relu(self.first(x)).view(-1, 3, 4).flatten(1))

    model = Fixed()
    callback = tn.CompactCallback(model, torch.randn(5, 6))
    with torch.no_grad():
        model.last.weight[:, :4] = 0
    assert not callback()
    assert callback._held == pytest.approx(1 / 3)
    assert callback.reports == []


def test_groups_with_biases_are_looked_at() -> None:
    """Queries and keys of one head, which only their product reads: their biases belong to the group."""

    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x), scale=0.25)

    model = Scores()
    callback = tn.CompactCallback(model, torch.randn(2, 3, 6))
    with torch.no_grad():
        for layer in (model.q, model.k):
            layer.weight[2], layer.bias[2] = 0, 0
    assert callback()
    assert model.q.out_features == model.k.out_features == 5
