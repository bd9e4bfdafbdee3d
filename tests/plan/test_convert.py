from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thinnet import L1, L2, ElasticNet, MaxNorm, NonNegative, Rule, UnitNorm, WeightDecay
from thinnet.plan import from_keras, from_torch


def keras(name: str, **settings: object) -> dict[str, object]:
    return {"module": "keras", "class_name": name, "config": settings, "registered_name": None}


def kernel() -> Tensor:
    """A dense kernel as Keras lays it out, (in, out)."""
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        (keras("L1", l1=0.5), L1(0.5)),
        (keras("L2", l2=0.5), L2(1.0)),
        (keras("L1L2", l1=0.5, l2=0.25), ElasticNet(0.5, 0.5)),
        (keras("L1L2", l1=0.5, l2=0.0), L1(0.5)),
        (keras("L1L2", l1=0.0, l2=0.25), L2(0.5)),
        (keras("MaxNorm", max_value=2, axis=0), MaxNorm(2.0)),
        (keras("MaxNorm", max_value=2, axis=[0, 1, 2]), MaxNorm(2.0)),
        (keras("UnitNorm", axis=0), UnitNorm()),
        (keras("NonNeg"), NonNegative()),
    ],
    ids=str,
)
def test_keras_rules_by_name(config: dict[str, object], rule: Rule) -> None:
    assert from_keras(config) == rule


def test_penalties_have_the_value_that_keras_documents() -> None:
    w = kernel()
    documented = 0.3 * w.abs().sum() + 0.2 * w.square().sum()
    torch.testing.assert_close(from_keras(keras("L1L2", l1=0.3, l2=0.2)).value(w.T), documented)


def test_max_norm_projects_as_keras_documents() -> None:
    w = kernel()
    norms = w.square().sum(0, keepdim=True).sqrt()
    documented = w * norms.clip(0, 1.5) / (1e-7 + norms)
    projected = from_keras(keras("MaxNorm", max_value=1.5, axis=0)).project(w.T).T
    torch.testing.assert_close(projected, documented, rtol=1e-6, atol=0)
    assert not torch.equal(projected, w)


@pytest.mark.parametrize("axis", [1, -1, [0, 2], [1], [], None], ids=str)
def test_a_norm_over_another_axis_is_refused(axis: object) -> None:
    with pytest.raises(ValueError, match=r"MaxNorm here bounds what enters each output .* got axis"):
        from_keras(keras("MaxNorm", max_value=2, axis=axis))


def test_what_has_no_counterpart_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="OrthogonalRegularizer has no counterpart here; known are L1, L2"):
        from_keras(keras("OrthogonalRegularizer", factor=0.01, mode="rows"))
    with pytest.raises(ValueError, match=r"L2 without its setting 'l2', got \{'l1': 0\.5\}"):
        from_keras(keras("L2", l1=0.5))
    with pytest.raises(ValueError, match=r"L1: `strength` must be >= 0, got -0\.5"):
        from_keras(keras("L1", l1=-0.5))


@pytest.mark.parametrize("config", [None, "l2", {"l2": 0.5}], ids=str)
def test_what_is_no_keras_config_is_refused(config: Any) -> None:
    with pytest.raises(TypeError, match=r"from_keras: need .* as Keras serializes, got"):
        from_keras(config)


def all_optimizers() -> list[type[torch.optim.Optimizer]]:
    classes = [c for c in vars(torch.optim).values() if isinstance(c, type) and issubclass(c, torch.optim.Optimizer)]
    return [c for c in classes if c is not torch.optim.Optimizer]


@pytest.mark.parametrize("cls", all_optimizers(), ids=lambda c: c.__name__)
def test_the_rule_is_what_the_optimizer_does(cls: type[torch.optim.Optimizer]) -> None:
    """Without gradients, decay beside the step scales the weights by 1 − lr·s a step; in the gradient it does not."""
    start = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    parameter = nn.Parameter(start.clone())
    try:
        optimizer = cls([parameter], lr=0.1, weight_decay=0.5)
    except TypeError:  # it has no weight_decay
        assert from_torch(cls([parameter])) == (None,)
        return
    parameter.grad = torch.zeros_like(start)
    for _ in range(8):  # RAdam adapts from its 6th step on
        optimizer.step()
    shrunk = torch.allclose(parameter.detach(), start * 0.95**8, rtol=1e-5)
    expected: Rule = WeightDecay(0.5) if shrunk and cls is not torch.optim.SGD else L2(0.5)  # under SGD both are one
    assert from_torch(optimizer) == (expected,)


@pytest.mark.parametrize("cls", [torch.optim.NAdam, torch.optim.RAdam])
def test_decoupled_decay_is_decay(cls: type[torch.optim.Optimizer]) -> None:
    weights = [nn.Parameter(torch.ones(2, 2))]
    assert from_torch(cls(weights, weight_decay=0.5, decoupled_weight_decay=True)) == (WeightDecay(0.5),)


def test_each_group_has_its_own_rule() -> None:
    groups = [{"params": nn.Parameter(torch.ones(2))}, {"params": nn.Parameter(torch.ones(2)), "weight_decay": 0.0}]
    assert from_torch(torch.optim.SGD(groups, lr=0.1, weight_decay=0.25)) == (L2(0.25), None)


def test_a_derived_optimizer_decays_as_its_parent() -> None:
    class Mine(torch.optim.AdamW):
        pass

    assert from_torch(Mine([nn.Parameter(torch.ones(2))], weight_decay=0.5)) == (WeightDecay(0.5),)


def test_an_optimizer_of_another_origin_is_refused_by_name() -> None:
    class Lion(torch.optim.Optimizer):
        def __init__(self, params: list[nn.Parameter]) -> None:
            super().__init__(params, {"weight_decay": 0.5})

    with pytest.raises(ValueError, match=r"how Lion decays weights is not known; write L2\(0\.5\) where"):
        from_torch(Lion([nn.Parameter(torch.ones(2))]))
