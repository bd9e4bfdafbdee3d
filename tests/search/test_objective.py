"""F = f + h of a model under a plan, against the same written out."""

import pytest
import torch
from torch import Tensor, nn

import thinnet as tn
from thinnet.search._objective import Objective, gradient

TARGET = torch.tensor([[2.0, -0.3, 0.1], [0.5, 0.2, -2.0]], dtype=torch.float64)
START = torch.tensor([[1.0, -1.0, 0.5], [0.25, 0.0, -0.5]], dtype=torch.float64)
PLAN = tn.Plan(tn.MaxNorm(1.2) + tn.L1(0.1) + tn.L2(0.5) + tn.DropConnect(0.5))


def model() -> nn.Linear:
    found = nn.Linear(3, 2, bias=False).double().eval()
    found.weight.data.copy_(START)
    return found


def loss(network: nn.Module) -> Tensor:
    return (network.weight - TARGET).square().sum() / 2


def test_the_smooth_part_is_the_loss_and_the_smooth_penalties() -> None:
    network = model()
    with Objective(network, PLAN, loss, 2.0) as objective:
        f, (slope,) = objective.slope()
        smooth, without_constraints = objective.values()
    expected = float((START - TARGET).square().sum() / 2 + 1.0 * START.square().sum() / 2)
    assert f == pytest.approx(expected) == pytest.approx(smooth)
    assert without_constraints == pytest.approx(expected + 0.2 * float(START.abs().sum()))
    torch.testing.assert_close(slope, START - TARGET + 1.0 * START)


def test_a_step_is_the_proximal_step_then_the_projection_and_smooth_penalties_do_not_act_twice() -> None:
    network = model()
    slope = torch.full((2, 3), 0.5, dtype=torch.float64)
    with Objective(network, PLAN, loss, 2.0) as objective:
        objective.step([slope], 0.5)
    expected = tn.MaxNorm(1.2).project(tn.L1(0.2).prox(START - 0.25, 0.5))
    torch.testing.assert_close(network.weight.detach(), expected)


def test_a_step_of_length_zero_is_the_projection() -> None:
    network = model()
    with Objective(network, PLAN, loss, 1.0) as objective:
        objective.step([torch.zeros(2, 3, dtype=torch.float64)], 0.0)
    torch.testing.assert_close(network.weight.detach(), tn.MaxNorm(1.2).project(START))


def test_points_are_copies_and_gradients_are_given_back() -> None:
    network = model()
    before = network.weight.grad = torch.ones(2, 3, dtype=torch.float64)
    with Objective(network, None, loss, 1.0) as objective:
        point = objective.point()
        objective.step([torch.ones(2, 3, dtype=torch.float64)], 1.0)
        assert torch.equal(point[0], START)
        objective.move(point)
    assert torch.equal(network.weight.detach(), START) and network.weight.grad is before


def test_frozen_weights_have_no_share_in_it() -> None:
    network = nn.Sequential(model(), nn.Linear(2, 1, bias=False).double())
    network[0].weight.requires_grad_(False)
    with Objective(network, tn.Plan(tn.L2(0.5)), lambda m: m[1].weight.square().sum(), 1.0) as objective:
        f, slopes = objective.slope()
    w = network[1].weight.detach()
    assert f == pytest.approx(float(1.25 * w.square().sum())) and len(slopes) == 1


def test_decay_has_no_cost() -> None:
    with pytest.raises(ValueError, match=r"WeightDecay\(strength=0\.1\) on weight has no cost, and so no optimum"):
        Objective(model(), tn.Plan(tn.WeightDecay(0.1)), loss, 1.0)


def test_the_gradient_of_what_is_not_used_is_zero_and_a_sparse_one_is_dense() -> None:
    used, unused, table = (
        torch.ones(2, requires_grad=True),
        torch.ones(3, requires_grad=True),
        nn.Embedding(3, 1, sparse=True),
    )
    nn.init.ones_(table.weight)
    f = used.sum() * 2 + table(torch.tensor([1])).square().sum() / 2
    slopes = gradient(f, [used, unused, table.weight])
    assert [slope.tolist() for slope in slopes] == [[2.0, 2.0], [0.0, 0.0, 0.0], [[0.0], [1.0], [0.0]]]
