import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from thinnet.search._gradient_recorder import recorded

from .networks import linear, regression


def test_it_averages_gradients_and_moves_nothing() -> None:
    problem, model = regression(rows=60), linear()
    before = [p.detach().clone() for p in model.parameters()]

    def fit(network: nn.Module, optimizer: Optimizer) -> None:
        assert network.training
        optimizer.param_groups[0]["lr"] *= 0.5  # a schedule, without effect on the one whose place it takes
        for rows in torch.arange(60).split(20):
            optimizer.zero_grad()
            (network(problem.x[rows]) - problem.y[rows]).square().mean().div(2).backward()
            optimizer.step()

    like = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = recorded(model, fit, like)
    for parameter, expected in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, expected)
        assert parameter.grad is None
    whole = torch.autograd.grad(problem.loss(model), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(recorder.mean(parameter), gradient)
    assert recorder.steps == 3
    assert like.param_groups[0]["lr"] == 0.1


def test_a_fit_that_does_not_step_is_refused() -> None:
    model = linear()
    with pytest.raises(ValueError, match=r"`fit` never called optimizer\.step\(\)"):
        recorded(model, lambda model, optimizer: None, torch.optim.SGD(model.parameters(), lr=0.1))
