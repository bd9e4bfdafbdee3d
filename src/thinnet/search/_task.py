"""The task and the settings of a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
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
    """What is trained and how it is judged, as given to `path`."""

    make_model: Callable[[], nn.Module]
    plan: Plan | Varied
    fit: Fit
    evaluate: Evaluate
    make_optimizer: MakeOptimizer
    polish: Loss | None
    example_inputs: Any

    def make_model_at(self, strength: float) -> Callable[[], nn.Module]:
        """A function that builds the network as it is at a strength, with what a function as plan sets on it."""
        return (
            self.make_model if isinstance(self.plan, Plan) else partial(_varied, self.make_model, self.plan, strength)
        )


@dataclass(frozen=True)
class Settings:
    """The numbers given to `path`."""

    direction: Direction
    strengths: list[float] | None
    n_strengths: int
    eps: float
    rounds: int
    first_rounds: int
    patience: int
    refit: int
    average: float


def _varied(make_model: Callable[[], nn.Module], plan: Varied, value: float) -> nn.Module:
    model = make_model()
    plan(model, value)
    return model
