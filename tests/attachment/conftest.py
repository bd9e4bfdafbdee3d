"""A least squares whose penalized minimum scikit-learn or a loop of proximal gradients knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import thinnet as tn

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class LeastSquares:
    x: Tensor
    y: Tensor

    def loss(self, w: Tensor) -> Tensor:
        return (self.x @ w.T - self.y).square().mean() / 2

    def fit(self, make: MakeOptimizer, rule: tn.Rule, *, steps: int = 800, **how: object) -> Tensor:
        """The weights after training with the learning rate falling to zero, the rule attached."""
        model = nn.Linear(self.x.shape[1], self.y.shape[1], bias=False).double()
        nn.init.zeros_(model.weight)
        optimizer = make(list(model.parameters()))
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: (1 - t / steps) ** 2 + 1e-4)
        attachment = tn.attach(model, tn.Plan(rule), optimizer, **how)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = self.loss(model.weight)
            (loss + attachment.cost() if attachment.mode == "cost" else loss).backward()
            optimizer.step()
            falling.step()
        attachment.detach()
        return model.weight.detach()


def make_problem(outputs: int) -> LeastSquares:
    draw = np.random.default_rng(0)
    x, w = draw.normal(size=(150, 60)), np.zeros((60, outputs))
    w[:12] = 2 * draw.normal(size=(12, outputs))
    y = x @ w + 0.5 * draw.normal(size=(150, outputs))
    return LeastSquares(torch.tensor(x), torch.tensor(y))


@pytest.fixture(scope="session")
def least_squares() -> LeastSquares:
    return make_problem(1)


@pytest.fixture(scope="session")
def many_outputs() -> LeastSquares:
    return make_problem(6)
