"""What is to be walked, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from thinnet.plan import Plan
from thinnet.search._gradient_recorder import Fit
from thinnet.search._grid import Direction
from thinnet.search._losses import Evaluate

Varied = Callable[[nn.Module, float], Plan | None]
"""The plan for a value, `plan(model, value)`, which may set something on the model as well."""

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]

Loss = Callable[[nn.Module], Tensor]
"""The loss on all training data at once: `loss(model)`, differentiable."""


@dataclass(frozen=True)
class Task:
    """What the user gave: see `path`."""

    make_model: Callable[[], nn.Module]
    plan: Plan | Varied
    fit: Fit
    evaluate: Evaluate
    make_optimizer: MakeOptimizer
    polish: Loss | None
    example_inputs: Any


@dataclass(frozen=True)
class Settings:
    """How to walk: see `path`."""

    direction: Direction
    strengths: list[float] | None
    n_strengths: int
    eps: float
    rounds: int
    first_rounds: int
    patience: int
    refit: int
    average: float
