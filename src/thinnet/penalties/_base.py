"""The contracts of penalties over one weight and of decays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from thinnet._strength import Strength
from thinnet.rule import Acts, Rule, check_finite


@dataclass(frozen=True, eq=False, repr=False)
class Penalty(Rule, ABC):
    r"""A term P of the cost, `cost = loss + P`, over one weight (`WeightPenalty`) or over several (`JointPenalty`).

    A *smooth* penalty acts through its gradient, added before the optimizer's step. One that is not smooth acts through
    its proximal step after it, which is what makes exact zeros.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite(self)

    @property
    def smooth(self) -> bool:
        """Whether it has a gradient everywhere, and acts through that."""
        return not self.induces_zeros

    @abstractmethod
    def value(self, w: Any) -> Tensor:
        """P of the weight given, or of the weights given by name; differentiable, in float32 or better."""


@dataclass(frozen=True, eq=False, repr=False)
class WeightPenalty(Penalty, ABC):
    """A penalty P(w) over one weight: a class declares whether it acts as "gradient" or as "prox"."""

    @abstractmethod
    def value(self, w: Tensor) -> Tensor:
        """P(w), differentiable, summed in float32 or better; of shape `stack`, a scalar for one set of weights."""

    @abstractmethod
    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        r"""argmin_u ½ Σ D (u − w)² + step · P(u): the proximal step.

        It is taken, not differentiated: buffers are reused, so that autograd through it may raise.

        Args:
            w: weights `(*stack, out, in, ...)`.
            step: step length, a number or of shape `stack`.
            metric: D > 0 of w's shape (Adam's denominator); None is 1.
        """

    def gradient(self, w: Tensor) -> Tensor:
        """dP/dw, of w's shape. Only for smooth penalties."""
        raise TypeError(f"{type(self).__name__} is not smooth: it acts through prox, not through a gradient.")

    def alive(self, w: Tensor) -> Tensor | None:
        """Which groups have a weight that is not zero: `(*stack, groups)`; None for a penalty of single weights."""
        return None


@dataclass(frozen=True, eq=False, repr=False)
class Decay(Rule, ABC):
    """A shrinkage outside the cost, beside the optimizer's step and scaled by its learning rate."""

    acts: ClassVar[Acts] = "decay"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite(self)

    @abstractmethod
    def shrink(self, w: Tensor, lr: Strength) -> Tensor:
        """The decayed weights, of w's shape; `lr` is a number or of shape `stack`."""


def total(terms: Tensor, depth: int) -> Tensor:
    """The sum of all terms of each member: over every dimension but the first `depth`, which are the stack's."""
    return terms.reshape(*terms.shape[:depth], -1).sum(-1) if depth else terms.sum()
