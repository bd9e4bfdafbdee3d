from collections.abc import Callable

import numpy as np
import pytest
import torch

from thinnet import L2
from thinnet.tabular._networks_as_arrays import frozen
from thinnet.tabular.model._ensemble import Ensemble
from thinnet.tabular.population._configuration import Configuration
from thinnet.tabular.population._fold_data import Problem
from thinnet.tabular.population._trained_population import Trained
from thinnet.tabular.population._training import Training

Make, Train = Callable[..., Problem], Callable[..., Training]

CONFIGURATIONS = [
    Configuration(),
    Configuration(dropout=0.4),
    Configuration((L2(1e-2),), encodings=()),
    Configuration(label_smoothing=0.2),
    Configuration(lr=2e-2),
]


def fit(problem: Problem, train: Train, configurations: list[Configuration] = CONFIGURATIONS) -> Trained:
    return train(problem, configurations, steps=120).result()


@pytest.mark.parametrize("classes", [1, 3])
def test_outputs_are_the_weighted_members(classes: int, make_problem: Make, train: Train) -> None:
    problem = make_problem(classes)
    stack = fit(problem, train).stack
    weights = np.random.default_rng(0).dirichlet(np.ones(15))
    temperatures = np.linspace(0.5, 2, 15) if classes == 3 else None
    mean_NC, variance_NC = Ensemble(frozen(stack), weights, temperatures, 0.7).outputs(problem.x_ND.numpy())
    values = []
    for k in range(15):
        with torch.no_grad():
            logits = stack.member(k)(problem.x_ND).double().numpy()
        if temperatures is not None:
            logits = np.exp(logits / temperatures[k])
            logits /= logits.sum(1, keepdims=True)
        values.append(logits)
    mean = sum(w * v for w, v in zip(weights, values, strict=True))
    variance = sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
    if classes == 3:
        mean = mean ** (1 / 0.7)
        mean /= mean.sum(1, keepdims=True)
    np.testing.assert_allclose(mean_NC, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(variance_NC, variance, rtol=1e-3, atol=1e-6)
