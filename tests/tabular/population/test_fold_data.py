from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from thinnet.tabular.population._fold_data import Problem

Make = Callable[..., Problem]


@pytest.mark.parametrize("classes", [1, 3])
def test_losses_are_those_of_torch_over_the_rows_that_count(classes: int, make_problem: Make) -> None:
    problem = make_problem(classes)
    assert problem.classification == (classes == 3)
    assert problem.folds == 3
    outputs = torch.randn(2, 120, classes, generator=torch.Generator().manual_seed(0))
    weights = torch.stack([torch.ones(120), (torch.arange(120) < 50).float()])
    smoothing = torch.tensor([0.0, 0.2])
    losses = problem.losses(outputs, problem.y_N, weights, smoothing)
    if classes == 3:
        expected = [
            F.cross_entropy(outputs[0], problem.y_N),
            F.cross_entropy(outputs[1, :50], problem.y_N[:50], label_smoothing=0.2),
        ]
    else:
        expected = [F.mse_loss(outputs[0, :, 0], problem.y_N), F.mse_loss(outputs[1, :50, 0], problem.y_N[:50])]
    torch.testing.assert_close(losses, torch.stack(expected))


@pytest.mark.parametrize("classes", [1, 3])
def test_predictions_are_probabilities_or_the_outputs(classes: int, make_problem: Make) -> None:
    outputs = torch.randn(2, 5, classes, generator=torch.Generator().manual_seed(0))
    expected = outputs.exp() / outputs.exp().sum(-1, keepdim=True) if classes == 3 else outputs
    torch.testing.assert_close(make_problem(classes).predictions(outputs), expected)
