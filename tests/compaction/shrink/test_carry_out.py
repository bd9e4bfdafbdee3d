"""Decisions made by hand, carried out."""

import torch
from torch import nn

from thinnet.compaction.analyze._constant_propagation import propagate_constants
from thinnet.compaction.analyze._decide import Decision
from thinnet.compaction.analyze._inputs import Inputs
from thinnet.compaction.analyze._label import label
from thinnet.compaction.analyze._trace import trace
from thinnet.compaction.shrink._carry_out import carry_out_


def test_a_constant_is_folded_before_its_slice_is_removed() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double().eval()
    with torch.no_grad():
        model[0].weight[1] = 0
        model[0].bias[1] = 2.0
    x = torch.randn(5, 3, dtype=torch.float64)
    before = model(x).detach()
    column = model[1].weight[:, 1].detach().clone()
    traced = trace(model, Inputs.of(x, "test"))
    deps = label(traced, propagate_constants(traced))
    rest = torch.tensor([0, 2, 3])
    removed = torch.zeros(deps.groups.count, dtype=torch.bool)
    removed[deps.groups.roots(deps.parameters["0.bias"][0])[1]] = True
    kept = {"0.weight": {0: rest}, "0.bias": {0: rest}, "1.weight": {1: rest}}
    attributes = carry_out_(model, deps, Decision(kept, {"1.bias": 2.0 * column}, {}, removed, frozenset()))
    assert attributes == {"0": {"out_features": 3}, "1": {"in_features": 3}}
    assert (model[0].out_features, model[1].in_features) == (3, 3)
    torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-12)
