"""One point of a path."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from thinnet.compaction import rebuild


@dataclass(frozen=True, eq=False)
class Point:
    """A network on the path, trained at one strength.

    Attributes:
        strength: the factor on the plan's strengths, or the value that was given to the plan.
        error: the mean held-out loss; NaN where training diverged.
        se: its standard error; NaN where `evaluate` returned one number.
        losses: the held-out losses, (n,).
        rounds: how many rounds of `fit` it took, the refit's included.
        nonzero: how many of the weights that can become zero are not.
        weights: how many such weights the model had at first.
        groups: per weight under `GroupLasso`, how many of its groups are left; the sum over members in a stack.
        alive: the same, group by group: (groups,), or (members, groups) in a stack.
        norm: the Euclidean norm of those weights.
        diverged: whether training diverged, so that the path went on from the point before.
        recipe: what `compact` removed until here, see `rebuild`; None where nothing was.
    """

    strength: float
    error: float
    se: float
    losses: Tensor
    rounds: int
    nonzero: int
    weights: int
    groups: Mapping[str, int]
    alive: Mapping[str, Tensor]
    norm: float
    diverged: bool
    recipe: dict[str, Any] | None
    state: Callable[[], Mapping[str, Tensor]]
    make_model: Callable[[], nn.Module]

    @property
    def zeros(self) -> int:
        """How many weights are exactly zero, those that were removed included."""
        return self.weights - self.nonzero

    def model(self) -> nn.Module:
        """The network at this point, built anew, in eval mode."""
        model = self.make_model()
        if self.recipe is not None:
            model = rebuild(model, self.recipe)
        model.load_state_dict(copy.deepcopy(dict(self.state())))
        return model.eval()

    def __repr__(self) -> str:
        se = "" if self.se != self.se else f" ± {self.se:.2g}"
        zeros = f", nonzero={self.nonzero} of {self.weights}" if self.weights else ""
        diverged = ", diverged" if self.diverged else ""
        return f"Point(strength={self.strength:.4g}, error={self.error:.4g}{se}{zeros}{diverged})"
