import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import nn

import thinnet as tn
from thinnet.search._penalized_model import PenalizedModel

from .networks import INPUTS, linear, perceptron, regression, task


def test_networks_and_optimizers_must_be_made() -> None:
    problem, plan, one = regression(), tn.Plan(tn.L1(1.0)), linear()
    with pytest.raises(ValueError, match="`make_model` returned the same network twice"):
        tn.path(lambda: one, plan, problem.fit, problem.losses, strengths=[0.1])
    with pytest.raises(TypeError, match=r"`make_model` must return a torch\.nn\.Module, got str"):
        tn.path(lambda: "network", plan, problem.fit, problem.losses, strengths=[0.1])
    for name, wrong in {"optimizer": torch.optim.SGD(one.parameters()), "polish": True, "callback": 5}.items():
        with pytest.raises(TypeError, match=f"`{name}` must be a function, got .*; wrap it in a lambda"):
            tn.path(linear, plan, problem.fit, problem.losses, **{name: wrong})
    with pytest.raises(TypeError, match="`make_model` must be a function, got Linear; wrap it in a lambda"):
        tn.path(one, plan, problem.fit, problem.losses)
    with pytest.raises(TypeError, match=r"`plan` must be a tn\.Plan or a function .*; wrap a rule or a mapping"):
        tn.path(linear, tn.L1(1.0), problem.fit, problem.losses)
    with pytest.raises(TypeError, match=r"`strengths` must be a list of numbers, or None to find them, got 0\.1"):
        tn.path(linear, plan, problem.fit, problem.losses, strengths=0.1)
    with pytest.raises(TypeError, match="`optimizer` must make a torch optimizer, got list"):
        tn.path(linear, plan, problem.fit, problem.losses, strengths=[0.1], optimizer=list)


def test_a_plan_is_scaled_and_a_function_is_asked_anew() -> None:
    scaled = PenalizedModel(task(linear, tn.Plan(tn.L1(2.0))))
    norm = scaled.network.weight.detach().abs().sum().item()
    for strength in (0.0, 0.5, 3.0):
        scaled.set_strength(strength)
        assert scaled.penalty() == pytest.approx(2.0 * strength * norm)

    def ridge(model: nn.Module, strength: float) -> tn.Plan | None:
        return tn.Plan(tn.L2(strength)) if strength < 1 else None

    varied = PenalizedModel(task(linear, ridge))
    assert varied.penalty() == 0
    square = varied.network.weight.detach().square().sum().item()
    for strength, expected in ((0.0, 0.0), (0.5, 0.5 * square / 2), (2.0, 0.0)):
        varied.set_strength(strength)
        assert varied.penalty() == pytest.approx(expected)
        assert (varied.attachment is None) is (strength == 2.0)
    assert len(varied.optimizer._optimizer_step_post_hooks) == 0  # every earlier plan was detached


def test_what_a_function_as_plan_returns_must_be_a_plan() -> None:
    model = PenalizedModel(task(linear, lambda model, value: tn.L1(value)))
    with pytest.raises(TypeError, match=r"`plan\(model, value\)` must return a tn\.Plan or None, got L1"):
        model.set_strength(1.0)


def test_the_penalty_of_a_stack_is_that_of_one_member() -> None:
    def make() -> nn.Module:
        return tn.Stack([tn.Member(seed=k) for k in range(4)], in_features=8, hidden=[], out_features=1)

    model = PenalizedModel(task(make, tn.Plan({"weights.0": tn.L1(torch.ones(4))})))
    model.set_strength(0.5)
    assert model.penalty() == pytest.approx(0.5 * model.network.weights[0].abs().sum().item() / 4, rel=1e-5)


def test_it_tells_when_nothing_is_left_and_when_numbers_are_not_finite() -> None:
    model = PenalizedModel(task(perceptron, INPUTS))
    assert (model.weights, model.is_empty, model.is_finite) == (48, False, True)
    with torch.no_grad():
        model.network[0].weight.zero_()
    assert model.is_empty
    with torch.no_grad():
        model.network[2].bias.fill_(math.nan)
    assert not model.is_finite
    assert not PenalizedModel(task(linear, tn.Plan(tn.L2(1.0)))).is_empty  # no weight can become zero


def test_polished_it_is_the_lasso_of_the_strength() -> None:
    problem = regression()
    model = PenalizedModel(task(linear, tn.Plan(tn.L1(2.0)), polish=problem.loss))
    model.network.train()
    model.polish_(0.1)
    oracle = Lasso(0.2, tol=1e-12).fit(problem.x.numpy(), problem.y.numpy().ravel())
    np.testing.assert_allclose(model.network.weight.detach().numpy()[0], oracle.coef_, atol=1e-5)
    assert not model.network.training


def test_dead_nodes_are_removed_and_the_plan_governs_the_rest() -> None:
    problem = regression()
    model = PenalizedModel(task(perceptron, INPUTS, example_inputs=problem.x[:4]))
    assert model.recipe is None
    assert not model.compact_()
    with torch.no_grad():
        model.network[2].weight[:, :2] = 0.0
    output = model.network(problem.x).detach()
    assert model.compact_()
    assert model.network[0].out_features == 4
    torch.testing.assert_close(model.network(problem.x).detach(), output)
    assert (model.weights, model.sparsity.count()[1]) == (48, 32)
    again = PenalizedModel(task(perceptron, INPUTS, example_inputs=problem.x[:4]))
    again.resume_compaction(model.recipe)
    assert (again.recipe, again.network[0].out_features, again.sparsity.count()[1]) == (model.recipe, 4, 32)


def test_without_example_inputs_nothing_is_removed() -> None:
    model = PenalizedModel(task(perceptron, INPUTS))
    with torch.no_grad():
        model.network[2].weight[:, :2] = 0.0
    assert not model.compact_()
