"""The contract of a constraint: a set that the weights are projected onto after every step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from thinnet.rule import Acts, Rule


@dataclass(frozen=True, eq=False, repr=False)
class Constraint(Rule, ABC):
    """A set C of allowed weights; the optimizer's step is followed by the projection onto it."""

    acts: ClassVar[Acts] = "projection"

    @property
    def has_effect(self) -> bool:
        """Always: a bound is not a strength, and one of zero is the tightest."""
        return True

    @abstractmethod
    def project(self, w: Tensor) -> Tensor:
        """argmin_{u in C} ‖u − w‖, of w's shape `(*stack, out, in, ...)`; idempotent."""

    def __mul__(self, factor: float) -> Self:
        """Itself: a bound is not a strength, so scaling a sum of rules leaves it as it is."""
        return self

    __rmul__ = __mul__


def slack(w: Tensor, size: int) -> float:
    """Bound the relative rounding error of a norm: of a sum of `size` squares, and of weights of w's dtype."""
    summed = torch.promote_types(w.dtype, torch.float32)
    return torch.finfo(w.dtype).eps + size.bit_length() * torch.finfo(summed).eps
