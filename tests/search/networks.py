"""Small problems with known answers, trained by all rows at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import thinnet as tn
from thinnet.search._task import Settings, Task

INPUTS = tn.Plan({"0.weight": tn.GroupLasso(1.0, by="inputs")})


@dataclass(frozen=True)
class Problem:
    """Rows and targets; loss is half the mean squared error."""

    x: Tensor
    y: Tensor

    def loss(self, model: nn.Module) -> Tensor:
        return (model(self.x) - self.y).square().mean() / 2

    def losses(self, model: nn.Module) -> Tensor:
        return (model(self.x) - self.y).square().flatten(1).mean(1) / 2

    def fit(self, model: nn.Module, optimizer: Optimizer) -> None:
        optimizer.zero_grad()
        self.loss(model).backward()
        optimizer.step()


def regression(rows: int = 60, columns: int = 8, seed: int = 0) -> Problem:
    """Three columns matter."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    return Problem(x, 1.0 + 3 * x[:, :1] - 2 * x[:, 1:2] + x[:, 2:3] + noise)


def images(rows: int = 30) -> Problem:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 3, 6, 6, generator=generator, dtype=torch.float64)
    return Problem(x, x[:, :1].mean((2, 3)) + 1.0)


def linear(columns: int = 8) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(columns, 1, dtype=torch.float64)


def perceptron(columns: int = 8) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Linear(columns, 6), nn.Tanh(), nn.Linear(6, 1)
    return nn.Sequential(*layers).double()


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
    return nn.Sequential(*layers).double()


def gradient_descent(lr: float) -> Callable[..., Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def exact(plan: tn.Plan, **more: object) -> tn.RegularizationPath:
    """The path of a linear model, every point at its optimum."""
    problem = regression()
    settings = {"direction": "down", "polish": problem.loss, **more}
    return tn.path(linear, plan, None, problem.losses, **settings)


def task(make_model: Callable[[], nn.Module], plan: object, **more: object) -> Task:
    """A task on the small regression, trained at a rate of 0.1."""
    problem = regression()
    common = {"fit": problem.fit, "evaluate": problem.losses, "make_optimizer": gradient_descent(0.1)}
    return Task(make_model, plan, **{**common, "polish": None, "example_inputs": None, **more})


def settings(**more: object) -> Settings:
    common = {"direction": "up", "strengths": None, "n_strengths": 5, "eps": 0.1, "rounds": 4, "first_rounds": 10}
    return Settings(**{**common, "patience": 1, "refit": 0, "average": 0.0, **more})


def point(strength: float, losses: list[float], **more: object) -> tn.Point:
    """A point of a linear model of four weights, the first two of which are left."""
    state = {"weight": torch.tensor([[2.0, -1.0, 0.0, 0.0]])}
    common = {
        "rounds": 3,
        "nonzero": 2,
        "weights": 4,
        "alive": {"weight": torch.tensor([True, True, False, False])},
        "norm": math.sqrt(5.0),
        "diverged": False,
        "recipe": None,
        "state": partial(dict, state),
        "make_model": four_weights,
    }
    return tn.Point(strength=strength, losses=torch.tensor(losses, dtype=torch.float64), **{**common, **more})


def four_weights() -> nn.Module:
    return nn.Linear(4, 1, bias=False)
