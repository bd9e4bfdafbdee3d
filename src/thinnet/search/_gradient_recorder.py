"""Mean gradient over one round of a training loop, at fixed weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Fit = Callable[[nn.Module, Optimizer], object]
"""One round of training: `fit(model, optimizer)`."""


class GradientRecorder(Optimizer):
    """An optimizer that moves nothing and averages the gradients that it is given, one a step.

    Args:
        like: the optimizer in whose place it stands; its settings can be read, and changed without effect.

    Attributes:
        steps: how often it was stepped.
    """

    def __init__(self, like: Optimizer) -> None:
        self.steps = 0
        self._sums: dict[Tensor, Tensor] = {}
        super().__init__([{**group} for group in like.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Add the gradients to their sums; the weights stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.steps += 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    seen = self._sums.setdefault(p, torch.zeros_like(p, memory_format=torch.preserve_format))
                    seen += p.grad
        return loss

    def mean(self, parameter: Tensor) -> Tensor:
        """The mean gradient of a parameter; zero where it had none."""
        total = self._sums.get(parameter)
        return torch.zeros_like(parameter) if total is None else total / self.steps


def recorded(model: nn.Module, fit: Fit, like: Optimizer) -> GradientRecorder:
    """Record the gradients of one round of `fit`."""
    recorder = GradientRecorder(like)
    recorder.zero_grad()
    model.train()
    fit(model, recorder)
    recorder.zero_grad()
    if not recorder.steps:
        raise ValueError("path: `fit` never called optimizer.step(): it must train the model that it is given.")
    return recorder
