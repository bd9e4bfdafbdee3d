import numpy as np
import pytest
import torch
from torch import nn

import thinnet as tn
from thinnet.search._fista2009 import descend
from thinnet.search._objective import Objective


def weight(values: list[float]) -> nn.Linear:
    model = nn.Linear(len(values), 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([values]))
    return model


def quadratic(scales: list[float], centre: list[float]):
    a, c = torch.tensor(scales, dtype=torch.float64), torch.tensor(centre, dtype=torch.float64)
    return lambda model: (a * (model.weight[0] - c).square()).sum() / 2


def test_a_separable_quadratic_under_l1_is_soft_thresholded() -> None:
    scales, centre = [1.0, 100.0, 4.0, 0.5], [3.0, -0.5, 0.1, -2.0]
    model = weight([0.0] * 4)
    with Objective(model, tn.Plan(tn.L1(0.5)), quadratic(scales, centre), 1.0) as objective:
        steps, cost, residual, converged = descend(objective, 1000, 1e-10)
    a, c = np.array(scales), np.array(centre)
    expected = np.sign(c) * np.maximum(np.abs(c) - 0.5 / a, 0)
    np.testing.assert_allclose(model.weight.detach().numpy()[0], expected, atol=1e-8)
    assert converged
    assert residual <= 1e-8
    assert cost == pytest.approx((a * (expected - c) ** 2).sum() / 2 + 0.5 * np.abs(expected).sum())
    assert 1 < steps < 1000


def test_momentum_needs_about_the_root_of_the_steps_of_plain_descent() -> None:
    """On a condition number of ten thousand."""
    scales = np.geomspace(1e-4, 1.0, 20).tolist()
    model = weight([0.0] * 20)
    with Objective(model, None, quadratic(scales, [1.0] * 20), 1.0) as objective:
        steps, _, _, converged = descend(objective, 10_000, 1e-6)
    assert converged
    plain, x = 0, np.zeros(20)
    a = np.array(scales)
    while np.linalg.norm(a * (x - 1)) > 1e-6:
        x = x - a * (x - 1)
        plain += 1
    assert steps < plain / 10


def test_out_of_steps_the_weights_are_those_of_the_cost() -> None:
    model = weight([5.0, 5.0])
    loss = quadratic([1.0, 30.0], [0.0, 0.0])
    with Objective(model, None, loss, 1.0) as objective:
        steps, cost, _, converged = descend(objective, 2, 1e-12)
    assert (steps, converged) == (2, False)
    assert cost == pytest.approx(float(loss(model).detach()))


def test_the_first_point_satisfies_the_constraints() -> None:
    model = weight([3.0, 4.0])
    with Objective(model, tn.Plan(tn.MaxNorm(1.0)), quadratic([1.0, 1.0], [3.0, 4.0]), 1.0) as objective:
        descend(objective, 100, 1e-10)
    torch.testing.assert_close(model.weight.detach()[0], torch.tensor([0.6, 0.8], dtype=torch.float64))
