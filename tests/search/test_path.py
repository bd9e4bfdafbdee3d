import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import enet_path, lasso_path
from torch import Tensor, nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.errors import NoEffectWarning

from .networks import INPUTS, exact, gradient_descent, linear, perceptron, regression


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_fifty_strengths_are_those_and_the_coefficients_of_coordinate_descent(share: float) -> None:
    plan = tn.Plan(tn.L1(1.0)) if share == 1 else tn.Plan(tn.L1(share) + tn.L2(1 - share))
    path = exact(plan, n_strengths=50, eps=1e-3)
    problem = regression()
    x, y = problem.x.numpy(), problem.y.numpy().ravel()
    x, y = x - x.mean(0), y - y.mean()  # the intercept is free
    alphas = [point.strength for point in path.points]
    find = lasso_path if share == 1 else enet_path
    more = {} if share == 1 else {"l1_ratio": share}
    # what is a hair under the strength at which all is zero may be either
    found, coefficients, _ = find(x, y, alphas=alphas, tol=1e-13, max_iter=100_000, **more)
    np.testing.assert_allclose(alphas, found)
    assert alphas[0] == pytest.approx(np.abs(x.T @ y).max() / len(x) / share, rel=1e-5)
    for point, expected in zip(path.points, coefficients.T, strict=True):
        weights = point.model().weight.detach().numpy().ravel()
        np.testing.assert_allclose(weights, expected, atol=1e-4)
        clear = np.abs(expected) > 1e-6
        assert (weights[clear] != 0).all()
        assert (weights[expected == 0] == 0).all()


def test_the_strengths_go_up_from_the_dense_network_until_nothing_is_left() -> None:
    problem = regression()
    path = tn.path(perceptron, INPUTS, problem.fit, problem.losses, n_strengths=8, optimizer=gradient_descent(0.2))
    strengths = [point.strength for point in path.points]
    assert strengths[0] == 0
    assert strengths == sorted(strengths)
    ratios = [b / a for a, b in itertools.pairwise(strengths[1:])]
    assert ratios == pytest.approx([1000 ** (1 / 7)] * len(ratios))
    assert path.points[0].groups == {"0.weight": 8}
    assert path.points[-1].groups == {"0.weight": 0}
    assert all(point.nonzero for point in path.points[:-1])
    assert path.best.error < 0.5 * path.points[-1].error


def test_any_scalar_can_be_varied() -> None:
    problem = regression()

    def ridge(model: nn.Module, strength: float) -> tn.Plan:
        return tn.Plan(tn.L2(strength))

    def dropped() -> nn.Module:
        return nn.Sequential(nn.Dropout(0.0), linear())

    def rate(model: nn.Module, p: float) -> None:
        model[0].p = p

    path = tn.path(
        linear, ridge, problem.fit, problem.losses, strengths=[0.0, 1.0, 10.0],
        optimizer=gradient_descent(0.05), rounds=400, first_rounds=400, patience=40,
    )  # fmt: skip
    x, y = problem.x - problem.x.mean(0), problem.y - problem.y.mean()
    for point in path.points:
        gram = x.T @ x / 60 + point.strength * torch.eye(8, dtype=torch.float64)
        expected = torch.linalg.solve(gram, x.T @ y / 60).ravel()
        torch.testing.assert_close(point.model().weight.detach().ravel(), expected, atol=1e-3, rtol=1e-3)
    rates = tn.path(dropped, rate, problem.fit, problem.losses, strengths=[0.0, 0.5], first_rounds=2, rounds=2)
    assert [point.model()[0].p for point in rates.points] == [0.0, 0.5]


def test_folds_are_members_of_one_stack() -> None:
    problem = regression(rows=60)
    fold = torch.arange(60) % 3
    weights = torch.stack([(fold != k).double() for k in range(3)])

    def make() -> nn.Module:
        members = [tn.Member(seed=k) for k in range(3)]
        return tn.Stack(members, in_features=8, hidden=[6], out_features=1, dtype=torch.float64)

    def fit(model: nn.Module, optimizer: Optimizer) -> None:
        optimizer.zero_grad()
        tn.stack_squared_error(model(problem.x), problem.y.ravel(), weights).sum().backward()
        optimizer.step()

    def evaluate(model: nn.Module) -> Tensor:
        errors = (model(problem.x).squeeze(-1) - problem.y.ravel()).square()
        return torch.stack([errors[k, fold == k].mean() for k in range(3)])

    plan = tn.Plan({"weights.0": tn.GroupLasso(torch.ones(3), by="inputs")})
    path = tn.path(
        make, plan, fit, evaluate, n_strengths=12,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2), rounds=30, first_rounds=300,
    )  # fmt: skip
    assert path.points[0].alive["weights.0"].shape == (3, 8)
    assert path.points[-1].groups == {"weights.0": 0}
    last = [point for point in path.points if point.groups["weights.0"]][-1]
    assert last.alive["weights.0"][:, 3:].sum() == 0  # the columns that matter stay longest, in every fold
    assert path.best.error < 0.3 * path.points[-1].error
    assert len(path.best.losses) == 3


def test_networks_with_dropout_are_polished_without_it() -> None:
    problem = regression()

    def dropped() -> nn.Module:
        return nn.Sequential(linear(), nn.Dropout(0.5))

    plan = tn.Plan({"0.weight": tn.L1(1.0)})
    settings = {"polish": problem.loss, "direction": "down", "n_strengths": 4, "rounds": 2}
    path = tn.path(dropped, plan, problem.fit, problem.losses, **settings)
    expected = exact(tn.Plan(tn.L1(1.0)), n_strengths=4)
    assert [p.strength for p in path.points] == pytest.approx([p.strength for p in expected.points], rel=1e-5)
    assert [p.error for p in path.points] == pytest.approx([p.error for p in expected.points], rel=1e-4)


def test_a_way_down_on_which_nothing_leaves_zero_is_told() -> None:
    problem = regression()
    settings = {"strengths": [1000.0, 900.0], "direction": "down", "first_rounds": 2}
    with pytest.warns(NoEffectWarning, match=r'no weight became nonzero on the way down.*use direction="up"'):
        tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, problem.losses, **settings)
