"""Point of a path: one network, trained at one strength."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from thinnet.compaction import rebuild
from thinnet.search._losses import Losses


@dataclass(frozen=True, eq=False)
class Point:
    """A network of a regularization path, trained at one strength.

    It can be pickled where `make_model` can: a function of a module, not a lambda.

    Attributes:
        strength: the factor on the plan's strengths, or the value that was given to the plan.
        losses: the held-out losses, (n,).
        rounds: how many rounds of `fit` it took, the refit's included.
        nonzero: how many of the weights that can become zero are not.
        weights: how many such weights the model had at first.
        alive: per weight under `GroupLasso`, which of its groups are not zero: (groups,), or (members, groups) in a
            stack.
        norm: the Euclidean norm of those weights.
        diverged: whether training diverged, so that the path went on from the point before.
        recipe: what `compact` removed until here, see `rebuild`; None where nothing was.
        state: returns the weights and buffers, as a state dict.
        make_model: builds the network in its first size.
    """

    strength: float
    losses: Tensor
    rounds: int
    nonzero: int
    weights: int
    alive: Mapping[str, Tensor]
    norm: float
    diverged: bool
    recipe: dict[str, Any] | None
    state: Callable[[], Mapping[str, Tensor]]
    make_model: Callable[[], nn.Module]

    @cached_property
    def error(self) -> float:
        """The mean held-out loss; NaN where training diverged."""
        return Losses(self.losses).mean

    @cached_property
    def se(self) -> float:
        """The standard error of the mean held-out loss; NaN where `evaluate` returned one number."""
        return Losses(self.losses).se

    @property
    def groups(self) -> dict[str, int]:
        """Per weight under `GroupLasso`, how many of its groups are not zero; the sum over members in a stack."""
        return {name: int(mask.sum()) for name, mask in self.alive.items()}

    @property
    def zeros(self) -> int:
        """How many weights are exactly zero, those that were removed included."""
        return self.weights - self.nonzero

    def model(self) -> nn.Module:
        """Build the network of this point, in eval mode."""
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
