import math

import numpy as np
import pytest
import torch

import thinnet as tn
from thinnet.search._losses import Losses

from .networks import linear, regression


def test_what_evaluate_returns_must_be_losses() -> None:
    problem = regression()
    with pytest.raises(TypeError, match="`evaluate` must return a loss"):
        tn.path(linear, tn.Plan(tn.L1(1.0)), problem.fit, lambda model: "good", strengths=[0.1], first_rounds=1)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_mean_and_standard_error_are_numpys(kind) -> None:
    values = [0.5, 2.0, 1.25, 8.0]
    losses = Losses.of(kind(values))
    assert losses.mean == pytest.approx(np.mean(values))
    assert losses.se == pytest.approx(np.std(values, ddof=1) / np.sqrt(4))
    assert losses.each.dtype is torch.float64


@pytest.mark.parametrize("value", [3.0, 3, torch.tensor(3.0), np.float32(3.0), [3.0]])
def test_a_single_loss_has_no_standard_error(value: object) -> None:
    losses = Losses.of(value)
    assert losses.mean == 3.0
    assert math.isnan(losses.se)


def test_it_is_a_copy_without_gradients() -> None:
    given = torch.ones(2, dtype=torch.float64, requires_grad=True)
    losses = Losses.of(given)
    with torch.no_grad():
        given.fill_(5.0)
    assert losses.each.tolist() == [1.0, 1.0]
    assert not losses.each.requires_grad


def test_no_losses_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a number or losses of shape \(n,\), got shape \(0,\)"):
        Losses.of([])
