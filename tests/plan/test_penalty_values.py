import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.plan import joint_bindings, penalty_values

MEMBERS = {"0.weight": (0, [0, 1, -1, 1]), "2.weight": (1, [0, 1, -1, 1])}


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()


def test_each_penalty_of_each_weight_comes_once_and_decay_and_constraints_do_not() -> None:
    network = model()
    rule = tn.L2(0.5) + tn.L1(0.1) + tn.WeightDecay(0.3) + tn.MaxNorm(1.0) + tn.CoupledGroupLasso(0.2, MEMBERS)
    first, second = network[0].weight.detach(), network[2].weight.detach()
    found = [(rule, float(value.detach())) for rule, value in penalty_values(tn.Plan(rule).bind(network), 2.0)]
    groups = [torch.cat([first[[0]].flatten(), second[:, [0]].flatten()])]
    groups.append(torch.cat([first[[1, 3]].flatten(), second[:, [1, 3]].flatten()]))
    expected = [
        (tn.L2(1.0), float(first.square().sum() / 2)),
        (tn.L1(0.2), 0.2 * float(first.abs().sum())),
        (tn.L2(1.0), float(second.square().sum() / 2)),
        (tn.L1(0.2), 0.2 * float(second.abs().sum())),
        (tn.CoupledGroupLasso(0.4, MEMBERS), 0.4 * sum(len(g) ** 0.5 * float(g.norm()) for g in groups)),
    ]
    assert [rule for rule, _ in found] == [rule for rule, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])


def test_frozen_weights_have_no_value_and_no_share_in_groups() -> None:
    network = model()
    network[0].weight.requires_grad_(False)
    bindings = tn.Plan(tn.L1(0.1) + tn.CoupledGroupLasso(0.2, MEMBERS)).bind(network)
    (lasso, first), (groups, second) = penalty_values(bindings)
    assert (lasso, groups) == (tn.L1(0.1), tn.CoupledGroupLasso(0.2, MEMBERS))
    torch.testing.assert_close(first, 0.1 * network[2].weight.abs().sum())
    torch.testing.assert_close(second, groups.value({"2.weight": network[2].weight}))
    network[2].weight.requires_grad_(False)
    assert list(penalty_values(bindings)) == [] and joint_bindings(bindings)[0].value() is None


def test_values_are_differentiable() -> None:
    network = model()
    sum(value for _, value in penalty_values(tn.Plan(tn.L2(0.5)).bind(network))).backward()
    torch.testing.assert_close(network[0].weight.grad, 0.5 * network[0].weight.detach())
