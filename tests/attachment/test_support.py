from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn, optim
from torch.nn.utils import parametrizations, prune

import thinnet as tn

MUON = getattr(optim, "Muon", None)


class Foreign(optim.Optimizer):
    """Plain gradient steps, by nobody that thinnet knows."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 1.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad)


class Extended(optim.AdamW):
    """A known optimizer under another name."""


@pytest.mark.parametrize(
    ("kind", "rule", "reason"),
    [
        (optim.Rprop, tn.L1(0.1), "moves by the sign of the gradient alone"),
        (optim.ASGD, tn.GroupLasso(0.1), "averages the weights"),
        (optim.ASGD, tn.MaxNorm(0.1), "averages the weights.*use SGD, Adam or AdamW"),
        (optim.SparseAdam, tn.L2(0.1), "steps only the rows"),
        (optim.LBFGS, tn.L2(0.1), r"evaluates the loss many times.*attachment\.cost\(\)"),
        (optim.LBFGS, tn.MaxNorm(0.1), "evaluates the loss many times"),
        (Foreign, tn.ElasticNet(0.1, 0.1), r"inside Foreign, which is not known.*attachment\.cost\(\)"),
        pytest.param(MUON, tn.L1(0.1), "orthogonalizes", marks=pytest.mark.skipif(MUON is None, reason="no Muon")),
    ],
)
def test_what_an_optimizer_cannot_carry_is_refused_by_name(
    kind: type[optim.Optimizer], rule: tn.Rule, reason: str
) -> None:
    model = nn.Linear(3, 2, bias=False)
    with pytest.raises(ValueError, match=rf"on weight cannot act inside {kind.__name__}.*{reason}|{reason}"):
        tn.attach(model, tn.Plan(rule), kind(model.parameters()))


@pytest.mark.parametrize("kind", [optim.Rprop, Foreign, *([MUON] if MUON else [])])
def test_what_is_smooth_acts_in_optimizers_without_a_metric(kind: type[optim.Optimizer]) -> None:
    model = nn.Linear(3, 2, bias=False)
    before = float(model.weight.detach().norm())
    optimizer = kind(model.parameters(), **({"weight_decay": 0.0} if kind is MUON else {}))
    tn.attach(model, tn.Plan(tn.L2(0.1) + tn.MaxNorm(2.0)), optimizer)
    model.weight.grad = torch.zeros(2, 3)
    optimizer.step()
    assert float(model.weight.detach().norm()) < before


def test_lbfgs_finds_the_penalized_minimum_in_cost_mode() -> None:
    model = nn.Linear(1, 1, bias=False)
    optimizer = optim.LBFGS(model.parameters(), max_iter=50)
    attachment = tn.attach(model, tn.Plan(tn.L2(1.0)), optimizer, mode="cost")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model.weight - 3).square().sum() / 2 + attachment.cost()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert model.weight.item() == pytest.approx(1.5)


def test_a_subclass_has_the_metric_of_its_class() -> None:
    model = nn.Linear(3, 2, bias=False)
    optimizer = Extended(model.parameters(), lr=0.1, weight_decay=0)
    tn.attach(model, tn.Plan(tn.L1(1.0)), optimizer)
    model.weight.grad = torch.zeros(2, 3)
    optimizer.step()
    assert not model.weight.any()


@pytest.mark.parametrize("mode", ["step", "cost"])
def test_reparametrized_weights_are_refused_where_a_step_would_act_on_something_else(mode: str) -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)))
    plan = tn.Plan(tn.L2(0.1) if mode == "step" else tn.MaxNorm(1.0))
    with pytest.raises(ValueError, match=r'on 0\.weight, which is parametrized by WeightNorm.*mode="cost"'):
        tn.attach(model, plan, optim.SGD(model.parameters()), mode=mode)


def test_a_pruned_weight_is_refused() -> None:
    model = nn.Sequential(prune.l1_unstructured(nn.Linear(3, 2), "weight", 0.5))
    with pytest.raises(ValueError, match=r"0\.weight, which is computed by a L1Unstructured pruning hook"):
        tn.attach(model, tn.Plan(tn.L2(0.1)), optim.SGD(model.parameters()))


def test_complex_weights_are_refused() -> None:
    model = nn.Linear(3, 2, dtype=torch.complex64)
    with pytest.raises(ValueError, match="on weight, which is complex"):
        tn.attach(model, tn.Plan(tn.L2(0.1)), optim.SGD(model.parameters()))


def test_a_differentiable_step_is_refused() -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="differentiable=True"):
        tn.attach(model, tn.Plan(tn.L2(0.1)), optim.SGD(model.parameters(), differentiable=True))


def test_sparse_gradients_are_refused_where_a_dense_one_would_be_added() -> None:
    model = nn.Embedding(5, 2, sparse=True)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    tn.attach(model, tn.Plan({nn.Embedding: tn.L2(0.1)}), optimizer)
    model(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match=r"the gradient of weight is sparse; build its layer with sparse=False"):
        optimizer.step()
