"""The contract of a penalty: pure mathematics on tensors, settings on the object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from thinnet.rule import Rule, Strength, finite_dial


@dataclass(frozen=True, eq=False, repr=False)
class Penalty(Rule, ABC):
    r"""A term P(w) of the cost: `cost = loss + P(w)`.

    A *smooth* penalty acts through its gradient, added before the optimizer's step. One that is not smooth acts through
    its proximal step after it, which is what makes exact zeros.
    """

    smooth: ClassVar[bool]

    def __post_init__(self) -> None:
        super().__post_init__()
        for dial in self.dials:
            finite_dial(type(self).__name__, dial, getattr(self, dial))

    @property
    def induces_zeros(self) -> bool:
        """Whether it is not smooth, and so acts through its proximal step."""
        return not self.smooth

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


@dataclass(frozen=True, eq=False, repr=False)
class Decay(Rule, ABC):
    """A shrinkage outside the cost, beside the optimizer's step and scaled by its learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for dial in self.dials:
            finite_dial(type(self).__name__, dial, getattr(self, dial))

    @abstractmethod
    def shrink(self, w: Tensor, lr: Strength) -> Tensor:
        """The decayed weights, of w's shape; `lr` is a number or of shape `stack`."""


def total(terms: Tensor, depth: int) -> Tensor:
    """The sum of all terms of each member: over every dimension but the first `depth`, which are the stack's."""
    return terms.reshape(*terms.shape[:depth], -1).sum(-1) if depth else terms.sum()
