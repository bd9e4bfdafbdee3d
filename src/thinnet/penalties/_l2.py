"""The L2 penalty (ridge)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from thinnet._strength import Strength, broadcast, precise, quotient, stack_depth
from thinnet.penalties._base import WeightPenalty, total
from thinnet.rule import Acts


def l2(w: Tensor, strength: Strength) -> Tensor:
    """Compute s/2 · Σ w², a scalar; one a member where the strength is of shape `stack`."""
    sums = total(precise(w).square(), stack_depth(strength))
    return broadcast(strength, sums) * sums / 2


def l2_gradient(w: Tensor, strength: Strength) -> Tensor:
    """Compute the gradient s · w, of w's shape and dtype."""
    return (broadcast(strength, w) * precise(w)).to(w.dtype)


def l2_prox(w: Tensor, threshold: Strength, metric: Tensor | None = None) -> Tensor:
    """Take the proximal step w / (1 + t/D) for `threshold` t and `metric` D."""
    if metric is None:
        return (precise(w) / broadcast(1 + threshold, w)).to(w.dtype)
    return (precise(w) / quotient(broadcast(threshold, w), precise(metric)).add_(1)).to(w.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class L2(WeightPenalty):
    r"""L2 penalty (ridge): drives weights toward zero but not to it.

    .. math:: P(w) = \frac{s}{2} \sum_i w_i^2

    Its gradient is s · w: same as `weight_decay=s` in `torch.optim.SGD` and `Adam`, and as Keras `L2(s / 2)`. Under
    Adam the gradient is divided by Adam's denominator, which decay is not: for AdamW's see `WeightDecay`.

    Args:
        strength: s >= 0, a number or a tensor of shape `stack`.

    Raises:
        ValueError: the strength is negative, NaN or infinite.
        TypeError: the strength is no number.

    Example:
        >>> import torch
        >>> import thinnet as tn
        >>> penalty, w = tn.L2(0.5), torch.tensor([[3.0, -1.0]])
        >>> penalty.value(w)  # 0.5 / 2 · (9 + 1)
        tensor(2.5000)
        >>> penalty.gradient(w)
        tensor([[ 1.5000, -0.5000]])
        >>> penalty.prox(w, step=2.0)  # w / (1 + 2 · 0.5)
        tensor([[ 1.5000, -0.5000]])

    References:
        A. E. Hoerl, R. W. Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970.
    """

    strength: Strength
    acts: ClassVar[Acts] = "gradient"

    def value(self, w: Tensor) -> Tensor:
        """See `WeightPenalty.value`."""
        return l2(w, self.strength)

    def gradient(self, w: Tensor) -> Tensor:
        """See `WeightPenalty.gradient`."""
        return l2_gradient(w, self.strength)

    def prox(self, w: Tensor, step: Strength, metric: Tensor | None = None) -> Tensor:
        """See `WeightPenalty.prox`."""
        return l2_prox(w, step * self.strength, metric)
