"""Small problems with known answers, trained by all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


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
